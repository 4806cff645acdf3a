"""An aiohttp application."""

import logging
import os

from aiohttp import web

routes = web.RouteTableDef()


@routes.get("/ready")
async def ready(request):
    return web.Response(text="ready")


@routes.get("/items/{item}")
async def item(request):
    logging.getLogger("shop").warning("item")
    return web.json_response({"item": request.match_info["item"]})


@routes.get("/fail")
async def fail(request):
    raise ValueError("no such item")


@routes.get("/gone")
async def gone(request):
    raise web.HTTPGone()


def application():
    app = web.Application()
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
