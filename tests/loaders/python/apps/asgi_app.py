"""A FastAPI application with a mounted Starlette one."""

import asyncio
import logging
import os

import fastapi
import starlette.applications
import starlette.responses
import starlette.routing

app = fastapi.FastAPI()
log = logging.getLogger("shop.api")


@app.get("/ready")
async def ready():
    return {"pid": os.getpid()}


@app.get("/items/{item}")
async def item(item: int):
    log.warning("item %d", item)
    return {"item": item}


@app.get("/sync/{item}")
def in_a_thread(item: int):
    log.warning("in a thread")
    return {"item": item}


@app.get("/fail")
async def fail():
    raise ValueError("no such item")


@app.get("/stream")
async def stream():
    async def parts():
        for part in range(3):
            await asyncio.sleep(0.05)
            yield f"{part}\n"
        log.warning("streamed")

    return starlette.responses.StreamingResponse(parts())


async def order(request):
    return starlette.responses.PlainTextResponse(request.path_params["order"])


async def raw(scope, receive, send):
    """An application of no framework."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"raw"})


app.mount("/shop", starlette.applications.Starlette(routes=[starlette.routing.Route("/orders/{order}", order)]))
