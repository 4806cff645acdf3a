//! Link layers: what lies in front of the IP header.

use crate::replay::{Packet, Skipped};

/// An IP packet in its link-layer frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// 4 or 6.
    pub(super) version: u8,
    /// The captured bytes from the IP header on, padding included.
    pub(super) bytes: &'a [u8],
    /// How many there were on the wire.
    pub(super) length: usize,
    /// Where a capture on all interfaces saw the packet: another number for another interface or direction; 0 on
    /// other captures.
    pub(super) sighting: u64,
}

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const RAW_BSD: u16 = 12;
const RAW_OPENBSD: u16 = 14;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_COOKED: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_COOKED_2: u16 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad and the number used for stacking before that.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// More tags than this are nonsense.
const MAX_TAGS: usize = 8;

/// Finds the IP packet.
pub(super) fn network<'a>(packet: &Packet<'a>) -> Result<Frame<'a>, Skipped> {
    let bytes = packet.bytes;
    let word = |at| u16_at(bytes, at).ok_or(Skipped::Cut);
    let (start, kind, sighting) = match packet.link_type {
        ETHERNET => (14, word(12)?, 0),
        NULL | LOOP => (4, family(bytes)?, 0),
        RAW_BSD | RAW_OPENBSD | RAW | IPV4 | IPV6 => (0, version_of(bytes)?, 0),
        LINUX_COOKED => (16, word(14)?, u64::from(word(0)?)),
        LINUX_COOKED_2 => {
            let interface = u64::from(word(4)?) << 16 | u64::from(word(6)?);
            let packet_type = *bytes.get(10).ok_or(Skipped::Cut)?;
            (20, word(0)?, interface << 8 | u64::from(packet_type))
        }
        _ => return Err(Skipped::LinkType),
    };
    let (start, kind) = tags(bytes, start, kind)?;
    let version = match kind {
        ETHERTYPE_IPV4 => 4,
        ETHERTYPE_IPV6 => 6,
        _ => return Err(Skipped::NotIp),
    };
    let length = (packet.length as usize).max(bytes.len()).saturating_sub(start);
    Ok(Frame { version, bytes: bytes.get(start..).ok_or(Skipped::Cut)?, length, sighting })
}

/// Passes over VLAN tags and an 802.2 SNAP header.
fn tags(bytes: &[u8], mut start: usize, mut kind: u16) -> Result<(usize, u16), Skipped> {
    for _ in 0..MAX_TAGS {
        if ETHERTYPES_VLAN.contains(&kind) {
            kind = u16_at(bytes, start + 2).ok_or(Skipped::Cut)?;
            start += 4;
        } else if kind < 0x600 && bytes.get(start..start + 6) == Some(&[0xaa, 0xaa, 3, 0, 0, 0]) {
            kind = u16_at(bytes, start + 6).ok_or(Skipped::Cut)?;
            start += 8;
        } else {
            break;
        }
    }
    Ok((start, kind))
}

/// The address family in front of packets of a BSD loopback, as an Ethernet type. `NULL` has it in the byte order of
/// the machine that captured, and every BSD has its own number for IPv6.
fn family(bytes: &[u8]) -> Result<u16, Skipped> {
    let number = *bytes.first_chunk::<4>().ok_or(Skipped::Cut)?;
    let (big, little) = (u32::from_be_bytes(number), u32::from_le_bytes(number));
    match big.min(little) {
        2 => Ok(ETHERTYPE_IPV4),
        10 | 24 | 28 | 30 => Ok(ETHERTYPE_IPV6),
        _ => Err(Skipped::NotIp),
    }
}

/// The version of a packet without a link layer, as an Ethernet type.
fn version_of(bytes: &[u8]) -> Result<u16, Skipped> {
    match bytes.first().ok_or(Skipped::Cut)? >> 4 {
        4 => Ok(ETHERTYPE_IPV4),
        6 => Ok(ETHERTYPE_IPV6),
        _ => Err(Skipped::NotIp),
    }
}

/// A number in network byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// A number in network byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
