#!/usr/bin/env python3
"""Check the detection cases and print how many there are.  Usage: python3 check.py [FOLDER]

Each line of each *.jsonl file of the folder (default: this file's) must be one object of the form that README.md describes.
Every fault is printed with its file and line; the exit code is 1 when there was one. Standard library only.
"""

import collections, json, pathlib, sys

SDK = {"nodejs", "python", "java", "dotnet", "php", "ruby"}
LANGUAGES = SDK | {"go", "rust", "unknown"}
# Runtimes that no SDK hook reaches, each with the language whose programs it runs.
EBPF_RUNTIMES = {"deno": "nodejs", "jruby": "ruby", "truffleruby": "ruby", "hhvm": "php",
                 "graalvm-native": "java", "nativeaot": "dotnet"}
RUNTIMES = EBPF_RUNTIMES | {"bun": "nodejs", "pypy": "python"}
FRAMEWORKS = {f: l for l, names in {
    "nodejs": "express fastify nestjs nextjs koa", "python": "fastapi flask django celery", "java": "spring quarkus micronaut tomcat",
    "dotnet": "aspnetcore", "php": "laravel symfony wordpress", "ruby": "rails sinatra puma", "go": "gin echo fiber", "rust": "actix axum rocket"}.items() for f in names.split()}
FRAMEWORKS["grpc"] = "any"
EVIDENCE = {"image": str, "command": list, "args": list, "env": dict, "labels": dict, "image_config": dict, "proc": dict}
CONFIG = {"Entrypoint": list, "Cmd": list, "Env": list, "Labels": dict}
PROC = {"cmdline": list, "exe": str, "comm": str, "maps": list, "env": dict, "symbols": list, "elf_sections": list}
EXPECTED = {"id", "truth", "accept", "never", "why", "source"}


def shape(value, kinds):
    """Faults of an object whose fields have the given types; lists hold strings, maps go from string to string."""
    for key, field in value.items():
        if not isinstance(field, kinds.get(key, ())):
            yield f"{key}: no such field, or of another type"
        elif key in ("image_config", "proc"):
            yield from shape(field, CONFIG if key == "image_config" else PROC)
        elif not isinstance(field, str):
            if not all(isinstance(item, str) for item in (field if isinstance(field, list) else [*field, *field.values()])):
                yield f"{key}: holds something that is no string"


def faults(case, ids):
    """Everything that is wrong with one case."""
    yield from shape({k: v for k, v in case.items() if k not in EXPECTED}, EVIDENCE)
    if case["id"] in ids or not set(case) & set(EVIDENCE):
        yield "id used before, or no evidence"
    truth, accept, never, language = case["truth"], case["accept"], case["never"], case["truth"]["language"]
    runtime, framework = truth.get("runtime"), truth.get("framework")
    if not set(truth) <= {"language", "runtime", "framework", "strategy"} or language not in LANGUAGES:
        yield "truth: unknown field or language"
    if runtime and RUNTIMES.get(runtime) != language or framework and FRAMEWORKS.get(framework) not in ("any", language):
        yield "truth: no runtime or framework of its language"
    if "strategy" in truth and truth["strategy"] != ("sdk" if language in SDK and runtime not in EBPF_RUNTIMES else "ebpf"):
        yield "truth: not the strategy that can work"
    if language not in accept or not set(accept) <= LANGUAGES or len(set(accept)) != len(accept):
        yield "accept: without the truth, with a language twice or with an unknown one"
    if not set(never) <= LANGUAGES or set(never) & set(accept):
        yield "never: an unknown language, or one that is also accepted"
    if not case["source"].startswith("https://") or not case["why"].endswith("."):
        yield "source or why: no URL or no sentence"


def main():
    folder, ids, languages, bad = [*sys.argv[1:], pathlib.Path(__file__).parent][0], set(), collections.Counter(), 0
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        before = len(ids)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                found = list(faults(case := json.loads(line), ids))
                ids.add(case["id"])
                languages[case["truth"]["language"]] += 1
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                found = [f"not a case: {error!r}"]
            bad += len(found)
            print(*(f"{path.name}:{number}: {fault}\n" for fault in found), sep="", end="")
        print(f"{path.name}: {len(ids) - before}")
    print(f"{len(ids)} cases, {sum(languages[l] for l in SDK)} in SDK languages:", dict(languages.most_common()))
    sys.exit(1 if bad or not ids else 0)


if __name__ == "__main__":
    main()
