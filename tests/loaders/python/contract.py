"""What the vectors of the contract say."""

from world import VECTORS, Wrong

from python.rig import HERE, SUPPORTED, python


def played(world, name):
    for version in (SUPPORTED[0], SUPPORTED[-1]):
        said = world.run(python(version), HERE / "vectors.py", world.volume("python"), VECTORS, name).splitlines()
        if len(said) != 1 or said[0] == "0 cases":
            raise Wrong(said)
    return f"{said[0]}, Python {SUPPORTED[0]} and {SUPPORTED[-1]}"


def vectors_of_traceparent(world):
    """Traces would break where a header is read otherwise than elsewhere."""
    return played(world, "traceparent")


def vectors_of_tracestate(world):
    """A call of the application would fail where a message brought a state that no header can have."""
    return played(world, "tracestate")


def vectors_of_sampling(world):
    """Half of a trace would be missing where two services decide otherwise."""
    return played(world, "sampling")


def vectors_of_url(world):
    """Secrets in URLs would leave the process."""
    return played(world, "url")


def vectors_of_sql(world):
    """Values of statements would leave the process."""
    return played(world, "sql")


def vectors_of_resource(world):
    """Items would be filed under another service."""
    return played(world, "resource")


def vectors_of_severity(world):
    """Searches by level would miss records."""
    return played(world, "severity")


CASES = [vectors_of_traceparent, vectors_of_tracestate, vectors_of_sampling, vectors_of_url, vectors_of_sql, vectors_of_resource, vectors_of_severity]
