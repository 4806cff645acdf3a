"""WebSocket by the `websockets` library and over a bare socket: `websocket_client.py NAME=PORT...`."""

import base64
import os
import socket
import sys
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import DATA_OPCODES
from websockets.protocol import Protocol
from websockets.sync.client import connect

from truth import log, operation

CASES = 65


class Tally:
    """What passed in one direction: frames, messages, and bytes of payload."""

    def __init__(self):
        self.frames = self.messages = self.size = 0

    def add(self, frame):
        self.frames += 1
        if frame.opcode in DATA_OPCODES:
            self.messages += frame.fin
            self.size += len(frame.data)

    def text(self, sized):
        return f"{self.frames}/{self.messages}/{self.size if sized else '-'}"


def count_frames():
    """Has the library count what it sends and receives."""
    for name in ("send_frame", "recv_frame"):
        original = getattr(Protocol, name)

        def counted(self, frame, original=original, name=name):
            tallies = self.__dict__.setdefault("tallies", {"send_frame": Tally(), "recv_frame": Tally()})
            tallies[name].add(frame)
            original(self, frame)

        setattr(Protocol, name, counted)


def session(port, path, talk, deflate=False, **options):
    """One upgrade and its session: both are logged."""
    start = time.time_ns()
    socket_ = connect(f"ws://127.0.0.1:{port}{path}", compression="deflate" if deflate else None, ping_interval=None, max_size=None, legacy=True, **options)
    log("http", port, ["GET", path.split("?")[0]], 101, start, time.time_ns())
    try:
        talk(socket_)
        for _ in socket_:
            pass
    except ConnectionClosed:
        pass
    socket_.close()
    protocol = socket_.protocol
    tallies = protocol.__dict__.setdefault("tallies", {"send_frame": Tally(), "recv_frame": Tally()})
    closed = protocol.close_rcvd is not None and protocol.close_sent is not None
    sized = protocol.extensions == []
    sent, received = (tallies[name].text(sized) for name in ("send_frame", "recv_frame"))
    outcome = f"{protocol.close_code} {sent} {received}" if closed else None
    log("websocket", port, ["session", path.split("?")[0]], outcome, start, time.time_ns(), "complete" if closed else "truncated")


def ask(*messages):
    def talk(socket_):
        for message in messages:
            socket_.send(message)
            socket_.recv()
        socket_.close()

    return talk


def pings(socket_):
    for number in range(3):
        socket_.ping(f"p{number}").wait(5)
    socket_.send(["in ", "several", " frames"])
    socket_.recv()
    socket_.close(1001)


def bare(port, path):
    """Frames in small pieces, with everything that a library would not send: empty fragments, a ping between them, two
    frames in one segment, no code in the Close."""
    start = time.time_ns()
    wire = socket.create_connection(("127.0.0.1", port), timeout=20)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    wire.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += wire.recv(1)
    log("http", port, ["GET", path], 101, start, time.time_ns())

    def frame(first, payload):
        mask = os.urandom(4)
        return bytes([first, 0x80 | len(payload)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    frames = [frame(0x01, b"a"), frame(0x00, b""), frame(0x89, b"?"), frame(0x80, b"b"), frame(0x82, bytes(10)), frame(0x8a, b"")]
    for at, byte in enumerate(b"".join(frames)):
        wire.sendall(bytes([byte]))
        if at % 7 == 0:
            time.sleep(0.001)
    wire.sendall(frame(0x81, b"x") + frame(0x81, b"y") + frame(0x88, b""))
    got = b""
    while piece := wire.recv(4096):
        got += piece
    wire.close()
    received, at = Tally(), 0
    while at < len(got):
        # Short frames, not masked; what is behind the Close is not echoed.
        received.frames += 1
        if got[at] & 15 < 8:
            received.messages += got[at] >> 7
            received.size += got[at + 1]
        at += 2 + got[at + 1]
    log("websocket", port, ["session", path], f"1005 9/4/14 {received.text(True)}", start, time.time_ns())


def refused(port):
    with operation("http", port, "GET", "/refuse") as running:
        try:
            connect(f"ws://127.0.0.1:{port}/refuse", compression=None, legacy=True)
        except InvalidStatus as error:
            running.outcome = error.response.status_code


def dropped(port):
    """The client goes without a word."""

    def talk(socket_):
        socket_.send("last words")
        socket_.recv()
        socket_.socket.shutdown(socket.SHUT_RDWR)

    session(port, "/echo/dropped", talk)


def main():
    count_frames()
    for name, port in (word.split("=") for word in sys.argv[1:]):
        port = int(port)
        for number in range(CASES):
            session(port, f"/echo/{number}", ask(*["m" * (number * 7), b"\x00" * number, "ü"] * (number % 4)))
        session(port, "/echo/query?token=t0psecret", ask("x"), subprotocols=["chat.v1"] if name == "library" else None)
        session(port, "/echo/pings", pings)
        session(port, "/echo/large", ask("z" * 70_000, b"\x01" * 1_000_000))
        session(port, "/echo/deflate", ask("z" * 70_000, "short", b"\x01" * 1_000), deflate=True)
        session(port, "/push/40", lambda socket_: None)
        session(port, "/large/30000", lambda socket_: None)
        session(port, "/fragments", lambda socket_: None)
        for code in (1000, 1001, 1011, 3000, 4001):
            session(port, f"/close/{code}", lambda socket_: socket_.send("now"))
        session(port, "/drop" if name == "library" else "/echo/drop", lambda socket_: socket_.send("now") or socket_.close())
        dropped(port)
        bare(port, "/echo/bare")
        refused(port)


if __name__ == "__main__":
    main()
