"""Kafka by kafka-python, confluent-kafka and aiokafka. A message that is given out alone is handled until the next is asked
for; many at once are one span with links."""

from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.messaging import Work, begin_process, begin_send, end, getter, received, told
from obtrace_python.spans import remote

_work = Work()


def handing_out(consumer, library, topic, headers, more):
    """Begins the handling of a message."""
    if current.get() is not SILENT:
        _work.begin(consumer, begin_process("obtrace.python." + library, "kafka", topic, getter(headers), more))


def handed_out(consumer, library, record):
    """The same for a record of kafka-python or aiokafka."""
    try:
        handing_out(consumer, library, record.topic, record.headers, place(record.partition, record.offset))
    except Exception as error:
        settings.fault(library, error)


def place(partition, offset):
    return {"messaging.destination.partition.id": str(partition), "messaging.kafka.offset": offset}


def many(library, answer):
    """A dictionary of records by partition."""
    try:
        for partition, records in answer.items():
            getters = [getter(record.headers) for record in records]
            received("obtrace.python." + library, "kafka", partition.topic, [remote(get("traceparent")) for get in getters],
                     {"messaging.batch.message_count": len(records), "messaging.destination.partition.id": str(partition.partition)})
    except Exception as error:
        settings.fault(library, error)


def producer(module):
    """`kafka.producer.kafka`."""
    original = module.KafkaProducer.send

    def send(self, topic, value=None, key=None, headers=None, *rest, **named):
        span = begin_send("obtrace.python.kafka", "kafka", topic)
        if span is None:
            return original(self, topic, value, key, headers, *rest, **named)
        try:
            future = original(self, topic, value, key, told(span, headers), *rest, **named)
        except BaseException as error:
            end(span, error)
            raise
        future.add_callback(lambda _: end(span))
        future.add_errback(lambda error: end(span, error))
        return future

    module.KafkaProducer.send = update_wrapper(send, original)


def consumer(module):
    """`kafka.consumer.group`."""
    Consumer = module.KafkaConsumer
    following, poll = Consumer.__next__, Consumer.poll

    def next_one(self):
        _work.end(self)
        record = following(self)
        handed_out(self, "kafka", record)
        return record

    def polled(self, *arguments, **named):
        _work.end(self)
        answer = poll(self, *arguments, **named)
        # Iterating polls as well, and leaves the offsets to the records that it gives out.
        if answer and named.get("update_offsets", True):
            many("kafka", answer)
        return answer

    Consumer.__next__ = update_wrapper(next_one, following)
    Consumer.poll = update_wrapper(polled, poll)

    def closed(self, *arguments, **named):
        _work.end(self)
        return close(self, *arguments, **named)

    close = Consumer.close
    Consumer.close = update_wrapper(closed, close)


def aio_producer(module):
    """`aiokafka.producer.producer`."""
    original = module.AIOKafkaProducer.send

    async def send(self, topic, value=None, key=None, partition=None, timestamp_ms=None, headers=None):
        span = begin_send("obtrace.python.aiokafka", "kafka", topic)
        if span is None:
            return await original(self, topic, value, key, partition, timestamp_ms, headers)
        try:
            future = await original(self, topic, value, key, partition, timestamp_ms, told(span, headers))
        except BaseException as error:
            end(span, error)
            raise
        future.add_done_callback(lambda done: end(span, None if done.cancelled() else done.exception()))
        return future

    module.AIOKafkaProducer.send = update_wrapper(send, original)


def aio_consumer(module):
    """`aiokafka.consumer.consumer`: iterating goes by getone."""
    Consumer = module.AIOKafkaConsumer
    one, several = Consumer.getone, Consumer.getmany

    async def getone(self, *partitions):
        _work.end(self)
        record = await one(self, *partitions)
        handed_out(self, "aiokafka", record)
        return record

    async def getmany(self, *partitions, **named):
        _work.end(self)
        answer = await several(self, *partitions, **named)
        if answer:
            many("aiokafka", answer)
        return answer

    Consumer.getone = update_wrapper(getone, one)
    Consumer.getmany = update_wrapper(getmany, several)

    async def stopped(self):
        _work.end(self)
        return await stop(self)

    stop = Consumer.stop
    Consumer.stop = update_wrapper(stopped, stop)


def confluent(module):
    """`confluent_kafka`, whose classes are C: the names stand for subclasses."""
    BaseProducer, BaseConsumer, library = module.Producer, module.Consumer, "confluent_kafka"

    class Producer(BaseProducer):
        def produce(self, topic, *arguments, **named):
            span = begin_send("obtrace.python.confluent_kafka", "kafka", topic)
            if span is None:
                return super().produce(topic, *arguments, **named)
            try:
                # The seventh of the arguments is the headers.
                if len(arguments) > 6:
                    arguments = (*arguments[:6], told(span, arguments[6]), *arguments[7:])
                else:
                    named["headers"] = told(span, named.get("headers"))
                return super().produce(topic, *arguments, **named)
            except BaseException as error:
                span.fail(error)
                raise
            finally:
                end(span)

    class Consumer(BaseConsumer):
        def poll(self, *arguments, **named):
            _work.end(self)
            message = super().poll(*arguments, **named)
            if message is not None and message.error() is None:
                try:
                    handing_out(self, library, message.topic(), message.headers(), place(message.partition(), message.offset()))
                except Exception as error:
                    settings.fault(library, error)
            return message

        def close(self, *arguments, **named):
            _work.end(self)
            return super().close(*arguments, **named)

    for kind, base in ((Producer, BaseProducer), (Consumer, BaseConsumer)):
        kind.__module__, kind.__qualname__, kind.__doc__ = base.__module__, base.__qualname__, base.__doc__
    module.Producer, module.Consumer = Producer, Consumer
