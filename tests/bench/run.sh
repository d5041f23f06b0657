#!/usr/bin/env bash
# run.sh [delivery|idle]...: installs what is missing, builds the release, and runs the benchmarks named, or all (bench.py says what they measure).
# BENCH_EVENTS and BENCH_ROUNDS change their size. The results are printed and kept in .build/bench/.
set -euo pipefail
cd "$(dirname "$0")/../.."
deploy/install.sh test
mkdir -p .build/logs
log=.build/logs/build-bench.log
if ! { cmake --preset release -DJOBHOOK_TESTS=ON && cmake --build .build/release --target jobhook receiver bare load; } >"$log" 2>&1; then
    tail -40 "$log" >&2
    exit 1
fi
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 tests/bench/bench.py "$@"
