#!/usr/bin/env python3
"""Writes golden vectors, detection cases, golden Pods, recorded bodies and spools as first inputs of the fuzz targets.

usage: seeds.py [FOLDER]     into FOLDER/<target>/, by default that where cargo-fuzz looks for them, fuzz/corpus/

The forms are those that `checks.rs`, `injection.rs`, `receive.rs` and `spool.rs` read.
"""

import gzip
import hashlib
import json
import pathlib
import re
import sys
import tomllib
import zlib

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus"
VECTORS = HERE.parent / "obtrace-protocols" / "testdata"
CASES = HERE.parent / "obtrace-detect" / "testdata" / "cases"
RECORDED = HERE.parent / "obtrace-export" / "testdata" / "receive"
GOLDEN = HERE.parent / "obtrace-patch" / "testdata" / "golden"
# The protocols: those that have vectors and a target. `payload` has its own inputs.
TARGETS = {path.stem for path in (HERE / "fuzz_targets").glob("*.rs")} - {"payload"}
PROTOCOLS = sorted(path.name for path in VECTORS.iterdir() if path.name in TARGETS)
# In the order of `HINTS` in checks.rs: a connection's hint is its place.
HINTS = ["http", "postgres", "redis", "dns", "mqtt", "mysql", "mongodb", "fastcgi"]
# The first steps of these are what the target begins with by itself.
BEGUN = {"websocket": 2}
PIECE = 255
# Of HTTP/2.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# The blocks of RFC 7541 C.4 and C.6.
BLOCKS = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3", "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f"
    "9587316065c003ed4ee5b1063d5007",
]
CLOSE = 0xFE
LONGEST = 64 << 10
# The bits of `receive.rs`, and the signals in its order.
PROTOBUF, COMPRESSED, TO_COMPRESS, NARROW = 4, 8, 16, 32
SIGNALS = ["traces", "logs", "metrics"]
# What the recorded bodies have not: every kind of value, a summary, exemplars, counts of what was dropped, numbers that are none,
# what stands behind its items.
VALUES = [
    {"stringValue": "\u00e9\n"}, {"boolValue": True}, {"intValue": "-7"}, {"intValue": 1e3}, {"doubleValue": "NaN"}, {"doubleValue": -0.0},
    {"arrayValue": {"values": [{}, {"arrayValue": {}}]}}, {"kvlistValue": {"values": [{"key": "k", "value": {"bytesValue": "+/8="}}]}}, {},
]
ATTRIBUTES = [{"key": f"a.{at}", "value": value} for at, value in enumerate(VALUES)]
SUMMARY = {"summary": {"dataPoints": [{"count": "2", "sum": 1.5, "quantileValues": [{"quantile": 0.5, "value": "Infinity"}], "attributes": ATTRIBUTES}]}}
DROPPED = {"droppedAttributesCount": 3}
IDS = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
EXEMPLARS = {"exemplars": [{"timeUnixNano": "5", "asDouble": 0.5, **IDS, "filteredAttributes": ATTRIBUTES}, {"asInt": "-1"}, {}]}
POINT = {"startTimeUnixNano": "1", "timeUnixNano": "5", "attributes": ATTRIBUTES, "flags": 1, **EXEMPLARS}
BUCKETS = {"offset": -3, "bucketCounts": ["1", 0, "7"]}
METRICS = [
    {"name": "g", "gauge": {"dataPoints": [{**POINT, "asInt": "-9"}]}, "metadata": ATTRIBUTES},
    {"name": "s", "sum": {"dataPoints": [{**POINT, "asDouble": "-Infinity"}], "aggregationTemporality": 1, "isMonotonic": True}},
    {"name": "h", "histogram": {"dataPoints": [{**POINT, "count": 3, "sum": 4.5, "min": 0, "max": 9, "bucketCounts": [1, "2"], "explicitBounds": [0.5]}]}},
    {"name": "e", "exponentialHistogram": {"dataPoints": [{**POINT, "scale": -2, "zeroCount": 1, "zeroThreshold": 0.1, "positive": BUCKETS, "negative": BUCKETS}]}},
]
SPAN = {
    **IDS, **DROPPED, "name": "n", "kind": 3, "flags": 769, "traceState": "a=b", "droppedEventsCount": 1, "droppedLinksCount": 4294967295,
    "events": [{"timeUnixNano": "2", "name": "e", "attributes": ATTRIBUTES, **DROPPED}], "links": [{**IDS, **DROPPED, "traceState": "c=d", "flags": 257}],
    "status": {"code": 2, "message": "m"},
}
LOG = {**DROPPED, "timeUnixNano": "1", "severityNumber": 9, "body": VALUES[7], "attributes": ATTRIBUTES, "eventName": "e", "unknown": [None, {"a": []}]}
OTHERS = {
    "traces": [{"resource": {**DROPPED, "attributes": ATTRIBUTES}, "scopeSpans": [{"scope": {"name": "s", **DROPPED}, "spans": [SPAN]}]}],
    "logs": [{"scopeLogs": [{"logRecords": [LOG, {}], "scope": {"name": "s", "attributes": ATTRIBUTES}}], "resource": {"attributes": ATTRIBUTES}}],
    "metrics": [{"scopeMetrics": [{"metrics": [{"name": "m", **SUMMARY}, {"name": "n"}, *METRICS], "schemaUrl": "u"}]}, {}],
}


def unescape(text):
    plain = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def one(found):
        escape = found.group(1).decode()
        return bytes([int(escape[1:], 16)]) if escape[0] == "x" else plain[escape]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, text.encode())


def turns(vector, folder):
    """The steps with bytes or gaps: (index of the side, bytes or the length of a gap)."""
    for step in vector["steps"]:
        for index, side in enumerate(("client", "server")):
            if side in step:
                data = unescape(step[side])
            elif f"{side}_hex" in step:
                data = bytes.fromhex(step[f"{side}_hex"])
            elif f"{side}_file" in step:
                data = (folder / step[f"{side}_file"]).read_bytes()
            elif f"{side}_gap" in step:
                yield index, step[f"{side}_gap"]
                continue
            else:
                continue
            yield index, (data * step.get("repeat", 1))[:LONGEST]


def pieces(data):
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


def conversation(steps):
    """What `checks.rs` begins with is left out."""
    told = ((index, data.removeprefix(PREFACE)) for index, data in steps if isinstance(data, bytes))
    return b"".join(bytes([index, len(p)]) + p for index, data in told for p in pieces(data))


def packed(steps):
    """Packets of MySQL in outer ones, every second one compressed."""
    for number, (index, data) in enumerate(steps):
        if isinstance(data, bytes):
            held = zlib.compress(data) if number % 2 else data
            head = len(held).to_bytes(3, "little") + bytes([index]) + (len(data) if number % 2 else 0).to_bytes(3, "little")
            yield index, head + held


def statements():
    """Statements of the tests of the tokenizer, for each dialect."""
    tests = (HERE.parent / "obtrace-protocols/src/sql/tests.rs").read_bytes()
    for text in re.findall(rb'"((?:[^"\\]|\\.){8,})"', tests):
        for dialect in range(4):
            keep("sql", bytes([dialect]) + text.replace(b'\\"', b'"').replace(b"\\n", b"\n").replace(b"\\\\", b"\\"))


def connection(steps, vector, hint):
    role = {"client": 1, "server": 2}.get(vector.get("role", "client"), 0)
    operation = 5 << 1 if vector.get("transport") == "datagram" else 0
    out = bytearray([role | hint << 2])
    for index, data in steps:
        if isinstance(data, int):
            out += bytes([4 << 1 | index, min(data, 255)])
        else:
            for piece in pieces(data):
                out += bytes([operation | index, len(piece)]) + piece
    return bytes(out + bytes([CLOSE]))


def detection(steps):
    sides = [b"".join(d for i, d in steps if i == index and isinstance(d, bytes)) for index in (0, 1)]
    sent = sides[0][:PIECE]
    return bytes([len(sent)]) + sent + sides[1][:PIECE]


def keep(target, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def detection_cases():
    """Images and commands of the cases of obtrace-detect."""
    for path in sorted(CASES.glob("*.jsonl")):
        for case in map(json.loads, path.read_text().splitlines()):
            if "image" in case:
                keep("image", case["image"].encode())
            words = [f"{name}={value}" for name, value in case.get("env", {}).items()] + case.get("command", []) + [""] + case.get("args", [])
            keep("command", "\n".join(words).encode())


def golden_pods():
    """The golden Pods of obtrace-patch, with some settings each."""
    for path in sorted(GOLDEN.glob("*/before.json")):
        manifest = json.loads(path.read_text())
        if manifest.get("kind", "Pod") != "Pod":
            continue
        text = json.dumps(manifest, separators=(",", ":")).encode()
        keep("pod", text)
        for settings in (0, 2, 3, 35):
            keep("plan", bytes([settings]) + text)


def bodies():
    """What SDKs sent, recorded, and bodies with what those have not: plain, compressed, and where the limits are narrow."""
    sent = []
    for path in sorted(RECORDED.glob("*-*.*")):
        form = PROTOBUF if path.suffix == ".pb" else 0
        sent.append((SIGNALS.index(path.stem.split("-")[1]) | form, path.read_bytes()))
    for signal, groups in OTHERS.items():
        sent.append((SIGNALS.index(signal), json.dumps({f"resource{signal.capitalize()}": groups}).encode()))
    for choice, body in sent:
        for bits in (0, TO_COMPRESS, NARROW):
            keep("receive", bytes([choice | bits]) + body)
        keep("receive", bytes([choice | COMPRESSED]) + gzip.compress(body, mtime=0))


def spools():
    """A real spool with one change and with several: which file, what, where (two bytes), to what; and files that are none."""
    for what in range(8):
        for place in (0, 9, 40, 70, 1100):
            change = bytes([1 + what % 3, what, place % 256, place // 256, 65 + what])
            for choice in (0, 2):
                keep("spool", bytes([choice]) + change)
                keep("spool", bytes([choice]) + change + bytes([0, 3, place % 256, place // 256, 0]) + change)
    keep("spool", bytes([1, 2, 40, 0]) + b"OBTSPL\0\1" + bytes(32) + bytes([3, 12, 0]) + bytes(12))


def calls():
    """The bodies of the recorded calls, as requests and responses of every kind of call they may be."""
    bodies = []
    for path in sorted((VECTORS / "payload").glob("*.toml")):
        for vector in tomllib.loads(path.read_text())["vector"]:
            sides = [b"", b""]
            for side, data in turns(vector, path.parent):
                if isinstance(data, bytes):
                    sides[side] += data
            head, _, asked = sides[0].partition(b"\r\n\r\n")
            answer, _, answered = sides[1].partition(b"\r\n\r\n")
            if b"chunked" in answer.lower():
                answered = dechunked(answered)
            kind = next((at for at, name in enumerate((b"application/json", b"event-stream", b"ndjson")) if name in answer.lower()), 3)
            coding = next((at for at, name in enumerate((b"gzip", b"deflate", b"br", b"zstd"), 1) if b"content-encoding: " + name in answer.lower()), 0)
            target = head.split(b" ")[1]
            call = next((at for at, end in enumerate(CALLS) if end in target), 0)
            bodies.append((call, kind | coding << 2, asked, answered))
    for call, form, asked, answered in bodies:
        for kept in range(4):
            keep("payload", bytes([call, form, kept]) + len(asked).to_bytes(2, "little") + asked + answered)


# In the order of `CALLS` in checks.rs, by what is in their targets.
CALLS = [b"chat/completions", b"/completions", b"/responses", b"/embeddings", b"/messages", b":generateContent", b":streamGenerateContent", b"/generation",
         b"/api/chat", b"/api/generate", b"/points/", b"/query", b"/entities/", b"/tenants/", b"/graphql", b"/records/"]


def dechunked(data):
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        out, data = out + data[:length], data[length + 2:]
        if not length:
            break
    return out


def header_blocks():
    """Blocks one behind the other, the second decoder from the beginning and from the second on."""
    blocks = [bytes.fromhex(block) for block in BLOCKS]
    for size_update in (b"", b"\x01\x20", b"\x03\x3f\xe1\x01"):
        for joined in (b"", b"\xf0"):
            keep("hpack", size_update + b"".join(bytes([len(block)]) + block + (joined if at == 0 else b"") for at, block in enumerate(blocks)))


def main():
    header_blocks()
    detection_cases()
    calls()
    golden_pods()
    bodies()
    spools()
    statements()
    count = 0
    for protocol in PROTOCOLS:
        hint = HINTS.index(protocol) if protocol in HINTS else 0
        for path in sorted((VECTORS / protocol).rglob("*.toml")):
            for vector in tomllib.loads(path.read_text())["vector"]:
                steps = list(turns(vector, path.parent))
                keep(protocol, conversation(steps[BEGUN.get(protocol, 0) :]))
                if protocol == "mysql":
                    keep("mysql_compressed", conversation(packed(steps)))
                keep("connection", connection(steps, vector, hint))
                keep("detect", detection(steps))
                count += 1
    print(f"{count} vectors written as inputs of {len(PROTOCOLS) + 3} fuzz targets, cases, Pods, bodies, spools, statements and header blocks of eight more")


if __name__ == "__main__":
    main()
