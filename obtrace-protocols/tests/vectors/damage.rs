//! Conversations that end anywhere, and such in which one byte is another.
//!
//! Before a byte the whole conversation ends, or that direction while the other goes on; then the connection is closed. The
//! byte is also flipped, by one of eight values. What [`Player`] asks of every conversation holds for these as well: nothing
//! panics (arithmetic is checked in tests), what is held stays within its bound, what was announced comes or is withdrawn.
//! With `gaps = "strict"`, exchanges wholly before the place are told as they are without the damage.
//!
//! [`everywhere`] tries all of that at every byte of every vector. With the other checks of a vector one cut and one flip
//! are tried after the other, of a conversation of more than some hundred bytes at as many places as come to [`BUDGET`]
//! bytes (eight at least), at even distances, which differ from vector to vector.

use std::{
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use obtrace_protocols::{Message, Role};

use crate::{
    conversation::{Gaps, Observed, Play, Speaker, Transport, Vector, files},
    play::{Outcome, Player, play},
};

/// About how many bytes are played of each vector for its cuts, and for its flips.
const BUDGET: usize = 32 * 1024;
const LEAST: usize = 8;
const FLIPS: [u8; 8] = [0x01, 0x80, 0xff, 0x20, 0x04, 0x7f, 0x10, 0x02];
/// So many places are tried before a thread takes the next ones.
const BATCH: usize = 256;

/// A byte of a conversation: its step, and its place in that.
#[derive(Clone, Copy, Debug)]
struct Place {
    step: usize,
    at: usize,
}

fn length(play: &Play) -> usize {
    if let Play::Bytes { bytes, .. } = play { bytes.len() } else { 0 }
}

fn total(plays: &[Play]) -> usize {
    plays.iter().map(length).sum()
}

/// Bytes at even distances, as many as the budget has room for.
fn choice(vector: &Vector, total: usize) -> impl Iterator<Item = usize> {
    let count = (BUDGET / total.max(1)).max(LEAST);
    let stride = total.div_ceil(count).max(1);
    // Where the first one is; else all vectors of a size would be tried at the same places.
    let first = vector.name.bytes().fold(0, |sum, byte| sum * 31 % 1009 + usize::from(byte)) % stride;
    (first..total).step_by(stride)
}

fn is_close(play: &Play) -> bool {
    matches!(play, Play::Close { .. })
}

fn is_from(play: &Play, speaker: Speaker) -> bool {
    matches!(play, Play::Bytes { from, .. } | Play::Gap { from, .. } if *from == speaker)
}

/// Whether all of an exchange was there before the step: something else may lie between the parts of an answer, so that
/// its size does not say where it ends.
fn is_before(Outcome { exchange, sender, .. }: &Outcome, ends: [u64; 2], at: u64) -> bool {
    let (asks, answers) = if *sender == Role::Client { (0, 1) } else { (1, 0) };
    let within = |message: &Message, end| message.offset + message.size <= end && message.end.as_nanos() < at;
    within(&exchange.request, ends[asks])
        && exchange.response.as_ref().is_some_and(|response| within(response, ends[answers]))
}

/// The connection numbers exchanges; which number is told does not count.
fn unnumbered(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    outcomes.iter_mut().for_each(|outcome| outcome.exchange.id = 0);
    outcomes
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut { goes_on: bool },
    Flipped { by: u8 },
}

/// Says where a test failed whatever failed.
struct Attempt<'v>(&'v Vector, Damage, Place);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Self(vector, how, place) = self;
        if thread::panicking() {
            eprintln!("{}: {how:?} at {place:?}", vector.name);
        }
    }
}

/// A conversation that is damaged at one place after the other.
struct Damaged<'v> {
    vector: &'v Vector,
    plays: Vec<Play>,
    /// What is told without damage, where that must be told before a damage too.
    whole: Vec<Outcome>,
}

impl<'v> Damaged<'v> {
    fn new(vector: &'v Vector, plays: &[Play], whole: &[Outcome]) -> Self {
        let is_strict = vector.gaps == Gaps::Strict && vector.role != Observed::Unknown;
        let is_compared = is_strict && vector.transport == Transport::Stream;
        let whole = unnumbered(if is_compared { whole.to_vec() } else { Vec::new() });
        Self { vector, plays: plays.to_vec(), whole }
    }

    /// One cut and one flip of a byte, which its number among those that are tried says.
    fn try_some(&mut self, number: usize, byte: usize) {
        let place = self.place(byte);
        self.attempt(place, Damage::Cut { goes_on: number % 2 == 1 });
        self.attempt(place, Damage::Flipped { by: FLIPS[number % FLIPS.len()] });
    }

    fn try_all(&mut self, byte: usize) {
        let place = self.place(byte);
        let cuts = [false, true].map(|goes_on| Damage::Cut { goes_on });
        let flips = FLIPS.map(|by| Damage::Flipped { by });
        cuts.into_iter().chain(flips).for_each(|how| self.attempt(place, how));
    }

    fn place(&self, mut byte: usize) -> Place {
        let before = |play: &&Play| {
            let left = byte.checked_sub(length(play));
            byte = left.unwrap_or(byte);
            left.is_some()
        };
        let step = self.plays.iter().take_while(before).count();
        Place { step, at: byte }
    }

    fn attempt(&mut self, place: Place, how: Damage) {
        let attempt = Attempt(self.vector, how, place);
        let mut player = Player::new(self.vector, self.vector.role, false);
        let last = match how {
            Damage::Cut { goes_on } => self.cut(&mut player, place, goes_on),
            Damage::Flipped { by } => self.flip(&mut player, place, by),
        };
        player.play(&Play::Timeout { at: last + 60_000_000_000 });
        player.play(&Play::Close { at: last + 60_000_000_001 });
        let found = unnumbered(player.end());
        let (ends, at) = (self.reached(place), self.plays[place.step].at());
        for known in self.whole.iter().filter(|known| is_before(known, ends, at)) {
            assert!(found.contains(known), "missing {known:#?}\nin {found:#?}");
        }
        drop(attempt);
    }

    /// Up to the place, and if it `goes_on` what the other direction has behind it. When the last of it was played.
    fn cut(&self, player: &mut Player<'_>, place: Place, goes_on: bool) -> u64 {
        let (before, behind) = self.plays.split_at(place.step);
        before.iter().for_each(|play| player.play(play));
        let mut last = before.iter().map(Play::at).max().unwrap_or_default();
        let Some((Play::Bytes { from, offset, bytes, at, tag }, behind)) = behind.split_first() else { return last };
        if place.at > 0 {
            player.bytes(*from, *offset, &bytes[..place.at], *at, *tag);
            last = last.max(*at);
        }
        for play in behind.iter().filter(|play| goes_on && !is_from(play, *from) && !is_close(play)) {
            player.play(play);
            last = last.max(play.at());
        }
        last
    }

    /// All of it, with one byte changed.
    fn flip(&mut self, player: &mut Player<'_>, place: Place, by: u8) -> u64 {
        let change = |play: &mut Play| {
            if let Play::Bytes { bytes, .. } = play {
                bytes[place.at] ^= by;
            }
        };
        change(&mut self.plays[place.step]);
        let plays = self.plays.iter().filter(|play| !is_close(play));
        let last = plays.inspect(|play| player.play(play)).map(Play::at).max();
        change(&mut self.plays[place.step]);
        last.unwrap_or_default()
    }

    /// How far each direction has come before a place: the client, the server.
    fn reached(&self, place: Place) -> [u64; 2] {
        let mut ends = [self.vector.client_offset, self.vector.server_offset];
        for (step, play) in self.plays[..=place.step].iter().enumerate() {
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
}

pub(crate) fn somewhere(vector: &Vector, plays: &[Play], whole: &[Outcome]) {
    let mut damaged = Damaged::new(vector, plays, whole);
    choice(vector, total(plays)).enumerate().for_each(|(number, byte)| damaged.try_some(number, byte));
}

/// Every byte of the vectors in these folders, by as many threads as there are processors. How many bytes that are.
pub(crate) fn everywhere(folders: &[PathBuf], is_built: fn(&Vector) -> bool) -> usize {
    let read = |folder: &PathBuf| {
        let vectors = files(folder).into_iter().flat_map(|(_, file)| file.vector).filter(is_built);
        let played = vectors.map(|vector| (vector.plays(folder), vector));
        played.collect::<Vec<_>>()
    };
    let vectors: Vec<_> = folders.iter().flat_map(read).collect();
    let batches = vectors.iter().flat_map(|of @ (plays, _)| {
        let starts = (0..total(plays)).step_by(BATCH);
        starts.map(move |start| (of, start..total(plays).min(start + BATCH)))
    });
    let batches: Vec<_> = batches.collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(((plays, vector), bytes)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let whole = play(vector, vector.role, plays);
            let mut damaged = Damaged::new(vector, plays, &whole);
            Range::clone(bytes).for_each(|byte| damaged.try_all(byte));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    vectors.iter().map(|(plays, _)| total(plays)).sum()
}
