"""What applications call: an HTTP server that answers as its path says and keeps what it was asked."""

import contextlib
import re
import time

from machine import Listening, Quiet, expect


class Upstream:
    """Answers any method: `/status/N` with N, `/slow` after 2 s, everything else with `status`. `seen`: (path, headers with
    names in small letters) of every request, in order. `tls`: a `tls.Authority`, for https."""

    def __init__(self, status=200, tls=None):
        self.seen = []
        upstream = self

        class Handler(Quiet):
            def do_GET(self):
                upstream.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.body()
                found = re.match(r"/status/(\d+)", self.path)
                if self.path == "/slow":
                    time.sleep(2)
                with contextlib.suppress(OSError):
                    self.send_response(int(found[1]) if found else status)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(b"ok")

            do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_BREW = do_GET

        self.server = Listening(Handler, tls=tls and tls.context())
        self.port, self.url = self.server.port, self.server.url

    def headers(self, path):
        """The headers of the last request for a path, whatever its query."""
        found = [headers for seen, headers in self.seen if seen.split("?")[0] == path]
        expect(found, f"{path} was not called: {[seen for seen, _ in self.seen]}")
        return found[-1]

    def asked(self, path):
        """The same, where exactly one request is to be."""
        count = len([seen for seen, _ in self.seen if seen.split("?")[0] == path])
        expect(count == 1, f"{count} requests for {path}: {[seen for seen, _ in self.seen]}")
        return self.headers(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()
