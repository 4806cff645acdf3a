"""HTTP/2 by h2 over bare sockets, curl and nghttp: `http2_client.py nghttpd=PORT apache=PORT`."""

import socket
import subprocess
import sys
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

from truth import log, operation, token

SMALL, BIG = "/small.txt", "/big.bin"


class Wire:
    """A connection on which several requests may be under way."""

    def __init__(self, port, push=False, chunk=None):
        self.port, self.chunk = port, chunk
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        if not push:
            self.state.update_settings({h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self.flush()
        # By stream: what was asked, when, and what came.
        self.open, self.resets = {}, set()

    def flush(self):
        data = self.state.data_to_send()
        for at in range(0, len(data), self.chunk or len(data) or 1):
            self.socket.sendall(data[at:at + (self.chunk or len(data))])

    def ask(self, method, path, body=b"", pad=0, trailers=None, fields=(), priority=False):
        stream = self.state.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", f"127.0.0.1:{self.port}"), *fields]
        self.open[stream] = {"what": [method, path.split("?")[0]], "start": time.time_ns(), "status": None, "size": 0}
        weight = {"priority_weight": 200, "priority_depends_on": 0} if priority else {}
        self.state.send_headers(stream, head, end_stream=not body and not trailers, **weight)
        for at in range(0, len(body), 4000):
            last = at + 4000 >= len(body) and not trailers
            self.state.send_data(stream, body[at:at + 4000], end_stream=last, pad_length=pad or None)
        if trailers:
            self.state.send_headers(stream, trailers, end_stream=True)
        self.flush()
        return stream

    def done(self, stream):
        asked = self.open.pop(stream)
        log("http2", self.port, asked["what"], asked["status"], asked["start"], time.time_ns(), **({"pieces": True} if self.chunk else {}))

    def step(self):
        """Reads once; streams that came to something."""
        seen = []
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        for event in self.state.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.PushedStreamReceived):
                head = dict(event.headers)
                self.open[event.pushed_stream_id] = {"what": [head[":method"], head[":path"]], "start": self.open[event.parent_stream_id]["start"], "status": None, "size": 0}
            elif isinstance(event, h2.events.ResponseReceived) and stream in self.open:
                self.open[stream]["status"] = int(dict(event.headers)[":status"])
                seen.append(stream)
            elif isinstance(event, h2.events.DataReceived):
                if stream in self.open:
                    self.open[stream]["size"] += len(event.data)
                if stream not in self.resets:
                    self.state.acknowledge_received_data(event.flow_controlled_length, stream)
                seen.append(stream)
            elif isinstance(event, h2.events.StreamEnded) and stream in self.open:
                self.done(stream)
        self.flush()
        return seen

    def finish(self):
        while self.open:
            self.step()

    def cancel(self, path):
        """Resets a stream in the middle of its response."""
        stream = self.ask("GET", path)
        while stream not in self.open or not self.open[stream]["size"]:
            self.step()
        self.resets.add(stream)
        self.state.reset_stream(stream, 8)
        self.flush()
        self.done(stream)

    def close(self):
        self.finish()
        self.state.close_connection()
        self.flush()
        self.socket.close()


def one_by_one(port, chunk=None):
    wire = Wire(port, chunk=chunk)
    for number in range(30):
        wire.ask("GET", f"{SMALL}?{token()}")
        wire.finish()
        wire.ask("GET", f"/none-{token()}", priority=True)
        wire.finish()
    wire.ask("HEAD", SMALL)
    wire.finish()
    wire.ask("OPTIONS", SMALL) if chunk else wire.ask("GET", BIG)
    wire.close()


def bodies(port):
    wire = Wire(port)
    for number in range(12):
        wire.ask("POST", f"/none-{token()}", b"b" * (number * 900), pad=number * 20 % 255)
        wire.finish()
    wire.ask("POST", f"/none-{token()}", b"b" * 3000, trailers=[("x-checksum", "7")])
    wire.close()


def concurrent(port, rounds=6):
    wire = Wire(port)
    for _ in range(rounds):
        for number in range(10):
            wire.ask("GET", BIG if number == 3 else f"/none-{token()}" if number % 3 else SMALL)
        wire.finish()
    wire.close()


def heads(port):
    """Header blocks of several frames, fields that fill the table and empty it."""
    wire = Wire(port)
    for number in range(20):
        # nghttpd takes 64 KiB of fields.
        wide = [(f"x-wide-{part}", token() * 900) for part in range(5)] if number % 5 == 4 else []
        wire.ask("GET", f"/none-{token()}", fields=[("x-token", token()), ("cookie", "session=" + "s" * number), *wide])
        wire.finish()
        if number == 7:
            wire.state.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
        if number == 14:
            wire.state.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 65536})
        if number % 3 == 0:
            wire.state.ping(b"12345678")
        wire.flush()
    wire.close()


def cancels(port):
    wire = Wire(port)
    for _ in range(4):
        wire.cancel(BIG)
        wire.ask("GET", SMALL)
        wire.finish()
    wire.close()


def pushes(port):
    wire = Wire(port, push=True)
    for _ in range(3):
        wire.ask("GET", "/index.html")
        wire.finish()
    wire.close()


def curl(port, *words, path, method="GET", outcome=200, start="--http2-prior-knowledge"):
    with operation("http2", port, method, path) as running:
        # What begins as HTTP/1 has no header fields of HTTP/2.
        running.more = {"pieces": True} if start == "--http2" else {}
        url = f"http://127.0.0.1:{port}{path}"
        subprocess.run(["curl", "--silent", start, *words, "-o", "/dev/null", url], check=True)
        running.outcome = outcome


def nghttp(port, *words, paths):
    start = time.time_ns()
    urls = [f"http://127.0.0.1:{port}{path}" for path in paths]
    subprocess.run(["nghttp", "--null-out", "--no-push", *words, *urls], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for path in paths:
        log("http2", port, ["GET", path], 200, start, time.time_ns(), **({"pieces": True} if "--upgrade" in words else {}))


def main():
    ports = dict(word.split("=") for word in sys.argv[1:])
    nghttpd, apache = int(ports["nghttpd"]), int(ports["apache"])
    for port in (nghttpd, apache):
        one_by_one(port)
        bodies(port)
        concurrent(port)
        cancels(port)
        curl(port, path=BIG)
        curl(port, path="/none", outcome=404)
        curl(port, "--head", path=SMALL, method="HEAD")
        nghttp(port, paths=[SMALL, BIG])
        nghttp(port, "--padding=40", "--continuation", "--header=x-a: b", paths=[SMALL, "/style.css"])
    # Apache answers before the body is there, and resets the stream: curl may take that for a failure.
    curl(nghttpd, "--data", "x" * 5000, path="/none", method="POST", outcome=404)
    for path, outcome in ((SMALL, 200), ("/style.css", 200), ("/none", 404)):
        curl(apache, path=path, outcome=outcome, start="--http2")
    curl(apache, "--head", path=SMALL, method="HEAD", start="--http2")
    nghttp(apache, "--upgrade", paths=[SMALL])
    one_by_one(nghttpd, chunk=1)
    heads(nghttpd)
    pushes(nghttpd)


main()
