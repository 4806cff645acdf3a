//! Conversations of which something was not seen.

use obtrace_protocols::{Completeness, Message, Role};

use crate::{
    conversation::{Gaps, Observed, Play, Speaker, Transport, Vector},
    play::{Outcome, play, play_with},
};

/// Whether an exchange has bytes in the lost chunk. A response that was never seen may have been anywhere.
pub(crate) fn touches(
    Outcome { exchange, sender, .. }: &Outcome,
    lost_from: Speaker,
    lost: std::ops::Range<u64>,
) -> bool {
    let overlaps = |message: &Message| {
        message.offset < lost.end && lost.start < message.offset.saturating_add(message.size.max(1))
    };
    if (lost_from == Speaker::Client) == (*sender == Role::Client) {
        overlaps(&exchange.request)
    } else {
        exchange.response.as_ref().is_none_or(overlaps)
    }
}

pub(crate) fn with_gaps(vector: &Vector, plays: &[Play], whole: &[Outcome]) {
    for (index, lost) in plays.iter().enumerate() {
        let Play::Bytes { from, offset, bytes, at, .. } = lost else { continue };
        let range = *offset..*offset + bytes.len() as u64;
        let mut told = plays.to_vec();
        told[index] = Play::Gap { from: *from, offset: *offset, length: bytes.len() as u64, at: *at };
        let mut untold = plays.to_vec();
        untold.remove(index);
        let last = plays.iter().map(Play::at);
        // Silence: first the hole is given up, then nothing is under way any more.
        let last = last.max().unwrap_or_default();
        let silence = [60_000_000_000, 120_000_000_000].map(|after| Play::Timeout { at: last + after });
        told.extend(silence.clone());
        untold.extend(silence);
        for (how, plays) in [("told", told), ("untold", untold)] {
            if vector.transport == Transport::Datagram && how == "told" {
                continue;
            }
            let outcomes = play(vector, vector.role, &plays);
            let is_strict = vector.gaps == Gaps::Strict || (vector.gaps == Gaps::Told && how == "told");
            if !is_strict || (vector.role == Observed::Unknown && index == 0) {
                continue;
            }
            for kept in whole.iter().filter(|it| !touches(it, *from, range.clone())) {
                let same = |outcome: &Outcome| {
                    let mut outcome = outcome.clone();
                    outcome.exchange.id = kept.exchange.id;
                    outcome == *kept
                };
                assert!(
                    outcomes.iter().any(same),
                    "{}: step {index} lost ({how}): missing {kept:#?}\nin {outcomes:#?}",
                    vector.name
                );
            }
        }
    }
}

/// The same bytes of a connection that was there before they were seen: what is told whole is as it is, and `told`
/// counts how much of it is told.
pub(crate) fn joined(vector: &Vector, plays: &[Play], whole: &[Outcome], told: &mut [usize; 2]) {
    let mut plays = plays.to_vec();
    let last = plays.iter().map(Play::at).max().unwrap_or_default();
    plays.push(Play::Timeout { at: last + 60_000_000_000 });
    let outcomes = play_with(vector, vector.role, &plays, true);
    let same = |one: &Outcome, other: &Outcome| {
        let mut one = one.clone();
        one.exchange.id = other.exchange.id;
        one == *other
    };
    for outcome in outcomes.iter().filter(|it| it.exchange.completeness == Completeness::Complete) {
        let is_right = whole.iter().any(|known| same(outcome, known));
        assert!(is_right, "{}: joined: {outcome:#?} is not in {whole:#?}", vector.name);
    }
    told[0] += whole.iter().filter(|known| outcomes.iter().any(|outcome| same(outcome, known))).count();
    told[1] += whole.len();
}
