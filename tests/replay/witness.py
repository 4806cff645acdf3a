"""tshark as second witness: how many requests it sees."""

import json
import subprocess


def layers(path, ports, dissector, transport, show, *names):
    """What tshark says of these names, a dictionary of lists for each packet that `show` lets through."""
    command = ["tshark", "-n", "-r", path, "-Y", show, "-T", "ek", "-o", "tcp.desegment_tcp_streams:TRUE"]
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


def http(path, ports):
    return sum(len(values) for values in fields(path, ports, "http", "tcp", "http.request", "http.request.method"))


def postgres(path, ports):
    """Queries and executions: what is an exchange of the agent's unless nothing is run."""
    wanted = {"Simple query", "Execute"}
    packets = fields(path, ports, "pgsql", "tcp", "pgsql.frontend == 1", "pgsql.type")
    return sum(sum(value in wanted for value in values) for values in packets)


def redis(path, ports):
    """Commands as arrays; inline ones are no arrays. A segment may end within a command: tshark tells what it has of it, and mostly all of it
    again with the next one, but only the rest if the former ended with a whole string."""
    show = "resp && (" + " || ".join(f"tcp.dstport == {port}" for port in ports) + ")"
    arrays, strings = "resp.array.length", "resp.bulk_string.length"
    commands = 0
    for packet in layers(path, ports, "resp", "tcp", show, arrays, strings):
        told = len(packet[strings])
        wanted = [int(length) for length in packet[arrays]]
        # Strings of no array here end the command of the segment before.
        commands += told > sum(wanted)
        left = min(told, sum(wanted))
        for length in wanted:
            commands += length <= left
            left = max(0, left - length)
    return commands


def dns(path, ports):
    over_udp = fields(path, ports, "dns", "udp", "udp && !icmp && dns.flags.response == 0", "dns.id")
    over_tcp = fields(path, ports, "dns", "tcp", "tcp && dns.flags.response == 0", "dns.id")
    return sum(map(len, over_udp)) + sum(map(len, over_tcp))
