"""What the cases share."""

import time

from world import equal

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "shop=1"}


def flush(application, receiver, ready, within=12):
    """Asks for something until the receiver has what is waited for: what is queued goes with a later request."""
    deadline = time.monotonic() + within
    while not (answer := ready()) and time.monotonic() < deadline:
        application.get("/plain.php")
        receiver.wait(ready, 0.5)
    return answer


def spans_of(receiver, path):
    return [span for span in receiver.spans() if span.attributes.get("url.path") == path]


def no_faults(receiver):
    equal(receiver.wrong("php"), [], "wrong in what was sent")
