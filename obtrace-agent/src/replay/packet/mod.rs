//! From the bytes of a packet to a TCP segment or a UDP datagram.
//!
//! Checksums are not verified: on the sending machine a capture sees packets before the network card fills them in,
//! and most of them would look wrong.

mod fragments;
mod ip;
mod link;
mod transport;

use super::{Packet, Skipped};

pub(super) use transport::{Datagram, Segment, Transport};

use fragments::Fragments;
use ip::Whole;

/// Reads packets; keeps the fragments of those that are not whole yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    fragments: Fragments,
}

/// What became of a packet.
#[derive(Debug)]
pub(super) enum Decoded<'a> {
    /// It carries this.
    Transport(Transport<'a>),
    /// It is a fragment, and others are missing.
    Fragment,
    /// It is nothing for us.
    Skip(Skipped),
}

impl Decoder {
    /// Reads one packet; `now` is the time of the capture.
    pub(super) fn decode<'a>(&mut self, packet: &Packet<'a>, now: u64) -> Decoded<'a> {
        let frame = match link::network(packet) {
            Ok(frame) => frame,
            Err(reason) => return Decoded::Skip(reason),
        };
        let payload = match ip::payload(frame.version, frame.bytes, frame.length) {
            Ok(payload) => payload,
            Err(reason) => return Decoded::Skip(reason),
        };
        let whole = match payload.fragment {
            None => payload.whole,
            Some(fragment) => match self.fragments.add(&payload.whole, fragment, now) {
                Some(whole) => whole,
                None => return Decoded::Fragment,
            },
        };
        match transport::read(&whole, frame.sighting) {
            Ok(transport) => Decoded::Transport(transport),
            Err(reason) => Decoded::Skip(reason),
        }
    }

    /// Datagrams that were given up because their fragments did not all come.
    pub(super) fn incomplete(&self) -> u64 {
        self.fragments.incomplete()
    }
}
