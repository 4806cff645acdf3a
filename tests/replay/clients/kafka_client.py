"""Kafka by kafka-python, librdkafka and kafkajs: `kafka_client.py PORT`. Libraries send more than they are asked for: what
counts is what each of them says that it sent and was answered."""

import collections
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import time

import confluent_kafka
import kafka
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from kafka.protocol.parser import KafkaProtocol
from kafka.structs import TopicPartition

from truth import log, token

OPERATIONS = {"Produce": "send", "Fetch": "poll", "OffsetCommit": "commit", "TxnOffsetCommit": "commit", "ApiVersion": "ApiVersions", "GroupCoordinator": "FindCoordinator"}
# Of all kinds of errors a request has, those that tell of it.
QUIET = {"MetadataResponsePartition"}
# What a request that nobody answers may take.
UNANSWERED = 5_000_000_000
# How long nothing is sent before a client that waits for nothing ends, and how long that may take to come, in seconds.
QUIET_FOR, QUIET_WITHIN = 0.4, 20
HERE = pathlib.Path(__file__).resolve().parent
# Clients that end with the process.
LEFT_OPEN = []


def name_of(request):
    name = type(request).__name__.split("_")[0].removesuffix("Request")
    return OPERATIONS.get(name, name)


def get(structure, name, otherwise=None):
    try:
        return getattr(structure, name)
    except AttributeError:
        return otherwise


def first_error(value):
    """The first error in a response, in the order of the wire."""
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(first_error, value)), 0)
    fields = get(value, "fields")
    if fields is None or type(value).__name__ in QUIET:
        return 0
    for field in fields:
        inner = get(value, field)
        found = inner if field.endswith("error_code") else first_error(inner) if isinstance(inner, list) else 0
        if found:
            return found
    return 0


def records_in(data):
    """How many records lie in batches of the format 2 and in messages of the formats before, None if some of these are
    compressed."""
    count, at, data = 0, 0, bytes(data or b"")
    while at + 17 <= len(data):
        size = 12 + int.from_bytes(data[at + 8:at + 12], "big")
        if at + size > len(data):
            break
        is_batch = data[at + 16] == 2
        if not is_batch and data[at + 17] & 7:
            return None
        count += int.from_bytes(data[at + 57:at + 61], "big") if is_batch else 1
        at += size
    return count


def error_name(code):
    return kafka.errors.for_code(code).message if code else None


class Watched:
    """What kafka-python's connections send and are answered."""

    def __init__(self, port):
        self.port, self.open, self.last = port, {}, 0
        send, receive = KafkaProtocol.send_request, KafkaProtocol.receive_bytes
        watch = self

        def send_request(parser, request, *others, **more):
            start = watch.last = time.time_ns()
            correlation = send(parser, request, *others, **more)
            if request.expect_response():
                watch.open[id(parser), correlation] = (parser, request, start)
            else:
                watch.log(parser, request, None, start, start + UNANSWERED)
            return correlation

        def receive_bytes(parser, data):
            answered = receive(parser, data)
            for correlation, response in answered:
                _, request, start = watch.open.pop((id(parser), correlation))
                watch.log(parser, request, response, start, time.time_ns())
            return answered

        KafkaProtocol.send_request, KafkaProtocol.receive_bytes = send_request, receive_bytes

    def log(self, parser, request, response, start, end, completeness="complete"):
        name = name_of(request)
        if name == "SaslBytes":
            return  # which has no header
        topic, count = None, None
        if name == "send":
            topics = request.topic_data
            topic = topics[0].name
            count = sum(records_in(partition.records) for one in topics for partition in one.partition_data)
        elif name == "poll" and response is not None:
            filled = [((one.topic, part.partition_index), records_in(part.records)) for one in response.responses for part in one.partitions]
            count = None if None in dict(filled).values() else sum(number for _, number in filled)
            topic = next((topic for (topic, _), number in filled if number), None) if count else None
        elif name in ("commit", "OffsetFetch", "ListOffsets"):
            topics = get(request, "topics") or [one for group in get(request, "groups", []) for one in group.topics]
            # Some requests are made of tuples.
            topic = topics[0][0] if isinstance(topics[0], tuple) else topics[0].name
        group = get(request, "group_id") or next((get(one, "group_id") for one in get(request, "groups", []) or []), None)
        if name == "FindCoordinator" and not get(request, "key_type", 0):
            group = get(request, "key") or (get(request, "coordinator_keys") or [None])[0]
        error = error_name(first_error(response)) if response is not None else None
        log("kafka", self.port, [name, parser._client_id, topic, count, group], error, start, end, completeness)

    def waits(self):
        return bool(self.open)

    def close(self):
        for parser, request, start in self.open.values():
            self.log(parser, request, None, start, time.time_ns() + UNANSWERED, "response_missing")


def settle(watch, serve):
    """Serves a client until nothing is in flight and nothing follows: what would be answered while the client ends, it
    does not know of."""
    # What a client says of itself it may say late.
    start = time.time_ns()
    until = time.time() + QUIET_WITHIN
    while watch.waits() or time.time_ns() < max(start, watch.last) + QUIET_FOR * 1e9:
        assert time.time() < until, watch.open
        serve(0.05)


class Said(logging.Handler):
    """What librdkafka says that it sent and was answered (`debug=protocol`). A connection is called otherwise once the
    broker's number is known: requests are told apart by their names and numbers alone."""

    SENT = re.compile(r"\S+: Sent (\w+)Request \(v\d+, \d+ bytes @ \d+, CorrId (\d+)\)")
    ANSWERED = re.compile(r"\S+: Received (\w+)Response \(v\d+, \d+ bytes, CorrId (\d+), rtt")

    def __init__(self, port, client, silent=()):
        super().__init__()
        self.port, self.client, self.silent = port, client, silent
        self.open, self.last, self.unknown = collections.defaultdict(list), 0, []

    def emit(self, record):
        text, now = record.getMessage(), time.time_ns()
        if found := self.SENT.search(text):
            self.last = now
            if found.group(1) in self.silent:
                self.log(found.group(1), now, now)
            else:
                self.open[found.groups()].append(now)
        elif found := self.ANSWERED.search(text):
            if self.open[found.groups()]:
                self.log(found.group(1), self.open[found.groups()].pop(0), now)
            else:
                self.unknown.append(text)

    def waits(self):
        return any(self.open.values())

    def log(self, name, start, end, completeness="complete"):
        # Lines are handed over in turns: a request may have been sent a while before its line comes.
        name = OPERATIONS.get(name, name)
        log("kafka", self.port, [name, self.client], None, start - UNANSWERED, end + UNANSWERED, completeness)


def by_kafka_python(port):
    watch = Watched(port)
    broker = f"127.0.0.1:{port}"
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker, client_id=token())
    admin.create_topics([NewTopic("orders", 3, 1), NewTopic("payments", 1, 1)])
    try:
        admin.create_topics([NewTopic("orders", 3, 1)])
    except KafkaError:
        pass
    admin.close()
    for version, more in ((None, {}), (None, {"compression_type": "gzip"}), ((0, 10, 0), {}), ((1, 0), {}), ((2, 0), {"acks": 0})):
        producer = kafka.KafkaProducer(bootstrap_servers=broker, client_id=token(), api_version=version, enable_idempotence=False, **more)
        for number in range(20):
            sent = producer.send("orders" if number % 4 else "payments", b"v" * (number * 50), partition=number % 3 if number % 4 else 0)
            sent.get(10)
        for number in range(30):
            producer.send("orders", b"w" * 100, partition=number % 3)
        producer.send("payments", b"x" * 600_000)
        producer.flush()
        settle(watch, time.sleep)
        producer.close()
    for version in (None, (0, 10, 0), (1, 0)):
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=broker, client_id=token(), group_id=token(), api_version=version, auto_offset_reset="earliest",
            fetch_max_wait_ms=100, max_poll_records=20)
        consumer.assign([TopicPartition("orders", number) for number in range(3)] + [TopicPartition("payments", 0)])
        seen, until = 0, time.time() + 15
        while seen < 200 and time.time() < until:
            seen += sum(map(len, consumer.poll(200).values()))
        for _ in range(8):
            consumer.poll(150)
        # What is asked for is answered before the connection ends.
        consumer.pause(*consumer.assignment())
        consumer.poll(500)
        consumer.commit()
        settle(watch, lambda seconds: consumer.poll(seconds * 1000))
        consumer.close()
        assert seen >= 200, seen
    watch.close()


def librdkafka(port, kind, settings, silent=()):
    client = f"rd-{token()}"
    logger = logging.getLogger(client)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    said = Said(port, client, silent)
    logger.addHandler(said)
    common = {"bootstrap.servers": f"127.0.0.1:{port}", "client.id": client, "debug": "protocol", "log.queue": True}
    made = kind({**common, **settings}, logger=logger)
    return made, said


def by_librdkafka(port):
    for settings, silent in (
        ({"compression.type": "lz4", "linger.ms": 20}, ()), ({"acks": 0}, ("Produce",)), ({"enable.idempotence": True}, ()),
    ):
        producer, said = librdkafka(port, confluent_kafka.Producer, settings, silent)
        for number in range(60):
            producer.produce("orders", value=b"y" * number, partition=number % 3)
            producer.poll(0.02)
        producer.flush(10)
        settle(said, producer.poll)
        assert not said.unknown, said.unknown
    consumer, said = librdkafka(port, confluent_kafka.Consumer, {"group.id": token(), "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100})
    consumer.subscribe(["orders", "payments"])
    seen, until = 0, time.time() + 20
    while seen < 400 and time.time() < until:
        message = consumer.poll(0.2)
        seen += bool(message and not message.error())
    for _ in range(10):
        consumer.poll(0.1)
    consumer.pause(consumer.assignment())
    consumer.poll(0.5)
    consumer.commit(asynchronous=False)
    # It leaves the group, and asks once more what there is.
    consumer.unsubscribe()
    settle(said, consumer.poll)
    # It would ask again while it is closed, when nobody hears what it says of itself any more.
    LEFT_OPEN.append(consumer)
    assert seen >= 400 and not said.unknown, (seen, said.unknown)


def by_kafkajs(port):
    done = subprocess.run(["node", HERE / "kafka_client.cjs", str(port)], stdout=subprocess.PIPE, timeout=60, check=True)
    for line in done.stdout.splitlines():
        told = json.loads(line)
        name = OPERATIONS.get(told["name"], told["name"])
        log("kafka", port, [name, told["client"]], None, told["start"] * 1_000_000 - UNANSWERED, told["end"] * 1_000_000 + UNANSWERED)


def main():
    port = int(sys.argv[1])
    by_kafka_python(port)
    by_librdkafka(port)
    by_kafkajs(port)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
