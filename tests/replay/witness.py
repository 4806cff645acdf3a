"""tshark as second witness: how many requests it sees."""

import json
import subprocess


def fields(path, ports, dissector, transport, show, *names):
    """One list of values for each packet that `show` lets through."""
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
            yield [value for name in names for value in record["layers"].get(name.replace(".", "_"), [])]


def http(path, ports):
    return sum(len(values) for values in fields(path, ports, "http", "tcp", "http.request", "http.request.method"))


def postgres(path, ports):
    """Queries and executions: what is an exchange of the agent's unless nothing is run."""
    wanted = {"Simple query", "Execute"}
    packets = fields(path, ports, "pgsql", "tcp", "pgsql.frontend == 1", "pgsql.type")
    return sum(sum(value in wanted for value in values) for values in packets)


def redis(path, ports):
    """Commands as arrays; inline ones are no arrays."""
    show = "resp.array && resp.bulk_string && !resp.reassembled_in_next_frame && (" + " || ".join(f"tcp.dstport == {port}" for port in ports) + ")"
    return sum(len(values) for values in fields(path, ports, "resp", "tcp", show, "resp.array.length"))


def dns(path, ports):
    over_udp = fields(path, ports, "dns", "udp", "udp && !icmp && dns.flags.response == 0", "dns.id")
    over_tcp = fields(path, ports, "dns", "tcp", "tcp && dns.flags.response == 0", "dns.id")
    return sum(map(len, over_udp)) + sum(map(len, over_tcp))
