"""Redis by redis-py and over a bare socket: `redis_client.py PORT...`."""

import socket
import sys
import time

import redis

from truth import log, operation, token


class Wire:
    """A connection that reads RESP2 and RESP3."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next value: an error as an exception object."""
        line = self.file.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind in b"$=!":
            data = None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
            return RuntimeError(data.decode()) if kind == b"!" else data
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind in b"*~>%":
            count = int(rest) * (2 if kind == b"%" else 1)
            return [self.reply() for _ in range(count)]
        return rest

    def close(self):
        self.file.close()
        self.socket.close()


def resp(*words):
    words = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def prefix(value):
    """The first word of an error, as the conventions record it."""
    return str(value).split(" ")[0] if isinstance(value, Exception) else None


def run(wire, *words, key=None, parts=None):
    with operation("redis", wire.port, words[0].upper(), key) as running:
        request = resp(*words)
        for part in parts(request) if parts else [request]:
            wire.send(part)
        value = wire.reply()
        running.outcome = prefix(value)
    return value


def commands(wire, count):
    for number in range(count):
        key = token()
        run(wire, "SET", key, "v" * (number % 200), key=key)
        run(wire, "GET", key, key=key)
        run(wire, "LPUSH", key, "x", key=key)  # WRONGTYPE
        missing = token()
        run(wire, "GET", missing, key=missing)


def pipeline(wire, depth):
    words = []
    for number in range(depth):
        key = token()
        words.append([("SET", key, "1"), ("INCR", key), ("HSET", key, "f", "v"), ("DEL", key)][number % 4])
    start = time.time_ns()
    wire.send(b"".join(resp(*command) for command in words))
    for command in words:
        value = wire.reply()
        log("redis", wire.port, [command[0], command[1]], prefix(value), start, time.time_ns())


def transaction(wire, fails):
    run(wire, "MULTI")
    for _ in range(3):
        key = token()
        run(wire, "SET", key, "1", key=key)
    if fails:
        run(wire, "NOSUCHCOMMAND", "a")
    run(wire, "EXEC")


def inline(wire):
    for _ in range(5):
        key = token()
        with operation("redis", wire.port, "SET", key) as running:
            running.more = {"inline": True}
            wire.send(f"SET {key} value\r\n".encode())
            running.outcome = prefix(wire.reply())
        with operation("redis", wire.port, "PING", None) as running:
            running.more = {"inline": True}
            wire.send(b"PING\r\n")
            running.outcome = prefix(wire.reply())


def subscriptions(port, protocol):
    subscriber, publisher = Wire(port), Wire(port)
    if protocol == 3:
        run(subscriber, "HELLO", "3")
    channel = token()
    run(subscriber, "SUBSCRIBE", channel)
    for _ in range(5):
        run(publisher, "PUBLISH", channel, "message")
        subscriber.reply()
    if protocol == 3:
        key = token()
        run(subscriber, "SET", key, "1", key=key)
    run(subscriber, "UNSUBSCRIBE", channel)
    subscriber.close()
    publisher.close()


def secrets(port):
    wire = Wire(port)
    run(wire, "AUTH", "hunter2")
    run(wire, "HELLO", "3", "AUTH", "default", "hunter2")
    run(wire, "HELLO", "3")
    commands(wire, 5)
    wire.close()


def client_library(port, protocol):
    """redis-py: what it sends by itself at the start is logged, too."""
    client = redis.Redis(port=port, protocol=protocol, lib_name=None, lib_version=None, single_connection_client=True)
    # With RESP3 it says HELLO on each connection: this one, and that of its pipelines.
    if protocol == 3:
        for _ in range(2):
            log("redis", port, ["HELLO", None], None, 0, time.time_ns() + 10**10)
    for number in range(20):
        key = token()
        with operation("redis", port, "SET", key):
            client.set(key, number)
        with operation("redis", port, "INCRBY", key):
            client.incr(key)
        with operation("redis", port, "RPUSH", key) as running:
            try:
                client.rpush(key, 1)
            except redis.ResponseError as error:
                # redis-py drops the prefix of the errors that it knows.
                running.outcome = "WRONGTYPE" if "wrong kind" in str(error) else prefix(error)
    start = time.time_ns()
    batch, keys = client.pipeline(transaction=False), [token() for _ in range(40)]
    for key in keys:
        batch.set(key, 1)
    batch.execute()
    for key in keys:
        log("redis", port, ["SET", key], None, start, time.time_ns())
    start = time.time_ns()
    batch, keys = client.pipeline(transaction=True), [token() for _ in range(5)]
    for key in keys:
        batch.set(key, 1)
    batch.execute()
    for key in keys:
        log("redis", port, ["SET", key], None, start, time.time_ns())
    for name in ("MULTI", "EXEC"):
        log("redis", port, [name, None], None, start, time.time_ns())
    client.close()


def main():
    for port in map(int, sys.argv[1:]):
        wire = Wire(port)
        commands(wire, 60)
        for _ in range(3):
            pipeline(wire, 40)
        transaction(wire, False)
        transaction(wire, True)
        inline(wire)
        key = token()
        run(wire, "SET", key, b"\x00\r\n" * 350_000, key=key)
        run(wire, "GET", key, key=key)
        key = token()
        run(wire, "SET", key, "slow", key=key, parts=lambda request: [request[n:n + 1] for n in range(len(request))])
        run(wire, "EVALSHA", "0" * 40, "0")  # NOSCRIPT
        run(wire, "QUIT")
        wire.close()
        subscriptions(port, 2)
        subscriptions(port, 3)
        secrets(port)
        client_library(port, 2)
        client_library(port, 3)


main()
