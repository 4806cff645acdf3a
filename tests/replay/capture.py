"""Captures that have lost something: made from whole ones, as pcap files of tcpdump (little-endian, nanoseconds)."""

import random
import struct

from oracle import is_setup

HEAD, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")


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
