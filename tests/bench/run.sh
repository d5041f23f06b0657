#!/usr/bin/env bash
# run.sh [--quick] [--readme] [case]...: installs what is missing, builds the release, and runs the benchmarks named, or all (--help lists them).
# --readme puts what was measured into README.md. BENCH_EVENTS and BENCH_ROUNDS change the size, BENCH_PREVIOUS the commit to compare with, BENCH_RATE
# the load of rolling and scaling, BENCH_FULL=1 takes the growth curves to their ends. Results are printed and kept in .build/bench/: CASE.json,
# results.json, figures.svg.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/install.sh test
mkdir -p .build/logs
log=.build/logs/build-bench.log
if ! { cmake --preset release -DJOBHOOK_TESTS=ON && cmake --build .build/release --target jobhook receiver bare load unclaimed; } >"$log" 2>&1; then
    tail -40 "$log" >&2
    exit 1
fi
ulimit -n "$(ulimit -Hn)"
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 tests/bench/bench.py "$@"
