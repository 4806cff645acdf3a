//! Puts fragmented IP packets together, within bounds.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use super::ip::{Fragment, Whole};

/// Packets that are put together at a time; the oldest is given up beyond it.
const MAX_PACKETS: usize = 1024;
/// Bytes that all of them hold together.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Fragments of one packet: 64 KiB in pieces of 8 bytes would be 8,192, and nobody sends that.
const MAX_PIECES: usize = 512;
/// No IP packet is larger.
const MAX_LENGTH: usize = 65_535;
/// How long the others are waited for ([RFC 8200 §4.5](https://www.rfc-editor.org/rfc/rfc8200#section-4.5)).
const TIMEOUT: u64 = 60_000_000_000;

type Key = (IpAddr, IpAddr, u8, u32);

/// Packets of which not all fragments are there.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    partial: HashMap<Key, Partial>,
    /// Keys by age, with the number that tells a key that was used again.
    ages: VecDeque<(Key, u64)>,
    bytes: usize,
    next_number: u64,
    incomplete: u64,
}

#[derive(Debug)]
struct Partial {
    number: u64,
    since: u64,
    /// Offset, length on the wire, captured bytes.
    pieces: Vec<(usize, usize, Vec<u8>)>,
    /// Known once the last fragment is there.
    total: Option<usize>,
}

impl Fragments {
    /// Adds a fragment; gives the packet if it was the last one missing.
    pub(super) fn add(&mut self, part: &Whole<'_>, place: Fragment, now: u64) -> Option<Whole<'static>> {
        self.expire(now);
        // Of a fragment that is not the first, IPv6 does not tell the transport's number reliably.
        let protocol = if part.source.is_ipv6() { 0 } else { part.protocol };
        let key = (part.source, part.destination, protocol, place.id);
        let end = place.offset.saturating_add(part.length);
        if end > MAX_LENGTH || part.length == 0 {
            return None;
        }
        let number = self.next_number;
        let partial = self.partial.entry(key).or_insert_with(|| {
            self.next_number += 1;
            self.ages.push_back((key, number));
            Partial { number, since: now, pieces: Vec::new(), total: None }
        });
        if !place.more {
            partial.total = partial.total.or(Some(end));
        }
        let known = partial.pieces.iter().any(|(offset, length, _)| (*offset, *length) == (place.offset, part.length));
        if !known && partial.pieces.len() < MAX_PIECES {
            self.bytes += part.bytes.len();
            partial.pieces.push((place.offset, part.length, part.bytes.to_vec()));
        }
        let whole = partial.assemble();
        if let Some((bytes, length)) = whole {
            self.remove(&key);
            return Some(Whole {
                source: part.source,
                destination: part.destination,
                protocol: part.protocol,
                id: place.id,
                bytes: Cow::Owned(bytes),
                length,
            });
        }
        while self.partial.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            self.give_up_oldest();
        }
        None
    }

    pub(super) fn incomplete(&self) -> u64 {
        self.incomplete + self.partial.len() as u64
    }

    fn expire(&mut self, now: u64) {
        while let Some((key, number)) = self.ages.front() {
            match self.partial.get(key).filter(|partial| partial.number == *number) {
                Some(partial) if partial.since.saturating_add(TIMEOUT) > now => break,
                Some(_) => self.give_up_oldest(),
                None => drop(self.ages.pop_front()),
            }
        }
    }

    fn give_up_oldest(&mut self) {
        let Some((key, number)) = self.ages.pop_front() else {
            self.partial.clear();
            self.bytes = 0;
            return;
        };
        if self.partial.get(&key).is_some_and(|partial| partial.number == number) {
            self.remove(&key);
            self.incomplete += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(partial) = self.partial.remove(key) {
            self.bytes -= partial.pieces.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>();
        }
    }
}

impl Partial {
    /// The packet, if nothing is missing: its captured bytes up to the first that the snap length cut, and its
    /// length. Where fragments overlap, what came first stays.
    fn assemble(&self) -> Option<(Vec<u8>, usize)> {
        let total = self.total?;
        let mut pieces = self.pieces.iter().collect::<Vec<_>>();
        pieces.sort_by_key(|(offset, ..)| *offset);
        let mut covered = 0;
        for (offset, length, _) in &pieces {
            if *offset > covered {
                return None;
            }
            covered = covered.max(offset + length);
        }
        if covered < total {
            return None;
        }
        let mut bytes = Vec::with_capacity(total);
        for (offset, _, captured) in pieces {
            let Some(known) = bytes.len().checked_sub(*offset) else { break };
            bytes.extend_from_slice(captured.get(known..).unwrap_or_default());
        }
        bytes.truncate(total);
        Some((bytes, total))
    }
}
