"""The contract's vectors, played to the loader's own functions."""

from ruby.rig import APPS, launch, observed
from world import VECTORS, equal


def played(name):
    def case(world):
        with observed(world) as receiver:
            app = launch(world, receiver, "ruby", APPS / "vectors.rb", name, VECTORS / f"{name}.json")
            equal((app.wait(), app.out, app.err), (0, f"played {name}\n", ""), name)

    case.__name__ = f"vectors_{name}"
    case.__doc__ = f"The vectors of {name}.json."
    return case


CASES = [played(name) for name in ("traceparent", "tracestate", "sampling", "resource", "severity", "sql", "url")]
