#!/usr/bin/env bash
# root.sh SUITE FOLDER [PACKAGE,PACKAGE...]: fills the folder with a bare root of that Debian suite and those packages. The mirror and the
# configuration of apt, Maven, npm, names and certificates are the host's. Needs root, and debootstrap.
set -euo pipefail
suite=$1
root=$2
packages=${3:-}

here=$(. /etc/os-release && echo "$VERSION_CODENAME")
if [ -e /etc/apt/sources.list.d/debian.sources ]; then sources=/etc/apt/sources.list.d/debian.sources; else sources=/etc/apt/sources.list; fi
mirror=$(grep -v '^#' "$sources" | grep -oE '(http|https)://[^ ]+' | head -n 1)
[[ $mirror != https:* ]] || packages=${packages:+$packages,}ca-certificates

log=$(mktemp)
trap 'rm -f "$log"' EXIT
debootstrap --variant=minbase ${packages:+"--include=$packages"} "$suite" "$root" "$mirror" >"$log" 2>&1 || { tail -n 20 "$log"; exit 1; }

rm -f "$root/etc/apt/sources.list"
sed "s/\b$here\b/$suite/g" "$sources" >"$root$sources"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/apt/apt.conf /etc/apt/apt.conf.d/99* /etc/apt/apt.conf.d/*proxy* /root/.m2/settings.xml /root/.npmrc; do
    [ ! -e "$file" ] || cp -L --parents "$file" "$root"
done
if [[ ,$packages, == *,ca-certificates,* ]] && [ -d /usr/local/share/ca-certificates ]; then
    cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
fi
