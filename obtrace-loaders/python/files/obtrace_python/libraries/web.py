"""Server spans and client spans of HTTP, whoever serves or calls (contract, section 6)."""

from obtrace_python import metrics, settings
from obtrace_python.context import current
from obtrace_python.spans import CLIENT, SERVER, begin, remote

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"))
KEY = "obtrace.span"


def host_and_port(host, scheme):
    """The name and the port of a Host header."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not (":" in name and name[0] != "["):
        return name, int(port)
    return host, 443 if scheme == "https" else 80


def named(method, attributes):
    """The method as it is told; `attributes` is given the original of one that is not known."""
    if method in METHODS:
        attributes["http.request.method"] = method
        return method
    attributes["http.request.method"] = "_OTHER"
    attributes["http.request.method_original"] = method
    return "HTTP"


def begin_server(scope, method, attributes, traceparent, tracestate):
    """A server span within the caller's."""
    return begin(SERVER, named(method, attributes), scope, attributes, remote(traceparent, tracestate) if traceparent else None)


def set_route(span, route):
    """Names a server span by its route; what the innermost application tells counts."""
    if route:
        method = span.attributes["http.request.method"]
        span.attributes["http.route"] = route
        span.name = ("HTTP" if method == "_OTHER" else method) + " " + route


def end_server(span, status):
    """Ends a server span and counts it. `status` is None where there was no answer."""
    attributes = span.attributes
    if span.duration is not None:
        return
    if status is not None:
        attributes["http.response.status_code"] = status
        if status >= 500:
            span.failed = True
            attributes.setdefault("error.type", str(status))
    seconds = span.end()
    metrics.server.record((
        ("http.request.method", attributes["http.request.method"]), ("url.scheme", attributes.get("url.scheme")), ("http.route", attributes.get("http.route")),
        ("http.response.status_code", status), ("network.protocol.version", attributes.get("network.protocol.version")),
        ("error.type", attributes.get("error.type"))), seconds)


def begin_client(scope, method, url, host, port, scheme):
    """A client span; `url` is without secrets already. None where nothing is to be done as the work is our own."""
    attributes = {"url.full": url, "server.address": host, "server.port": port, "url.scheme": scheme}
    return begin(CLIENT, named(method, attributes), scope, attributes)


def end_client(span, status, error=None, version=None):
    """Ends a client span and counts it."""
    attributes = span.attributes
    if span.duration is not None:
        return
    if status is not None:
        attributes["http.response.status_code"] = status
        if status >= 400:
            span.failed = True
            attributes["error.type"] = str(status)
    if version is not None:
        attributes["network.protocol.version"] = version
    if error is not None:
        span.fail(error)
    seconds = span.end()
    metrics.client.record((
        ("http.request.method", attributes["http.request.method"]), ("server.address", attributes["server.address"]),
        ("server.port", attributes["server.port"]), ("url.scheme", attributes["url.scheme"]), ("http.response.status_code", status),
        ("error.type", attributes.get("error.type"))), seconds)


def serving():
    """The server span in which this is run, if any."""
    span = current.get()
    return span if span is not None and getattr(span, "kind", None) == SERVER else None


def quietly(where, function, *arguments):
    """Calls something of ours; its faults stay with us."""
    try:
        return function(*arguments)
    except Exception as error:
        settings.fault(where, error)
        return None
