"""Answers as its path asks: `/s/STATUS/…`, `/echo/…`, `/stream/…`."""


def app(environ, start_response):
    kind, number = environ["PATH_INFO"].split("/")[1:3]
    status = f"{number} Because" if kind == "s" else "200 OK"
    body = environ["wsgi.input"].read() if kind == "echo" else b'{"ok": true}'
    if kind == "stream":
        start_response(status, [])
        return iter([b"part " * 100] * 5)
    if number in ("204", "304"):
        start_response(status, [])
        return []
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
