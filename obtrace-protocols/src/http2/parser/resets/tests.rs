//! Resets by the client that are read before what the server had said by then.

use alloc::{vec, vec::Vec};

use crate::{
    Completeness::{self, Complete, Gap},
    Config, Direction,
    Direction::{Received, Sent},
    Exchange, Role, Shared, Tag, Timestamp,
    http2::{
        ErrorCode, Reset,
        tests::talk::{Talk, block, details_of, frame, request, response},
    },
};

const BY_CLIENT: Option<Reset> = Some(Reset { by: Role::Client, code: ErrorCode::CANCEL });

/// A talk in which the stream 1 is open.
fn talk() -> Talk {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(Sent, &whole_request(1));
    talk
}

fn whole_request(stream: u32) -> Vec<u8> {
    [request(stream, "/a", "text/plain"), frame(0, 1, stream, b"{}")].concat()
}

fn cancel(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &[0, 0, 0, 8])
}

fn whole_response(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, &block(&[(":status", "200")]))
}

impl Talk {
    /// What comes so many bytes behind what was said so far.
    fn say_ahead(&mut self, direction: Direction, ahead: usize, bytes: &[u8]) {
        let offset = self.ends[usize::from(direction == Received)].saturating_add(ahead as u64);
        self.at = self.at.saturating_add(1000);
        self.connection.handle_data(direction, offset, bytes, Timestamp::from_nanos(self.at), Tag::default());
    }

    /// The hole of this side that is due first is given up.
    fn wait(&mut self) {
        let due = self.connection.poll_timeout().unwrap();
        self.connection.handle_timeout(due);
    }

    fn told_whole(&mut self) -> Vec<(u32, Option<u16>, Option<Reset>, Completeness)> {
        let told = |exchange: &Exchange<'_>| {
            let details = details_of(exchange);
            (details.stream, details.status, details.reset, exchange.completeness)
        };
        self.exchanges().iter().map(told).collect()
    }
}

/// The server waits for the request 3, and nobody for the server.
#[test]
fn behind_a_server_that_waits_for_the_client() {
    let mut talk = talk();
    let asked = [cancel(1), whole_request(3)];
    talk.say_ahead(Sent, asked[0].len(), &asked[1]);
    talk.say(Received, &whole_response(3));
    talk.say(Sent, &asked[0]);
    assert_eq!(talk.told_whole(), [(3, Some(200), None, Complete), (1, None, BY_CLIENT, Complete)]);
}

/// The same, and the response that the reset came behind is among what waits.
#[test]
fn what_the_server_said_before_counts() {
    let mut talk = talk();
    let asked = [cancel(1), whole_request(3)];
    talk.say_ahead(Sent, asked[0].len(), &asked[1]);
    talk.say(Received, &[whole_response(3), response(1, "203", "text/plain")].concat());
    talk.say(Sent, &asked[0]);
    assert_eq!(talk.told_whole(), [(3, Some(200), None, Complete), (1, Some(203), BY_CLIENT, Complete)]);
}

/// What the server says later does not, also if it is read together with what it said before.
#[test]
fn what_the_server_says_behind_it_does_not_count() {
    let mut talk = talk();
    let said = [frame(6, 0, 0, &[0; 8]), frame(6, 1, 0, &[0; 8]), whole_response(1)];
    let at = said[0].len();
    talk.say_ahead(Received, at, &said[1]);
    talk.say(Sent, &cancel(1));
    talk.say_ahead(Received, at + said[1].len(), &said[2]);
    assert_eq!(talk.told_whole(), []);
    talk.say(Received, &said[0]);
    assert_eq!(talk.told_whole(), [(1, None, BY_CLIENT, Complete)]);
}

/// A hole of the server does not hold the client up, however much that sends.
#[test]
fn a_client_that_goes_on_loses_nothing() {
    let mut talk = talk();
    let said = [frame(6, 0, 0, &[0; 8]), whole_response(1)];
    talk.say_ahead(Received, said[0].len(), &said[1]);
    talk.say(Sent, &[request(3, "/b", "text/plain"), cancel(1)].concat());
    for _ in 0..20 {
        talk.say(Sent, &frame(0, 0, 3, &vec![b'x'; 8000]));
    }
    talk.say(Sent, &frame(0, 1, 3, b""));
    assert_eq!(talk.told_whole(), []);
    talk.say(Received, &said[0]);
    talk.ends[1] += said[1].len() as u64;
    assert_eq!(talk.told_whole(), [(1, Some(200), None, Complete)], "it was over before");
    talk.say(Received, &whole_response(3));
    let all = talk.exchanges();
    assert_eq!((details_of(&all[0]).request_body_size, all[0].completeness), (Some(160_000), Complete));
}

/// Holes of both sides, of which the client's is due first.
#[test]
fn in_front_of_a_hole_of_the_client() {
    let mut talk = talk();
    talk.say(Sent, &[cancel(1), whole_request(3)].concat());
    assert_eq!(talk.told_whole(), [(1, None, BY_CLIENT, Complete)]);
    let mut talk = self::talk();
    talk.say_ahead(Sent, cancel(1).len() + whole_request(3).len() + 20, &frame(6, 0, 0, &[0; 8]));
    talk.say_ahead(Received, 20, &frame(6, 0, 0, &[0; 8]));
    talk.say(Sent, &[cancel(1), whole_request(3)].concat());
    talk.wait();
    assert_eq!(talk.told_whole(), []);
    talk.wait();
    assert_eq!(talk.told_whole(), [(1, None, BY_CLIENT, Gap)], "the server's hole may have held its response");
    talk.ends[1] += 37;
    talk.say(Received, &whole_response(3));
    assert_eq!(talk.told_whole(), [(3, Some(200), None, Complete)]);
}

#[test]
fn at_the_end_of_the_connection() {
    let mut talk = talk();
    let asked = [cancel(1), whole_request(3)];
    // The server waits for a request that does not come.
    talk.say_ahead(Sent, asked[0].len() + 50, &asked[1]);
    talk.say(Received, &whole_response(5));
    talk.say(Sent, &asked[0]);
    assert_eq!(talk.told_whole(), []);
    talk.connection.handle_close(Timestamp::from_nanos(talk.at));
    assert!(talk.told_whole().contains(&(1, None, BY_CLIENT, Complete)));
}

/// The second one of a stream, and what is sent behind the first, are none.
#[test]
fn nothing_of_the_client_comes_behind_it() {
    let mut talk = talk();
    talk.say(Sent, &request(3, "/b", "text/plain"));
    let said = frame(6, 0, 0, &[0; 8]);
    talk.say_ahead(Received, said.len(), &frame(6, 1, 0, &[0; 8]));
    let before = talk.ends[0];
    talk.say(Sent, &cancel(3));
    talk.say(Sent, &[cancel(3), frame(0, 1, 3, b"{}"), request(3, "/b", "text/plain")].concat());
    let at = talk.at - 1000;
    talk.lose(Sent, 50);
    talk.say(Received, &said);
    let all = talk.exchanges();
    assert_eq!(all.len(), 1);
    assert_eq!((details_of(&all[0]).reset, all[0].completeness), (BY_CLIENT, Complete));
    let asked = before - (all[0].request.offset);
    assert_eq!((all[0].request.size, all[0].end().as_nanos()), (asked + 13, at));
}
