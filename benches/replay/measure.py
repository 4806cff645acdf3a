#!/usr/bin/env python3
"""measure.py --agent PROGRAM [--captures FOLDER] [--rounds N]: what reading one mixed capture costs beside tshark.

The clients and servers of `tests/replay` talk every protocol on its standard port, and all of it is merged into one capture (FOLDER: what
`tests/replay/run.py --keep` left, or where this program leaves its own). `obtrace-agent replay` and `tshark -T fields`, asked for what the agent
tells, read it in turns; user and system time of each process is counted, the least of N rounds judged. Both have to tell what the clients logged:
the agent all of it, tshark all that it is known to count (`tests/replay/witness.py`). Exit code 1 if one does not, or if tshark takes less than
100 times as long.
"""

import argparse
import collections
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/replay"))

import capture  # noqa: E402
import compare  # noqa: E402
import oracle  # noqa: E402
import run  # noqa: E402
import witness  # noqa: E402
import world  # noqa: E402

GOAL = 100
# Bytes of a segment on an Ethernet; `lo` carries up to 64 KiB in one packet.
SEGMENT = 1448

# tshark's name of each protocol, and what it is asked for: what spans are made of.
DISSECTORS = {"http": "http", "http2": "http2", "grpc": "http2", "fastcgi": "fcgi", "kafka": "kafka", "mongodb": "mongo", "mysql": "mysql",
              "redis": "resp", "postgres": "pgsql", "genai": "http", "dns": "dns", "mqtt": "mqtt", "websocket": "http"}
FIELDS = """frame.time_epoch ip.src tcp.srcport udp.srcport ip.dst tcp.dstport udp.dstport tcp.stream tcp.len
    http.request.method http.request.uri http.host http.response.code http.content_length
    http2.streamid http2.headers.method http2.headers.path http2.headers.authority http2.headers.status http2.rst_stream.error grpc.message_length
    fcgi.type fcgi.id fcgi.nv_name fcgi.end_request.protocol_status fcgi.content.length
    kafka.api_key kafka.api_version kafka.correlation_id kafka.client_id kafka.topic_name kafka.partition_id kafka.error
    mongo.request_id mongo.response_to mongo.opcode mongo.element.name mongo.full_collection_name mongo.database_name
    mysql.command mysql.query mysql.response_code mysql.error_code mysql.sqlstate mysql.affected_rows
    pgsql.type pgsql.query pgsql.statement pgsql.tag pgsql.code
    resp.array.length resp.bulk_string.length resp.bulk_string.value resp.error resp.reassembled_in_next_frame
    dns.id dns.flags.response dns.flags.rcode dns.qry.name dns.qry.type dns.count.answers
    mqtt.msgtype mqtt.msgid mqtt.qos mqtt.topic mqtt.clientid mqtt.conack.val
    websocket.opcode websocket.payload_length icmp.type""".split()
BETWEEN = "\x1f"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path, help="obtrace-agent, a release build")
    parser.add_argument("--captures", type=pathlib.Path, help="a folder with a folder for each protocol; what is missing is recorded, as root")
    parser.add_argument("--as-recorded", action="store_true", help="packets as large as `lo` carries them, not as an Ethernet does")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    folder = arguments.captures or pathlib.Path(tempfile.mkdtemp(prefix="obtrace-mixed-"))
    missing = [protocol for protocol in run.CLIENTS if not (folder / protocol / "standard.truth.jsonl").exists()]
    if missing:
        record(folder, missing)
    truth = {protocol: [json.loads(line) for line in open(folder / protocol / "standard.truth.jsonl")] for protocol in run.CLIENTS}
    mixed, empty = folder / "mixed.pcap", folder / "empty.pcap"
    paths = [folder / protocol / "standard.pcap" for protocol in run.CLIENTS]
    subprocess.run(["mergecap", "-F", "nsecpcap", "-w", mixed, *paths], check=True)
    head, packets = capture.read(mixed)
    if not arguments.as_recorded:
        packets = [segment for packet in packets for segment in segments(packet)]
        capture.write(mixed, head, packets)
    capture.write(empty, head, packets[:1])
    ours = [arguments.agent.resolve(), "replay", mixed, "--print", "jsonl", "--perspective", "client"]
    theirs = tshark(mixed, truth)
    failed = not are_same(truth, told(output(ours)), seen(output(theirs), truth, folder))
    contenders = {"obtrace-agent": ours, "tshark": theirs}
    starts = {name: [empty if word == mixed else word for word in command] for name, command in contenders.items()}
    costs = collections.defaultdict(list)
    for _ in range(arguments.rounds):
        for name, command in contenders.items():
            costs[name].append(cost(command))
            costs[name, "start"].append(cost(starts[name]))
    print(f"\n{len(packets)} packets, {mixed.stat().st_size / 1e6:.1f} MB; CPU seconds, the least and the middle one of {arguments.rounds} rounds\n")
    print("| | least | middle | of that its start |\n| --- | ---: | ---: | ---: |")
    for name in contenders:
        print(f"| {name} | {min(costs[name]):.4f} | {middle(costs[name]):.4f} | {min(costs[name, 'start']):.4f} |")
    ratio = min(costs["tshark"]) / min(costs["obtrace-agent"])
    work = [min(costs[name]) - min(costs[name, "start"]) for name in ("tshark", "obtrace-agent")]
    print(f"\ntshark takes {ratio:.0f} times as long (goal: {GOAL}), {work[0] / work[1]:.0f} times without what starting takes")
    sys.exit(1 if failed or ratio < GOAL else 0)


def segments(packet):
    """A packet as an Ethernet would have carried it: TCP in segments, all else as it is."""
    seconds, fraction, length, data = packet
    known = oracle.payload(packet)
    if known is None or data[23] != oracle.TCP or known[2] <= SEGMENT or length != len(data):
        return [packet]
    at = oracle.packet_head(packet)
    behind = at + (data[at + 12] >> 4) * 4
    head, body = data[:behind], data[behind:14 + struct.unpack_from(">H", data, 16)[0]]
    sequence, flags, out = struct.unpack_from(">I", data, at + 4)[0], data[at + 13], []
    for start in range(0, len(body), SEGMENT):
        part, changed = body[start:start + SEGMENT], bytearray(head)
        is_last = start + SEGMENT >= len(body)
        struct.pack_into(">H", changed, 16, behind - 14 + len(part))
        struct.pack_into(">I", changed, at + 4, (sequence + start) & 0xffffffff)
        changed[at + 13] = flags if is_last else flags & ~(oracle.FIN | 8)
        out.append((seconds, fraction, len(changed) + len(part), bytes(changed) + part))
    return out


def record(folder, protocols):
    """Captures of these protocols, each with what its client says that it did."""
    interpreter = world.python()
    world.enter_namespace()
    place = world.World(interpreter)
    for protocol in protocols:
        (folder / protocol).mkdir(parents=True, exist_ok=True)
        getattr(place, protocol)()
        path = folder / protocol / "standard.pcap"
        log = place.record(path, [interpreter, world.HERE / f"clients/{protocol}_client.py", *run.CLIENTS[protocol](0)])
        capture.order(path)
        path.with_suffix(".truth.jsonl").write_bytes(log)
    place.close()


def tshark(path, truth):
    """The command: one line for each packet in which something of a protocol is."""
    shown = " || ".join(sorted({*DISSECTORS.values(), "websocket"}))
    command = ["tshark", "-n", "-r", path, "-Y", f"({shown}) && !icmp", "-T", "fields", "-E", f"aggregator={BETWEEN}", "-o", "tcp.desegment_tcp_streams:TRUE"]
    for protocol, records in truth.items():
        for port in sorted({record["port"] for record in records}):
            for transport in ("tcp", "udp") if protocol == "dns" else ("tcp",):
                command += ["-d", f"{transport}.port=={port},{DISSECTORS[protocol]}"]
    for name in FIELDS:
        command += ["-e", name]
    return command


def output(command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode(errors="replace")


def told(text):
    """The agent's spans by the port of the server."""
    ports = collections.Counter()
    for line in text.splitlines():
        span = json.loads(line)
        # Connects that fail are no exchanges of a protocol, and a broker is a client of its own controller.
        if span["protocol"] != "connect" and (span["protocol"] != "kafka" or compare.port_of(span) in world.KAFKA):
            ports[compare.port_of(span)] += 1
    return ports


def seen(text, truth, folder):
    """tshark's requests by protocol, counted as `tests/replay/witness.py` does; of Redis by that itself, as tshark counts commands only of a
    capture whose segments begin with one."""
    by_port = collections.defaultdict(list)
    for line in text.splitlines():
        values = (value.split(BETWEEN) if value else [] for value in line.split("\t"))
        packet = dict(zip(FIELDS, values))
        for name in ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport"):
            for port in packet[name]:
                by_port[int(port)].append(packet)
    counted = {}
    for protocol, records in truth.items():
        ports = {record["port"] for record in records}
        if protocol == "redis":
            counted[protocol] = witness.redis(folder / protocol / "standard.pcap", ports)
        else:
            counted[protocol] = count(protocol, [packet for port in ports for packet in by_port[port]], ports)
    return counted


def count(protocol, packets, ports):
    def all_of(name):
        return [value for packet in packets for value in packet[name]]

    if protocol == "websocket":
        return len(all_of("http.request.method")) + len({packet["tcp.stream"][0] for packet in packets if packet["websocket.opcode"]})
    if protocol == "kafka":
        return sum(len(packet["kafka.api_key"]) for packet in packets if int(packet["tcp.dstport"][0]) in ports)
    if protocol == "dns":
        return sum(value in ("0", "False") for value in all_of("dns.flags.response"))
    name, wanted = {
        "http": ("http.request.method", None), "genai": ("http.request.method", None), "http2": ("http2.headers.method", None),
        "grpc": ("http2.headers.method", None), "fastcgi": ("fcgi.type", "1"), "mongodb": ("mongo.response_to", "0 0x00000000"),
        "mysql": ("mysql.command", "2 3 9 14 23"), "mqtt": ("mqtt.msgtype", "1 3 8 10 12 14"), "postgres": ("pgsql.type", ("Simple query", "Execute")),
    }[protocol]
    wanted = wanted.split() if isinstance(wanted, str) else wanted
    return sum(wanted is None or value in wanted for value in all_of(name))


def are_same(truth, ours, theirs):
    """Whether both tell what the clients logged; prints how many."""
    print("| protocol | operations | obtrace-agent | tshark | of these it counts |\n| --- | ---: | ---: | ---: | ---: |")
    same = True
    for protocol, records in truth.items():
        spans = sum(ours[port] for port in {record["port"] for record in records})
        counts = sum(not witness.apart(protocol, record) for record in records)
        print(f"| {protocol} | {len(records)} | {spans} | {theirs[protocol]} | {counts} |")
        same &= spans == len(records) and theirs[protocol] == counts
    print("" if same else "\nDIFFERENT", flush=True)
    return same


def cost(command):
    """User and system time of a run, in seconds."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed")
    return used.ru_utime + used.ru_stime


def middle(values):
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
