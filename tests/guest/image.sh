#!/bin/bash
# image.sh OUT FILE...: the guest's initramfs: busybox, init, the scenarios, and FILEs below /opt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "$1")
shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,opt,scenario,proc,sys,dev}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here"/{init,measure.sh} "$root/"
cp "$here"/scenario/* "$root/scenario/"
chmod 755 "$root/init"
for file in "$@"; do cp "$file" "$root/opt/"; done
(cd "$root" && find . | cpio -o -H newc --quiet) >"$out"
