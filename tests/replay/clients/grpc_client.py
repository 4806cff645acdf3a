"""gRPC by grpc-python: `grpc_client.py PORT...`."""

import sys
import threading
import time

import grpc

from truth import log, operation

SERVICE = "shop.v1.Orders"


class Calls:
    def __init__(self, port, options=(), compression=None):
        self.port = port
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options, compression=compression)

    def call(self, kind, method, argument, sent, received, timeout=None, cancel_after=None, metadata=(), code=None):
        """One call; `sent` and `received` are the messages that pass. The outcome is the status that the client has."""
        made = getattr(self.channel, kind)(f"/{SERVICE}/{method}")
        with operation("grpc", self.port, f"{SERVICE}/{method}", f"{sent}/{received}") as running:
            try:
                if kind in ("unary_unary", "stream_unary"):
                    made(argument, timeout=timeout, metadata=metadata)
                else:
                    answers = made(argument, timeout=timeout, metadata=metadata)
                    for number, _ in enumerate(answers, 1):
                        if number == cancel_after:
                            answers.cancel()
                running.outcome = "OK"
            except grpc.RpcError as error:
                running.outcome = error.code().name
        if code and running.outcome != code:
            sys.exit(f"{method}: {running.outcome}, not {code}")

    def close(self):
        self.channel.close()


def several(count, size=20):
    return iter([b"m" * size] * count)


def calls(port, rounds, options=(), compression=None):
    one = Calls(port, options, compression)
    for number in range(rounds):
        one.call("unary_unary", "Get", b"x" * (number * 37 % 500), 1, 1, metadata=(("x-request", f"{number}"),))
        one.call("unary_stream", "Watch", b"5", 1, 5)
        one.call("stream_unary", "Upload", several(7), 7, 1)
        one.call("stream_stream", "Chat", several(4), 4, 4)
        one.call("unary_unary", "Fail", b"NOT_FOUND", 1, 0, code="NOT_FOUND")
    for code in ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAVAILABLE", "INTERNAL", "UNAUTHENTICATED"):
        one.call("unary_unary", "Fail", code.encode(), 1, 0, code=code)
    one.call("unary_unary", "Nothing", b"", 1, 0, code="UNIMPLEMENTED")
    one.call("unary_stream", "Break", b"3", 1, 3, code="ABORTED")
    one.call("unary_unary", "Get", b"x" * 200_000, 1, 1)
    one.call("unary_unary", "Sleep", b"1", 1, 0, timeout=0.15, code="DEADLINE_EXCEEDED")
    one.call("unary_stream", "Forever", b"1", 1, 3, cancel_after=3, code="CANCELLED")
    one.close()


def together(port, threads, each):
    """Many calls at the same time on one connection."""
    one = Calls(port)

    def run():
        for _ in range(each):
            one.call("unary_unary", "Get", b"together", 1, 1)
            one.call("unary_stream", "Watch", b"3", 1, 3)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    one.close()


def main():
    for port in map(int, sys.argv[1:]):
        calls(port, 24)
        calls(port, 8, compression=grpc.Compression.Gzip, options=[("grpc.use_local_subchannel_pool", 1)])
        together(port, 6, 10)


main()
