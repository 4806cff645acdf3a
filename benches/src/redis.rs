//! Redis commands and replies beside redis-protocol.

use obtrace_protocols::redis::resp::{Command, Kind, Walker};
use redis_protocol::resp2::{decode::decode_range, types::RangeFrame};

use crate::harness::{Goals, Group, Run};

/// `SET` with an expiry.
fn set() -> Vec<u8> {
    let value = "{\"user\":184467,\"cart\":[1,2,3],\"theme\":\"dark\",\"n\":12}";
    let mut out = b"*5\r\n".to_vec();
    for argument in ["SET", "session:5d2f9a1e0d4f4c2c", value, "EX", "3600"] {
        out.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    out
}

/// A reply to `HGETALL`: ten strings.
const HASH: &[u8] = b"*10\r\n$4\r\nname\r\n$5\r\nAlice\r\n$5\r\nemail\r\n$17\r\nalice@example.com\r\n$4\r\nplan\r\n\
    $3\r\npro\r\n$5\r\nseats\r\n$2\r\n12\r\n$7\r\ncreated\r\n$20\r\n2026-11-21T07:00:00Z\r\n";

fn texts<'a>(bytes: &'a [u8], frame: &RangeFrame) -> Vec<&'a [u8]> {
    match frame {
        RangeFrame::Array(elements) => elements.iter().flat_map(|element| texts(bytes, element)).collect(),
        RangeFrame::BulkString((start, end)) => vec![&bytes[*start..*end]],
        other => panic!("{other:?} is not among the inputs"),
    }
}

/// How many elements, how many bytes of text: what must be looked at to know them.
fn sums(frame: &RangeFrame) -> (usize, usize) {
    match frame {
        RangeFrame::Array(elements) => elements.iter().map(sums).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        RangeFrame::BulkString((start, end)) => (1, end - start),
        _ => (0, 0),
    }
}

fn peer(bytes: &[u8]) -> Option<(RangeFrame, usize)> {
    decode_range(bytes).ok().flatten()
}

fn walk(bytes: &[u8]) -> (usize, usize) {
    let mut walker = Walker::new(bytes);
    let mut found = (0, 0);
    while let Ok(Some(element)) = walker.next_element() {
        if element.kind != Kind::Array {
            found.0 += 1;
            found.1 += element.text.len();
        }
    }
    assert!(walker.is_complete());
    found
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let bytes = set();
    let mut places = [&b""[..]; 16];
    let command = Command::parse(&bytes, &mut places).expect("a command").expect("a whole command");
    let (frame, size) = peer(&bytes).expect("a frame");
    assert_eq!((command.arguments, command.size), (&texts(&bytes, &frame)[..], size));
    let outcome = Group::new("Redis command: SET, 5 arguments", "command", 1)
        .add("obtrace-protocols", bytes.len(), || {
            let mut places = [&b""[..]; 16];
            Command::parse(&bytes, &mut places).ok().flatten().map(|command| {
                (command.size, command.arguments.len(), command.arguments.iter().map(|text| text.len()).sum::<usize>())
            })
        })
        .add("redis-protocol decode_range", bytes.len(), || peer(&bytes).map(|(frame, size)| (size, sums(&frame))))
        .run(run);
    goals.ratio("Redis command: times redis-protocol", outcome.nanos[1] / outcome.nanos[0], 2.5, 2.0);
    goals.no_allocations("Redis command", outcome.allocations[0]);

    let (frame, _) = peer(HASH).expect("a frame");
    assert_eq!(walk(HASH), sums(&frame));
    let outcome = Group::new("Redis reply: 10 strings", "reply", 1)
        .add("obtrace-protocols", HASH.len(), || walk(HASH))
        .add("redis-protocol decode_range", HASH.len(), || peer(HASH).map(|(frame, _)| sums(&frame)))
        .run(run);
    goals.ratio("Redis reply: times redis-protocol", outcome.nanos[1] / outcome.nanos[0], 2.5, 2.0);
    goals.no_allocations("Redis reply", outcome.allocations[0]);
}
