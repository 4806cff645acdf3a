"""Kafka with SASL and with transactions by kafka-python, librdkafka, kcat, kafkajs and the Java client: `kafka_sasl_client.py PORT`."""

import json
import os
import re
import subprocess
import sys
import time

import confluent_kafka
import kafka
import kafka.errors
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata, TopicPartition
from kafka_client import HERE, LEFT_OPEN, OPERATIONS, UNANSWERED, Watched, librdkafka, settle
from truth import log, token

TOPIC = "accounts"
USER, PASSWORD = "app", "t0psecret"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
# What the Java client calls otherwise than the protocol does.
JAVA = {"PRODUCE": "send", "FETCH": "poll", "OFFSET_COMMIT": "commit", "TXN_OFFSET_COMMIT": "commit"}


def python_settings(port, mechanism, version=None, password=PASSWORD):
    return {"bootstrap_servers": f"127.0.0.1:{port}", "client_id": token(), "api_version": version, "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": mechanism, "sasl_plain_username": USER, "sasl_plain_password": password}


def by_kafka_python(port):
    watch = Watched(port)
    admin = kafka.KafkaAdminClient(**python_settings(port, "PLAIN"))
    admin.create_topics([NewTopic(TOPIC, 1, 1)])
    admin.close()
    # Before version 1.0 the tokens go without a header.
    for mechanism, version in ((MECHANISMS[0], (0, 10, 0)), (MECHANISMS[0], None), (MECHANISMS[1], (0, 11)), (MECHANISMS[1], None), (MECHANISMS[2], (2, 0))):
        producer = kafka.KafkaProducer(**python_settings(port, mechanism, version), enable_idempotence=False)
        for number in range(10):
            producer.send(TOPIC, b"v" * (number * 50)).get(10)
        settle(watch, time.sleep)
        producer.close()
    transactions(port, watch)
    for mechanism in MECHANISMS[:2]:
        try:
            kafka.KafkaAdminClient(**python_settings(port, mechanism, password="wr0ng"), reconnect_backoff_ms=5000, request_timeout_ms=2000,
                                   api_version_auto_timeout_ms=2000).close()
            sys.exit("a wrong password was taken")
        except kafka.errors.KafkaError:
            pass
    watch.close()


def transactions(port, watch):
    producer = kafka.KafkaProducer(**python_settings(port, "SCRAM-SHA-512"), transactional_id=token())
    producer.init_transactions()
    for number in range(9):
        producer.begin_transaction()
        for part in range(3):
            producer.send(TOPIC, b"w" * number).get(10)
        if number % 3 == 1:
            producer.abort_transaction()
            continue
        if number % 3 == 2:
            producer.send_offsets_to_transaction({TopicPartition(TOPIC, 0): OffsetAndMetadata(number, "", -1)}, token())
        producer.commit_transaction()
    settle(watch, time.sleep)
    producer.close()


def by_librdkafka(port):
    for mechanism in MECHANISMS[::2]:
        settings = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password": PASSWORD}
        producer, said = librdkafka(port, confluent_kafka.Producer, {**settings, "transactional.id": token()})
        producer.init_transactions(10)
        for number in range(6):
            producer.begin_transaction()
            for part in range(5):
                producer.produce(TOPIC, value=b"y" * number)
            producer.flush(10)
            if number % 3 == 1:
                producer.abort_transaction(10)
            else:
                producer.commit_transaction(10)
        settle(said, producer.poll)
        LEFT_OPEN.append(producer)
        assert not said.unknown, said.unknown


SENT = re.compile(r"Sent (\w+)Request \(v\d+, \d+ bytes @ \d+, CorrId (\d+)\)")
ANSWERED = re.compile(r"Received (\w+)Response \(v\d+, \d+ bytes, CorrId (\d+), rtt")


def by_kcat(port):
    for mechanism, words in ((MECHANISMS[0], ["-P", "-K:"]), (MECHANISMS[1], ["-P", "-K:"]), (MECHANISMS[2], ["-L"])):
        client, start = f"kcat{token()}", time.time_ns()
        settings = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": USER, "sasl.password": PASSWORD,
                    "client.id": client, "linger.ms": 0}
        more = [word for setting in settings.items() for word in ("-X", "=".join(map(str, setting)))]
        command = ["kcat", "-b", f"127.0.0.1:{port}", "-t", TOPIC, "-d", "protocol", *more, *words]
        given = "".join(f"key{number}:{'z' * number}\n" for number in range(40)).encode()
        done = subprocess.run(command, input=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=True)
        tell(port, client, done.stderr.decode(), SENT, ANSWERED, lambda name: OPERATIONS.get(name, name), start)


def tell(port, client, text, sent, answered, called, start):
    """What a program's log says: what it sent, and which of that was answered."""
    end, waits = time.time_ns(), []
    for line in text.splitlines():
        if found := sent.search(line):
            waits.append(found.groups())
        elif (found := answered.search(line)) and found.groups() in waits:
            waits.remove(found.groups())
            log("kafka", port, [called(found.group(1)), client], None, start - UNANSWERED, end + UNANSWERED)
    for name, _ in waits:
        log("kafka", port, [called(name), client], None, start - UNANSWERED, end + UNANSWERED, "response_missing")


def by_kafkajs(port):
    for mechanism in MECHANISMS[:2]:
        client = f"js{token()}"
        done = subprocess.run(["node", HERE / "kafka_sasl_client.cjs", str(port), client, mechanism.lower(), TOPIC], stdout=subprocess.PIPE, timeout=60, check=True)
        for line in done.stdout.splitlines():
            told = json.loads(line)
            name = OPERATIONS.get(told["name"], told["name"])
            log("kafka", port, [name, client], None, told["start"] * 1_000_000 - UNANSWERED, told["end"] * 1_000_000 + UNANSWERED)


JAVA_SENT = re.compile(r"Sending (\w+) request with header RequestHeader\(.*?correlationId=(\d+)")
JAVA_ANSWERED = re.compile(r"Received (\w+) response from node .* for request with header RequestHeader\(.*?correlationId=(\d+)")
# What the client says of its authentication is which answer it waits for.
JAVA_STATE = re.compile(r"Set SASL client state to (\w+)")
JAVA_STATES = {"RECEIVE_APIVERSIONS_RESPONSE": "ApiVersions", "RECEIVE_HANDSHAKE_RESPONSE": "SaslHandshake", "INITIAL": "SaslAuthenticate"}


def java_name(name):
    return JAVA.get(name) or "".join(word.capitalize() for word in name.split("_"))


def by_java(port):
    for mechanism in MECHANISMS[:1] + MECHANISMS[2:]:
        client, start, jars = f"java{token()}", time.time_ns(), os.environ["KAFKA_CLIENT"]
        logs = [f"-Dorg.slf4j.simpleLogger.log.org.apache.kafka.{name}=debug" for name in ("clients.NetworkClient", "common.security.authenticator.SaslClientAuthenticator")]
        command = ["java", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", *logs, "-cp", f"{jars}/*", HERE / "KafkaClient.java",
                   str(port), client, mechanism, f"{TOPIC}-{client}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=100)
        text = done.stderr.decode()
        if done.returncode != 0:
            sys.exit(text[-3000:])
        tell(port, client, text, JAVA_SENT, JAVA_ANSWERED, java_name, start)
        for state in JAVA_STATE.findall(text):
            # SCRAM has two rounds.
            names = [JAVA_STATES[state]] * (2 if state == "INITIAL" and mechanism != "PLAIN" else 1) if state in JAVA_STATES else []
            for name in names:
                log("kafka", port, [name, client], None, start - UNANSWERED, time.time_ns() + UNANSWERED)


def main():
    port = int(sys.argv[1])
    by_kafka_python(port)
    by_librdkafka(port)
    by_kcat(port)
    by_kafkajs(port)
    by_java(port)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
