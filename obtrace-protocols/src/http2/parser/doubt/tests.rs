//! Resets with losses before, in and behind their stream.

use alloc::{vec, vec::Vec};

use crate::{
    Completeness::{self, Complete, Gap},
    Config, Direction,
    Direction::{Received, Sent},
    Exchange, Role, Shared, Tag, Timestamp,
    http2::{
        ErrorCode, Reset,
        tests::talk::{Talk, details_of, frame, request, response},
    },
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];
const REFUSED: [u8; 4] = [0, 0, 0, 7];

fn talk() -> Talk {
    Talk::new(Config::new(), &Shared::default())
}

impl Talk {
    fn ask(&mut self, stream: u32) {
        self.say(Sent, &[request(stream, "/a", "text/plain"), frame(0, 1, stream, b"{}")].concat());
    }

    fn answer(&mut self, stream: u32) {
        self.say(Received, &[response(stream, "200", "text/plain"), frame(0, 1, stream, b"{}")].concat());
    }

    fn reset(&mut self, direction: Direction, stream: u32) {
        let code = if direction == Sent { CANCEL } else { REFUSED };
        self.say(direction, &frame(3, 0, stream, &code));
    }

    fn told(&mut self) -> Vec<(u32, Completeness)> {
        let told = |exchange: &Exchange<'_>| (details_of(exchange).stream, exchange.completeness);
        self.exchanges().iter().map(told).collect()
    }
}

#[test]
fn a_loss_before_a_stream_is_none_of_its() {
    for direction in [Sent, Received] {
        let mut talk = talk();
        talk.ask(1);
        talk.answer(1);
        talk.lose(direction, 50);
        // Nothing was read of the server since.
        talk.ask(3);
        talk.reset(Sent, 3);
        talk.ask(5);
        talk.answer(5);
        talk.ask(7);
        talk.say(Received, &response(7, "200", "text/plain"));
        talk.reset(Sent, 7);
        talk.ask(9);
        talk.reset(Received, 9);
        let told = talk.exchanges();
        assert!(told.iter().all(|exchange| exchange.completeness == Complete), "{told:?}");
        let resets: Vec<_> = told.iter().filter_map(|exchange| details_of(exchange).reset).collect();
        let by_client = Reset { by: Role::Client, code: ErrorCode::CANCEL };
        assert_eq!(resets, [by_client, by_client, Reset { by: Role::Server, code: ErrorCode::REFUSED_STREAM }]);
        assert_eq!(told[1].error.as_deref(), Some("CANCEL"));
    }
}

#[test]
fn a_loss_in_a_stream_may_have_held_frames_of_it() {
    for direction in [Sent, Received] {
        for by in [Sent, Received] {
            let mut talk = talk();
            talk.ask(1);
            talk.ask(3);
            talk.lose(direction, 50);
            talk.answer(3);
            talk.reset(by, 1);
            assert_eq!(talk.told(), [(3, Complete), (1, Gap)]);
        }
    }
}

#[test]
fn a_loss_behind_a_stream_is_none_of_its() {
    for direction in [Sent, Received] {
        let mut talk = talk();
        talk.ask(1);
        talk.reset(Sent, 1);
        talk.lose(direction, 50);
        assert_eq!(talk.told(), [(1, Complete)]);
    }
}

#[test]
fn a_loss_inside_the_body_of_another_costs_nothing() {
    let mut talk = talk();
    talk.ask(1);
    talk.ask(3);
    let body = frame(0, 1, 1, &[b'x'; 100]);
    talk.say(Received, &[response(1, "200", "text/plain"), body[..40].to_vec()].concat());
    talk.lose(Received, 30);
    talk.say(Received, &body[70..]);
    talk.reset(Sent, 3);
    assert_eq!(talk.told(), [(1, Complete), (3, Complete)]);
}

/// What is found behind a loss may be the inside of a frame: until a response shows that it is not, those of other
/// streams may be in there.
#[test]
fn what_is_found_behind_a_loss_is_in_doubt() {
    // A frame that says it is 200 bytes long, and a response in it.
    let hull = [&frame(0, 0, 1, &[])[..], &[0, 0, 200, 0xfa, 0, 0, 0, 0, 0]].concat();
    let mut talk = talk();
    talk.ask(1);
    talk.lose(Received, 50);
    talk.say(Received, &hull);
    let begun = talk.ends[1];
    talk.ask(3);
    talk.answer(3);
    talk.reset(Sent, 3);
    assert_eq!(talk.told(), [(3, Gap)]);
    let here = usize::try_from(talk.ends[1] - begun).unwrap();
    talk.say(Received, &vec![b'x'; 200 - here]);
    // Nothing was shown since.
    talk.ask(5);
    talk.reset(Sent, 5);
    talk.ask(7);
    talk.answer(7);
    talk.ask(9);
    talk.reset(Sent, 9);
    assert_eq!(talk.told(), [(5, Gap), (7, Complete), (9, Complete)]);
}

/// The client's bytes wait until it is sure what they are; responses pass meanwhile.
#[test]
fn a_request_that_is_read_late_may_have_been_answered() {
    let mut talk = talk();
    talk.ask(1);
    talk.lose(Sent, 50);
    // In two frames: the first tells nothing without the second.
    let late = request(3, "/a", "text/plain");
    let (first, second) = late[9..].split_at(20);
    talk.say(Sent, &frame(1, 0, 3, first));
    talk.answer(3);
    talk.say(Sent, &frame(9, 4, 3, second));
    talk.reset(Sent, 3);
    assert_eq!(talk.told(), [(3, Gap)]);
    talk.ask(5);
    talk.reset(Sent, 5);
    assert_eq!(talk.told(), [(5, Complete)]);
}

/// What the server sent before may be read later: the reset waits for that.
#[test]
fn a_reset_waits_for_what_is_out_of_order() {
    let mut talk = talk();
    talk.ask(1);
    talk.ask(3);
    let answers = [response(1, "200", "text/plain"), frame(0, 1, 1, b"{}")];
    let end = talk.ends[1];
    let late = end + answers[0].len() as u64;
    talk.connection.handle_data(Received, late, &answers[1], Timestamp::from_nanos(talk.at + 1), Tag::default());
    talk.reset(Sent, 1);
    talk.reset(Sent, 3);
    assert_eq!(talk.told(), []);
    talk.connection.handle_data(Received, end, &answers[0], Timestamp::from_nanos(talk.at + 2), Tag::default());
    assert_eq!(talk.told(), [(1, Complete), (3, Complete)]);
}

#[test]
fn a_reset_waits_no_longer_than_the_hole_is_open() {
    let mut talk = talk();
    talk.ask(1);
    let late = talk.ends[1] + 20;
    talk.connection.handle_data(
        Received,
        late,
        &frame(6, 0, 0, &[0; 8]),
        Timestamp::from_nanos(talk.at),
        Tag::default(),
    );
    talk.reset(Sent, 1);
    let due = talk.connection.poll_timeout().unwrap();
    talk.connection.handle_timeout(due);
    assert_eq!(talk.told(), [(1, Gap)]);
}

#[test]
fn what_is_open_at_the_end() {
    let mut talk = talk();
    talk.ask(1);
    talk.lose(Received, 50);
    talk.ask(3);
    talk.connection.handle_close(Timestamp::from_nanos(talk.at));
    assert_eq!(talk.told(), [(1, Gap), (3, Completeness::ResponseMissing)]);
}
