#!/usr/bin/env bash
# soak.sh [EVENTS] [SEED] [OPTIONS...]: EVENTS events (1000000) over three copies of jobhook, a real Kafka and a real Redis, with all faults at random
# from SEED (1); the oracle judges. Progress every 10 s, a table at the end, exit status 1 when anything was lost, doubled without a reason, early or
# altered. More options: tests/system/chaos.py --help. JOBHOOK_BUILD names another build; a million events take about 25 minutes and 5 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
events=${1:-1000000}
seed=${2:-1}
shift $(($# < 2 ? $# : 2))
deploy/install.sh test
if [ -z "${JOBHOOK_BUILD:-}" ]; then
    cmake --preset release -DJOBHOOK_TESTS=ON >/dev/null
    cmake --build .build/release --target jobhook scribe
fi
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/system/chaos.py --events "$events" --seed "$seed" --rate 1000 "$@"
