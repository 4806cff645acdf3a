"""What a client did: one JSON object a line on standard output."""

import contextlib
import itertools
import json
import os
import sys
import time

NUMBERS = itertools.count(1)
# Seconds between the operations of a client that is to take its time.
PAUSE = float(os.environ.get("TRUTH_PAUSE", "0"))


def token():
    """A word that stands in one operation of the whole run only, so that nothing can be taken for something else."""
    return f"t{next(NUMBERS)}x"


def log(protocol, port, what, outcome, start, end, completeness="complete", **more):
    record = {
        "protocol": protocol, "port": port, "what": what, "outcome": outcome,
        "start": start, "end": end, "completeness": completeness, **more,
    }
    # One write: threads may log at the same time.
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


class Operation:
    """Filled in while an operation runs."""

    outcome = None
    completeness = "complete"
    more = {}


@contextlib.contextmanager
def operation(protocol, port, *what):
    """Times one operation and logs it with the outcome that the body sets."""
    running, start = Operation(), time.time_ns()
    yield running
    ended = time.time_ns()
    log(protocol, port, [*what], running.outcome, start, ended, running.completeness, **running.more)
    if PAUSE:
        time.sleep(PAUSE)
