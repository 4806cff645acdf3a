#!/bin/sh
# Builds obtrace-agent.jar: the OpenTelemetry javaagent of dependencies.lock with our entry and our settings in it.
# Usage: build.sh OUT. Needs a JDK (11 or later) and Maven. The same JDK gives the same bytes each time.
set -eu

out=${1:?usage: build.sh OUT}
here=$(cd "$(dirname "$0")" && pwd)
for tool in javac java mvn sha256sum; do
    command -v "$tool" >/dev/null || { echo "build.sh: $tool is missing (JDK 11 or later, Maven)" >&2; exit 1; }
done
# What a shell of a developer may hold must not reach these JVMs.
unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS MAVEN_OPTS

cache=${OBTRACE_CACHE:-${HOME:-/root}/.cache/obtrace-zero}/loaders/java
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache" "$out"

read -r coordinates sum <<EOF
$(grep -v '^#' "$here/dependencies.lock")
EOF
agent=$cache/$sum.jar
if ! echo "$sum  $agent" | sha256sum --check --status 2>/dev/null; then
    mvn --quiet --batch-mode "-Dmaven.repo.local=$cache/repository" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        "-Dartifact=$coordinates" "-DoutputDirectory=$work/download" >&2
    mv "$work"/download/*.jar "$work/agent.jar"
    echo "$sum  $work/agent.jar" | sha256sum --check --status || {
        echo "build.sh: $coordinates has not the checksum of dependencies.lock" >&2
        exit 1
    }
    cp "$work/agent.jar" "$agent.$$"
    mv "$agent.$$" "$agent"
fi

# The agent's own classes, under the names that it gave them, are what ours are compiled against.
java "$here/build/Repack.java" unpack "$agent" "$work/inside"
javac --release 8 -proc:none -encoding UTF-8 -Xlint:all,-options,-classfile -Werror -d "$work/entry" \
    "$here"/entry/io/obtrace/zero/*.java
# No -Werror: the agent's classes name annotations that it does not hold.
javac --release 8 -proc:none -encoding UTF-8 -nowarn -cp "$work/inside:$agent" -d "$work/agent" \
    "$here"/agent/io/obtrace/zero/agent/*.java 2>"$work/javac.log" || { cat "$work/javac.log" >&2; exit 1; }
java "$here/build/Repack.java" pack "$agent" "$work/entry" "$work/agent" "$here/services" "$work/obtrace-agent.jar"
chmod 644 "$work/obtrace-agent.jar"
mv "$work/obtrace-agent.jar" "$out/obtrace-agent.jar"
