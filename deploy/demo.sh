#!/usr/bin/env bash
# demo.sh [--stay]: installs what is missing, builds jobhook and shows it at work, in about a minute: an embedded Kafka broker, a Redis and
# a receiver of its own, events of all eight kinds, failures and retries. Free ports are chosen, everything is gone at the end.
# --stay: leaves it running until Enter, to look around.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/install.sh demo

build=.build/release
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "demo.sh: building in $build"
if ! { cmake --preset release -DJOBHOOK_TESTS=ON && cmake --build "$build" --target jobhook broker records; } >"$log" 2>&1; then
    tail -40 "$log" >&2
    exit 1
fi
rm -f "$log"
exec /usr/bin/python3 deploy/demo.py "$build" "$@"
