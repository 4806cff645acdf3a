"""Captures that have lost something: made from whole ones, as pcap files of tcpdump (little-endian, nanoseconds)."""

import collections
import random
import struct

from oracle import TCP, is_setup, packet_head, payload

HEAD, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
# Bytes of a joined segment, at most.
JOINED = 60_000


def read(path):
    """The file header and the packets, each a time, a length on the wire and bytes."""
    data = path.read_bytes()
    packets, at = [], HEAD.size
    while at < len(data):
        seconds, fraction, captured, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        packets.append((seconds, fraction, length, data[at:at + captured]))
        at += captured
    return data[:HEAD.size], packets


def write(path, head, packets):
    with open(path, "wb") as file:
        file.write(head)
        for seconds, fraction, length, data in packets:
            file.write(RECORD.pack(seconds, fraction, len(data), length) + data)


def order(path):
    """Orders packets by their times: each processor hands on its own, and the file has them as they came."""
    head, packets = read(path)
    write(path, head, sorted(packets, key=lambda packet: packet[:2]))


def damages(packets, seed):
    """(name, packets, indexes of those that are as they were) of captures that lost something."""
    chance = random.Random(seed)
    every = range(len(packets))

    def keep(name, indexes):
        return name, [packets[index] for index in indexes], set(indexes)

    for _ in range(3):
        first = chance.randrange(1, len(packets) // 2)
        yield keep(f"without the first {first} packets", every[first:])
    for share in (0.002, 0.01, 0.05, 0.3):
        yield keep(f"without {share:.1%} of its packets", [index for index in every if chance.random() >= share])
    for _ in range(2):
        first = chance.randrange(len(packets) // 2)
        count = chance.randrange(1, 40)
        yield keep(f"without {count} packets from {first}", [*every[:first], *every[first + count:]])
    first, last = sorted(chance.randrange(len(packets)) for _ in range(2))
    yield keep(f"packets {first} to {last} only", every[first:last + 1])
    for snap in (96, 200):
        short = [(*packet[:3], packet[3][:snap]) for packet in packets]
        yield f"snap length {snap}", short, {index for index in every if len(packets[index][3]) <= snap}


def disorders(packets, seed):
    """(name, packets) of captures that lost nothing and have it in another form."""
    chance = random.Random(seed)
    yield "every packet twice", [packet for packet in packets for _ in range(2)]
    shuffled = list(packets)
    for at in range(0, len(shuffled) - 3, 3):
        # Neighbours change places, as happens between the queues of a network card.
        if chance.random() < 0.3 and not any(is_setup(packet) for packet in shuffled[at:at + 2]):
            shuffled[at], shuffled[at + 1] = shuffled[at + 1], shuffled[at]
    yield "neighbours out of order", shuffled


def joined(packets, ports, begin):
    """What was sent to these ports in large segments that begin where a line begins with `begin`, as far as there are such: where the segments of
    a run ended is not the same each time. Nothing else of the connections is left but what opens them."""
    out, streams = [], {}
    for packet in packets:
        known = payload(packet)
        if known is None or known[0][0] != TCP or known[1] not in ports:
            continue
        source = packet[3][26:30] + packet[3][packet_head(packet):][:2]
        if is_setup(packet):
            out.append(packet)
            streams[source, known[1]] = Stream(packet)
        elif known[2] and (source, known[1]) in streams:
            streams[source, known[1]].add(packet, known[2])
    for stream in streams.values():
        out += stream.segments(begin)
    return out


class Stream:
    """The bytes of one direction of a connection, from its SYN on."""

    def __init__(self, setup):
        self.next = sequence(setup) + 1
        self.data, self.early, self.model = bytearray(), {}, None

    def add(self, packet, length):
        self.model = self.model or packet
        self.early.setdefault(sequence(packet), packet[3][len(packet[3]) - length:])
        # What TCP sent again overlaps what is known.
        for first in sorted(self.early):
            ahead = (first - self.next + 2 ** 31) % 2 ** 32 - 2 ** 31
            if ahead <= 0:
                new = self.early.pop(first)[-ahead:]
                self.data += new
                self.next += len(new)

    def segments(self, begin):
        at, data = 0, bytes(self.data)
        while at < len(data):
            end = len(data)
            if end - at > JOINED:
                end = data.rfind(b"\n" + begin, at, at + JOINED) + 1 or at + JOINED
            yield self.segment(at, data[at:end])
            at = end

    def segment(self, at, data):
        seconds, fraction, _, model = self.model
        head = packet_head(self.model)
        packet = bytearray(model[:head + (model[head + 12] >> 4) * 4]) + data
        struct.pack_into(">H", packet, 16, len(packet) - 14)
        struct.pack_into(">I", packet, head + 4, (self.next - len(self.data) + at) % 2 ** 32)
        return seconds, fraction, len(packet), bytes(packet)


def sequence(packet):
    """The sequence number of a TCP segment."""
    return struct.unpack_from(">I", packet[3], packet_head(packet) + 4)[0]
