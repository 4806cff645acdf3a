"""Answers with what the next one answers: python hop.py PORT NEXT; HOST is where it listens"""

import logging
import os
import socketserver
import sys
import urllib.request
import wsgiref.simple_server

logging.basicConfig(level=logging.INFO)


def application(environ, start_response):
    logging.info("python hop")
    with urllib.request.urlopen(sys.argv[2], timeout=30) as answer:
        body = b"python " + answer.read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


wsgiref.simple_server.make_server(os.environ.get("HOST", "127.0.0.1"), int(sys.argv[1]), application, server_class=Server).serve_forever()
