//! TCP ([RFC 9293](https://www.rfc-editor.org/rfc/rfc9293)) and UDP
//! ([RFC 768](https://www.rfc-editor.org/rfc/rfc768)) headers.

use std::{borrow::Cow, net::SocketAddr};

use super::{
    Whole,
    link::{u16_at, u32_at},
};
use crate::replay::Skipped;

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Transport<'a> {
    Tcp(Segment<'a>),
    Udp(Datagram<'a>),
}

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Segment<'a> {
    pub(in crate::replay) source: SocketAddr,
    pub(in crate::replay) destination: SocketAddr,
    pub(in crate::replay) sequence: u32,
    /// The acknowledgement number, if the segment has one.
    pub(in crate::replay) acknowledged: Option<u32>,
    pub(in crate::replay) syn: bool,
    pub(in crate::replay) fin: bool,
    pub(in crate::replay) rst: bool,
    /// What was captured of the payload.
    pub(in crate::replay) bytes: Cow<'a, [u8]>,
    /// How long the payload was on the wire.
    pub(in crate::replay) length: usize,
}

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replay) struct Datagram<'a> {
    pub(in crate::replay) source: SocketAddr,
    pub(in crate::replay) destination: SocketAddr,
    /// What was captured of the payload.
    pub(in crate::replay) bytes: Cow<'a, [u8]>,
    /// The identification of its IP packet, 0 where it has none.
    pub(in crate::replay) id: u32,
    /// Where it was seen, for captures on all interfaces.
    pub(in crate::replay) sighting: u64,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

pub(super) fn read<'a>(packet: &Whole<'a>, sighting: u64) -> Result<Transport<'a>, Skipped> {
    let bytes: &[u8] = &packet.bytes;
    let address = |ip, at| u16_at(bytes, at).map(|port| SocketAddr::new(ip, port)).ok_or(Skipped::Cut);
    let part = |from: usize, to: usize| match &packet.bytes {
        Cow::Borrowed(bytes) => bytes.get(from..to.min(bytes.len())).map(Cow::Borrowed),
        Cow::Owned(bytes) => bytes.get(from..to.min(bytes.len())).map(|part| Cow::Owned(part.to_vec())),
    };
    match packet.protocol {
        TCP => {
            let (source, destination) = (address(packet.source, 0)?, address(packet.destination, 2)?);
            let flags = *bytes.get(13).ok_or(Skipped::Cut)?;
            let header = bytes.get(12).map(|byte| usize::from(byte >> 4) * 4).ok_or(Skipped::Cut)?;
            if header < 20 || header > packet.length {
                return Err(Skipped::BadHeader);
            }
            let acknowledged = u32_at(bytes, 8).ok_or(Skipped::Cut)?;
            Ok(Transport::Tcp(Segment {
                source,
                destination,
                sequence: u32_at(bytes, 4).ok_or(Skipped::Cut)?,
                acknowledged: (flags & ACK != 0).then_some(acknowledged),
                syn: flags & SYN != 0,
                fin: flags & FIN != 0,
                rst: flags & RST != 0,
                // Options may be cut where the payload would begin: then none of it is here.
                bytes: part(header, packet.length).unwrap_or_default(),
                length: packet.length - header,
            }))
        }
        UDP => {
            let (source, destination) = (address(packet.source, 0)?, address(packet.destination, 2)?);
            let length = match usize::from(u16_at(bytes, 4).ok_or(Skipped::Cut)?) {
                // A jumbogram, or segmentation offload.
                0 => packet.length,
                length => length.min(packet.length),
            };
            if length < 8 {
                return Err(Skipped::BadHeader);
            }
            let bytes = part(8, length).ok_or(Skipped::Cut)?;
            Ok(Transport::Udp(Datagram { source, destination, bytes, id: packet.id, sighting }))
        }
        _ => Err(Skipped::OtherTransport),
    }
}
