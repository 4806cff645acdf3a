"""A server with habits that are allowed and rare, one connection at a time: `odd.py PORT`."""

import socket
import sys
import time

ANSWERS = {
    "until-close": [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"as long ", b"as it lasts"],
    "folded": [b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nContent-Length: 2\r\n\r\nok"],
    "lf-only": [b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
    "early-hints": [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    "chunk-extensions": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n", b"000\r\nX-T: 1\r\n\r\n"],
    "empty-reason": [b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"],
    "never": [],
}

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    with connection:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                break
            request += data
        else:
            parts = ANSWERS[request.split(b"/")[1].decode()]
            for part in parts:
                connection.sendall(part)
                time.sleep(0.002)
            if not parts:
                connection.recv(1)
