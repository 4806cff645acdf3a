//! IPv4 ([RFC 791](https://www.rfc-editor.org/rfc/rfc791)) and IPv6 with its extension headers
//! ([RFC 8200](https://www.rfc-editor.org/rfc/rfc8200)).

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::link::{u16_at, u32_at};
use crate::replay::Skipped;

/// What an IP packet carries, whole or one fragment of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// The transport's protocol number.
    pub(super) protocol: u8,
    /// The identification of an IPv4 packet; 0 where there is none.
    pub(super) id: u32,
    /// What was captured.
    pub(super) bytes: Cow<'a, [u8]>,
    /// How long it was on the wire.
    pub(super) length: usize,
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// In bytes.
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload<'a> {
    pub(super) whole: Whole<'a>,
    pub(super) fragment: Option<Fragment>,
}

/// Reads the header(s); `length` is that of the packet on the wire, padding included.
pub(super) fn payload(version: u8, bytes: &[u8], length: usize) -> Result<Payload<'_>, Skipped> {
    if bytes.first().ok_or(Skipped::Cut)? >> 4 != version {
        return Err(Skipped::BadHeader);
    }
    if version == 4 { v4(bytes, length) } else { v6(bytes, length) }
}

fn v4(bytes: &[u8], length: usize) -> Result<Payload<'_>, Skipped> {
    let header = bytes.first_chunk::<20>().ok_or(Skipped::Cut)?;
    let header_length = usize::from(header[0] & 15) * 4;
    let total = match u16::from_be_bytes([header[2], header[3]]) {
        // Segmentation offload: the card fills it in.
        0 => length,
        total => usize::from(total).min(length),
    };
    if header_length < 20 || total < header_length {
        return Err(Skipped::BadHeader);
    }
    let id = u32::from(u16::from_be_bytes([header[4], header[5]]));
    let place = u16::from_be_bytes([header[6], header[7]]);
    let (more, offset) = (place & 0x2000 != 0, usize::from(place & 0x1fff) * 8);
    let address = |from: [u8; 4]| IpAddr::V4(Ipv4Addr::from(from));
    let captured = bytes.get(header_length..total.min(bytes.len())).ok_or(Skipped::Cut)?;
    Ok(Payload {
        whole: Whole {
            source: address([header[12], header[13], header[14], header[15]]),
            destination: address([header[16], header[17], header[18], header[19]]),
            protocol: header[9],
            id,
            bytes: Cow::Borrowed(captured),
            length: total - header_length,
        },
        fragment: (more || offset > 0).then_some(Fragment { id, offset, more }),
    })
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;
/// A chain of extension headers longer than this is nonsense.
const MAX_EXTENSIONS: usize = 16;

fn v6(bytes: &[u8], length: usize) -> Result<Payload<'_>, Skipped> {
    const HEADER: usize = 40;
    let header = bytes.first_chunk::<HEADER>().ok_or(Skipped::Cut)?;
    let total = match u16::from_be_bytes([header[4], header[5]]) {
        // A jumbogram, or segmentation offload.
        0 => length,
        payload => (HEADER + usize::from(payload)).min(length),
    };
    let address = |at: usize| {
        let octets = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>);
        octets.map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))).ok_or(Skipped::Cut)
    };
    let (mut next, mut at) = (header[6], HEADER);
    let mut fragment = None;
    for _ in 0..MAX_EXTENSIONS {
        let size = match next {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => 8 + 8 * length_at(bytes, at)?,
            AUTHENTICATION => 8 + 4 * length_at(bytes, at)?,
            FRAGMENT => {
                let place = u16_at(bytes, at + 2).ok_or(Skipped::Cut)?;
                let id = u32_at(bytes, at + 4).ok_or(Skipped::Cut)?;
                let (more, offset) = (place & 1 != 0, usize::from(place & 0xfff8));
                // One that is both first and last is whole.
                fragment = (more || offset > 0).then_some(Fragment { id, offset, more });
                8
            }
            _ => break,
        };
        next = *bytes.get(at).ok_or(Skipped::Cut)?;
        at += size;
        // What follows is a part of the fragmented payload, whatever the next header says.
        if fragment.is_some() {
            break;
        }
    }
    let captured = bytes.get(at..total.min(bytes.len())).ok_or(Skipped::Cut)?;
    Ok(Payload {
        whole: Whole {
            source: address(8)?,
            destination: address(24)?,
            protocol: next,
            id: 0,
            bytes: Cow::Borrowed(captured),
            length: total.checked_sub(at).ok_or(Skipped::BadHeader)?,
        },
        fragment,
    })
}

fn length_at(bytes: &[u8], at: usize) -> Result<usize, Skipped> {
    bytes.get(at + 1).copied().map(usize::from).ok_or(Skipped::Cut)
}
