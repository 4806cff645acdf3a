"""Spans of databases' clients: what DB-API drivers, asyncpg, Redis and MongoDB have in common (contract, section 6)."""

from functools import update_wrapper
from inspect import iscoroutinefunction

from obtrace_python import metrics, redact, settings
from obtrace_python.context import SILENT, current
from obtrace_python.spans import CLIENT, begin

SCOPE = "obtrace.python."


class Server:
    """What is known of a connection: the database's kind, its name, where it is."""

    __slots__ = ("system", "scope", "namespace", "address", "port", "quotes")

    def __init__(self, system, library, namespace=None, address=None, port=None):
        self.system, self.scope, self.quotes = system, SCOPE + library, system in ("mysql", "mariadb")
        self.namespace = namespace.decode("utf-8", "replace") if isinstance(namespace, bytes) else namespace or None
        self.address = address or None
        try:
            self.port = int(port) if port else None
        except (TypeError, ValueError):
            self.port = None


def covered(scope):
    """Whether nothing is to be done: the work is our own, or part of a call of the same library."""
    span = current.get()
    return span is SILENT or span is not None and span.scope == scope and span.kind == CLIENT


def begin_operation(server, operation, collection=None, text=None, more=None):
    """The span of an operation."""
    attributes = {"db.system.name": server.system}
    if operation:
        attributes["db.operation.name"] = operation
    if server.namespace is not None:
        attributes["db.namespace"] = server.namespace
    if collection:
        attributes["db.collection.name"] = collection
    if text:
        attributes["db.query.text"] = text
    if server.address:
        attributes["server.address"] = server.address
        if server.port:
            attributes["server.port"] = server.port
    if more:
        attributes.update(more)
    target = collection or server.namespace
    name = "%s %s" % (operation, target) if operation and target else operation or target or server.system
    return begin(CLIENT, name, server.scope, attributes)


def begin_statement(server, sql, context=None, more=None):
    """The span of a statement: a text, bytes, or what a driver composes."""
    if not isinstance(sql, str):
        if isinstance(sql, (bytes, bytearray)):
            sql = bytes(sql).decode("utf-8", "replace")
        elif hasattr(sql, "as_string"):
            sql = sql.as_string(context)
        else:
            sql = str(sql)
    text, operation, collection = redact.statement(sql, server.quotes)
    return begin_operation(server, operation, collection, text, more)


def end(span, error=None):
    """Ends the span of an operation and counts it."""
    if error is not None:
        span.fail(error)
    seconds = span.end()
    get = span.attributes.get
    metrics.database.record((
        ("db.system.name", get("db.system.name")), ("db.operation.name", get("db.operation.name")), ("db.namespace", get("db.namespace")),
        ("db.collection.name", get("db.collection.name")), ("server.address", get("server.address")), ("server.port", get("server.port")),
        ("error.type", get("error.type"))), seconds)


def wrap(kind, name, library, start):
    """Observes the method `name` of a class: `start(self, arguments, named)` gives the span."""
    function = kind.__dict__.get(name)
    if function is None:
        return
    scope = SCOPE + library

    def begun(self, arguments, named):
        try:
            return None if covered(scope) else start(self, arguments, named)
        except Exception as error:
            settings.fault(library, error)
            return None

    def observed(self, *arguments, **named):
        span = begun(self, arguments, named)
        if span is None:
            return function(self, *arguments, **named)
        token = current.set(span)
        try:
            answer = function(self, *arguments, **named)
        except BaseException as error:
            end(span, error)
            raise
        finally:
            current.reset(token)
        end(span)
        return answer

    async def observed_async(self, *arguments, **named):
        span = begun(self, arguments, named)
        if span is None:
            return await function(self, *arguments, **named)
        token = current.set(span)
        try:
            answer = await function(self, *arguments, **named)
        except BaseException as error:
            end(span, error)
            raise
        finally:
            current.reset(token)
        end(span)
        return answer

    setattr(kind, name, update_wrapper(observed_async if iscoroutinefunction(function) else observed, function))


def first(arguments, named, *names):
    """The argument that comes first, also where it is named."""
    if arguments:
        return arguments[0]
    return next((named[name] for name in names if name in named), None)
