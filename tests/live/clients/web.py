"""A client over bare sockets: `web.py PORT MARK PLAN [COUNT]`. It logs, as JSON lines, what it asked and was answered.

Plans: `usual` keep-alive requests of every kind, `bytes` one byte at a time, `big` 1 MB both ways, `parallel` COUNT
chains at once, `chain` COUNT chains one after the other, `waiting` connects, says so, and goes on when stdin ends.
"""

import json
import socket
import sys
import threading
import time

LOG = threading.Lock()


class Connection:
    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.socket.getsockname()[1]
        self.rest = b""

    def ask(self, method, path, body=b"", piecemeal=False):
        head = f"{method} {path} HTTP/1.1\r\nHost: live\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        if piecemeal:
            for byte in head + body:
                self.socket.sendall(bytes([byte]))
        else:
            self.socket.sendall(head + body)
        status, answer = self.answer()
        if path.startswith("/echo/") and answer != body:
            sys.exit(f"{path}: the server sent back something else")
        record = {"protocol": "http", "method": method, "path": path, "status": status, "port": self.port, "local": self.local}
        with LOG:
            print(json.dumps(record), flush=True)

    def answer(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        if fields.get("transfer-encoding") == "chunked":
            body = self.chunks()
        else:
            body = self.take(int(fields["content-length"]))
        return int(lines[0].split()[1]), body

    def take(self, length):
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return body

    def chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                self.more()
            size, _, self.rest = self.rest.partition(b"\r\n")
            chunk = self.take(int(size, 16))
            self.take(2)
            if not chunk:
                return body
            body += chunk

    def more(self):
        part = self.socket.recv(65536)
        if not part:
            sys.exit("the server closed the connection")
        self.rest += part


def chain(connection, name):
    connection.ask("GET", f"/chain/{name}")


def main(port, mark, plan, count):
    if plan == "parallel":
        connections = [Connection(port) for _ in range(count)]
        start = threading.Barrier(count)

        def one(number):
            start.wait()
            for turn in range(3):
                chain(connections[number], f"{mark}n{number}t{turn}")

        threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    connection = Connection(port)
    if plan == "waiting":
        print("connected", file=sys.stderr, flush=True)
        sys.stdin.read()
    if plan == "chain":
        for number in range(count):
            chain(connection, f"{mark}n{number}")
            # Apart in time, so that nothing but the request in flight can have caused a call.
            time.sleep(0.01)
    elif plan == "bytes":
        connection.ask("GET", f"/items/{mark}get", piecemeal=True)
        connection.ask("POST", f"/echo/{mark}post", b"one byte at a time", piecemeal=True)
        connection.ask("GET", f"/missing/{mark}get", piecemeal=True)
    elif plan == "big":
        for number in range(3):
            connection.ask("POST", f"/echo/{mark}up{number}", b"y" * 1_000_000)
            connection.ask("GET", f"/big/{mark}down{number}")
            connection.ask("GET", f"/items/{mark}after{number}")
    else:
        for number in range(10):
            connection.ask("GET", f"/items/{mark}n{number}")
            connection.ask("POST", f"/echo/{mark}n{number}", b"{}" * number)
            connection.ask("GET", f"/missing/{mark}n{number}")
            if plan != "waiting":
                connection.ask("DELETE", f"/items/{mark}d{number}")


main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)
