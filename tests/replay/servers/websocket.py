"""A WebSocket server by the `websockets` library, `websocket.py PORT...`, and as an ASGI application `websocket:app`."""

import asyncio
import http
import sys


async def session(socket, path):
    """What a path asks for. The socket is of either kind."""
    words = path.strip("/").split("/")
    if words[0] == "push":
        for number in range(int(words[1])):
            await socket.send("p" * number if number % 2 else b"b" * number)
    elif words[0] == "large":
        await socket.send(b"\x81\x05hello" * int(words[1]))
    elif words[0] == "fragments":
        await socket.send(["frag", "ments", "", " of one message"])
    elif words[0] == "close":
        await socket.recv()
        await socket.close(int(words[1]), "a reason that nobody is to read")
    elif words[0] == "drop":
        await socket.recv()
        socket.transport.abort()
    else:
        async for message in socket:
            await socket.send(message)


async def main():
    from websockets.asyncio.server import serve

    def refuse(connection, request):
        if request.path.startswith("/refuse"):
            return connection.respond(http.HTTPStatus.FORBIDDEN, "no\n")

    def choose(connection, offered):
        return offered[0] if offered else None

    async def handle(connection):
        await session(connection, connection.request.path.split("?")[0])

    servers = [await serve(handle, "127.0.0.1", int(port), process_request=refuse, select_subprotocol=choose, max_size=None, ping_interval=None)
               for port in sys.argv[1:]]
    await asyncio.gather(*[server.wait_closed() for server in servers])


class Asgi:
    """The other interface with the words of the first."""

    def __init__(self, receive, send):
        self.receive, self.raw = receive, send

    async def send(self, message):
        if isinstance(message, list):
            message = "".join(message)
        await self.raw({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    async def recv(self):
        event = await self.receive()
        if event["type"] != "websocket.receive":
            raise StopAsyncIteration
        return event["text"] if event.get("text") is not None else event["bytes"]

    async def close(self, code, reason):
        await self.raw({"type": "websocket.close", "code": code, "reason": reason})

    def __aiter__(self):
        return self

    __anext__ = recv


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    if scope["path"].startswith("/refuse"):
        return await send({"type": "websocket.close", "code": 1000})
    await send({"type": "websocket.accept"})
    await session(Asgi(receive, send), scope["path"])


if __name__ == "__main__":
    asyncio.run(main())
