"""FastCGI: nginx before PHP-FPM, asked over its socket, and records made by hand: `fastcgi_client.py PORT SOCKET...`.

The sockets are nginx's: of a server that opens a connection for each request, and of one that keeps them.
"""

import http.client
import socket
import struct
import sys

from truth import operation, token

BEGIN, END, PARAMS, STDIN, STDOUT, GET_VALUES, GET_VALUES_RESULT = 1, 3, 4, 5, 6, 9, 10


class Web(http.client.HTTPConnection):
    """HTTP over the socket of a file."""

    def __init__(self, path, port):
        super().__init__(f"shop.test:{port}", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def ask(web, port, method, query="", body=None, fields=None):
    path = f"/{token()}"
    # PHP answers, and what nginx sends on is behind it.
    with operation("fastcgi", port, method, path) as running:
        web.request(method, f"{path}?{query}", body, {"Host": f"shop.test:{port}", "Cookie": "session=canary-cookie", **(fields or {})})
        answer = web.getresponse()
        answer.read()
        running.outcome = answer.status


def through_nginx(web, port):
    for number in range(12):
        ask(web, port, "GET", "token=canary-query")
        ask(web, port, "GET", "code=404")
        ask(web, port, "GET", "code=503")
        ask(web, port, "GET", "to=/elsewhere")
        ask(web, port, "GET", "throws=1")
        ask(web, port, "GET", "complains=1")
        ask(web, port, "HEAD")
        ask(web, port, "POST", "", b"p" * (number * 6_000), {"Content-Type": "text/plain"})
        ask(web, port, "GET", f"big={number * 40_000}")
        ask(web, port, "PUT", "", b"canary-body", {"X-Long": "l" * 3_000})
        ask(web, port, "DELETE")
    ask(web, port, "POST", "", b"p" * 1_000_000)
    ask(web, port, "GET", "big=2000000")


def record(kind, number, content=b"", padding=0):
    return struct.pack(">BBHHBB", 1, kind, number, len(content), padding, 0) + content + bytes(padding)


def pairs(**names):
    out = b""
    for name, value in names.items():
        for text in (name, value):
            out += bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 1 << 31)
        out += (name + value).encode()
    return out


class Wire:
    """A connection on which records are made by hand."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def until(self, wanted):
        """The output up to a record of this kind."""
        out = b""
        while True:
            _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", self.file.read(8))
            content = self.file.read(length)
            self.file.read(padding)
            out += content if kind == STDOUT else b""
            if kind == wanted:
                return out

    def close(self):
        self.file.close()
        self.socket.close()


def by_hand(port, script):
    wire = Wire(port)
    for number in range(30):
        path = f"/{token()}"
        code = (200, 404, 500)[number % 3]
        given = {"SCRIPT_FILENAME": script, "REQUEST_METHOD": "POST", "REQUEST_URI": f"{path}?code={code}", "QUERY_STRING": f"code={code}",
                 "HTTP_HOST": f"shop.test:{port}", "HTTP_X_SECRET": "canary" * 40, "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "300"}
        # A pair that two records share is too much for PHP-FPM.
        parts = [record(PARAMS, 1, pairs(**{name: value}), number % 5) for name, value in given.items()]
        body = [record(STDIN, 1, b"i" * 100, number % 3) for _ in range(3)]
        request = b"".join([record(BEGIN, 1, b"\0\1\1\0\0\0\0\0"), *parts, record(PARAMS, 1), *body, record(STDIN, 1)])
        with operation("fastcgi", port, "POST", path) as running:
            for at in range(0, len(request), 1 + number * 40):
                wire.socket.sendall(request[at:at + 1 + number * 40])
            head = wire.until(END).split(b"\r\n\r\n")[0]
            running.outcome = int(head.split(b"Status: ")[1][:3]) if b"Status: " in head else 200
    wire.close()
    wire = Wire(port)
    wire.socket.sendall(record(GET_VALUES, 0, pairs(FCGI_MPXS_CONNS="", FCGI_MAX_CONNS="")))
    wire.until(GET_VALUES_RESULT)
    wire.close()


def main():
    port, script, single, kept = int(sys.argv[1]), *sys.argv[2:]
    through_nginx(Web(single, port), port)
    through_nginx(Web(kept, port), port)
    by_hand(port, script)


if __name__ == "__main__":
    main()
