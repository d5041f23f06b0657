#!/usr/bin/env bash
# debian.sh [--wait] SUITE COMMAND...: makes a bare root of that Debian suite, installs the tests' packages there, and runs the command in a fresh
# clone of this repository; with --wait once a line has come on standard input. The mirror and apt's, Maven's, npm's and the certificates'
# configuration are the host's. Needs root; everything is gone afterwards, but logs of failing tests are brought back to .build/logs-SUITE.
set -euo pipefail
cd "$(dirname "$0")/.."
waits=no
if [ "$1" = --wait ]; then waits=yes; fi

# Mounts and processes of a namespace of their own end with it, however this ends. Removing the root takes minutes: nobody waits for that.
if [ -z "${JOBHOOK_CI_ROOT:-}" ]; then
    JOBHOOK_CI_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/jobhook-debian.XXXXXX")
    export JOBHOOK_CI_ROOT
    trap 'setsid rm -rf --one-file-system "$JOBHOOK_CI_ROOT" </dev/null >/dev/null 2>&1 &' EXIT
    unshare --mount --pid --fork --kill-child "$0" "$@"
    exit
fi
[ $waits = no ] || shift
suite=$1
shift

root=$JOBHOOK_CI_ROOT
chmod 755 "$root"
nice -n 10 .ci/root.sh "$suite" "$root" ca-certificates,git </dev/null
git -c safe.directory='*' clone -q . "$root/root/project"

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
environment=(HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
done
inside() { chroot "$root" /usr/bin/env -i "${environment[@]}" bash -c 'cd /root/project && exec "$@"' -- "$@"; }

inside nice -n 10 deploy/install.sh test </dev/null
[ $waits = no ] || read -r _
for fetched in kafka node; do
    if [ -d ".cache/$fetched" ]; then mkdir -p "$root/root/project/.cache" && cp -r ".cache/$fetched" "$root/root/project/.cache/"; fi
done
rc=0
inside "$@" </dev/null || rc=$?
if [ "$rc" -ne 0 ] && [ -d "$root/root/project/.build/logs" ]; then
    rm -rf ".build/logs-$suite"
    mkdir -p .build
    cp -r "$root/root/project/.build/logs" ".build/logs-$suite"
fi
exit "$rc"
