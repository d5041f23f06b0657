#!/usr/bin/env bash
# skew.sh [REF]: the program of this tree and that of REF (the last release's tag) side by side in one group: skew.py. Builds the other one in a work
# tree of its own under .build/skew; needs .build/release/jobhook.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! ref=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null)}; then
    echo "skew.sh: no earlier release is tagged: name what to compare with" >&2
    exit 2
fi
tree=.build/skew/tree
rm -rf .build/skew
git worktree prune
git worktree add --quiet --detach "$tree" "$ref"
trap 'git worktree remove --force "$tree"' EXIT
cmake -S "$tree" -B .build/skew/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DJOBHOOK_TESTS=OFF >/dev/null
cmake --build .build/skew/build --target jobhook
echo "beside $ref, $(git rev-parse --short "$ref")"
JOBHOOK_OTHER=$PWD/.build/skew/build/jobhook PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q tests/system/skew.py
