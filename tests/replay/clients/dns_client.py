"""DNS by dnspython and over bare sockets: `dns_client.py PORT...`."""

import socket
import struct
import sys
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from truth import log, operation, token

ADDRESS = "127.0.0.1"
KINDS = ["A", "AAAA", "TXT", "MX", "SRV", "PTR", "CNAME", "ANY", "NS", "SOA"]


def ask(port, name, kind, over=dns.query.udp, **options):
    query = dns.message.make_query(name, kind, **options)
    with operation("dns", port, kind, name) as running:
        answer = over(query, ADDRESS, port=port, timeout=10)
        running.outcome = dns.rcode.to_text(answer.rcode())
    return answer


def pipelined(port, count):
    """Several queries on one TCP connection before the first answer is read."""
    names = [f"{token()}.test" for _ in range(count)]
    queries = [dns.message.make_query(name, "A").to_wire() for name in names]
    start = time.time_ns()
    with socket.create_connection((ADDRESS, port), timeout=10) as wire:
        wire.sendall(b"".join(struct.pack(">H", len(query)) + query for query in queries))
        file = wire.makefile("rb")
        for _ in names:
            (length,) = struct.unpack(">H", file.read(2))
            answer = dns.message.from_wire(file.read(length))
            name = answer.question[0].name.to_text(omit_final_dot=True)
            log("dns", port, ["A", name], dns.rcode.to_text(answer.rcode()), start, time.time_ns())


def one_socket(port, count):
    """Many queries from the same UDP socket, answered in any order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(10)
        wire.connect((ADDRESS, port))
        start = time.time_ns()
        for _ in range(count):
            wire.send(dns.message.make_query(f"{token()}.test", "AAAA").to_wire())
        for _ in range(count):
            answer = dns.message.from_wire(wire.recv(65535))
            name = answer.question[0].name.to_text(omit_final_dot=True)
            log("dns", port, ["AAAA", name], dns.rcode.to_text(answer.rcode()), start, time.time_ns())


def unanswered(port):
    """To a port where nobody is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        name = f"{token()}.test"
        with operation("dns", port, "A", name) as running:
            running.completeness = "response_missing"
            wire.sendto(dns.message.make_query(name, "A").to_wire(), (ADDRESS, port))


def main():
    *ports, silent = map(int, sys.argv[1:])
    for port in ports:
        for number in range(80):
            ask(port, f"{token()}.test", KINDS[number % 2])
            ask(port, f"{token()}.test", KINDS[number % len(KINDS)], use_edns=0)
            ask(port, f"{token()}.nx", "A")
        for number in range(20):
            ask(port, f"{token()}.elsewhere", "A")  # REFUSED
            ask(port, f"{token()}.test", "A", dns.query.tcp)
        ask(port, "alias.test", "A")
        ask(port, "_web._tcp.test", "SRV")
        ask(port, "words.test", "TXT")
        many = ask(port, "many.test", "A")
        assert many.flags & dns.flags.TC, "too large for UDP without EDNS"
        assert len(ask(port, "many.test", "A", dns.query.tcp).answer[0]) == 100
        ask(port, "many.test", "A", use_edns=0, payload=4096)
        for _ in range(3):
            pipelined(port, 8)
            one_socket(port, 20)
    unanswered(silent)


main()
