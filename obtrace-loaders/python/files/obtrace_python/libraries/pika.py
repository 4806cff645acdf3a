"""pika: messages that are published, and the callbacks that are given those that come."""

from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.context import current
from obtrace_python.libraries.messaging import begin_process, begin_send, end, getter

SCOPE = "obtrace.python.pika"


def publishing(original, make_properties):
    def basic_publish(self, exchange, routing_key, body, properties=None, *rest, **named):
        span = begin_send(SCOPE, "rabbitmq", exchange or routing_key, {"messaging.rabbitmq.destination.routing_key": routing_key})
        if span is None or span.parent_id and getattr(current.get(), "scope", None) == SCOPE and current.get().kind == span.kind:
            return original(self, exchange, routing_key, body, properties, *rest, **named)
        try:
            properties = properties or make_properties()
            properties.headers = dict(properties.headers or {})
            properties.headers.setdefault("traceparent", span.header)
            if span.state:
                properties.headers.setdefault("tracestate", span.state)
        except Exception as error:
            settings.fault("pika", error)
        token = current.set(span)
        try:
            return original(self, exchange, routing_key, body, properties, *rest, **named)
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            current.reset(token)
            end(span)

    return update_wrapper(basic_publish, original)


def consuming(original):
    def basic_consume(self, queue, on_message_callback, *rest, **named):
        def on_message(channel, method, properties, body):
            try:
                span = begin_process(SCOPE, "rabbitmq", queue, getter(getattr(properties, "headers", None)))
            except Exception as error:
                settings.fault("pika", error)
                return on_message_callback(channel, method, properties, body)
            token = current.set(span)
            try:
                return on_message_callback(channel, method, properties, body)
            except BaseException as error:
                span.fail(error)
                raise
            finally:
                current.reset(token)
                end(span)

        return original(self, queue, on_message if callable(on_message_callback) else on_message_callback, *rest, **named)

    return update_wrapper(basic_consume, original)


def properties():
    from pika.spec import BasicProperties

    return BasicProperties()


def blocking(module):
    """`pika.adapters.blocking_connection`, which publishes by the channel below."""
    Channel = module.BlockingChannel
    Channel.basic_publish = publishing(Channel.basic_publish, properties)
    Channel.basic_consume = consuming(Channel.basic_consume)
