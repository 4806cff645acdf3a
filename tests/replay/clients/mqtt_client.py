"""MQTT 3.1.1 and 5 by paho-mqtt, whose own log is the truth: `mqtt_client.py PORT...`."""

import collections
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from truth import log, operation, token

VERSIONS = {mqtt.MQTTv311: 4, mqtt.MQTTv5: 5}


class Client:
    """A client of one version that waits for the end of everything it asks, and logs what is delivered to it."""

    def __init__(self, port, version, **options):
        self.port, self.version = port, version
        self.name = f"c{token()}"
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.name, protocol=version, **options)
        self.done, self.granted = {}, {}
        self.changed = threading.Condition()
        self.delivered = collections.Counter()
        self.client.on_connect = lambda client, data, flags, reason, properties: self.set("connect", reason)
        self.client.on_publish = lambda client, data, mid, reason, properties: self.set(mid, reason)
        self.client.on_subscribe = lambda client, data, mid, reasons, properties: self.set(mid, reasons)
        self.client.on_unsubscribe = lambda client, data, mid, reasons, properties: self.set(mid, reasons)
        self.client.on_message = self.message

    def set(self, key, value):
        with self.changed:
            self.done[key] = value
            self.changed.notify_all()

    def wait(self, key):
        with self.changed:
            assert self.changed.wait_for(lambda: key in self.done, 20), f"nothing came of {key}"
            return self.done.pop(key)

    def message(self, client, data, message):
        """A delivery began before its callback, and ends with what is sent behind it."""
        now = time.time_ns()
        log("mqtt", self.port, ["receive", message.topic], f"q{message.qos} {len(message.payload)} {int(message.retain)}",
            now - 10**9, now + 10**9)
        with self.changed:
            self.delivered[message.topic] += 1
            self.changed.notify_all()

    def expect(self, topic, count=1):
        with self.changed:
            assert self.changed.wait_for(lambda: self.delivered[topic] >= count, 20), f"{topic} was not delivered"

    def connect(self, fails=None, **options):
        with operation("mqtt", self.port, "connect", None) as running:
            self.client.connect("127.0.0.1", self.port, 60, **options)
            self.client.loop_start()
            reason = self.wait("connect")
            running.outcome = fails or f"0 {self.name}"
        return self

    def publish(self, topic, payload, qos=0, retain=False, outcome=None, **options):
        with operation("mqtt", self.port, "publish", topic) as running:
            told = self.client.publish(topic, payload, qos, retain, **options)
            told.wait_for_publish(20)
            reason = self.wait(told.mid)
            running.outcome = outcome or f"q{qos} {len(payload or b'')} {int(retain)}"
            # What is sent at most once may be on its way yet.
            time.sleep(0 if qos else 0.002)

    def subscribe(self, *filters):
        with operation("mqtt", self.port, "subscribe", filters[0][0] if len(filters) == 1 else None) as running:
            result, mid = self.client.subscribe([*filters])
            self.wait(mid)
            running.outcome = "ok"

    def unsubscribe(self, *filters):
        with operation("mqtt", self.port, "unsubscribe", filters[0] if len(filters) == 1 else None) as running:
            result, mid = self.client.unsubscribe([*filters])
            self.wait(mid)
            running.outcome = "ok"

    def disconnect(self, **options):
        with operation("mqtt", self.port, "disconnect", None) as running:
            self.client.disconnect(**options)
            self.client.loop_stop()
            running.outcome = "ok"


def options_of(version):
    """As the version has them."""
    if version == mqtt.MQTTv5:
        return lambda qos: SubscribeOptions(qos=qos)
    return lambda qos: qos


def usual(port, version, count):
    qos_of = options_of(version)
    listener = Client(port, version).connect()
    mark = token()
    listener.subscribe((f"{mark}/one/#", qos_of(1)))
    listener.subscribe((f"{mark}/zero/+", qos_of(0)), (f"{mark}/two/+", qos_of(2)), ("$SYS/none", qos_of(0)))
    speaker = Client(port, version).connect()
    for number in range(count):
        for qos, name in enumerate(("zero", "one", "two")):
            topic = f"{mark}/{name}/{token()}"
            speaker.publish(topic, b"x" * (number * 37), qos)
            listener.expect(topic)
    large = f"{mark}/one/{token()}"
    speaker.publish(large, bytes(300_000), 1)
    listener.expect(large)
    # Kept, and delivered to whom subscribes later.
    kept = f"{mark}/kept/{token()}"
    speaker.publish(kept, b"retained", 1, retain=True)
    listener.subscribe((kept, qos_of(1)))
    listener.expect(kept)
    speaker.publish(kept, b"", 0, retain=True, outcome="q0 0 1")
    listener.unsubscribe(f"{mark}/one/#", kept)
    listener.unsubscribe("never/subscribed")
    # To nobody.
    speaker.publish(f"{mark}/nobody/{token()}", b"?", 1)
    listener.disconnect()
    speaker.disconnect()


def at_once(port, version):
    """Many are under way at the same time."""
    client = Client(port, version)
    client.client.max_inflight_messages_set(64)
    client.connect()
    start, told = time.time_ns(), []
    for number in range(60):
        topic, qos = f"burst/{token()}", number % 3
        told.append((topic, qos, client.client.publish(topic, b"y" * number, qos)))
    for topic, qos, info in told:
        info.wait_for_publish(20)
        client.wait(info.mid)
    time.sleep(0.05)
    for number, (topic, qos, info) in enumerate(told):
        log("mqtt", port, ["publish", topic], f"q{qos} {number} 0", start, time.time_ns())
    client.disconnect()


def pings(port, version):
    client = Client(port, version)
    with operation("mqtt", port, "connect", None) as running:
        client.client.connect("127.0.0.1", port, 1)
        client.client.loop_start()
        client.wait("connect")
        running.outcome = f"0 {client.name}"
    sent, start = [], time.time_ns()
    client.client.on_log = lambda *words: sent.append(1) if "Sending PINGREQ" in words[-1] else None
    time.sleep(2.6)
    client.disconnect()
    for _ in sent:
        log("mqtt", port, ["ping", None], "ok", start, time.time_ns())


def secrets(port, version):
    """A will, a user name and a password."""
    client = Client(port, version)
    client.client.username_pw_set("t0psecret-user", "t0psecret-password")
    client.client.will_set("gone", "t0psecret-will", 1)
    client.connect()
    client.disconnect()


def newer(port):
    """What only version 5 has: aliases, user properties, no matching subscribers, a session without a name."""
    speaker, listener = Client(port, mqtt.MQTTv5).connect(), Client(port, mqtt.MQTTv5).connect()
    topic = f"alias/{token()}"
    listener.subscribe((topic, SubscribeOptions(qos=2)))
    for number in range(6):
        properties = Properties(PacketTypes.PUBLISH)
        properties.TopicAlias = 1
        properties.UserProperty = [("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-01"), ("key", "t0psecret-value")]
        properties.ContentType = "text/plain"
        with operation("mqtt", port, "publish", topic) as running:
            told = speaker.client.publish(topic if number == 0 else "", b"aliased", 1, properties=properties)
            told.wait_for_publish(20)
            speaker.wait(told.mid)
            running.outcome = "q1 7 0"
        listener.expect(topic, number + 1)
    listener.disconnect()
    speaker.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, identifier=4))


def refused(port, version):
    """What the broker does not allow. Version 3 has no code for a message that it drops."""
    client = Client(port, version).connect()
    newer = version == mqtt.MQTTv5
    for qos in (1, 2):
        client.publish(f"denied/{token()}", b"no", qos, outcome="not_authorized" if newer else None)
    client.disconnect()


def bare(port):
    """Packets in pieces of one byte and many in one segment, and a client without a name that wants its session kept."""
    def wire():
        made = socket.create_connection(("127.0.0.1", port), timeout=20)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def message(first, *parts):
        body = b"".join(parts)
        assert len(body) < 128
        return bytes([first, len(body)]) + body

    def text(word):
        return len(word).to_bytes(2, "big") + word.encode()

    with operation("mqtt", port, "connect", None) as running:
        refused = wire()
        refused.sendall(message(0x10, text("MQTT"), b"\4\0\0\x3c", text("")))
        assert refused.recv(4) == b"\x20\2\0\2"
        refused.close()
        running.outcome = "client_identifier_not_valid"
    talk, name = wire(), f"c{token()}"
    topics = [f"bare/{token()}" for _ in range(4)]
    start = time.time_ns()
    first = message(0x10, text("MQTT"), b"\4\2\0\x3c", text(name)) + message(0x32, text(topics[0]), b"\0\7", b"payload")
    for byte in first:
        talk.sendall(bytes([byte]))
    got = b""
    while len(got) < 8:
        got += talk.recv(100)
    log("mqtt", port, ["connect", None], f"0 {name}", start, time.time_ns())
    log("mqtt", port, ["publish", topics[0]], "q1 7 0", start, time.time_ns())
    start = time.time_ns()
    talk.sendall(message(0x30, text(topics[1]), b"x") + message(0x34, text(topics[2]), b"\0\7") + message(0x32, text(topics[3]), b"\0\x09", b"yy")
                 + b"\xc0\0" + message(0x82, b"\0\x0a", text("one/+"), b"\0", text("two/#"), b"\2"))
    got = b""
    while len(got) < 4 + 4 + 2 + 6:
        got += talk.recv(100)
    talk.sendall(b"\x62\2\0\7")
    assert talk.recv(4) == b"\x70\2\0\7"
    talk.sendall(b"\xe0\0")
    talk.close()
    end = time.time_ns()
    for what, outcome in ((["publish", topics[1]], "q0 1 0"), (["publish", topics[2]], "q2 0 0"), (["publish", topics[3]], "q1 2 0"),
                          (["ping", None], "ok"), (["subscribe", None], "ok"), (["disconnect", None], "ok")):
        log("mqtt", port, what, outcome, start, end)


def main():
    for port in map(int, sys.argv[1:]):
        for version in VERSIONS:
            usual(port, version, 12)
            at_once(port, version)
            secrets(port, version)
            refused(port, version)
        bare(port)
        pings(port, mqtt.MQTTv5)
        newer(port)


main()
