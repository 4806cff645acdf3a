#!/bin/sh
# compile.sh ARCHITECTURE FOLDER: compiles every object for x86_64 or aarch64 into FOLDER.
# CLANG names the compiler (clang-19 if unset); llvm-strip of the same version is needed beside it.
# The bytes depend on the sources and on the compiler's version only: paths are cut off, and of the debug information
# just the BTF is kept.
set -eu
architecture=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
clang=${CLANG:-clang-19}
strip=$(echo "$clang" | sed 's/clang\(-[0-9]*\)\{0,1\}$/llvm-strip\1/')
case $architecture in
x86_64) target=__TARGET_ARCH_x86 ;;
aarch64) target=__TARGET_ARCH_arm64 ;;
*)
    echo "compile.sh: no such architecture: $architecture (x86_64, aarch64)" >&2
    exit 2
    ;;
esac
for tool in "$clang" "$strip"; do
    command -v "$tool" >/dev/null || {
        echo "compile.sh: $tool is missing (Debian: apt-get install clang-19 llvm-19)" >&2
        exit 77
    }
done
cd "$(dirname "$0")/object"
for source in *.bpf.c; do
    object=$folder/${source%.c}.o
    "$clang" -target bpf -mcpu=v3 -D$target -O2 -g -Wall -Werror -fdebug-compilation-dir=. -c "$source" -o "$object"
    "$strip" -g "$object"
done
