#!/usr/bin/env bash
# image.sh: builds the Dockerfile for real without a container engine (buildah, chroot isolation), on a base that debootstrap makes of the host's
# mirror. The unit tests run inside the build. Leaves in .build/image: root/ (the image's files), config.json (entry point, user, labels),
# size (bytes over the base). Needs root, and deploy/install.sh ci.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$PWD/.build/image
base_tar=$PWD/.cache/image-base.tar # made again after a day: packages move on

# Mounts and processes of a namespace of their own end with it, however this ends.
if [ -z "${JOBHOOK_IMAGE_INSIDE:-}" ]; then
    exec env JOBHOOK_IMAGE_INSIDE=1 unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/jobhook-image.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

# vfs copies the whole root for every step, but works everywhere; overlay does not where this root is an overlay itself.
driver=vfs
mkdir -p "$work"/trial/{lower,upper,work,all}
if mount -t overlay overlay -o "lowerdir=$work/trial/lower,upperdir=$work/trial/upper,workdir=$work/trial/work" "$work/trial/all" 2>/dev/null; then
    umount "$work/trial/all"
    driver=overlay
fi

oci() { # oci COMMAND...: buildah with a storage of its own
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver "$driver" "$@"
}

files_of() { # files_of FROM TO: copies an image's files
    local container mounted
    container=$(oci from --pull-never "$1")
    mounted=$(oci mount "$container")
    mkdir -p "$2"
    cp -a "$mounted/." "$2"
    oci rm "$container" >/dev/null
}

make_base() { # what debian:trixie-slim is: minbase without documentation
    mkdir -p "$work/base"
    chmod 755 "$work/base"
    .ci/root.sh trixie "$work/base"
    printf 'path-exclude /usr/share/%s/*\n' doc man info locale lintian linda groff >"$work/base/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$work/base"/var/lib/apt/lists/* "$work/base"/var/cache/apt/*.bin "$work/base"/var/cache/apt/archives/*.deb "$work/base"/var/log/*.log \
        "$work/base"/usr/share/{doc,man,info,locale,lintian,linda,groff}/*
    mkdir -p "$(dirname "$base_tar")"
    tar -C "$work/base" -cf "$base_tar.fresh" --exclude=./dev/* .
    mv "$base_tar.fresh" "$base_tar"
    rm -rf "$work/base"
}

[ -n "$(find "$base_tar" -mtime -1 2>/dev/null)" ] || make_base
container=$(oci from scratch)
oci add "$container" "$base_tar" / >/dev/null
oci commit --quiet --rm "$container" localhost/debian:trixie-slim >/dev/null

# What git knows or would add, as it is now.
mkdir "$work/context"
git -c safe.directory='*' ls-files -co --exclude-standard -z | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\\0" "$f"; done' sh | tar --null -T - -cf - | tar -C "$work/context" -xf -

version=$(sed -n 's/^project(jobhook VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
bud=(bud --isolation chroot --pull-never --layers --build-arg DEBIAN=localhost/debian:trixie-slim --build-arg "VERSION=$version")
oci "${bud[@]}" --target test --tag jobhook-test "$work/context"
oci "${bud[@]}" --tag jobhook "$work/context"

rm -rf --one-file-system "$target"
mkdir -p "$target"
files_of localhost/debian:trixie-slim "$work/base"
files_of localhost/jobhook "$target/root"
oci inspect --type image localhost/jobhook | python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["OCIv1"], sys.stdout)' >"$target/config.json"
echo $(($(du -s -B1 "$target/root" | cut -f 1) - $(du -s -B1 "$work/base" | cut -f 1))) >"$target/size"
echo "the image: $(($(cat "$target/size") / 1024)) KiB over its base"
