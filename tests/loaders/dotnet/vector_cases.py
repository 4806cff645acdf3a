"""The contract's vectors, played to the loader's own functions on each runtime."""

import json

from dotnet.rig import compiled, host, on_each
from world import VECTORS, Wrong, equal, expect


def play(world, version, name):
    """(case, what the loader made of it) of a file."""
    told = json.loads((VECTORS / f"{name}.json").read_text())
    cases = list(told["dotnet"]["ILogger"].items()) if name == "severity" else told["cases"]
    loader = world.volume("dotnet") / "Obtrace.AutoInstrument.dll"
    out = world.run(host(world, version), compiled(world, "Vectors") / "Vectors.dll", loader, VECTORS / f"{name}.json",
                    DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1)
    lines = [json.loads(line) for line in out.splitlines()]
    equal(len(lines), len(cases), "lines")
    return list(zip(cases, lines))


def same(pairs):
    """Each: (case, seen, wanted)."""
    wrong = [f"{case}: {seen!r}, not {wanted!r}" for case, seen, wanted in pairs if seen != wanted]
    if wrong:
        raise Wrong(wrong)
    expect(pairs, "no cases")
    return f"{len(pairs)} vectors"


@on_each
def vectors_sampling(world, version):
    """Two services would keep different halves of the same traces."""
    return same([(case, seen["sampled"], case["sampled"]) for case, seen in play(world, version, "sampling")])


@on_each
def vectors_sql(world, version):
    """Values in statements would leave the application."""
    return same([(case["sql"], {name: seen[name] for name in ("text", "operation", "collection") if name in case},
                  {name: case[name] for name in ("text", "operation", "collection") if name in case}) for case, seen in play(world, version, "sql")])


@on_each
def vectors_url(world, version):
    """Tokens in queries would leave the application."""
    return same([(case["url"], seen["full"], case["full"]) for case, seen in play(world, version, "url")])


@on_each
def vectors_resource(world, version):
    """Services would be called otherwise than the operator said."""
    return same([(case["env"], {name: seen.get(name) for name in case["attributes"]}, case["attributes"])
                 for case, seen in play(world, version, "resource")])


@on_each
def vectors_severity(world, version):
    """Errors would be counted as something else."""
    return same([(name, seen["number"], number) for (name, number), seen in play(world, version, "severity")])


@on_each
def vectors_traceparent(world, version):
    """What is valid is the loader's to say: the runtime that reads the header takes more, see the server's cases."""
    return same([(case["header"], seen["valid"], case["context"] is not None) for case, seen in play(world, version, "traceparent")])


CASES = [vectors_sampling, vectors_sql, vectors_url, vectors_resource, vectors_severity, vectors_traceparent]
