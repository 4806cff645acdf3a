//! However a conversation is cut into segments, in whatever order and however often they are captured, the same
//! spans come out.

use proptest::prelude::*;

use crate::{
    build::{ACK, MILLI, Script, Talk, command},
    replay,
};

/// A pipelined conversation: bursts of commands, each burst answered.
fn conversation() -> impl Strategy<Value = Script> {
    let burst = prop::collection::vec((0..3_u8, 0..40_usize), 1..6);
    prop::collection::vec(burst, 1..6).prop_map(|bursts| {
        let mut script = Script::new();
        for burst in bursts {
            let (mut asked, mut answered) = (Vec::new(), Vec::new());
            for (kind, size) in burst {
                let text = "x".repeat(size);
                match kind {
                    0 => (asked.extend(command(&["SET", "k", &text])), answered.extend(b"+OK\r\n")),
                    1 => (
                        asked.extend(command(&["GET", "k"])),
                        answered.extend(format!("${size}\r\n{text}\r\n").bytes()),
                    ),
                    _ => (asked.extend(command(&["LPUSH", "l", "v"])), answered.extend(b"-WRONGTYPE no\r\n")),
                };
            }
            script.push((true, asked));
            script.push((false, answered));
        }
        script
    })
}

/// The conversation in segments, each cut at random; acknowledgement numbers are those of a real exchange.
fn segments(script: &Script, cuts: &[usize]) -> Talk {
    let mut talk = Talk::new().open();
    let mut cuts = cuts.iter().cycle();
    for (from_client, data) in script {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            talk.say(*from_client, 0, part);
            rest = after;
        }
    }
    talk
}

fn outline(frames: &[(u64, Vec<u8>)]) -> Vec<String> {
    let result = replay(frames);
    assert_eq!(result.summary.gaps, 0);
    let names = result.lines().into_iter().zip(&result.spans);
    names.map(|(line, record)| format!("{line} {:?} {:?}", record.span.status, record.span.attributes)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_segmentation_order_and_repetition_is_the_same(
        script in conversation(),
        cuts in prop::collection::vec(1..30_usize, 1..20),
        moves in prop::collection::vec((0..1_000_usize, 0..12_usize), 0..40),
        again in prop::collection::vec((0..1_000_usize, 0..12_usize), 0..10),
    ) {
        let expected = outline(&Talk::new().open().script(&script).frames);
        let mut frames = segments(&script, &cuts).frames;
        // The handshake stays in front; the rest is shuffled within a few places.
        let handshake = 3;
        for (index, by) in moves {
            let count = frames.len() - handshake;
            let from = handshake + index % count;
            let to = (from + by).min(frames.len() - 1);
            let frame = frames.remove(from);
            frames.insert(to, frame);
        }
        for (index, by) in again {
            let count = frames.len() - handshake;
            let from = handshake + index % count;
            let frame = frames[from].clone();
            frames.insert((from + by).min(frames.len()), frame);
        }
        prop_assert_eq!(outline(&frames), expected);
    }

    #[test]
    fn segments_that_overlap_are_the_same(
        script in conversation(),
        size in 1..40_usize,
        back in 0..40_u32,
    ) {
        let expected = outline(&Talk::new().open().script(&script).frames);
        let mut talk = Talk::new().open();
        for (from_client, data) in &script {
            let side = usize::from(!from_client);
            let first = talk.next[side];
            let other = talk.next[1 - side];
            for start in (0..data.len()).step_by(size) {
                // Each segment begins a little before the end of the one before.
                let from = start.saturating_sub(back as usize);
                let to = (start + size).min(data.len());
                talk.raw(*from_client, ACK, first.wrapping_add(from as u32), other, &data[from..to]);
            }
            talk.next[side] = first.wrapping_add(data.len() as u32);
        }
        prop_assert_eq!(outline(&talk.frames), expected);
    }

    #[test]
    fn whatever_is_missing_nothing_is_invented(
        script in conversation(),
        cuts in prop::collection::vec(1..60_usize, 1..20),
        missing in prop::collection::vec(0..1_000_usize, 1..6),
    ) {
        let whole = replay(&Talk::new().open().script(&script).frames);
        let mut frames = segments(&script, &cuts).frames;
        for index in missing {
            if frames.len() > 1 {
                frames.remove(index % frames.len());
            }
        }
        let result = replay(&frames);
        prop_assert!(result.spans.len() <= whole.spans.len());
    }

    #[test]
    fn any_bytes_as_frames_do_no_harm(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..20),
        link in prop::sample::select(vec![0_u16, 1, 12, 101, 108, 113, 228, 229, 276, 999]),
    ) {
        let frames = frames.into_iter().enumerate().map(|(n, frame)| (n as u64 * MILLI, frame)).collect::<Vec<_>>();
        let result = crate::replay_with(obtrace_agent::replay::Settings::new(), link, &frames);
        prop_assert_eq!(result.summary.packets, frames.len() as u64);
    }
}
