#!/usr/bin/env python3
"""Check the catalogue of well-known images and print its counts.

Usage: python3 check.py [FILE]   (default: catalogue.tsv beside this script)

Every fault is printed as `FILE:LINE: what is wrong`, and the exit code is then 1. The catalogue's head tells the columns.
"""

import collections
import pathlib
import re
import sys

COLUMNS = "image language runtime framework kind sets misleading what source".split()
RUNTIMES = {"nodejs": "bun deno", "python": "pypy", "java": "graalvm-native", "dotnet": "nativeaot", "php": "hhvm",
            "ruby": "jruby truffleruby", "go": "", "rust": "", "unknown": ""}
FRAMEWORKS = {"nodejs": "express fastify nestjs nextjs koa", "python": "fastapi flask django celery",
              "java": "spring quarkus micronaut tomcat", "dotnet": "aspnetcore", "php": "laravel symfony wordpress",
              "ruby": "rails sinatra puma", "go": "gin echo fiber grpc", "rust": "actix axum rocket", "unknown": ""}
KINDS = "base service proxy system".split()
HOOKS = """NODE_OPTIONS BUN_OPTIONS PYTHONPATH PYTHONSTARTUP JAVA_TOOL_OPTIONS DOTNET_STARTUP_HOOKS PHP_INI_SCAN_DIR
           RUBYOPT""".split()
# A name that says nothing without its owner.
VAGUE = set("agent api app backend base bun cli client controller core dashboard deno driver exporter frontend go golang "
            "java manager node nodejs operator php proxy python ruby runtime rust sdk server ui web worker".split())
IMAGE = re.compile(r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/(?!$)|$)){1,3}")
URL = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)+/[A-Za-z0-9._~/%@+-]+")


def faults(row):
    """Yield what is wrong with one row, as sentences."""
    yield from (f"blanks around {column}" for column in COLUMNS if row[column] != row[column].strip())
    if not IMAGE.fullmatch(row["image"]):
        yield f"{row['image']!r} is not one to three components of a repository path"
    elif row["image"] in VAGUE:
        yield f"{row['image']!r} needs its owner"
    if row["language"] not in RUNTIMES:
        yield f"language {row['language']!r}"
    for column, table in (("runtime", RUNTIMES), ("framework", FRAMEWORKS)):
        if row[column] not in ["", *table.get(row["language"], "").split()]:
            yield f"{column} {row[column]!r} does not go with {row['language']}"
    if row["kind"] not in KINDS:
        yield f"kind {row['kind']!r}"
    if row["sets"] and not set(row["sets"].split(",")) <= set(HOOKS):
        yield f"sets {row['sets']!r}"
    if row["misleading"] not in f"{row['image']} {row['what']}":
        yield f"misleading {row['misleading']!r} is neither in the image nor in what"
    if not 0 < len(row["what"]) < 80:
        yield f"what has {len(row['what'])} characters, not 1 to 79"
    if not URL.fullmatch(row["source"]):
        yield f"source {row['source']!r} is not a URL"


def main(path):
    """Check the file, print faults and counts, and return the exit code."""
    rows, bad, last = [], 0, b""
    for number, line in enumerate(path.read_text("utf-8", "replace").removesuffix("\n").split("\n"), 1):
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        found = [f"{len(cells)} columns, not {len(COLUMNS)}"]
        if len(cells) == len(COLUMNS):
            rows.append(dict(zip(COLUMNS, cells)))
            found = list(faults(rows[-1]))
        if cells[0].encode() <= last:
            found.append("not sorted by the first column, or twice")
        last = cells[0].encode()
        print("".join(f"{path.name}:{number}: {fault}\n" for fault in found), end="")
        bad += len(found)
    print(f"entries {len(rows)}, misleading {sum(bool(row['misleading']) for row in rows)}, faults {bad}")
    for column in ("language", "kind"):
        counts = collections.Counter(row[column] for row in rows)
        print(f"{column}: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    return 1 if bad or not rows else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("catalogue.tsv"))))
