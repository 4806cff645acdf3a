#!/bin/sh
# compile.sh ARCH FOLDER: compiles every object for x86_64 or aarch64 into FOLDER. The one place where the flags are:
# build.rs (OBTRACE_BPF_BUILD=1) and `cargo xtask bpf` both call it. CLANG and LLVM_STRIP name the tools.
set -eu
case $1 in
x86_64) target=x86 ;;
aarch64) target=arm64 ;;
*) echo "compile.sh: no objects are made for the architecture $1" >&2; exit 2 ;;
esac
mkdir -p "$2"
out=$(cd "$2" && pwd)
# Relative paths and no DWARF: the same bytes come out wherever the sources are. BTF stays.
cd "$(dirname "$0")"
for source in object/*.bpf.c; do
    object=$out/$(basename "${source%.c}").o
    "${CLANG:-clang-19}" -target bpf "-D__TARGET_ARCH_$target" -std=gnu17 -O2 -g -Wall -Wextra -Werror -fdebug-compilation-dir=. -c "$source" -o "$object"
    "${LLVM_STRIP:-llvm-strip-19}" --strip-debug "$object"
done
