//! Bounds of the tables.

use obtrace_agent::replay::Settings;

use crate::{
    build::{ETHERNET, SECOND, Talk, command, redis, redis_lines},
    replay_with,
};

/// Conversations of many clients at the same time.
fn many(count: usize, pause: u64) -> Vec<(u64, Vec<u8>)> {
    let mut talks = (0..count)
        .map(|number| Talk::between(&format!("10.0.0.1:{}", 1_000 + number), "10.0.0.2:7000", [1, 1]).open())
        .collect::<Vec<_>>();
    for (from_client, data) in redis(2) {
        for talk in &mut talks {
            talk.time += pause;
            talk.say(from_client, 0, &data);
        }
    }
    let mut frames = talks.into_iter().flat_map(|talk| talk.frames).collect::<Vec<_>>();
    frames.sort_by_key(|(time, _)| *time);
    frames
}

#[test]
fn many_at_a_time() {
    let result = replay_with(Settings::new(), ETHERNET, &many(300, 0));
    assert_eq!((result.summary.tcp_streams, result.summary.exchanges, result.summary.evicted), (300, 1_200, 0));
}

#[test]
fn beyond_the_bound_the_idle_ones_go_and_are_counted() {
    let mut quiet = Talk::between("10.0.0.9:9", "10.0.0.2:7000", [1, 1]).open();
    quiet.say(true, 0, &command(&["BLPOP", "q", "0"]));
    let frames = [quiet.frames, many(300, 0)].concat();
    let result = replay_with(Settings::new().with_max_streams(300, 1), ETHERNET, &frames);
    assert_eq!(result.lines()[0], "redis BLPOP response_missing", "it was told when it had to go");
    assert_eq!((result.summary.evicted, result.summary.exchanges), (1, 1_201));
}

#[test]
fn a_body_without_a_length_is_whole_only_if_its_connection_was_seen_to_end() {
    let script = vec![
        (true, b"GET /a HTTP/1.0\r\n\r\n".to_vec()),
        (false, b"HTTP/1.0 200 OK\r\n\r\n".to_vec()),
        (false, b"some bytes".to_vec()),
    ];
    let talk = || Talk::new().open().script(&script);
    assert_eq!(replay_with(Settings::new(), ETHERNET, &talk().close().frames).lines(), ["http GET complete"]);
    assert_eq!(replay_with(Settings::new(), ETHERNET, &talk().frames).lines(), ["http GET truncated"]);
}

#[test]
fn silence_ends_a_connection() {
    let mut talk = Talk::new().open().script(&redis(1));
    talk.say(true, 0, &command(&["PING"]));
    talk.time += 2 * 3_600 * SECOND;
    let mut later = Talk::between("10.0.0.5:5", "10.0.0.2:7000", [1, 1]);
    later.time = talk.time;
    let later = later.open().script(&redis(1));
    let result = replay_with(Settings::new(), ETHERNET, &[talk.frames, later.frames].concat());
    let expected = [redis_lines(1), vec!["redis PING response_missing".to_owned()], redis_lines(1)].concat();
    assert_eq!(result.lines(), expected);
    assert_eq!(result.summary.evicted, 1);
}
