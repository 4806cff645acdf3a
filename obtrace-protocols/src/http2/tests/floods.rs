//! Floods of frames that would concern every open stream.

extern crate std;

use alloc::vec::Vec;
use std::time::{Duration, Instant};

use crate::{
    Config,
    Direction::{Received, Sent},
    Shared,
    http2::tests::talk::{Talk, details_of, frame, request, response},
};

fn goaway(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())
}

fn told(talk: &mut Talk) -> Vec<(u32, bool)> {
    talk.exchanges().iter().map(|one| (details_of(one).stream, one.error.as_deref() == Some("GOAWAY"))).collect()
}

/// The shortest time that a flood takes while so many streams are open, the answers to which have begun.
fn time(streams: u32, before: &[u8], flood: &[Vec<u8>]) -> Duration {
    let round = || {
        let mut talk = Talk::new(Config::new(), &Shared::default());
        for stream in (1..).step_by(2).take(streams as usize) {
            talk.say(Sent, &request(stream, "/a", "text/plain"));
            talk.say(Received, &response(stream, "200", "text/plain"));
        }
        if !before.is_empty() {
            talk.lose(Received, 50);
            talk.say(Received, before);
        }
        let begin = Instant::now();
        flood.iter().for_each(|bytes| talk.say(Received, bytes));
        begin.elapsed()
    };
    (0..3).map(|_| round()).min().unwrap()
}

#[test]
fn open_streams_cost_a_flood_nothing() {
    type Flood = (&'static str, &'static [u8], Vec<Vec<u8>>);
    let number = |count: u32| 0..count;
    let goaways = |last: fn(u32) -> u32| number(400).map(|at| goaway(last(at)).repeat(5)).collect();
    let floods: [Flood; 4] = [
        ("nothing is refused", b"", goaways(|_| 0x7fff_ffff)),
        ("what is answered", b"", goaways(|_| 0)),
        ("less and less", b"", goaways(|at| 1999_u32.saturating_sub(at))),
        ("no frames", b"xxx", number(2000).map(|_| b"xxx".to_vec()).collect()),
    ];
    for (name, before, flood) in floods {
        let (few, many) = (time(1, before, &flood), time(1000, before, &flood));
        // The first of them does look at all.
        let most = few.saturating_mul(8).saturating_add(Duration::from_millis(2));
        assert!(many < most, "{name}: {many:?}, with one stream {few:?}");
    }
}

#[test]
fn each_goaway_refuses_what_is_behind_it() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let ask = |talk: &mut Talk, stream| talk.say(Sent, &request(stream, "/a", "text/plain"));
    for stream in [1, 3, 5, 7, 9] {
        ask(&mut talk, stream);
    }
    talk.say(Received, &response(7, "200", "text/plain"));
    talk.say(Received, &[goaway(0x7fff_ffff), goaway(5), goaway(5)].concat());
    assert_eq!(told(&mut talk), [(9, true)]);
    talk.say(Received, &[goaway(3), goaway(4), goaway(3)].concat());
    assert_eq!(told(&mut talk), [(5, true)]);
    // On its way when the server said so, and the server says it once more.
    ask(&mut talk, 11);
    talk.say(Received, &goaway(3));
    assert_eq!(told(&mut talk), [(11, true)]);
    for stream in [1, 3, 7] {
        talk.say(Received, &[response(stream, "200", "text/plain"), frame(0, 1, stream, b"")].concat());
        talk.say(Sent, &frame(0, 1, stream, b""));
    }
    assert_eq!(told(&mut talk), [(1, false), (3, false), (7, false)]);
}
