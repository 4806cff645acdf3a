"""tshark as second witness: how many requests it sees."""

import json
import subprocess

import capture


def layers(path, ports, dissector, transport, show, *names):
    """What tshark says of these names, a dictionary of lists for each packet that `show` lets through."""
    command = ["tshark", "-n", "-r", path, "-Y", show, "-T", "ek", "-o", "tcp.desegment_tcp_streams:TRUE", "-o", "tcp.reassemble_out_of_order:TRUE"]
    for port in ports:
        command += ["-d", f"{transport}.port=={port},{dissector}"]
    for name in names:
        command += ["-e", name]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    for line in done.stdout.splitlines():
        record = json.loads(line)
        if "layers" in record:
            yield {name: record["layers"].get(name.replace(".", "_"), []) for name in names}


def fields(path, ports, dissector, transport, show, name):
    """One list of values for each packet that `show` lets through."""
    return (packet[name] for packet in layers(path, ports, dissector, transport, show, name))


def apart(protocol, record):
    """Whether tshark does not count this operation of a client: a refused session start is neither query nor execution,
    an inline command no array; of MySQL what is compressed or fails to be prepared; HTTP/2 is not found in single bytes."""
    is_refused = record["what"][0] == "CONNECT" and protocol == "postgres"
    return is_refused or any(record.get(name) for name in ("apart", "inline", "pieces"))


def http(path, ports):
    return sum(len(values) for values in fields(path, ports, "http", "tcp", "http.request", "http.request.method"))


def mqtt(path, ports):
    """Packets that ask: CONNECT, PUBLISH of both ends, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT."""
    packets = fields(path, ports, "mqtt", "tcp", "mqtt", "mqtt.msgtype")
    return sum(sum(int(value) in (1, 3, 8, 10, 12, 14) for value in values) for values in packets)


def websocket(path, ports):
    """Upgrades, and connections on which there are frames."""
    streams = fields(path, ports, "http", "tcp", "websocket", "tcp.stream")
    return http(path, ports) + len({value for values in streams for value in values})


def genai(path, ports):
    return http(path, ports)


def http2(path, ports):
    """Header fields of requests, those of pushes too."""
    return sum(map(len, fields(path, ports, "http2", "tcp", "http2.headers.method", "http2.headers.method")))


def grpc(path, ports):
    return http2(path, ports)


def postgres(path, ports):
    """Queries and executions: what is an exchange of the agent's unless nothing is run."""
    wanted = {"Simple query", "Execute"}
    packets = fields(path, ports, "pgsql", "tcp", "pgsql.frontend == 1", "pgsql.type")
    return sum(sum(value in wanted for value in values) for values in packets)


def mysql(path, ports):
    """Queries, executions and the other commands that the clients send. A file that is loaded is told as commands, too, and what one of the
    clients compresses."""
    wanted = {"2", "3", "9", "14", "23"}
    packets = fields(path, ports, "mysql", "tcp", "mysql.command", "mysql.command")
    return sum(sum(value in wanted for value in values) for values in packets)


def fastcgi(path, ports):
    """Records that begin a request."""
    packets = fields(path, ports, "fcgi", "tcp", "fcgi", "fcgi.type")
    return sum(sum(value == "1" for value in values) for values in packets)


def mongodb(path, ports):
    """Messages that answer nothing, all those that a client sends."""
    return sum(len(values) for values in fields(path, ports, "mongo", "tcp", "mongo.response_to == 0", "mongo.request_id"))


def redis(path, ports):
    """Commands as arrays; inline ones are no arrays. Where a segment ends within a command, tshark tells what it has of it in more than one way:
    here it gets segments that begin with a command, but for values that are larger than a segment. Of those the strings that are missing
    follow."""
    head, packets = capture.read(path)
    whole = path.with_name(f"{path.stem}-joined.pcap")
    capture.write(whole, head, capture.joined(packets, ports, b"*"))
    stream, arrays, strings, again = "tcp.stream", "resp.array.length", "resp.bulk_string.length", "resp.reassembled_in_next_frame"
    commands, missing = 0, {}
    for packet in layers(whole, ports, "resp", "tcp", "resp", stream, arrays, strings, again):
        at = packet[stream][0]
        wanted = [int(length) for length in packet[arrays]]
        told = len(packet[strings])
        before = max(0, told - sum(wanted))
        if missing.get(at) and before:
            missing[at] = max(0, missing[at] - before)
            commands += not missing[at]
        left = told - before
        for length in wanted:
            commands += length <= left
            missing[at] = max(0, length - left)
            left = max(0, left - length)
        if packet[again]:
            missing[at] = 0
    return commands


def dns(path, ports):
    over_udp = fields(path, ports, "dns", "udp", "udp && !icmp && dns.flags.response == 0", "dns.id")
    over_tcp = fields(path, ports, "dns", "tcp", "tcp && dns.flags.response == 0", "dns.id")
    return sum(map(len, over_udp)) + sum(map(len, over_tcp))


LAST_KAFKA_API = 92


def kafka(path, ports):
    # Bytes of an authentication without a header it takes for requests of numbers that there are not.
    wanted = "kafka && (" + " || ".join(f"tcp.dstport == {port}" for port in ports) + ")"
    packets = fields(path, ports, "kafka", "tcp", wanted, "kafka.api_key")
    return sum(int(value) <= LAST_KAFKA_API for values in packets for value in values)
