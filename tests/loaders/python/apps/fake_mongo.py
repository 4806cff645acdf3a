"""Answers what a MongoDB client asks for, with `ok`: there is no MongoDB in Debian."""

import os
import socketserver
import struct

import bson

HELLO = {"ok": 1, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
         "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False}


class Handler(socketserver.BaseRequestHandler):
    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def handle(self):
        try:
            while True:
                length, number, _, kind = struct.unpack("<iiii", self.exactly(16))
                body = self.exactly(length - 16)
                if kind == 2004:
                    answer = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(HELLO)
                    kind = 1
                else:
                    size = struct.unpack("<i", body[5:9])[0]
                    command = bson.decode(body[5:5 + size])
                    failed = {"ok": 0, "code": 11000, "codeName": "DuplicateKey", "errmsg": "no"}
                    told = HELLO if "hello" in command or "ismaster" in command else failed if "drop" in command else {"ok": 1, "n": 1}
                    answer, kind = struct.pack("<iB", 0, 0) + bson.encode(told), 2013
                self.request.sendall(struct.pack("<iiii", 16 + len(answer), 1, number, kind) + answer)
        except (EOFError, OSError):
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
