//! Conversations that end anywhere, and such in which one byte is another.
//!
//! A cut is tried before every byte: the whole conversation ends there, or one direction while the other goes on; then the
//! connection is closed. At every byte a flip is tried too, by one of eight values after the other. Of a conversation of
//! more than some hundred bytes not each place is tried, but as many as come to [`BUDGET`] bytes (eight at least) at even
//! distances, which differ from vector to vector. What [`play`] asks of every conversation holds for these as well: nothing
//! panics (arithmetic is checked in tests), what is held stays within its bound, what was announced comes or is withdrawn.
//! With `gaps = "strict"`, exchanges wholly before the place are told as they are without the damage.

use obtrace_protocols::{Message, Role};

use crate::{
    conversation::{Gaps, Observed, Play, Speaker, Transport, Vector},
    play::{Outcome, play},
};

/// About how many bytes are played of each vector for its cuts, and for its flips.
const BUDGET: usize = 32 * 1024;
const LEAST: usize = 8;
const FLIPS: [u8; 8] = [0x01, 0x80, 0xff, 0x20, 0x04, 0x7f, 0x10, 0x02];

/// A byte of a conversation: its step, and its place in that.
#[derive(Clone, Copy, Debug)]
struct Place {
    step: usize,
    at: usize,
}

/// Places at even distances, as many as the budget has room for.
fn places(vector: &Vector, plays: &[Play]) -> Vec<Place> {
    let lengths: Vec<usize> = plays.iter().map(length).collect();
    let total: usize = lengths.iter().sum();
    let count = (BUDGET / total.max(1)).max(LEAST);
    let stride = total.div_ceil(count).max(1);
    // Where the first one is; else all vectors of a size would be tried at the same places.
    let mut next = vector.name.bytes().fold(0, |sum, byte| sum * 31 % 1009 + usize::from(byte)) % stride;
    let mut out = Vec::new();
    for (step, length) in lengths.into_iter().enumerate() {
        while next < length {
            out.push(Place { step, at: next });
            next += stride;
        }
        next -= length;
    }
    out
}

fn length(play: &Play) -> usize {
    if let Play::Bytes { bytes, .. } = play { bytes.len() } else { 0 }
}

/// The end of a connection, after a while.
fn end(plays: &[Play]) -> [Play; 2] {
    let last = plays.iter().map(Play::at).max().unwrap_or_default();
    [Play::Timeout { at: last + 60_000_000_000 }, Play::Close { at: last + 60_000_000_001 }]
}

fn is_from(play: &Play, speaker: Speaker) -> bool {
    matches!(play, Play::Bytes { from, .. } | Play::Gap { from, .. } if *from == speaker)
}

/// Up to the place, and if `goes_on` what the other direction has behind it.
fn cut(plays: &[Play], place: Place, goes_on: bool) -> Vec<Play> {
    let mut out = plays[..place.step].to_vec();
    let Play::Bytes { from, offset, bytes, at, tag } = &plays[place.step] else { return out };
    let bytes = bytes[..place.at].to_vec();
    if !bytes.is_empty() {
        out.push(Play::Bytes { from: *from, offset: *offset, bytes, at: *at, tag: *tag });
    }
    if goes_on {
        let others = plays[place.step + 1..].iter().filter(|play| !is_from(play, *from));
        out.extend(others.filter(|play| !matches!(play, Play::Close { .. })).cloned());
    }
    out
}

fn flip(plays: &[Play], place: Place, by: u8) -> Vec<Play> {
    let mut out: Vec<_> = plays.iter().filter(|play| !matches!(play, Play::Close { .. })).cloned().collect();
    if let Play::Bytes { bytes, .. } = &mut out[place.step] {
        bytes[place.at] ^= by;
    }
    out
}

/// How far each direction has come before a place: the client, the server.
fn reached(vector: &Vector, plays: &[Play], place: Place) -> [u64; 2] {
    let mut ends = [vector.client_offset, vector.server_offset];
    for (step, play) in plays[..=place.step].iter().enumerate() {
        match play {
            Play::Bytes { from, offset, bytes, .. } => {
                let length = if step == place.step { place.at } else { bytes.len() };
                ends[*from as usize] = offset + length as u64;
            }
            Play::Gap { from, offset, length, .. } => ends[*from as usize] = offset + length,
            _ => {}
        }
    }
    ends
}

/// Whether all of an exchange was there before the step: something else may lie between the parts of an answer, so that
/// its size does not say where it ends.
fn is_before(Outcome { exchange, sender, .. }: &Outcome, ends: [u64; 2], at: u64) -> bool {
    let (asks, answers) = if *sender == Role::Client { (0, 1) } else { (1, 0) };
    let within = |message: &Message, end| message.offset + message.size <= end && message.end.as_nanos() < at;
    within(&exchange.request, ends[asks])
        && exchange.response.as_ref().is_some_and(|response| within(response, ends[answers]))
}

fn compare(vector: &Vector, before: &[&Outcome], found: &[Outcome], how: &str) {
    for &known in before {
        let same = |outcome: &Outcome| {
            let mut outcome = outcome.clone();
            outcome.exchange.id = known.exchange.id;
            outcome == *known
        };
        assert!(found.iter().any(same), "{}: {how}: missing {known:#?}\nin {found:#?}", vector.name);
    }
}

pub(crate) fn damaged(vector: &Vector, plays: &[Play], whole: &[Outcome]) {
    let is_strict = vector.gaps == Gaps::Strict && vector.role != Observed::Unknown;
    let is_stream = vector.transport == Transport::Stream;
    for (number, place) in places(vector, plays).into_iter().enumerate() {
        let (ends, at) = (reached(vector, plays, place), plays[place.step].at());
        let before: Vec<_> = whole.iter().filter(|known| is_before(known, ends, at)).collect();
        let (goes_on, by) = (number % 2 == 1, FLIPS[number % FLIPS.len()]);
        let cut = cut(plays, place, goes_on);
        let flipped = flip(plays, place, by);
        for (mut damaged, how) in [(cut, "cut"), (flipped, "flipped")] {
            let close = end(&damaged);
            damaged.extend(close);
            let found = play(vector, vector.role, &damaged);
            if is_strict && is_stream {
                compare(vector, &before, &found, &format!("{how} at {place:?}, goes on: {goes_on}, by {by}"));
            }
        }
    }
}
