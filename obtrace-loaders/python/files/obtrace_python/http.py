"""The one request we make: a POST that nobody observes, straight to the host of OBTRACE_INGEST_URL."""

import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from urllib.parse import urlsplit

from obtrace_python.libraries.http_client import untouched

_BODY_LIMIT = 65536
# With the methods that libraries like Sentry's replace, to send headers of theirs, as they were.
_PLAIN, _SECURE = type("Plain", (HTTPConnection,), untouched), type("Secure", (HTTPSConnection,), untouched)


class Connection:
    """Kept open between batches."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.secure, self.host, self.port, self.path = parts.scheme == "https", parts.hostname, parts.port, parts.path.rstrip("/")
        self.open = None

    def post(self, path, body, key, timeout):
        """(status, seconds of Retry-After) of the answer; raises what the network raises."""
        headers = {"Content-Type": "application/json", "X-Obtrace-Source": "zero-agent-python"}
        if key:
            headers["X-API-Key"] = key
        kept = self.open is not None
        try:
            return self.ask(path, body, headers, timeout)
        except (ConnectionResetError, BrokenPipeError, RemoteDisconnected):
            # A connection that was kept may have been closed meanwhile.
            if not kept:
                raise
            return self.ask(path, body, headers, timeout)

    def ask(self, path, body, headers, timeout):
        if self.open is None:
            self.open = (_SECURE if self.secure else _PLAIN)(self.host, self.port, timeout=timeout)
            if "gevent.monkey" in sys.modules and not self.secure:
                self.open._create_connection = connect
        elif self.open.sock is not None:
            self.open.sock.settimeout(timeout)
        answer = None
        try:
            self.open.request("POST", self.path + path, body, headers)
            answer = self.open.getresponse()
            answer.read(_BODY_LIMIT)
            whole = answer.isclosed()
            return answer.status, pause(answer.headers.get("Retry-After"))
        except BaseException:
            whole = False
            raise
        finally:
            if not whole:
                self.close()

    def close(self):
        connection, self.open = self.open, None
        try:
            connection.close()
        except (OSError, HTTPException):
            pass


def connect(address, timeout, source_address=None):
    """As `socket.create_connection`, by the functions that gevent has replaced: its own look names up in a thread, which cannot
    be had when the interpreter ends."""
    Socket, lookup = sys.modules["gevent.monkey"].get_original("socket", ["socket", "getaddrinfo"])
    failed = OSError("no address")
    for family, kind, protocol, _, place in lookup(*address, 0, 1):
        connection = Socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(place)
            return connection
        except OSError as error:
            failed = error
            connection.close()
    raise failed


def pause(text):
    """Seconds of a Retry-After up to 30; dates and what is longer do not count."""
    text = (text or "").strip()
    return float(text) if text.isdigit() and len(text) <= 2 and int(text) <= 30 else None
