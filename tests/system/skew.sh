#!/usr/bin/env bash
# skew.sh [REF]: the program of this tree and that of REF side by side in one group: skew.py. REF is the previous release if none is given: the newest
# tag before this commit, or, where tags are not at hand, the last commit with another version than this one's. Builds the other one under .build/skew;
# needs .build/release/jobhook. skew.sh --previous says which commit that is and ends with 1 when this clone's history has none.
set -euo pipefail
cd "$(dirname "$0")/../.."
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' # CI builds the image as root in somebody else's clone

previous() {
    git describe --tags --abbrev=0 HEAD^ 2>/dev/null && return
    local raised
    raised=$(git log -1 --format=%H -G'^project\(jobhook VERSION' -- CMakeLists.txt)
    git rev-parse --quiet --verify --short "$raised^"
}

if [ "${1:-}" = --previous ]; then
    previous
    exit
fi
if ! ref=${1:-$(previous)}; then
    echo "skew.sh: this clone's history has no earlier release: name what to compare with" >&2
    exit 2
fi
other=.build/skew
rm -rf "$other"
mkdir -p "$other/tree"
git archive "$ref" | tar -x -C "$other/tree"
cmake -S "$other/tree" -B "$other/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DJOBHOOK_TESTS=OFF >/dev/null
cmake --build "$other/build" --target jobhook
echo "beside $ref: $("$other/build/jobhook" --version)"
JOBHOOK_OTHER=$PWD/$other/build/jobhook PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q tests/system/skew.py
