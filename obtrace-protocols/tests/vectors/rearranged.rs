//! Conversations whose bytes come in other pieces, in another order and more than once, as they do where packets are lost on
//! the way and sent again: the same exchanges, in every field. The same with a piece that never comes: nothing is told whole
//! that was not said.
//!
//! What one side says in a row is cut into pieces anywhere. Of those within [`WINDOW`] bytes any may come first, and between
//! them come parts of what is there already, of what follows, of both, and of what that side said before. Where the first step
//! does not say what protocol it is the pieces stay in order: it may be the middle of a connection. Where more would have to
//! wait behind a hole than may be held the hole is given up: there only the bounds are looked at.

use std::env;

use obtrace_protocols::{Completeness, Message};

use crate::{
    conversation::{Gaps, Observed, Play, Speaker, Vector},
    play::{Outcome, Player, play, together},
};

/// How often each vector is played with the other checks of it.
const ROUNDS: u64 = 12;
/// How often where nothing else is checked.
pub(crate) const MANY_ROUNDS: u64 = 100;
const WINDOW: usize = 1024;
/// Most pieces of a window, and what a stream counts for keeping each.
const PIECES: usize = 6;
const PIECE_COST: usize = 128;

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end.max(1)
    }
}

/// What one side says in a row, at one time.
#[derive(Clone)]
struct Run {
    from: Speaker,
    offset: u64,
    bytes: Vec<u8>,
    at: u64,
    tag: u64,
}

impl Run {
    fn part(&self, range: std::ops::Range<usize>, at: u64, tag: u64) -> Play {
        let offset = self.offset + range.start as u64;
        Play::Bytes { from: self.from, offset, bytes: self.bytes[range].to_vec(), at, tag }
    }

    /// Its pieces, each window of them in any order, and parts of it again, of `before` too.
    fn rearranged(&self, before: Option<&Self>, in_order: bool, dice: &mut Dice, out: &mut Vec<Play>) {
        let most = 1 << dice.below(10);
        let mut start = 0;
        while start < self.bytes.len() {
            let mut pieces = Vec::new();
            let mut end = start;
            while end < self.bytes.len().min(start + WINDOW) && pieces.len() < PIECES {
                let next = self.bytes.len().min(start + WINDOW).min(end + 1 + dice.below(most));
                pieces.push(end..next);
                end = next;
            }
            while !pieces.is_empty() {
                let piece = pieces.remove(if in_order { 0 } else { dice.below(pieces.len()) });
                let reached = if in_order { piece.end } else { end };
                out.push(self.part(piece, self.at, self.tag));
                match dice.below(6) {
                    0 => {
                        let first = start.saturating_sub(300);
                        let first = first + dice.below(reached - first);
                        out.push(self.part(first..first + 1 + dice.below(reached - first), self.at, self.tag));
                    }
                    1 => out.extend(before.map(|before| {
                        let first = dice.below(before.bytes.len());
                        let length = 1 + dice.below((before.bytes.len() - first).min(WINDOW));
                        before.part(first..first + length, self.at, self.tag)
                    })),
                    _ => {}
                }
            }
            start = end;
        }
    }
}

fn rearrange(plays: &[Play], in_order: bool, dice: &mut Dice) -> Vec<Play> {
    let mut out = Vec::new();
    let mut before: [Option<Run>; 2] = [None, None];
    for play in plays {
        let Play::Bytes { from, offset, bytes, at, tag } = play else {
            out.push(play.clone());
            continue;
        };
        let run = Run { from: *from, offset: *offset, bytes: bytes.clone(), at: *at, tag: *tag };
        run.rearranged(before[*from as usize].as_ref(), in_order, dice, &mut out);
        before[*from as usize] = Some(run).filter(|run| !run.bytes.is_empty());
    }
    out
}

/// The same without some bytes of one side. `told`: a loss is told of instead.
fn without(plays: Vec<Play>, lost_from: Speaker, lost: &std::ops::Range<u64>, mut told: bool) -> Vec<Play> {
    let mut out = Vec::new();
    for play in plays {
        let Play::Bytes { from, offset, bytes, at, tag } = &play else {
            out.push(play);
            continue;
        };
        let end = offset + bytes.len() as u64;
        if *from != lost_from || end <= lost.start || lost.end <= *offset {
            out.push(play);
            continue;
        }
        let parts = [*offset..lost.start.max(*offset), lost.end.min(end)..end];
        for (number, part) in parts.into_iter().enumerate() {
            if number == 1 && std::mem::take(&mut told) {
                let length = lost.end - lost.start;
                out.push(Play::Gap { from: *from, offset: lost.start, length, at: *at });
            }
            if part.start < part.end {
                let kept = bytes[(part.start - offset) as usize..(part.end - offset) as usize].to_vec();
                out.push(Play::Bytes { from: *from, offset: part.start, bytes: kept, at: *at, tag: *tag });
            }
        }
    }
    out
}

/// Some bytes of those that somebody says.
fn some(runs: &[Play], dice: &mut Dice) -> Option<(Speaker, std::ops::Range<u64>)> {
    let said = runs.iter().filter(|play| matches!(play, Play::Bytes { bytes, .. } if !bytes.is_empty()));
    let said: Vec<_> = said.collect();
    let Play::Bytes { from, offset, bytes, .. } = said.get(dice.below(said.len()))? else { return None };
    let (first, most) = (dice.below(bytes.len()), 1 << dice.below(12));
    let length = 1 + dice.below((bytes.len() - first).min(most));
    Some((*from, offset + first as u64..offset + (first + length) as u64))
}

/// Whether this exchange is told where nothing is lost. Less of it may be known: not its answer.
fn is_said(Outcome { exchange, sender, .. }: &Outcome, whole: &[Outcome]) -> bool {
    let place = |message: &Option<Message>| message.map(|message| message.offset);
    whole.iter().any(|known| {
        let answer = place(&known.exchange.response);
        let is_same = known.sender == *sender && known.exchange.request.offset == exchange.request.offset;
        is_same && (exchange.response.is_none() || place(&exchange.response) == answer)
    })
}

/// As many rounds as `OBTRACE_ROUNDS` says, else so many.
fn rounds(usual: u64) -> u64 {
    env::var("OBTRACE_ROUNDS").map_or(usual, |rounds| rounds.parse().expect("OBTRACE_ROUNDS is a number"))
}

/// The rounds that every run of the tests plays.
pub(crate) fn rearranged(vector: &Vector, plays: &[Play]) {
    rearranged_often(vector, plays, ROUNDS);
}

/// Plays all rounds, and fails with what was told wrongly in any of them.
pub(crate) fn rearranged_often(vector: &Vector, plays: &[Play], usual: u64) {
    let mut wrong = Vec::new();
    let [_, runs] = together(plays);
    let mut player = Player::new(vector, vector.role, false);
    runs.iter().take(1).for_each(|first| player.play(first));
    let in_order = !player.is_known();
    let whole = play(vector, vector.role, &runs);
    for round in 0..rounds(usual) {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (round + 1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        let pieces = rearrange(&runs, in_order, &mut dice);
        let mut player = Player::new(vector, vector.role, false);
        pieces.iter().for_each(|play| player.play(play));
        if player.had_room(WINDOW + PIECES * PIECE_COST) {
            assert_eq!(whole, player.end(), "{}: rearranged {round}", vector.name);
        }
        if let Some((from, lost)) = some(&runs, &mut dice) {
            let is_told = round % 2 == 0;
            let torn = without(pieces, from, &lost, is_told);
            let how = format!("rearranged {round}, {from:?} lost {lost:?}, told of: {is_told}");
            wrong.extend(wrong_of_torn(vector, torn, &whole, is_told).map(|it| format!("{how}: {it:#?}")));
        }
    }
    assert!(wrong.is_empty(), "{}: not in {whole:#?}: {}", vector.name, wrong.join("\n"));
}

/// Of what is lost so much is left that it is like something whole, and nobody can tell: an answer to nothing, a body that is
/// like an answer, the rest of a method that nobody knows.
const UNTELLABLE: [&str; 3] = [
    "408 to a connection that asked nothing, after one that did",
    "a body until the connection closes (HTTP/1.0)",
    "methods that few know",
];

/// What is told whole of a torn conversation and was not said.
fn wrong_of_torn(vector: &Vector, mut torn: Vec<Play>, whole: &[Outcome], is_told: bool) -> Option<Outcome> {
    let last = torn.iter().map(Play::at).max().unwrap_or_default();
    torn.extend([60_000_000_000, 120_000_000_000].map(|after| Play::Timeout { at: last + after }));
    let found = play(vector, vector.role, &torn);
    let is_strict = vector.gaps == Gaps::Strict || (vector.gaps == Gaps::Told && is_told);
    if !is_strict || vector.role == Observed::Unknown || UNTELLABLE.contains(&vector.name.as_str()) {
        return None;
    }
    let is_wrong = |it: &Outcome| it.exchange.completeness == Completeness::Complete && !is_said(it, whole);
    found.into_iter().find(is_wrong)
}
