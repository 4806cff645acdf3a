"""What can be computed: the contract's vectors played to the functions that the bundle is made of."""

import json

from nodejs.rig import HERE, node
from world import ROOT, VECTORS, Wrong, program

SOURCES = ROOT / "obtrace-loaders/nodejs"


def built_from(world):
    """The loader's sources with the packages that they are built from."""
    def build(folder):
        for name in ("package.json", "package-lock.json"):
            (folder / name).write_bytes((SOURCES / name).read_bytes())
        world.run(program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)

    packages = world.made("nodejs-loader", [SOURCES / "package-lock.json"], build)
    folder = world.folder / "nodejs-sources"
    if not folder.exists():
        folder.mkdir()
        for name, target in (("src", SOURCES / "src"), ("package.json", SOURCES / "package.json"), ("node_modules", packages / "node_modules")):
            (folder / name).symlink_to(target)
    return folder / "src"


def play(world, name):
    told = json.loads(world.run(node(world), "--preserve-symlinks", HERE / "vectors.mjs", built_from(world), VECTORS, name))
    if told["wrong"]:
        raise Wrong(told["wrong"])
    return f"{told['played']} played"


def vectors_traceparent(world):
    """Contexts of other services are read as W3C says; else traces break in two."""
    return play(world, "traceparent")


def vectors_tracestate(world):
    """A call of the application would fail where a message brought a state that no header can have."""
    return play(world, "tracestate")


def vectors_sampling(world):
    """All services keep the same traces."""
    return play(world, "sampling")


def vectors_url(world):
    """No secret of a URL leaves the process."""
    return play(world, "url")


def vectors_sql(world):
    """No literal of a statement leaves the process."""
    return play(world, "sql")


def vectors_resource(world):
    """Items are told apart by who sent them."""
    return play(world, "resource")


def vectors_severity(world):
    """Records are found by their severity."""
    return play(world, "severity")


CASES = [vectors_traceparent, vectors_tracestate, vectors_sampling, vectors_url, vectors_sql, vectors_resource, vectors_severity]
