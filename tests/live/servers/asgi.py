"""The ASGI server of the live tests, for uvicorn. `/chain/X` asks an HTTP server, PostgreSQL and Redis in turn."""

import asyncio
import json
import os

import asyncpg
import redis.asyncio

UPSTREAM = ("127.0.0.1", int(os.environ["UPSTREAM_PORT"]))
pool = None
cache = None


async def start():
    global pool, cache
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=8, statement_cache_size=0)
    cache = redis.asyncio.Redis(port=int(os.environ["REDIS_PORT"]))
    await cache.ping()


async def fetch(path):
    """GET over a connection of its own; the whole answer."""
    reader, writer = await asyncio.open_connection(*UPSTREAM)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: upstream\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    await writer.wait_closed()
    return answer


async def chain(name):
    await fetch(f"/items/{name}")
    await pool.fetchval(f"SELECT name AS q_{name} FROM items WHERE id = 1")
    await cache.get(f"k:{name}")


async def body_of(receive):
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return
    kind, _, name = scope["path"].strip("/").partition("/")
    sent = await body_of(receive)
    status, body = 200, json.dumps({"item": name}).encode()
    if kind == "missing":
        status = 404
    elif kind == "echo":
        body = sent
    elif kind == "big":
        body = b"x" * 1_000_000
    elif kind == "chain":
        await chain(name)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
