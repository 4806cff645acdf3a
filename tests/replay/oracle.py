"""Which exchanges of a capture a loss does not touch: a matter of packets and times, not of what is in them."""

import bisect
import collections
import struct

TCP, UDP = 6, 17
FIN, SYN, RST = 1, 2, 4


def payload(packet):
    """(ends, port it goes to, bytes of payload on the wire) of a TCP segment or UDP datagram in Ethernet and IPv4; None
    for others."""
    data = packet[3]
    if len(data) < 34 or data[12:14] != b"\x08\x00" or data[23] not in (TCP, UDP):
        return None
    at = packet_head(packet)
    total = struct.unpack_from(">H", data, 16)[0]
    source, destination = struct.unpack_from(">HH", data, at)
    head = (data[at + 12] >> 4) * 4 if data[23] == TCP else 8
    return (data[23], *sorted((source, destination))), destination, 14 + total - at - head


def packet_head(packet):
    """Where the TCP or UDP header of an IPv4 packet in Ethernet begins: with its ports and its sequence number."""
    return 14 + (packet[3][14] & 15) * 4


def moments(span):
    """When a span began and ended, in nanoseconds as the capture has them."""
    return span["start_unix_nano"], span["start_unix_nano"] + span["duration_ns"]


def flags(packet):
    """The flags of a TCP segment in Ethernet and IPv4; 0 of anything else."""
    data = packet[3]
    return data[packet_head(packet) + 13] if len(data) > 47 and data[23] == TCP else 0


def is_setup(packet):
    return flags(packet) & SYN != 0


class Oracle:
    """The packets of a whole capture, by connection, and which of them each exchange of it consists of."""

    def __init__(self, packets, spans):
        self.packets = packets
        # By connection: times in nanoseconds and indexes of the packets that carry something.
        self.flows = collections.defaultdict(lambda: ([], []))
        self.opening, self.closing = {}, {}
        # When segments were sent again, and when before: what a lost one began or completed then begins or ends later.
        self.again, seen = {}, {}
        begins = collections.defaultdict(list)
        for index, packet in enumerate(packets):
            known = payload(packet)
            if known is None:
                continue
            flow, destination, length = known
            if is_setup(packet):
                self.opening.setdefault(flow, []).append(index)
            if flags(packet) & (FIN | RST):
                self.closing.setdefault(flow, []).append(index)
            if length > 0:
                at = packet[0] * 1_000_000_000 + packet[1]
                times, indexes = self.flows[flow]
                if flow[0] == TCP:
                    segment = packet[3][packet_head(packet):][:8]
                    if segment in seen:
                        self.again[at] = seen[segment]
                    seen.setdefault(segment, at)
                # What a server sends unasked begins there, too.
                for port in {destination, *flow[1:]}:
                    begins[at, port].append(flow)
                times.append(at)
                indexes.append(index)
        self.spans = []
        for span in spans:
            start, end = moments(span)
            port = span["attributes"].get("network.peer.port")
            flows = begins[start, port]
            if len(flows) == 1:
                self.spans.append((span, flows[0], start, end))
        # Exchanges that are under way at the same time, as in a pipeline, are touched together.
        self.groups = collections.defaultdict(list)
        for _, flow, start, end in sorted(self.spans, key=lambda known: known[2]):
            groups = self.groups[flow]
            if groups and start <= groups[-1][1]:
                groups[-1][1] = max(groups[-1][1], end)
            else:
                groups.append([start, end])

    def own(self, flow, start, end):
        times, indexes = self.flows[flow]
        return indexes[bisect.bisect_left(times, start):bisect.bisect_right(times, end)]

    def apart(self, span, flow, start, end):
        """The packets of an exchange and of those under way at the same time, of the exchanges before and after, and
        for the first and the last of a connection those that open and close it. Header fields of HTTP/2 refer to all
        that was said before."""
        groups = self.groups[flow]
        at = bisect.bisect_right(groups, [start, float("inf")]) - 1
        first = groups[at - 1][0] if at > 0 and span["protocol"] not in ("http2", "grpc") else 0
        last = groups[at + 1][0] if at + 1 < len(groups) else groups[at][1]
        opening = self.opening.get(flow, []) if first == 0 else []
        closing = self.closing.get(flow, []) if at + 1 == len(groups) else []
        return opening + closing + self.own(flow, first, last)

    def untouched(self, kept):
        """The exchanges that a loss of all packets but these does not touch."""
        return [span for span, flow, start, end in self.spans if kept.issuperset(self.apart(span, flow, start, end))]
