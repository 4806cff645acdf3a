"""A Redis client: `cache.py PORT MARK PLAN`. It logs every command that its library sends, the library's own among them.

Plans: `usual` commands one by one, `pipeline` ten pipelines of 40, `transaction`, `bytes` one byte at a time,
`waiting` connects, says so, and goes on when stdin ends.
"""

import json
import socket
import sys

import redis
from redis.connection import Connection

failing = False
silent = False


def log(words):
    if silent:
        return
    operation = words[0].decode().upper() if isinstance(words[0], bytes) else words[0].upper()
    record = {"protocol": "redis", "operation": operation, "failed": operation == "LPUSH" and failing, "port": port}
    print(json.dumps(record), flush=True)


class Logged(Connection):
    """Sends what it is asked to, and logs it."""

    def send_command(self, *words, **options):
        log([word for part in words[:1] for word in str(part).split()])
        return super().send_command(*words, **options)

    def pack_commands(self, commands):
        commands = list(commands)
        for words in commands:
            log(words)
        return super().pack_commands(commands)


def client():
    pool = redis.ConnectionPool(connection_class=Logged, host="127.0.0.1", port=port, max_connections=1)
    return redis.Redis(connection_pool=pool)


def one_byte_at_a_time():
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for words, answer in (([b"SET", mark.encode(), b"value"], b"+OK\r\n"), ([b"GET", mark.encode()], b"$5\r\nvalue\r\n")):
        message = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        for byte in message:
            peer.sendall(bytes([byte]))
        got = b""
        while len(got) < len(answer):
            got += peer.recv(64)
        if got != answer:
            sys.exit(f"{words}: {got!r}")
        log(words)
    peer.close()


port, mark, plan = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if plan == "bytes":
    one_byte_at_a_time()
    sys.exit()
server = client()
if plan == "waiting":
    # Nobody can see what was sent before the agent came.
    silent = True
    server.ping()
    silent = False
    print("connected", file=sys.stderr, flush=True)
    sys.stdin.read()
if plan == "pipeline":
    for turn in range(10):
        pipeline = server.pipeline(transaction=False)
        for number in range(20):
            pipeline.set(f"{mark}:{turn}:{number}", "x" * number)
            pipeline.get(f"{mark}:{turn}:{number}")
        assert len(pipeline.execute()) == 40
elif plan == "transaction":
    for turn in range(5):
        pipeline = server.pipeline(transaction=True)
        pipeline.incr(f"{mark}:{turn}")
        pipeline.expire(f"{mark}:{turn}", 60)
        assert pipeline.execute() == [1, True]
else:
    for number in range(10):
        server.set(f"{mark}:{number}", number)
        assert server.get(f"{mark}:{number}") == str(number).encode()
        server.hset(f"{mark}:h{number}", mapping={"a": 1, "b": 2})
        server.delete(f"{mark}:{number}")
        try:
            failing = True
            server.lpush(f"{mark}:h{number}", 1)
            sys.exit("LPUSH on a hash worked")
        except redis.ResponseError:
            failing = False
