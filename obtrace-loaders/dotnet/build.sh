#!/bin/sh
# Builds the .NET loader: build.sh OUT writes OUT/Obtrace.AutoInstrument.dll, the same bytes every time.
# Needs mcs (Debian: mono-mcs) and python3 with pip (PYTHON names another one). What is downloaded, pinned by its hash in
# requirements.txt, is kept below OBTRACE_CACHE.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: build.sh OUT" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
missing() {
    echo "build.sh: $1 is missing" >&2
    exit 1
}
command -v mcs >/dev/null || missing "mcs (Debian package mono-mcs)"
command -v "$python" >/dev/null || missing "$python"
"$python" -m pip --version >/dev/null 2>&1 || missing "pip of $python (Debian package python3-pip)"

cache=${OBTRACE_CACHE:-${HOME:-/root}/.cache/obtrace-zero}/loaders/dotnet-reference-3.1.23
assemblies=$cache/dotnetcore2/bin/shared/Microsoft.NETCore.App/3.1.23
if [ ! -e "$cache/.complete" ]; then
    new=$cache.$$
    rm -rf "$new"
    mkdir -p "$new"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --platform manylinux1_x86_64 \
        --require-hashes --requirement "$here/requirements.txt" --dest "$new"
    "$python" -m zipfile -e "$new"/dotnetcore2-*.whl "$new"
    rm "$new"/*.whl
    touch "$new/.complete"
    rm -rf "$cache"
    mv "$new" "$cache"
fi

mkdir -p "$1"
out=$(cd "$1" && pwd)
references=
for name in System.Runtime System.Private.CoreLib System.Runtime.Extensions System.Console System.Collections System.Collections.Concurrent \
    System.Diagnostics.DiagnosticSource System.Diagnostics.Process System.Diagnostics.Tracing System.ComponentModel.Primitives System.Net.Http \
    Microsoft.Win32.Primitives System.Memory System.Net.NameResolution System.Net.Primitives System.Net.Security System.Net.Sockets System.Private.Uri System.Runtime.InteropServices System.Runtime.InteropServices.RuntimeInformation System.Text.Json System.Threading; do
    references="$references -r:$assemblies/$name.dll"
done
# 1702 says that an assembly matches itself. The order of the sources is the order of the types in the assembly: not the file system's.
cd "$here/src"
LC_ALL=C
export LC_ALL
# shellcheck disable=SC2086
mcs -nologo -langversion:7 -nostdlib -noconfig -optimize+ -warnaserror+ -nowarn:1702 -target:library -out:"$out/.Obtrace.AutoInstrument.dll" $references ./*.cs
"$python" "$here/normalise.py" "$out/.Obtrace.AutoInstrument.dll"
mv "$out/.Obtrace.AutoInstrument.dll" "$out/Obtrace.AutoInstrument.dll"
