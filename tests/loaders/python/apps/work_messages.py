"""What an application sends and takes. The Kafka broker is the one that librdkafka has for tests: it speaks the protocol on a
port of its own, while the producer that made it lives."""

import time

from work_calls import urllib_request


def celery():
    import celery_app

    answer = celery_app.add.delay(2, 3).get(timeout=20)
    try:
        celery_app.fail.delay().get(timeout=20)
    except ValueError:
        return answer


def broker():
    import confluent_kafka

    maker = confluent_kafka.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    found = list(maker.list_topics(timeout=10).brokers.values())[0]
    return maker, "127.0.0.1:%d" % found.port


def confluent_kafka():
    import confluent_kafka as kafka

    maker, address = broker()
    producer = kafka.Producer({"bootstrap.servers": address})
    producer.produce("orders", b"secret", headers=[("own", b"1")])
    producer.flush(10)
    consumer = kafka.Consumer({"bootstrap.servers": address, "group.id": "shop", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    message = None
    deadline = time.monotonic() + 20
    while message is None and time.monotonic() < deadline:
        message = consumer.poll(1)
    log("confluent")
    names = [name for name, _ in message.headers()]
    consumer.close()
    del maker
    return names


def log(text):
    import logging

    logging.getLogger("shop").warning("handled %s", text)


def kafka_python():
    import kafka

    maker, address = broker()
    # That broker does not say what it speaks in the way that this client asks.
    options = {"bootstrap_servers": address, "api_version": (2, 1, 0)}
    producer = kafka.KafkaProducer(**options)
    odd = [("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"), ("tracestate", b"a=1\r\nb: \xff")]
    for body, headers in ((b"secret", None), (b"secret too", odd)):
        producer.send("orders", body, headers=headers, partition=0).get(timeout=10)
    consumer = kafka.KafkaConsumer("orders", auto_offset_reset="earliest", consumer_timeout_ms=15000, **options)
    record = next(consumer)
    log("kafka")
    next(consumer)
    # A header of a message that is none of HTTP's.
    urllib_request()
    consumer.seek_to_beginning()
    polled = consumer.poll(timeout_ms=10000)
    log("polled")
    consumer.close()
    producer.close()
    del maker
    return [name for name, _ in record.headers], sum(map(len, polled.values()))


async def aiokafka():
    import aiokafka

    maker, address = broker()
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait("orders", b"secret")
        async with aiokafka.AIOKafkaConsumer("orders", bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
            record = await consumer.getone()
            log("aiokafka")
    del maker
    return [name for name, _ in record.headers]


def pika():
    import os

    import pika

    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(os.environ["RABBITMQ_PORT"])))
    channel = connection.channel()
    channel.queue_declare("orders")
    channel.basic_publish("", "orders", b"secret")
    bodies = []

    def take(channel, method, properties, body):
        bodies.append(len(body))
        channel.stop_consuming()

    channel.basic_consume("orders", take, auto_ack=True)
    channel.start_consuming()
    connection.close()
    return bodies
