//! GOAWAY again and again: each looks at those streams only that none before it looked at. What that saves the benches
//! measure.

use alloc::vec::Vec;

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
