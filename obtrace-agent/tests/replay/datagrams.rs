//! UDP.

use obtrace_agent::replay::Settings;

use crate::{
    build::{MILLI, SECOND, START, address, ethernet, udp},
    replay, replay_with,
};

const CLIENT: &str = "10.0.0.1:33333";
const SERVER: &str = "10.0.0.2:53";

/// A query for an A record of `name`.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// The answer to a query: one address.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2..4].copy_from_slice(&[0x81, 0x80]);
    bytes[7] = 1;
    bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    bytes
}

fn lookups(count: u16) -> Vec<(u64, Vec<u8>)> {
    let (client, server) = (address(CLIENT), address(SERVER));
    let pair = |n: u16| {
        let asked = query(n, &format!("host{n}.example.com"));
        let time = START + u64::from(n) * MILLI;
        [
            (time, ethernet(&udp(client, server, n + 1, &asked))),
            (time + MILLI / 2, ethernet(&udp(server, client, n + 1, &answer(&asked)))),
        ]
    };
    (0..count).flat_map(pair).collect()
}

#[test]
fn queries_and_their_answers() {
    let result = replay(&lookups(5));
    assert_eq!(result.lines(), ["dns DNS complete"; 5]);
    assert_eq!((result.summary.udp_streams, result.summary.exchanges), (1, 5));
}

#[test]
fn the_same_datagram_seen_at_two_places_is_one() {
    let doubled = lookups(5).into_iter().flat_map(|frame| [frame.clone(), frame]).collect::<Vec<_>>();
    let result = replay(&doubled);
    assert_eq!(result.lines(), ["dns DNS complete"; 5]);
    assert_eq!(result.summary.repeated, 10);

    // Linux cooked: out of one interface, in at another.
    let cooked = |packet_type: u8, frame: &[u8]| {
        [&[0, packet_type, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &frame[12..]].concat()
    };
    let doubled = lookups(5).into_iter().flat_map(|(time, mut frame)| {
        frame[18..20].fill(0); // no identification
        [(time, cooked(4, &frame)), (time, cooked(0, &frame))]
    });
    let result = replay_with(Settings::new(), 113, &doubled.collect::<Vec<_>>());
    assert_eq!(result.lines(), ["dns DNS complete"; 5]);
}

#[test]
fn a_query_without_an_answer_is_told_when_its_time_is_over() {
    let mut frames = lookups(1);
    frames.pop();
    let mut later = lookups(3).split_off(4);
    for frame in &mut later {
        frame.0 += 20 * SECOND;
    }
    frames.extend(later);
    let result = replay(&frames);
    assert_eq!(result.lines(), ["dns DNS response_missing", "dns DNS complete"]);
}
