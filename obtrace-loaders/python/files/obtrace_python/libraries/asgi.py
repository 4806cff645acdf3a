"""ASGI 3: any application under uvicorn, hypercorn or another server, and what Starlette, FastAPI and Django say of it."""

from functools import partial, update_wrapper

from obtrace_python import settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.web import KEY, begin_server, end_server, host_and_port, set_route
from obtrace_python.spans import unseen

SCOPE = "obtrace.python.asgi"


def begin(scope):
    """The server span of a request, and of the handshake of a websocket."""
    host = agent = traceparent = tracestate = None
    for name, value in scope.get("headers") or ():
        if name == b"host":
            host = value.decode("latin-1")
        elif name == b"user-agent":
            agent = value.decode("latin-1")
        elif name == b"traceparent":
            traceparent = value.decode("latin-1")
        elif name == b"tracestate":
            tracestate = value.decode("latin-1") if tracestate is None else tracestate + "," + value.decode("latin-1")
    scheme = scope.get("scheme", "http")
    server = scope.get("server") or (None, None)
    address, port = host_and_port(host, scheme) if host else (server[0], server[1])
    attributes = {"url.scheme": scheme, "url.path": scope.get("path"), "server.address": address, "server.port": port,
                  "network.protocol.version": scope.get("http_version")}
    if agent:
        attributes["user_agent.original"] = agent
    client = scope.get("client")
    if client:
        attributes["client.address"] = client[0]
    return begin_server(SCOPE, scope.get("method", "GET"), attributes, traceparent, tracestate)


class Answer:
    """The `send` of a request: takes the status, and ends the span with the last part of the body."""

    __slots__ = ("send", "span", "status", "scope")

    def __init__(self, send, span, scope):
        self.send, self.span, self.scope, self.status = send, span, scope, None

    async def __call__(self, message):
        kind = message.get("type")
        if kind == "http.response.start":
            self.status = message.get("status")
        elif kind == "websocket.accept":
            self.status = 101
        await self.send(message)
        # Of an answer that tells of a failure the exception comes after it.
        if kind == "http.response.body" and not message.get("more_body") and (self.status or 500) < 500:
            self.end()

    def end(self):
        try:
            route(self.span, self.scope)
            end_server(self.span, self.status)
        except Exception as error:
            settings.fault("asgi", error)


def route(span, scope):
    """Starlette and FastAPI leave the route that matched in the scope; a mounted application's is below its root."""
    path = scope.get("obtrace.route") or getattr(scope.get("route"), "path", None)
    if path and "http.route" not in span.attributes:
        set_route(span, path)


async def serve(application, scope, receive, send):
    """Has the application answer a request within a span."""
    try:
        span = begin(scope)
    except Exception as error:
        settings.fault("asgi", error)
        return await application(scope, receive, send)
    scope[KEY] = span
    answer = Answer(send, span, scope)
    token = current.set(span)
    try:
        return await application(scope, receive, answer)
    except BaseException as error:
        if span.duration is None:
            span.fail(error)
        unseen(error)
        raise
    finally:
        answer.end()
        try:
            current.reset(token)
        except ValueError:
            pass


def observe(function):
    """A method `__call__(self, scope, receive, send)` of an application, observed."""
    async def observed(self, scope, receive, send):
        try:
            if scope["type"] not in ("http", "websocket") or KEY in scope or current.get() is SILENT:
                return await function(self, scope, receive, send)
            return await serve(partial(function, self), scope, receive, send)
        except BaseException as error:
            unseen(error)
            raise

    return update_wrapper(observed, function)


class Observed:
    """Any application."""

    __slots__ = ("application", "__wrapped__")

    def __init__(self, application):
        self.application = self.__wrapped__ = application

    async def __call__(self, scope, receive, send):
        try:
            if scope["type"] not in ("http", "websocket") or KEY in scope:
                return await self.application(scope, receive, send)
            return await serve(self.application, scope, receive, send)
        except BaseException as error:
            unseen(error)
            raise


def starlette(module):
    """`starlette.applications`, and with it FastAPI."""
    module.Starlette.__call__ = observe(module.Starlette.__call__)


def starlette_routing(module):
    """`starlette.routing`: the route that matched, as far as it is known in the scope of the server's span."""
    for name in ("Route", "WebSocketRoute"):
        kind = getattr(module, name)
        kind.matches = update_wrapper(matching(kind.matches, module.Match.FULL, False), kind.matches)
    module.Mount.matches = update_wrapper(matching(module.Mount.matches, module.Match.FULL, True), module.Mount.matches)


def matching(matches, full, mount):
    def matched(self, scope):
        match, child = matches(self, scope)
        try:
            span = scope.get(KEY)
            if span is not None and match is full:
                above = scope.get("obtrace.mounted", "")
                if mount:
                    child["obtrace.mounted"] = above + self.path
                else:
                    set_route(span, above + self.path)
        except Exception as error:
            settings.fault("starlette", error)
        return match, child

    return matched


def uvicorn(module):
    """`uvicorn.config`: the application that a worker has loaded."""
    load = module.Config.load

    def observed(self):
        load(self)
        try:
            if self.interface != "wsgi" and not isinstance(self.loaded_app, Observed):
                self.loaded_app = Observed(self.loaded_app)
        except Exception as error:
            settings.fault("uvicorn", error)

    module.Config.load = update_wrapper(observed, load)


def hypercorn(module):
    """`hypercorn.app_wrappers.ASGIWrapper`."""
    start = module.ASGIWrapper.__init__

    def observed(self, app):
        start(self, Observed(app))

    module.ASGIWrapper.__init__ = update_wrapper(observed, start)
    if hasattr(module, "WSGIWrapper"):
        from obtrace_python.libraries.wsgi import wrapped

        begin_wsgi = module.WSGIWrapper.__init__

        def observed_wsgi(self, app, *rest, **named):
            begin_wsgi(self, wrapped(app), *rest, **named)

        module.WSGIWrapper.__init__ = update_wrapper(observed_wsgi, begin_wsgi)
