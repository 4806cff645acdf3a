//! Packets, built by hand.

use std::net::{IpAddr, SocketAddr};

pub(crate) const ETHERNET: u16 = 1;
pub(crate) const RAW: u16 = 101;

pub(crate) const MILLI: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const START: u64 = 1_700_000_000 * SECOND;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A TCP segment with its IP header.
pub(crate) fn tcp(
    source: SocketAddr,
    destination: SocketAddr,
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(source.port().to_be_bytes());
    segment.extend(destination.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    // Eight words: a timestamp option, as real ones have.
    segment.extend([0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    segment.extend(data);
    ip(source.ip(), destination.ip(), 6, 7, &segment)
}

/// A UDP datagram with its IP header.
pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, id: u16, data: &[u8]) -> Vec<u8> {
    ip(source.ip(), destination.ip(), 17, id, &udp_payload(source, destination, data))
}

pub(crate) fn udp_payload(source: SocketAddr, destination: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(destination.port().to_be_bytes());
    datagram.extend((data.len() as u16 + 8).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

pub(crate) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => ipv4(source, destination, protocol, id, 0x4000, payload),
        _ => ipv6(source, destination, protocol, payload),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `place` holds the flags and the fragment offset in units of eight bytes.
pub(crate) fn ipv4(source: IpAddr, destination: IpAddr, protocol: u8, id: u16, place: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((payload.len() as u16 + 20).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(octets(source));
    packet.extend(octets(destination));
    packet.extend(payload);
    packet
}

pub(crate) fn ipv6(source: IpAddr, destination: IpAddr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(octets(source));
    packet.extend(octets(destination));
    packet.extend(payload);
    packet
}

/// An IP packet in an Ethernet frame, padded to the least length.
pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    tagged(&[], packet)
}

/// The same with VLAN tags, outermost first.
pub(crate) fn tagged(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (number, tag) in tags.iter().enumerate() {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, number as u8 + 1]);
    }
    frame.extend(if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// Redis commands and their answers, as one conversation: who speaks (`true`: the client) and what.
pub(crate) type Script = Vec<(bool, Vec<u8>)>;

pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// `count` times SET and GET, each answered.
pub(crate) fn redis(count: usize) -> Script {
    let mut script = Script::new();
    for n in 0..count {
        let (key, value) = (format!("key{n}"), "v".repeat(n * 7 % 50));
        script.push((true, command(&["SET", &key, &value])));
        script.push((false, b"+OK\r\n".to_vec()));
        script.push((true, command(&["GET", &key])));
        script.push((false, format!("${}\r\n{value}\r\n", value.len()).into_bytes()));
    }
    script
}

/// What [`redis`] comes to.
pub(crate) fn redis_lines(count: usize) -> Vec<String> {
    ["redis SET complete", "redis GET complete"].repeat(count).into_iter().map(str::to_owned).collect()
}

/// A TCP connection being written down.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// Next sequence numbers of client and server.
    pub(crate) next: [u32; 2],
    pub(crate) time: u64,
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self::between("10.0.0.1:40000", "10.0.0.2:7000", [1_000, 9_000])
    }

    pub(crate) fn between(client: &str, server: &str, next: [u32; 2]) -> Self {
        Self { client: address(client), server: address(server), next, time: START, frames: Vec::new() }
    }

    /// Adds a segment as it is.
    pub(crate) fn raw(&mut self, from_client: bool, flags: u8, sequence: u32, acknowledged: u32, data: &[u8]) {
        let (source, destination) = if from_client { (self.client, self.server) } else { (self.server, self.client) };
        let packet = tcp(source, destination, flags, sequence, acknowledged, data);
        self.time += MILLI / 10;
        self.frames.push((self.time, ethernet(&packet)));
    }

    /// Adds the next segment of one side.
    pub(crate) fn say(&mut self, from_client: bool, flags: u8, data: &[u8]) {
        let [mine, theirs] = if from_client { [0, 1] } else { [1, 0] };
        let (sequence, acknowledged) = (self.next[mine], self.next[theirs]);
        self.raw(from_client, flags | ACK, sequence, acknowledged, data);
        let counted = u32::from(flags & (SYN | FIN) != 0);
        self.next[mine] = sequence.wrapping_add(data.len() as u32 + counted);
    }

    pub(crate) fn open(mut self) -> Self {
        let first = self.next[0];
        self.raw(true, SYN, first, 0, b"");
        self.next[0] = first.wrapping_add(1);
        self.say(false, SYN, b"");
        self.say(true, 0, b"");
        self
    }

    pub(crate) fn script(mut self, script: &Script) -> Self {
        for (from_client, data) in script {
            self.say(*from_client, 0, data);
        }
        self
    }

    pub(crate) fn close(mut self) -> Self {
        self.say(true, FIN, b"");
        self.say(false, FIN, b"");
        self.say(true, 0, b"");
        self
    }
}
