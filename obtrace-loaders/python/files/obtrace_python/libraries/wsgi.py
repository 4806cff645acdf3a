"""WSGI (PEP 3333): any application under gunicorn, uWSGI, wsgiref, waitress or werkzeug, and what frameworks say of it."""

from functools import partial, update_wrapper

from obtrace_python import settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.web import KEY, begin_server, end_server, host_and_port
from obtrace_python.spans import unseen

SCOPE = "obtrace.python.wsgi"
# What `method` made.
observed_methods = set()


def begin(environ):
    """The server span of a request."""
    get = environ.get
    scheme = get("wsgi.url_scheme", "http")
    path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    host = get("HTTP_HOST")
    address, port = host_and_port(host, scheme) if host else (get("SERVER_NAME"), get("SERVER_PORT"))
    attributes = {"url.scheme": scheme, "url.path": path, "server.address": address, "server.port": int(port) if port else None}
    agent = get("HTTP_USER_AGENT")
    if agent:
        attributes["user_agent.original"] = agent
    client = get("REMOTE_ADDR")
    if client:
        attributes["client.address"] = client
    protocol = get("SERVER_PROTOCOL", "")
    if protocol.startswith("HTTP/"):
        attributes["network.protocol.version"] = protocol[5:]
    return begin_server(SCOPE, get("REQUEST_METHOD", "GET"), attributes, get("HTTP_TRACEPARENT"), get("HTTP_TRACESTATE"))


class Body:
    """A body that is still to be produced: the span is current while it is, and ends when it is closed."""

    __slots__ = ("span", "status", "body", "items", "__weakref__")

    def __init__(self, span, status, body):
        self.span, self.status, self.body, self.items = span, status, body, None

    def __iter__(self):
        return self

    def __next__(self):
        token = current.set(self.span)
        try:
            if self.items is None:
                self.items = iter(self.body)
            return next(self.items)
        except StopIteration:
            raise
        except BaseException as error:
            self.span.fail(error)
            raise
        finally:
            current.reset(token)

    def __getattr__(self, name):
        return getattr(self.body, name)

    def close(self):
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            end_server(self.span, self.status[0])

    def __del__(self):
        # A server that does not close what it was given.
        try:
            end_server(self.span, self.status[0])
        except Exception as error:
            settings.fault("wsgi", error)


class SizedBody(Body):
    """One that says how many parts it has: servers make a Content-Length of a single one."""

    __slots__ = ()

    def __len__(self):
        return len(self.body)


def respond(span, status, body, environ):
    """What the server is given for a body."""
    kind = type(body)
    if kind is list or kind is tuple or kind is bytes or kind is environ.get("wsgi.file_wrapper"):
        end_server(span, status[0])
        return body
    return SizedBody(span, status, body) if hasattr(kind, "__len__") else Body(span, status, body)


def serve(application, environ, start_response):
    """Has the application answer a request within a span."""
    try:
        span = begin(environ)
    except Exception as error:
        settings.fault("wsgi", error)
        return application(environ, start_response)
    status = [None]

    def started(line, *rest, **named):
        code = line[:3]
        if code.isdigit():
            status[0] = int(code)
        return start_response(line, *rest, **named)

    environ[KEY] = span
    token = current.set(span)
    try:
        body = application(environ, started)
    except BaseException as error:
        span.fail(error)
        end_server(span, status[0] if status[0] and status[0] >= 500 else None)
        raise
    finally:
        current.reset(token)
    return respond(span, status, body, environ)


def wrapped(application):
    """The same application, observed."""
    def observed(environ, start_response):
        try:
            if KEY in environ or current.get() is SILENT:
                return application(environ, start_response)
            return serve(application, environ, start_response)
        except BaseException as error:
            unseen(error)
            raise

    observed.__wrapped__ = application
    return observed


def method(function):
    """The same for a method `f(self, environ, start_response)` of an application."""
    def observed(self, environ, start_response):
        try:
            if KEY in environ:
                return function(self, environ, start_response)
            return serve(partial(function, self), environ, start_response)
        except BaseException as error:
            unseen(error)
            raise

    observed_methods.add(observed)
    return update_wrapper(observed, function)


def gunicorn(module):
    """The application that a gunicorn worker calls."""
    load = module.BaseApplication.wsgi

    def wsgi(self):
        first = self.callable is None
        application = load(self)
        kind = str(getattr(self.cfg, "worker_class_str", ""))
        if first and "uvicorn" not in kind and "asgi" not in kind and "aiohttp" not in kind:
            self.callable = application = wrapped(application)
        return application

    module.BaseApplication.wsgi = update_wrapper(wsgi, load)


def wsgiref(module):
    """`BaseHandler.run(application)`, which Django's development server has, too."""
    run = module.BaseHandler.run

    def observed(self, application):
        return run(self, wrapped(application))

    module.BaseHandler.run = update_wrapper(observed, run)


def waitress(module):
    """The application of waitress's server."""
    execute = module.WSGITask.execute

    def observed(self):
        server = self.channel.server
        if not getattr(server.application, "obtrace", False):
            server.application = wrapped(server.application)
            server.application.obtrace = True
        return execute(self)

    module.WSGITask.execute = update_wrapper(observed, execute)


def werkzeug(module):
    """werkzeug's own server."""
    start = module.BaseWSGIServer.__init__

    def observed(self, host, port, app, *rest, **named):
        start(self, host, port, wrapped(app), *rest, **named)

    module.BaseWSGIServer.__init__ = update_wrapper(observed, start)
