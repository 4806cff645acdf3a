"""gRPC by grpc-python: `grpc_server.py PORT...`."""

import concurrent.futures
import sys
import time

import grpc


def get(request, context):
    return request


def fail(request, context):
    context.abort(grpc.StatusCode[request.decode()], "secret text of an error")


def sleep(request, context):
    time.sleep(0.5)
    return request


def watch(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def broken(request, context):
    yield from watch(request, context)
    context.abort(grpc.StatusCode.ABORTED, "in the middle")


def forever(request, context):
    # So many that the caller asks for no more of them than it wants to see.
    yield from watch(b"3", context)
    while context.is_active():
        time.sleep(0.01)


def upload(requests, context):
    return b"%d" % sum(map(len, requests))


def chat(requests, context):
    yield from requests


HANDLERS = {
    "Get": grpc.unary_unary_rpc_method_handler(get),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
    "Watch": grpc.unary_stream_rpc_method_handler(watch),
    "Break": grpc.unary_stream_rpc_method_handler(broken),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
    "Upload": grpc.stream_unary_rpc_method_handler(upload),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}

server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Orders", HANDLERS),))
for port in sys.argv[1:]:
    server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
