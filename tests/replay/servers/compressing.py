"""A relay that speaks MongoDB compressed with the client and plain with the server: `compressing.py SERVER COMPRESSOR=PORT...`.

No server that can be had here compresses. What the client sends plain is answered plain.
"""

import socket
import struct
import sys
import threading
import zlib

import bson
import snappy
from backports import zstd

MSG, COMPRESSED = 2013, 2012
# Number, how it compresses, how it is undone.
COMPRESSORS = {
    "snappy": (1, snappy.compress, snappy.decompress),
    "zlib": (2, zlib.compress, zlib.decompress),
    "zstd": (3, zstd.compress, zstd.decompress),
}


def message(file):
    """The header and the body of the next one."""
    header = file.read(16)
    if len(header) < 16:
        raise EOFError
    length, number, answered, opcode = struct.unpack("<iiii", header)
    return number, answered, opcode, file.read(length - 16)


def frame(number, answered, opcode, body):
    return struct.pack("<iiii", len(body) + 16, number, answered, opcode) + body


class Relay:
    """One connection."""

    def __init__(self, client, server, name):
        self.client, self.server, self.name = client, server, name
        self.number, self.compress, self.undo = COMPRESSORS[name]
        self.packed = set()

    def requests(self):
        file = self.client.makefile("rb")
        while True:
            number, answered, opcode, body = message(file)
            if opcode == COMPRESSED:
                self.packed.add(number)
                opcode = struct.unpack_from("<i", body)[0]
                body = self.undo(body[9:])
            self.server.sendall(frame(number, answered, opcode, body))

    def answers(self):
        file = self.server.makefile("rb")
        while True:
            number, answered, opcode, body = message(file)
            if opcode == MSG and b"maxWireVersion" in body:
                body = body[:5] + bson.encode({**bson.decode(body[5:]), "compression": [self.name]})
            if answered in self.packed:
                body = struct.pack("<iiB", opcode, len(body), self.number) + self.compress(body)
                opcode = COMPRESSED
            self.client.sendall(frame(number, answered, opcode, body))


def run(pump, ends):
    try:
        pump()
    except (EOFError, OSError):
        pass
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, name, server):
    while True:
        client, _ = listener.accept()
        ends = (client, socket.create_connection(("127.0.0.1", server)))
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        relay = Relay(*ends, name)
        for pump in (relay.requests, relay.answers):
            threading.Thread(target=run, args=(pump, ends), daemon=True).start()


def main():
    server = int(sys.argv[1])
    threads = []
    for name, port in (word.split("=") for word in sys.argv[2:]):
        listener = socket.create_server(("127.0.0.1", int(port)))
        threads.append(threading.Thread(target=serve, args=(listener, name, server)))
    for thread in threads:
        thread.start()


main()
