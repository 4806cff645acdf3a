"""Answers as its path asks: `/s/STATUS/…`, `/echo/…`, `/stream/…`."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    kind = scope["path"].split("/")[1]
    status = int(scope["path"].split("/")[2]) if kind == "s" else 200
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    empty = status in (204, 304)
    fields = []
    if kind == "stream":
        parts = [b"part " * 100] * 5
    else:
        parts = [b"" if empty else body if kind == "echo" else b'{"ok": true}']
        if not empty:
            fields = [(b"content-length", str(len(parts[0])).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
