"""Plays the contract's vectors to the loader's own functions, in the interpreter that runs this. Prints what is wrong.

    python vectors.py FILES VECTORS NAME
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True


def sampling(cases):
    from obtrace_python import context, settings
    for case in cases:
        ratio = settings.number(case["ratio"], 1.0, 0.0, 1.0)
        yield case, context.kept(case["trace_id"], int(ratio * (1 << 56))), case["sampled"]


def traceparent(cases):
    from obtrace_python import context
    for case in cases:
        wanted = case["context"] and (case["context"]["trace_id"], case["context"]["span_id"], case["context"]["sampled"])
        yield case, context.read(case["header"]), wanted


def tracestate(cases):
    from obtrace_python import context
    for case in cases:
        yield case, context.state(case["header"]) or None, case["passed"]


def url(cases):
    from obtrace_python import redact
    for case in cases:
        yield case, redact.url(case["url"]), case["full"]


def sql(cases):
    from obtrace_python import redact
    for case in cases:
        text, operation, collection = redact.statement(case["sql"])
        yield case, (text, operation, collection if "collection" in case else None), (case["text"], case["operation"], case.get("collection"))


def resource(cases):
    from obtrace_python import resource
    for case in cases:
        found = resource.attributes(case["env"])
        yield case, {name: found.get(name) for name in case["attributes"]}, case["attributes"]


def severity(levels):
    import logging

    from obtrace_python import logs
    for name, wanted in levels["logging"].items():
        yield name, logs.severity(int(name) if name.isdigit() else getattr(logging, name)), wanted


def main():
    files, folder, name = sys.argv[1:]
    sys.path.insert(0, files)
    told = json.loads((pathlib.Path(folder) / f"{name}.json").read_text())
    count = 0
    for case, seen, wanted in globals()[name](told["python"] if name == "severity" else told["cases"]):
        count += 1
        if seen != wanted:
            print(f"{case}: {seen!r}, not {wanted!r}")
    print(f"{count} cases")


main()
