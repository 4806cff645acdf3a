"""aiohttp, as a server and as a client."""

from functools import update_wrapper

from obtrace_python import redact, settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.web import begin_client, begin_server, end_client, end_server, host_and_port, set_route

SERVER_SCOPE = "obtrace.python.aiohttp_server"
CLIENT_SCOPE = "obtrace.python.aiohttp_client"


def begin(request):
    """The server span of a request."""
    headers, version = request.headers, request.version
    scheme = request.scheme
    address, port = host_and_port(request.host, scheme)
    attributes = {"url.scheme": scheme, "url.path": request.path, "server.address": address, "server.port": port, "client.address": request.remote,
                  "user_agent.original": headers.get("User-Agent"), "network.protocol.version": "%d.%d" % (version.major, version.minor)}
    return begin_server(SERVER_SCOPE, request.method, attributes, headers.get("traceparent"), ",".join(headers.getall("tracestate", ())))


def protocol(module):
    """`aiohttp.web_protocol`: from a request that was read to its answer that was written."""
    handle = module.RequestHandler._handle_request

    async def handle_request(self, request, *rest, **named):
        if current.get() is SILENT:
            return await handle(self, request, *rest, **named)
        try:
            span = begin(request)
            request["obtrace.span"] = span
        except Exception as error:
            settings.fault("aiohttp", error)
            return await handle(self, request, *rest, **named)
        token = current.set(span)
        status = None
        try:
            answer = await handle(self, request, *rest, **named)
            response = answer[0] if isinstance(answer, tuple) else answer
            status = getattr(response, "status", None)
            return answer
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            try:
                route(span, request)
                end_server(span, status)
            except Exception as error:
                settings.fault("aiohttp", error)
            current.reset(token)

    module.RequestHandler._handle_request = update_wrapper(handle_request, handle)
    fail = module.RequestHandler.handle_error

    def handle_error(self, request, status=500, exc=None, message=None):
        try:
            span = request.get("obtrace.span")
            if span is not None and exc is not None:
                span.fail(exc)
        except Exception as error:
            settings.fault("aiohttp", error)
        return fail(self, request, status, exc, message)

    module.RequestHandler.handle_error = update_wrapper(handle_error, fail)


def route(span, request):
    match = getattr(request, "match_info", None)
    resource = getattr(getattr(match, "route", None), "resource", None)
    if resource is not None:
        set_route(span, resource.canonical)


def client(module):
    """`aiohttp.client`: from the request to the head of its answer."""
    original = module.ClientSession._request

    async def request(self, method, str_or_url, **named):
        if current.get() is SILENT:
            return await original(self, method, str_or_url, **named)
        try:
            url = self._build_url(str_or_url)
            span = begin_client(CLIENT_SCOPE, method.upper(), redact.url(str(url)), url.host, url.port, url.scheme)
            named["headers"] = headers = self._prepare_headers(named.get("headers"))
            if "traceparent" not in headers:
                headers["traceparent"] = span.header
                if span.state:
                    headers["tracestate"] = span.state
        except Exception as error:
            settings.fault("aiohttp", error)
            return await original(self, method, str_or_url, **named)
        try:
            answer = await original(self, method, str_or_url, **named)
        except BaseException as error:
            end_client(span, None, error)
            raise
        version = getattr(answer, "version", None)
        end_client(span, answer.status, None, "%d.%d" % (version.major, version.minor) if version else None)
        return answer

    module.ClientSession._request = update_wrapper(request, original)
