#!/usr/bin/env bash
# install.sh [--list] [build|run|unit|demo|test|ci]...: installs the Debian packages that a purpose needs (Debian 12 and 13). With everything
# there it does nothing, at once. No service is started: Redis comes from redis-tools, whose program is the server too, and what would start one
# (nginx and Prometheus, for the tests) is kept from it.
set -euo pipefail

# a|b: the first that this Debian knows; any of them counts as installed. bin/x is no package: a program x that came some other way counts.
# ?a: only where this Debian knows it.
build=(gcc libc6-dev cmake ninja-build pkgconf librdkafka-dev libcurl4-openssl-dev libyajl-dev libhiredis-dev libuv1-dev libc-ares-dev
    libmicrohttpd-dev libssl-dev)
run=(librdkafka1 'libcurl4t64|libcurl4' libyajl2 'libhiredis1.1.0|libhiredis0.14' 'libuv1t64|libuv1' 'libc-ares2'
    'libmicrohttpd12t64|libmicrohttpd12' 'libssl3t64|libssl3' ca-certificates)
unit=("${build[@]}" libcriterion-dev)
demo=("${build[@]}" redis-tools python3)
test=("${demo[@]}" git ca-certificates libcriterion-dev python3-venv python3-pytest python3-pytest-xdist python3-redis python3-jsonschema python3-yaml python3-confluent-kafka zsh
    openssl maven default-jre-headless 'nodejs|bin/node' 'npm|bin/npm' 'golang-go|bin/go' spin clang libclang-rt-dev clang-format valgrind wrk nginx iproute2 prometheus '?valkey-tools')
ci=("${test[@]}" debootstrap buildah python3-pip)

declare -A there=()
while read -r name status; do
    if [ "$status" = installed ]; then there[$name]=1; fi
done < <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null)

known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

any_installed() { # any_installed 'a|b'
    local name
    for name in ${1//|/ }; do
        if [ -n "${there[$name]:-}" ] || { [[ $name == bin/* ]] && command -v "${name#bin/}" >/dev/null; }; then return 0; fi
    done
    return 1
}

pick() { # pick 'a|b': the name to install
    local name
    for name in ${1//|/ }; do
        if known "$name"; then echo "$name"; return; fi
    done
    echo "install.sh: this system has no package $1" >&2
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then env "$@"; else sudo env "$@"; fi
}

list=no
if [ "${1:-}" = --list ]; then list=yes; shift; fi
[ $# -gt 0 ] || set -- build
wanted=()
for purpose in "$@"; do
    case $purpose in
        build|run|unit|demo|test|ci) declare -n packages=$purpose; wanted+=("${packages[@]}") ;;
        *) echo "usage: deploy/install.sh [--list] [build|run|unit|demo|test|ci]..." >&2; exit 2 ;;
    esac
done

missing=()
for choice in "${wanted[@]}"; do
    case " ${missing[*]} " in *" $choice "*) continue ;; esac
    any_installed "${choice#\?}" || { [[ $choice == \?* ]] && ! known "${choice#\?}"; } || missing+=("${choice#\?}")
done
if [ $list = yes ]; then printf '%s\n' "${missing[@]+"${missing[@]}"}"; exit 0; fi
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || { echo "install.sh: needs Debian's apt; please install what matches: ${missing[*]}" >&2; exit 1; }
echo "install.sh: packages missing for $*: ${missing[*]}"
as_root apt-get -qq update
log=$(mktemp)
policy=/usr/sbin/policy-rc.d # Debian's own way to say that a package may start nothing; one that is there already stays
if [ -e $policy ]; then policy=; else as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"; fi
trap 'rm -f "$log"; [ -z "$policy" ] || as_root rm -f "$policy"' EXIT
names=()
for choice in "${missing[@]}"; do names+=("$(pick "$choice")"); done
echo "install.sh: installing ${names[*]}"
as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install "${names[@]}" \
    </dev/null >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
