"""HTTP/1 over bare sockets, in every shape: `http_client.py nginx=PORT uvicorn=PORT gunicorn=PORT node=PORT odd=PORT`."""

import socket
import sys
import time

from truth import log, operation, token

MEGABYTE = b"x" * 1_000_000


class Wire:
    """A connection that reads responses as RFC 9112 frames them."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 20)
        self.bytes += data
        return data

    def line(self):
        while b"\n" not in self.bytes:
            if not self.more():
                raise EOFError(self.bytes)
        line, self.bytes = self.bytes.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def take(self, length):
        while len(self.bytes) < length:
            if not self.more():
                raise EOFError(self.bytes)
        data, self.bytes = self.bytes[:length], self.bytes[length:]
        return data

    def response(self, method):
        """Status of the next final response, its body read; and the interim ones before it."""
        interim = []
        while True:
            status = int(self.line().split(" ")[1])
            fields = {}
            while line := self.line():
                if line[0] in " \t":
                    continue  # obs-fold
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            if 100 <= status < 200 and status != 101:
                interim.append(status)
                continue
            break
        if method == "HEAD" or status in (101, 204, 304) or (method == "CONNECT" and status == 200):
            return status, interim, b""
        if "chunked" in fields.get("transfer-encoding", ""):
            body = b""
            while length := int(self.line().split(";")[0], 16):
                body += self.take(length)
                self.line()
            while self.line():
                pass  # trailers
        elif "content-length" in fields:
            body = self.take(int(fields["content-length"]))
        else:
            while self.more():
                pass
            body, self.bytes = self.bytes, b""
        return status, interim, body


def head(method, target, fields=(), version="1.1", host="127.0.0.1"):
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def ask(wire, method, path, request, expect=None):
    """Sends a request, reads the response, logs both."""
    with operation("http", wire.port, method, path) as running:
        for part in request if isinstance(request, list) else [request]:
            wire.send(part)
        running.outcome, interim, body = wire.response(method)
    if expect is not None and running.outcome != expect:
        sys.exit(f"{method} {path} on {wire.port}: {running.outcome} {body[:200]}")
    return interim, body


def keep_alive(port, statuses, count):
    wire = Wire(port)
    for number in range(count):
        status = statuses[number % len(statuses)]
        path = f"/s/{status}/{token()}"
        ask(wire, "GET", path, head("GET", path, ["User-Agent: truth", "X-Number: %d" % number]), status)
    wire.close()


def pipelined(port, statuses, depth):
    wire = Wire(port)
    paths = [f"/s/{statuses[n % len(statuses)]}/{token()}" for n in range(depth)]
    start = time.time_ns()
    wire.send(b"".join(head("GET", path) for path in paths))
    for path in paths:
        status, _, _ = wire.response("GET")
        log("http", port, ["GET", path], status, start, time.time_ns())
    wire.close()


def head_requests(port, count):
    wire = Wire(port)
    for _ in range(count):
        for method in ("HEAD", "GET"):
            path = f"/s/200/{token()}"
            ask(wire, method, path, head(method, path), 200)
    wire.close()


def one_byte_at_a_time(port):
    wire = Wire(port)
    for _ in range(3):
        path = f"/s/200/{token()}"
        request = head("GET", path)
        ask(wire, "GET", path, [request[n:n + 1] for n in range(len(request))], 200)
    wire.close()


def bodies(port, path_of):
    """Bodies both ways: with a length, chunked with extensions and trailers, a megabyte."""
    wire = Wire(port)
    for size in (0, 1, 1000, 70_000):
        path = path_of()
        body = MEGABYTE[:size]
        _, echoed = ask(wire, "POST", path, head("POST", path, [f"Content-Length: {size}"]) + body, 200)
        assert echoed == body
    for chunks in ([b"a" * 10], [b"bc" * 4000, b"d"], [b"e"] * 50):
        path = path_of()
        chunked = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        fields = ["Transfer-Encoding: chunked", "Trailer: X-Sum"]
        request = [head("POST", path, fields), chunked, b"0\r\nX-Sum: 1\r\n\r\n"]
        _, echoed = ask(wire, "POST", path, request, 200)
        assert echoed == b"".join(chunks)
    path = path_of()
    _, echoed = ask(wire, "PUT", path, head("PUT", path, ["Content-Length: 1000000"]) + MEGABYTE, 200)
    assert len(echoed) == len(MEGABYTE)
    path = f"/s/200/{token()}"
    ask(wire, "GET", path, head("GET", path), 200)
    wire.close()


def streams(port, kinds):
    wire = Wire(port)
    for kind in kinds * 4:
        path = f"/{kind}/{token()}"
        ask(wire, "GET", path, head("GET", path), 200)
    wire.close()


def expect_continue(port):
    wire = Wire(port)
    for _ in range(3):
        path = f"/echo/{token()}"
        with operation("http", port, "POST", path) as running:
            wire.send(head("POST", path, ["Content-Length: 5", "Expect: 100-continue"]))
            assert wire.line().split(" ")[1] == "100" and wire.line() == ""
            wire.send(b"hello")
            running.outcome, _, body = wire.response("POST")
        assert body == b"hello"
    wire.close()


def absolute_form(port):
    wire = Wire(port)
    for _ in range(3):
        path = f"/s/200/{token()}"
        ask(wire, "GET", path, head("GET", f"http://127.0.0.1:{port}{path}?q=1", version="1.1"), 200)
    wire.close()


def long_heads(port, size):
    wire = Wire(port)
    for _ in range(2):
        path = f"/s/200/{token()}"
        ask(wire, "GET", path, head("GET", path, [f"X-Long-{n}: " + "y" * 1000 for n in range(size)]), 200)
        path = f"/s/404/{token()}"
        ask(wire, "GET", path, head("GET", path), 404)
    wire.close()


def version_1_0(port):
    for fields in ([], ["Connection: keep-alive"]):
        path = f"/s/200/{token()}"
        wire = Wire(port)
        ask(wire, "GET", path, head("GET", path, fields, "1.0"), 200)
        wire.close()


def line_ends(port):
    """LF alone, and fields folded over several lines, both of which servers must or may accept."""
    wire = Wire(port)
    for _ in range(3):
        path = f"/s/200/{token()}"
        ask(wire, "GET", path, head("GET", path).replace(b"\r\n", b"\n"), 200)
    wire.close()


def upgrade_and_connect(port):
    wire = Wire(port)
    path = f"/upgrade/{token()}"
    ask(wire, "GET", path, head("GET", path, ["Connection: Upgrade", "Upgrade: echo"]), 101)
    wire.send(b"GET /not/http HTTP/1.1\r\n\r\n")
    wire.take(26)
    wire.close()
    wire = Wire(port)
    with operation("http", port, "CONNECT", "") as running:
        wire.send(head("CONNECT", "example.com:443"))
        running.outcome, _, _ = wire.response("CONNECT")
    wire.send(b"\x00tunnel bytes\r\n\r\n")
    wire.take(17)
    wire.close()


def odd_shapes(port):
    """A server that ends its bodies by closing, folds fields and ends lines with LF alone."""
    for kind in ("until-close", "folded", "lf-only", "early-hints", "chunk-extensions", "empty-reason") * 3:
        wire = Wire(port)
        path = f"/{kind}/{token()}"
        ask(wire, "GET", path, head("GET", path), 200)
        wire.close()
    for _ in range(3):
        wire = Wire(port)
        path = f"/never/{token()}"
        with operation("http", port, "GET", path) as running:
            running.completeness = "response_missing"
            wire.send(head("GET", path))
            time.sleep(0.05)
            wire.close()
            time.sleep(0.01)


def several_at_once(port, statuses):
    wires = [Wire(port) for _ in range(8)]
    for _ in range(3):
        paths = [f"/s/{statuses[n % len(statuses)]}/{token()}" for n in range(len(wires))]
        start = time.time_ns()
        for wire, path in zip(wires, paths):
            wire.send(head("GET", path))
        for wire, path in zip(wires, paths):
            status, _, _ = wire.response("GET")
            log("http", port, ["GET", path], status, start, time.time_ns())
    for wire in wires:
        wire.close()


def main():
    ports = {name: int(port) for name, port in (word.split("=") for word in sys.argv[1:])}
    every = [200, 204, 301, 404, 503]
    for name in ("nginx", "uvicorn", "gunicorn", "node"):
        port = ports[name]
        keep_alive(port, every, 60)
        head_requests(port, 5)
        several_at_once(port, every)
        version_1_0(port)
        long_heads(port, 12)
        if name != "gunicorn":
            pipelined(port, every, 10)
            pipelined(port, [200], 32)
        if name != "uvicorn":
            one_byte_at_a_time(port)
        if name != "nginx":
            bodies(port, lambda: f"/echo/{token()}")
            streams(port, ["stream"])
    keep_alive(ports["nginx"], [304], 3)
    streams(ports["nginx"], ["big"])
    streams(ports["node"], ["trailers", "early", "length"])
    expect_continue(ports["node"])
    expect_continue(ports["uvicorn"])
    long_heads(ports["node"], 50)
    absolute_form(ports["nginx"])
    absolute_form(ports["node"])
    line_ends(ports["nginx"])
    upgrade_and_connect(ports["node"])
    odd_shapes(ports["odd"])


main()
