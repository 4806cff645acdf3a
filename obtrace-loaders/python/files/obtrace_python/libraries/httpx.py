"""httpx, synchronous and asynchronous: each request that goes out, redirects one by one."""

from functools import update_wrapper

from obtrace_python import redact, settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.web import begin_client, end_client

SCOPE = "obtrace.python.httpx"


def begin(request):
    """The span of a request, which is told of it; None where the work is our own."""
    if current.get() is SILENT:
        return None
    try:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        span = begin_client(SCOPE, request.method, redact.url(str(url)), url.host, port, url.scheme)
        if "traceparent" not in request.headers:
            request.headers["traceparent"] = span.header
            if span.state:
                request.headers["tracestate"] = span.state
        return span
    except Exception as error:
        settings.fault("httpx", error)
        return None


def version(answer):
    return answer.http_version.replace("HTTP/", "")


def install(module):
    """`httpx._client`."""
    send, send_async = module.Client._send_single_request, module.AsyncClient._send_single_request

    def single(self, request):
        span = begin(request)
        if span is None:
            return send(self, request)
        try:
            answer = send(self, request)
        except BaseException as error:
            end_client(span, None, error)
            raise
        end_client(span, answer.status_code, None, version(answer))
        return answer

    async def single_async(self, request):
        span = begin(request)
        if span is None:
            return await send_async(self, request)
        try:
            answer = await send_async(self, request)
        except BaseException as error:
            end_client(span, None, error)
            raise
        end_client(span, answer.status_code, None, version(answer))
        return answer

    module.Client._send_single_request = update_wrapper(single, send)
    module.AsyncClient._send_single_request = update_wrapper(single_async, send_async)
