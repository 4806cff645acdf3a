"""http.client, and with it urllib, urllib3, requests, botocore: a span from the request line to the head of the answer."""

from functools import update_wrapper

from obtrace_python import redact, settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.web import begin_client, end_client

SCOPE = "obtrace.python.http_client"
# The methods of HTTPConnection as they were before anybody replaced them.
untouched = {}


def begin(connection, method, target):
    """The span of a request, or None where the work is our own or the connection is being opened through a proxy."""
    span = current.get()
    if span is SILENT or method == "CONNECT" or getattr(span, "covers_http", False):
        return None
    secure = connection.default_port == 443
    scheme = "https" if secure else "http"
    host, port = connection.host, connection.port
    if getattr(connection, "_tunnel_host", None):
        host, port = connection._tunnel_host, connection._tunnel_port or port
    if "://" in target[:9]:
        url = target
    else:
        name = "[%s]" % host if ":" in host else host
        url = "%s://%s%s%s" % (scheme, name, "" if port == (443 if secure else 80) else ":%s" % port, target)
    return begin_client(SCOPE, method, redact.url(url), host, port, scheme)


def install(module):
    """Hooks into `HTTPConnection`. A request that is not answered on its own connection ends with its failure."""
    Connection = module.HTTPConnection
    untouched.update({name: vars(Connection)[name] for name in ("putrequest", "putheader", "endheaders", "getresponse")})
    putrequest, putheader, endheaders, getresponse = Connection.putrequest, Connection.putheader, Connection.endheaders, Connection.getresponse

    def put_request(self, method, url, *rest, **named):
        answer = putrequest(self, method, url, *rest, **named)
        try:
            self._obtrace_span = begin(self, method, url)
            self._obtrace_told = False
        except Exception as error:
            self._obtrace_span = None
            settings.fault("http.client", error)
        return answer

    def put_header(self, header, *values):
        if len(header) == 11 and header.lower() in ("traceparent", b"traceparent"):
            self._obtrace_told = True
        return putheader(self, header, *values)

    def end_headers(self, *rest, **named):
        span = self.__dict__.get("_obtrace_span")
        if span is None:
            return endheaders(self, *rest, **named)
        if not self._obtrace_told:
            putheader(self, "traceparent", span.header)
            if span.state:
                putheader(self, "tracestate", span.state)
        try:
            return endheaders(self, *rest, **named)
        except BaseException as error:
            self._obtrace_span = None
            end_client(span, None, error)
            raise

    def get_response(self, *rest, **named):
        span = self.__dict__.get("_obtrace_span")
        if span is None:
            return getresponse(self, *rest, **named)
        self._obtrace_span = None
        try:
            answer = getresponse(self, *rest, **named)
        except BaseException as error:
            end_client(span, None, error)
            raise
        end_client(span, answer.status, None, "1.0" if answer.version == 10 else "1.1")
        return answer

    Connection.putrequest = update_wrapper(put_request, putrequest)
    Connection.putheader = update_wrapper(put_header, putheader)
    Connection.endheaders = update_wrapper(end_headers, endheaders)
    Connection.getresponse = update_wrapper(get_response, getresponse)
