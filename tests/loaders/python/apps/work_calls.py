"""What an application calls by HTTP and gRPC."""

import concurrent.futures
import os
import urllib.request

UPSTREAM = "http://127.0.0.1:%s" % os.environ.get("UPSTREAM_PORT")


def urllib_request():
    with urllib.request.urlopen(UPSTREAM + "/urllib?token=secret") as answer:
        return answer.status


def requests():
    import requests

    with requests.Session() as session:
        return session.get(UPSTREAM + "/requests?token=secret", headers={"X-Own": "1"}).status_code


def own_header():
    import requests

    return requests.get(UPSTREAM + "/own", headers={"Traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}).status_code


def refused():
    import requests

    try:
        requests.get("http://127.0.0.1:1/")
    except requests.ConnectionError as error:
        return type(error).__name__


def httpx():
    import httpx

    return httpx.get(UPSTREAM + "/httpx?token=secret").status_code


async def httpx_async():
    import httpx

    async with httpx.AsyncClient() as client:
        return (await client.get(UPSTREAM + "/status/503")).status_code


async def aiohttp():
    import aiohttp

    async with aiohttp.ClientSession(headers={"X-Own": "1"}) as session:
        async with session.get(UPSTREAM + "/aiohttp?token=secret") as answer:
            return answer.status


def echo(request, context):
    import logging

    logging.getLogger("rpc").warning("echo %s", request.decode())
    if request == b"fail":
        import grpc

        context.abort(grpc.StatusCode.INTERNAL, "no")
    return request


def parts(request, context):
    yield request
    yield request


def rpc_handlers():
    import grpc

    return grpc.method_handlers_generic_handler("shop.Orders", {
        "Echo": grpc.unary_unary_rpc_method_handler(echo), "Parts": grpc.unary_stream_rpc_method_handler(parts)})


def grpc():
    import grpc

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((rpc_handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
            answers = [channel.unary_unary("/shop.Orders/Echo")(b"hello").decode()]
            answers += [part.decode() for part in channel.unary_stream("/shop.Orders/Parts")(b"part")]
            try:
                channel.unary_unary("/shop.Orders/Echo")(b"fail")
            except grpc.RpcError as error:
                answers.append(error.code().name)
        return answers
    finally:
        server.stop(None).wait()


async def grpc_aio():
    import grpc

    async def aio_echo(request, context):
        return request

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", {"Aio": grpc.unary_unary_rpc_method_handler(aio_echo)}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel("127.0.0.1:%d" % port) as channel:
            return (await channel.unary_unary("/shop.Orders/Aio")(b"hello")).decode()
    finally:
        await server.stop(None)
