"""gRPC: channels and servers are given an interceptor of ours, which is how gRPC means it to be done."""

from functools import update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction

from obtrace_python import settings
from obtrace_python.context import SILENT, current
from obtrace_python.spans import CLIENT, SERVER, begin, remote

SCOPE = "obtrace.python.grpc"
_FAULTS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def begun(kind, method, caller=None):
    method = text(method).lstrip("/")
    return begin(kind, method, SCOPE, {"rpc.system.name": "grpc", "rpc.method": method}, caller)


def end(span, code, error=None):
    """Ends the span of a call with a grpc.StatusCode, or None for OK."""
    if span.duration is not None:
        return
    name = getattr(code, "name", None) or ("OK" if error is None else "UNKNOWN")
    span.attributes["rpc.response.status_code"] = name
    if error is not None:
        span.note(error)
    if name in _FAULTS or span.kind == CLIENT and name != "OK":
        span.failed = True
        span.attributes["error.type"] = name
    span.end()


def ended(span):
    """What is called when a client's call is over."""
    def done(call):
        try:
            end(span, call.code())
        except Exception as error:
            settings.fault("grpc", error)

    return done


def metadata_with(span, metadata):
    found = list(metadata or ())
    if not any(key == "traceparent" for key, _ in found):
        found.append(("traceparent", span.header))
        if span.state:
            found.append(("tracestate", span.state))
    return found


def caller_of(details):
    found = {key: text(value) for key, value in details.invocation_metadata or () if key in ("traceparent", "tracestate")}
    return remote(found.get("traceparent"), found.get("tracestate"))


def client_interceptor(grpc):
    """The interceptor of channels."""
    class Details(grpc.ClientCallDetails):
        def __init__(self, details, metadata):
            for name in ("method", "timeout", "credentials", "wait_for_ready", "compression"):
                setattr(self, name, getattr(details, name, None))
            self.metadata = metadata

    class Interceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor,
                      grpc.StreamStreamClientInterceptor):
        def call(self, continuation, details, request):
            if current.get() is SILENT:
                return continuation(details, request)
            span = begun(CLIENT, details.method)
            try:
                call = continuation(Details(details, metadata_with(span, details.metadata)), request)
                call.add_done_callback(ended(span))
                return call
            except BaseException as error:
                end(span, getattr(error, "code", lambda: None)(), error)
                raise

        intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = call

    return Interceptor()


def handlers(grpc):
    """The functions that make a handler, by (request streams, response streams)."""
    return {(False, False): (grpc.unary_unary_rpc_method_handler, "unary_unary"), (False, True): (grpc.unary_stream_rpc_method_handler, "unary_stream"),
            (True, False): (grpc.stream_unary_rpc_method_handler, "stream_unary"), (True, True): (grpc.stream_stream_rpc_method_handler, "stream_stream")}


def code_of(context):
    try:
        code = context.code()
    except Exception:
        code = getattr(getattr(context, "_state", None), "code", None)
    # aio tells numbers.
    return code if hasattr(code, "name") or not code else _numbered(code)


def _numbered(number):
    import grpc

    return next((code for code in grpc.StatusCode if code.value[0] == number), None)


def observed(behavior, details, streams):
    """A handler's function, observed."""
    def single(request, context):
        span = begun(SERVER, details.method, caller_of(details))
        token = current.set(span)
        try:
            answer = behavior(request, context)
        except BaseException as error:
            end(span, code_of(context), error)
            raise
        finally:
            current.reset(token)
        end(span, code_of(context))
        return answer

    def stream(request, context):
        span = begun(SERVER, details.method, caller_of(details))
        try:
            token = current.set(span)
            try:
                answers = iter(behavior(request, context))
            finally:
                current.reset(token)
            while True:
                token = current.set(span)
                try:
                    answer = next(answers)
                except StopIteration:
                    break
                finally:
                    current.reset(token)
                yield answer
        except BaseException as error:
            end(span, code_of(context), None if isinstance(error, GeneratorExit) else error)
            raise
        end(span, code_of(context))

    return stream if streams else single


def observed_async(behavior, details, streams):
    """The same for asyncio; None for a function that is neither a coroutine nor an asynchronous generator."""
    async def single(request, context):
        span = begun(SERVER, details.method, caller_of(details))
        token = current.set(span)
        try:
            answer = await behavior(request, context)
        except BaseException as error:
            end(span, code_of(context), error)
            raise
        finally:
            current.reset(token)
        end(span, code_of(context))
        return answer

    async def stream(request, context):
        span = begun(SERVER, details.method, caller_of(details))
        token = current.set(span)
        try:
            async for answer in behavior(request, context):
                yield answer
        except BaseException as error:
            end(span, code_of(context), None if isinstance(error, GeneratorExit) else error)
            raise
        finally:
            try:
                current.reset(token)
            except ValueError:
                pass
        end(span, code_of(context))

    if isasyncgenfunction(behavior):
        return stream
    return single if iscoroutinefunction(behavior) else None


def replaced(grpc, handler, details, observe):
    make, name = handlers(grpc)[bool(handler.request_streaming), bool(handler.response_streaming)]
    behavior = observe(getattr(handler, name), details, bool(handler.response_streaming))
    return handler if behavior is None else make(behavior, handler.request_deserializer, handler.response_serializer)


def install(module):
    """`grpc`."""
    server, insecure, secure = module.server, module.insecure_channel, module.secure_channel
    interceptor = client_interceptor(module)

    class ServerInterceptor(module.ServerInterceptor):
        def intercept_service(self, continuation, handler_call_details):
            handler = continuation(handler_call_details)
            try:
                return handler and replaced(module, handler, handler_call_details, observed)
            except Exception as error:
                settings.fault("grpc", error)
                return handler

    def new_server(thread_pool, handlers=None, interceptors=None, *rest, **named):
        return server(thread_pool, handlers, (ServerInterceptor(), *(interceptors or ())), *rest, **named)

    def insecure_channel(*arguments, **named):
        return module.intercept_channel(insecure(*arguments, **named), interceptor)

    def secure_channel(*arguments, **named):
        return module.intercept_channel(secure(*arguments, **named), interceptor)

    module.server = update_wrapper(new_server, server)
    module.insecure_channel = update_wrapper(insecure_channel, insecure)
    module.secure_channel = update_wrapper(secure_channel, secure)


def aio(module):
    """`grpc.aio`."""
    import grpc

    server, insecure, secure = module.server, module.insecure_channel, module.secure_channel

    class ServerInterceptor(module.ServerInterceptor):
        async def intercept_service(self, continuation, handler_call_details):
            handler = await continuation(handler_call_details)
            try:
                return handler and replaced(grpc, handler, handler_call_details, observed_async)
            except Exception as error:
                settings.fault("grpc", error)
                return handler

    async def call(self, continuation, client_call_details, request):
        if current.get() is SILENT:
            return await continuation(client_call_details, request)
        span = begun(CLIENT, client_call_details.method)
        try:
            details = client_call_details._replace(metadata=module.Metadata(*metadata_with(span, client_call_details.metadata)))
            answer = await continuation(details, request)
        except BaseException as error:
            end(span, getattr(error, "code", lambda: None)(), error)
            raise
        answer.add_done_callback(ended_async(span))
        return answer

    interceptors = [type(name, (getattr(module, name),), {"intercept_" + method: call}) for name, method in (
        ("UnaryUnaryClientInterceptor", "unary_unary"), ("UnaryStreamClientInterceptor", "unary_stream"),
        ("StreamUnaryClientInterceptor", "stream_unary"), ("StreamStreamClientInterceptor", "stream_stream"))]

    def new_server(migration_thread_pool=None, handlers=None, interceptors=None, *rest, **named):
        return server(migration_thread_pool, handlers, (ServerInterceptor(), *(interceptors or ())), *rest, **named)

    def opened(original, place):
        def channel(*arguments, **named):
            if len(arguments) > place:
                arguments = (*arguments[:place], [*(arguments[place] or ()), *[kind() for kind in interceptors]], *arguments[place + 1:])
            else:
                named["interceptors"] = [*(named.get("interceptors") or ()), *[kind() for kind in interceptors]]
            return original(*arguments, **named)

        return update_wrapper(channel, original)

    module.server = update_wrapper(new_server, server)
    module.insecure_channel = opened(insecure, 3)
    module.secure_channel = opened(secure, 4)


def ended_async(span):
    """A call of asyncio tells its status in a coroutine; a call that is done has it at hand."""
    def done(call):
        async def ask():
            try:
                end(span, await call.code())
            except Exception as error:
                settings.fault("grpc", error)

        import asyncio

        asyncio.ensure_future(ask())

    return done
