"""A WSGI application of no framework, and servers of its own."""

import os
import sys


def application(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("no")
    body = b"plain"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    if sys.argv[1] == "waitress":
        import waitress

        waitress.serve(application, host="127.0.0.1", port=port, _quiet=True)
    else:
        from wsgiref.simple_server import make_server

        make_server("127.0.0.1", port, application).serve_forever()
