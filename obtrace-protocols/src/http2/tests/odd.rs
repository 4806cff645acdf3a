//! What is allowed and seldom done, and what is not allowed.

use alloc::{vec, vec::Vec};

use crate::{
    Completeness::{Complete, Gap, ResponseMissing},
    Config, Details,
    Direction::{Received, Sent},
    Shared, Timestamp,
    http2::{
        GrpcStatus,
        tests::talk::{Talk, block, details_of, frame, request, response},
    },
};

fn talk() -> Talk {
    Talk::new(Config::new(), &Shared::default())
}

const TEXT: &str = "text/plain";

/// A payload with so many bytes of padding.
fn padded(padding: u8, payload: &[u8]) -> Vec<u8> {
    [&[padding][..], payload, &vec![0; padding.into()]].concat()
}

#[test]
fn everything_padded() {
    let mut talk = talk();
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a")];
    // With a priority behind the length of the padding.
    let head = [&[0, 0, 0, 0, 9][..], &block(&fields)].concat();
    let body = [frame(0, 8, 1, &padded(255, b"")), frame(0, 8, 1, &padded(7, b"abc")), frame(0, 9, 1, &padded(0, b""))];
    talk.say(Sent, &[frame(1, 0x2c, 1, &padded(200, &head)), body.concat()].concat());
    // A header block in three frames, of which only the first can be padded, and may be nothing but that.
    let status = block(&[(":status", "200")]);
    let (first, second) = status.split_at(4);
    let promised = [&[0, 0, 0, 2][..], &block(&[(":method", "GET"), (":path", "/pushed")])].concat();
    talk.say(Received, &frame(5, 0x0c, 1, &padded(9, &promised)));
    talk.say(Received, &[frame(1, 8, 1, &padded(20, b"")), frame(9, 0, 1, first), frame(9, 4, 1, second)].concat());
    talk.say(Received, &[frame(0, 9, 1, &padded(30, b"xy")), frame(1, 0x0c, 2, &padded(1, &status))].concat());
    talk.say(Received, &frame(0, 9, 2, &padded(255, b"")));
    let all = talk.exchanges();
    let told: Vec<_> = all
        .iter()
        .map(|one| {
            let details = details_of(one);
            (details.path.as_deref(), details.status, details.request_body_size, details.response_body_size)
        })
        .collect();
    assert_eq!(told, [(Some("/a"), Some(200), Some(3), Some(2)), (Some("/pushed"), Some(200), None, None)]);
    assert!(all.iter().all(|one| one.completeness == Complete));
}

#[test]
fn padding_longer_than_its_frame() {
    for (kind, flags) in [(0, 9), (1, 0x0d), (5, 0x0c)] {
        let mut talk = talk();
        talk.say(Sent, &request(1, "/a", TEXT));
        talk.say(Received, &frame(kind, flags, 1, &[5, 0, 0, 0]));
        assert_eq!(talk.connection.framing_errors(), 1);
        talk.say(Sent, &request(3, "/b", TEXT));
        talk.say(Received, &frame(1, 5, 3, &block(&[(":status", "204")])));
        talk.say(Sent, &frame(0, 1, 3, b""));
        let all = talk.exchanges();
        assert_eq!((details_of(&all[0]).stream, details_of(&all[0]).status), (3, Some(204)));
    }
}

#[test]
fn many_interim_responses() {
    let mut talk = talk();
    talk.say(Sent, &[request(1, "/a", TEXT), frame(0, 1, 1, b"x")].concat());
    let interim = |status| frame(1, 4, 1, &block(&[(":status", status), ("link", "</a.css>")]));
    for status in ["100", "103", "103", "199", "102"] {
        talk.say(Received, &interim(status));
    }
    let begun = talk.ends[1];
    talk.say(Received, &[response(1, "404", TEXT), frame(0, 1, 1, b"none")].concat());
    let all = talk.exchanges();
    assert_eq!((details_of(&all[0]).status, all[0].completeness), (Some(404), Complete));
    assert_eq!(all[0].response.unwrap().offset, begun);
    // Nothing but one, and then a reset.
    talk.say(Sent, &request(3, "/b", TEXT));
    talk.say(Received, &frame(1, 4, 3, &block(&[(":status", "103")])));
    talk.say(Sent, &frame(3, 0, 3, &[0, 0, 0, 8]));
    let all = talk.exchanges();
    assert_eq!((details_of(&all[0]).status, all[0].response, all[0].completeness), (None, None, Complete));
}

#[test]
fn a_flood_of_continuations() {
    let mut talk = talk();
    talk.say(Sent, &frame(1, 1, 1, &block(&[(":method", "GET"), (":path", "/a")])));
    for _ in 0..20_000 {
        talk.say(Sent, &frame(9, 0, 1, b""));
    }
    for _ in 0..2_000 {
        talk.say(Sent, &frame(9, 0, 1, &block(&[("x", &"y".repeat(100))])));
        assert!(talk.connection.memory() < 256 * 1024, "{}", talk.connection.memory());
    }
    talk.say(Sent, &[frame(9, 4, 1, b""), request(3, "/b", TEXT), frame(0, 1, 3, b"")].concat());
    for stream in [1, 3] {
        talk.say(Received, &frame(1, 5, stream, &block(&[(":status", "200")])));
    }
    let told: Vec<_> = talk.exchanges().iter().map(|one| (details_of(one).stream, one.completeness)).collect();
    assert_eq!(told, [(1, Gap), (3, Complete)], "what is too long is not read, what follows is");
}

#[test]
fn no_table_and_then_a_large_one() {
    let mut talk = talk();
    let setting = |size: u32| frame(4, 0, 0, &[&[0, 1][..], &size.to_be_bytes()].concat());
    let field = |name: &str, value: &str| {
        [&[0x40, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    let ask = |stream, bytes: &[&[u8]]| frame(1, 5, stream, &[&[0x82, 0x86][..], &bytes.concat()].concat());
    let path = field(":path", "/first");
    talk.say(Sent, &ask(1, &[&path]));
    talk.say(Sent, &ask(3, &[&[0xbe]]));
    talk.say(Received, &setting(0));
    // None any more: what is put in is not there.
    let none = frame(1, 5, 5, &[&[0x20, 0x82, 0x86][..], &field(":path", "/second")].concat());
    talk.say(Sent, &none);
    talk.say(Received, &setting(1 << 20));
    // To nothing, and then 1 MiB: 31 and 1,048,545 in groups of 7 bits.
    let large = [&[0x20, 0x3f, 0xe1, 0xff, 0x3f, 0x82, 0x86][..], &field(":path", "/third")].concat();
    talk.say(Sent, &frame(1, 5, 7, &large));
    let long = "z".repeat(120);
    for stream in 4..400_u32 {
        talk.say(Sent, &ask(stream * 2 + 1, &[&field("x-filler", &long), &field(":path", &long)]));
    }
    talk.say(Sent, &ask(801, &[&[0xbe]]));
    for stream in (1..=801).step_by(2) {
        talk.say(Received, &frame(1, 5, stream, &block(&[(":status", "200")])));
    }
    let all = talk.exchanges();
    let paths = |at: usize| (details_of(&all[at]).path.as_deref(), all[at].completeness);
    let told = ["/first", "/first", "/second", "/third", &*long].map(|path| (Some(path), Complete));
    assert_eq!([0, 1, 2, 3, all.len() - 1].map(paths), told);
    assert!(all.iter().all(|one| one.completeness == Complete), "{} of {}", all.len(), 400);
    assert!(talk.connection.memory() < 1 << 20, "{}", talk.connection.memory());
}

#[test]
fn streams_of_the_wrong_number() {
    let mut talk = talk();
    talk.say(Sent, &[request(5, "/a", TEXT), frame(0, 1, 5, b"")].concat());
    // One that was skipped is closed; so is what the server says of it, and of what it never promised.
    talk.say(Sent, &[request(3, "/b", TEXT), frame(0, 1, 3, b"x")].concat());
    for stream in [3, 4, 7] {
        talk.say(Received, &response(stream, "200", TEXT));
        talk.say(Received, &frame(3, 0, stream, &[0, 0, 0, 1]));
    }
    // A promise of a number of the client's, and of one that is taken.
    let promise = |promised: u8| {
        let fields = block(&[(":method", "GET"), (":path", "/p")]);
        frame(5, 4, 5, &[&[0, 0, 0, promised][..], &fields].concat())
    };
    talk.say(Received, &[promise(9), promise(2), promise(2)].concat());
    talk.say(Received, &frame(1, 5, 2, &block(&[(":status", "200")])));
    talk.say(Received, &frame(1, 5, 5, &block(&[(":status", "200")])));
    let told: Vec<_> = talk.exchanges().iter().map(|one| (details_of(one).stream, one.completeness)).collect();
    assert_eq!(told, [(2, Complete), (5, Complete)]);
    // A request on a stream of the server's is none.
    talk.say(Sent, &request(8, "/c", TEXT));
    assert_eq!(talk.connection.framing_errors(), 1);
}

#[test]
fn a_goaway_in_the_middle() {
    let mut talk = talk();
    let goaway = |last: u32| frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4], b"bye"].concat());
    talk.say(Sent, &[request(1, "/a", TEXT), frame(0, 1, 1, b"")].concat());
    // First it only says that it is about to go.
    talk.say(Received, &goaway(0x7fff_ffff));
    talk.say(Sent, &[request(3, "/b", TEXT), frame(0, 1, 3, b"")].concat());
    let last = goaway(1);
    talk.say(Received, &last[..12]);
    talk.say(Received, &last[12..]);
    // These were on their way.
    talk.say(Sent, &[request(5, "/c", TEXT), request(7, "/d", TEXT), frame(0, 1, 7, b"")].concat());
    let (sent, answered) = (talk.at, frame(1, 5, 1, &block(&[(":status", "200")])));
    talk.say(Received, &answered);
    talk.connection.handle_close(Timestamp::from_nanos(talk.at + 1_000_000));
    let all = talk.exchanges();
    let told: Vec<_> = all.iter().map(|one| (details_of(one).stream, one.error.as_deref(), one.completeness)).collect();
    let refused = |stream| (stream, Some("GOAWAY"), ResponseMissing);
    assert_eq!(told, [refused(3), (1, None, Complete), refused(5), refused(7)]);
    assert!(all[2..].iter().all(|one| one.end().as_nanos() == sent), "not until the end of the connection");
}

#[test]
fn who_has_enough_says_so_without_an_error() {
    let mut talk = talk();
    talk.say(Sent, &[request(1, "/a", TEXT), frame(0, 1, 1, b"")].concat());
    talk.say(Received, &[response(1, "200", TEXT), frame(0, 0, 1, b"much")].concat());
    talk.say(Sent, &frame(3, 0, 1, &[0; 4]));
    let all = talk.exchanges();
    assert!(details_of(&all[0]).reset.is_some());
    assert_eq!((all[0].error.as_deref(), all[0].completeness), (None, Complete));
}

#[test]
fn calls_that_end_early() {
    const KIND: &str = "application/grpc";
    let ask = |stream, timeout: &str| {
        let fields = [(":method", "POST"), (":path", "/s/m"), ("content-type", KIND), ("grpc-timeout", timeout)];
        let fields = if timeout.is_empty() { &fields[..3] } else { &fields[..] };
        frame(1, 4, stream, &block(fields))
    };
    let mut talk = talk();
    // In trailers alone while the caller goes on; compressed messages; a message that is cut.
    talk.say(Sent, &[ask(1, ""), frame(0, 0, 1, b"\x01\0\0\0\x02ab\x01\0\0\0\x09abc")].concat());
    let only = block(&[(":status", "200"), ("content-type", KIND), ("grpc-status", "8")]);
    talk.say(Received, &[frame(1, 5, 1, &only), frame(3, 0, 1, &[0; 4])].concat());
    // The deadline passes on the caller's side: before anything came, and in the middle of the answers.
    talk.say(Sent, &[ask(3, "2u"), frame(0, 1, 3, b"\0\0\0\0\0")].concat());
    talk.say(Received, &[response(3, "200", KIND), frame(0, 0, 3, b"\0\0\0\0\0")].concat());
    talk.say(Sent, &[ask(5, "1n"), frame(3, 0, 5, &[0, 0, 0, 8])].concat());
    talk.say(Sent, &frame(3, 0, 3, &[0, 0, 0, 8]));
    // Long before it.
    talk.say(Sent, &[ask(7, "1S"), frame(3, 0, 7, &[0, 0, 0, 8])].concat());
    let all = talk.exchanges();
    let told: Vec<_> = all
        .iter()
        .map(|one| {
            let Details::Grpc(call) = &one.details else { panic!("{one:?}") };
            (call.stream, call.status, call.request_messages, call.response_messages, call.request_compressed)
        })
        .collect();
    let deadline = Some(GrpcStatus::DEADLINE_EXCEEDED);
    assert_eq!(
        told,
        [
            (1, Some(GrpcStatus::new(8)), Some(2), Some(0), true),
            (5, deadline, Some(0), Some(0), false),
            (3, deadline, Some(1), Some(1), false),
            (7, Some(GrpcStatus::CANCELLED), Some(0), Some(0), false),
        ]
    );
    assert!(all.iter().all(|one| one.completeness == Complete), "{all:?}");
}

/// Who has sent the status resets the stream of a caller that goes on; where the status was lost, that tells nothing of it.
#[test]
fn a_reset_behind_a_lost_status() {
    const KIND: &str = "application/grpc";
    let only = frame(1, 5, 1, &block(&[(":status", "200"), ("content-type", KIND), ("grpc-status", "8")]));
    for (code, lost, wanted) in [(0, true, None), (8, true, None), (7, true, Some(14)), (0, false, Some(13))] {
        let mut talk = talk();
        talk.say(Sent, &[request(1, "/s/m", KIND), frame(0, 0, 1, b"\0\0\0\0\0")].concat());
        if lost {
            talk.lose(Received, only.len() as u64);
        }
        talk.say(Received, &frame(3, 0, 1, &[0, 0, 0, code]));
        let all = talk.exchanges();
        let Details::Grpc(call) = &all[0].details else { panic!("{all:?}") };
        assert_eq!(call.status, wanted.map(GrpcStatus::new), "{code}, {lost}");
        assert_eq!(all[0].completeness, if lost { Gap } else { Complete });
    }
}

/// It waits for the request of what it answers, which was lost, until its buffer is full. What is in that is not lost, too.
#[test]
fn a_server_that_waits_for_a_lost_request() {
    let mut talk = talk();
    talk.say(Sent, &[request(1, "/a", TEXT), frame(0, 1, 1, b"")].concat());
    talk.say(Received, &[response(1, "200", TEXT), frame(0, 1, 1, b"x")].concat());
    // Nobody tells of this loss.
    talk.ends[0] += request(3, "/b", TEXT).len() as u64;
    talk.say(Sent, &[request(5, "/c", TEXT), frame(0, 1, 5, b"")].concat());
    talk.say(Received, &[response(3, "201", TEXT), response(5, "202", TEXT)].concat());
    for _ in 0..80 {
        talk.say(Received, &frame(0, 0, 3, &[b'x'; 16_000]));
    }
    talk.say(Received, &[frame(0, 1, 3, b""), frame(0, 1, 5, b"abc")].concat());
    let told: Vec<_> = talk.exchanges().into_iter().map(|one| (one.target.to_string(), one.completeness)).collect();
    assert!(told.contains(&("/a".into(), Complete)) && told.contains(&("/c".into(), Complete)), "{told:?}");
}
