"""MongoDB by PyMongo and over a bare socket: `mongodb_client.py PORT COMPRESSOR=PORT...`.

What PyMongo did is what it tells its listeners; what it sends before it has any to tell is logged here. Behind the port of
a compressor there is a relay to the first port, where everything is seen once more, plain.
"""

import re
import socket
import struct
import sys
import time

import bson
import pymongo
from bson.int64 import Int64
from pymongo import monitoring
from truth import log, operation, token

LATER = 10**10
TOKEN = re.compile(r"t\d+x")


def code(reply):
    """The number that a reply fails with, as the span has it."""
    # What is not shown of a reply (of one that has credentials) did not fail.
    if not reply.get("ok", 1):
        return str(reply["code"])
    errors = reply.get("writeErrors")
    return str(errors[0]["code"]) if errors else None


class Log(monitoring.CommandListener):
    """Logs commands for all ports on which they pass."""

    def __init__(self, ports):
        self.ports, self.begun, self.is_silent = ports, {}, False
        # What nobody waits for reaches the server when it does.
        self.slack = 0

    def started(self, event):
        value = event.command.get("collection") if event.command_name == "getMore" else event.command.get(event.command_name)
        self.begun[event.request_id] = (value if isinstance(value, str) and TOKEN.fullmatch(value) else None, time.time_ns())

    def succeeded(self, event):
        self.done(event, code(event.reply))

    def failed(self, event):
        self.done(event, str(event.failure.get("code")))

    def done(self, event, outcome):
        end, (collection, start) = time.time_ns(), self.begun.pop(event.request_id)
        if self.is_silent:
            return
        for port in self.ports:
            log("mongodb", port, [event.command_name.upper(), collection], outcome, start, end + self.slack)


class Heartbeats(monitoring.ServerHeartbeatListener):
    """Logs how a client looks at its server: the first time by the older name of the command, then by the one that the server knows."""

    def __init__(self, ports, later="HELLO"):
        self.ports, self.name, self.later = ports, "ISMASTER", later

    def started(self, event):
        pass

    def succeeded(self, event):
        end = time.time_ns()
        for port in self.ports:
            log("mongodb", port, [self.name, None], None, end - int(event.duration * 1e9) - 1_000_000, end)
        self.name = self.later

    def failed(self, event):
        sys.exit(f"no heartbeat: {event.reply}")


def connect(port, ports, later="HELLO", **settings):
    """A client with one connection, which begins with a command of which no listener is told."""
    told = Log(ports)
    start = time.time_ns()
    client = pymongo.MongoClient("127.0.0.1", port, directConnection=True, serverMonitoringMode="poll", event_listeners=[told, Heartbeats(ports, later)],
                                 maxPoolSize=1, heartbeatFrequencyMS=600_000, **settings)
    client.admin.command("ping")
    for seen in ports:
        log("mongodb", seen, ["ISMASTER", None], None, start, time.time_ns())
    return client, told


def attempt(action):
    try:
        return action()
    except pymongo.errors.PyMongoError:
        return None


def commands(client, rounds):
    shop = client.shop
    for number in range(rounds):
        one = shop[token()]
        one.insert_one({"_id": 1, "password": "canary-value", "text": "x" * (number % 300)})
        attempt(lambda: one.insert_one({"_id": 1}))
        attempt(lambda: one.insert_many([{"_id": 1}, {"_id": 2}, {"_id": 3}], ordered=False))
        list(one.find({"_id": {"$gt": 0}}, batch_size=2))
        one.update_many({}, {"$set": {"a": number}})
        one.find_one_and_update({"_id": 2}, {"$inc": {"a": 1}})
        list(one.aggregate([{"$match": {"a": {"$gte": 0}}}, {"$count": "n"}]))
        one.distinct("a")
        one.estimated_document_count()
        attempt(lambda: one.find_one({"$unknown": "canary-filter"}))
        one.delete_one({"_id": 3})
        attempt(lambda: shop.command("thereIsNone", "canary-argument"))
        one.drop()


def unacknowledged(client, told):
    told.slack = LATER
    quiet = client.shop.get_collection(token(), write_concern=pymongo.WriteConcern(w=0))
    for number in range(20):
        quiet.insert_one({"_id": number})
        quiet.update_one({"_id": number}, {"$set": {"a": 1}})
    quiet.delete_one({"_id": 1})
    client.shop[quiet.name].find_one({})
    told.slack = 0


def large(client):
    one = client.shop[token()]
    one.insert_one({"_id": 1, "blob": b"\xdd\x07\0\0" * 300_000})
    one.find_one({"_id": 1})
    one.insert_many([{"_id": number, "pad": "y" * 700} for number in range(2, 1002)])
    list(one.find({}, batch_size=500))


def transaction(client):
    one = client.shop[token()]
    one.insert_one({"_id": 0})
    with client.start_session() as session, session.start_transaction():
        one.insert_one({"_id": 1}, session=session)
        one.find_one({"_id": 1}, session=session)


def exhaust(client, told):
    """All batches come after one getMore, of which PyMongo tells each."""
    one = client.shop[token()]
    one.insert_many([{"_id": number} for number in range(50)])
    told.is_silent = True
    start = time.time_ns()
    found = list(one.find({}, batch_size=10, cursor_type=pymongo.CursorType.EXHAUST))
    end = time.time_ns()
    told.is_silent = False
    if len(found) != 50:
        sys.exit(f"{len(found)} of 50 documents")
    for port in told.ports:
        log("mongodb", port, ["FIND", one.name], None, start, end)
        log("mongodb", port, ["GETMORE", one.name], None, start, end)


class Wire:
    """A connection on which messages are made by hand."""

    def __init__(self, port):
        self.port, self.number = port, 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def message(self, document, flags=0, sections=()):
        self.number += 1
        body = struct.pack("<I", flags) + b"\0" + bson.encode(document)
        for name, documents in sections:
            section = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
            body += b"\1" + struct.pack("<i", len(section) + 4) + section
        return struct.pack("<iiii", len(body) + 16, self.number, 0, 2013) + body

    def answer(self):
        length, = struct.unpack("<i", self.file.read(4))
        rest = self.file.read(length - 4)
        return bson.decode(rest[17:])

    def close(self):
        self.file.close()
        self.socket.close()


def by_hand(port):
    wire = Wire(port)
    # One byte at a time.
    name = token()
    with operation("mongodb", port, "FIND", name) as running:
        for byte in wire.message({"find": name, "filter": {"a": "canary"}, "$db": "shop"}):
            wire.socket.sendall(bytes([byte]))
        running.outcome = code(wire.answer())
    # Many requests before the first answer.
    names, start = [token() for _ in range(40)], time.time_ns()
    wire.socket.sendall(b"".join(wire.message({"count": name, "$db": "shop"}) for name in names))
    for name in names:
        log("mongodb", port, ["COUNT", name], code(wire.answer()), start, time.time_ns())
    # Documents in the command, and beside it.
    for documents, sections in (([{"_id": 1}, {"_id": 2}], ()), (None, [("documents", [{"_id": 3}])])):
        name = token()
        with operation("mongodb", port, "INSERT", name) as running:
            body = {"insert": name, **({"documents": documents} if documents else {}), "$db": "shop"}
            wire.socket.sendall(wire.message(body, 0, sections))
            running.outcome = code(wire.answer())
    # A hello that is answered again and again: the first answer counts.
    with operation("mongodb", port, "HELLO", None):
        wire.socket.sendall(wire.message({"hello": 1, "$db": "admin"}))
        version = wire.answer()["topologyVersion"]
    with operation("mongodb", port, "HELLO", None):
        await_change = {"hello": 1, "topologyVersion": {**version, "counter": Int64(version["counter"])}, "maxAwaitTimeMS": 100, "$db": "admin"}
        wire.socket.sendall(wire.message(await_change, 1 << 16))
        wire.answer()
    for _ in range(2):
        wire.answer()
    wire.close()


def secrets(client):
    attempt(lambda: client.admin.command("createUser", "canary-user", pwd="canary-password", roles=[]))
    attempt(lambda: client.admin.command("saslStart", 1, mechanism="PLAIN", payload=b"\0canary\0canary"))


def main():
    plain, *packed = sys.argv[1:]
    plain = int(plain)
    client, told = connect(plain, [plain])
    commands(client, 12)
    unacknowledged(client, told)
    large(client)
    transaction(client)
    exhaust(client, told)
    secrets(client)
    client.close()
    by_hand(plain)
    for compressor, port in (word.split("=") for word in packed):
        ports = [plain, int(port)]
        client, told = connect(int(port), ports, compressors=compressor)
        commands(client, 3)
        unacknowledged(client, told)
        exhaust(client, told)
        client.close()


if __name__ == "__main__":
    main()
