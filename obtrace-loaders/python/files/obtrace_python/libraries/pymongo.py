"""MongoDB by pymongo's own monitoring, which motor, mongoengine and others stand on."""

from obtrace_python import settings
from obtrace_python.libraries.database import Server, begin_operation, covered, end

_UNTOLD = frozenset(("hello", "ismaster", "isMaster", "ping", "endSessions", "saslStart", "saslContinue", "authenticate", "getnonce", "buildInfo"))
_LIMIT = 10000


class Spans:
    """The commands that are on their way, by what tells them apart."""

    def __init__(self):
        self.open = {}

    def key(self, event):
        return event.operation_id, event.request_id, event.connection_id

    def began(self, event):
        if event.command_name in _UNTOLD or covered("obtrace.python.pymongo"):
            return
        host, port = event.connection_id or (None, None)
        server = Server("mongodb", "pymongo", event.database_name, host, port)
        collection = event.command.get(event.command_name)
        if event.command_name == "getMore":
            collection = event.command.get("collection")
        span = begin_operation(server, event.command_name, collection if isinstance(collection, str) else None)
        if len(self.open) < _LIMIT:
            self.open[self.key(event)] = span

    def ended(self, event, failure=None):
        span = self.open.pop(self.key(event), None)
        if span is None:
            return
        if failure is not None:
            span.failed = True
            code = failure.get("code") if isinstance(failure, dict) else None
            name = failure.get("codeName") if isinstance(failure, dict) else None
            span.attributes["error.type"] = str(name or code or "_OTHER")
            if code is not None:
                span.attributes["db.response.status_code"] = str(code)
        end(span)


def install(module):
    """`pymongo.monitoring`."""
    spans = Spans()

    def quietly(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:
            settings.fault("pymongo", error)

    class Listener(module.CommandListener):
        def started(self, event):
            quietly(spans.began, event)

        def succeeded(self, event):
            quietly(spans.ended, event)

        def failed(self, event):
            quietly(spans.ended, event, event.failure or {})

    module.register(Listener())
