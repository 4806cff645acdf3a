#!/bin/sh
# build.sh OUT: writes the Node.js loader into OUT, the same bytes every time. Works in a temporary folder.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 OUT" >&2; exit 2; }
for tool in node npm; do
    command -v "$tool" >/dev/null || { echo "$0: no $tool on this machine (Debian: apt-get install nodejs npm)" >&2; exit 1; }
done
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
if [ -n "${OBTRACE_CACHE:-}" ]; then cache=$OBTRACE_CACHE/npm
elif [ -n "${HOME:-}" ]; then cache=$HOME/.cache/obtrace-zero/npm
else cache=$work/npm; fi
cp -R "$here/package.json" "$here/package-lock.json" "$here/build.mjs" "$here/obtrace-loader.js" "$here/src" "$work"
cd "$work"
# What this process inherits for an application of ours is not for its tools.
unset NODE_OPTIONS
export HOME="${HOME:-$work}"
npm ci --cache "$cache" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2
mkdir out
node build.mjs "$work/out"
# The entry file comes last: it may not be there without the others.
for file in package.json obtrace-node.LEGAL.txt obtrace-node.js obtrace-loader.js; do
    cp "out/$file" "$out/$file.part"
    mv "$out/$file.part" "$out/$file"
done
