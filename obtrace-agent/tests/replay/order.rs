//! Habits of TCP: what comes late, twice, not at all, or from another connection.

use crate::{
    Result,
    build::{ACK, FIN, MILLI, RST, SECOND, SYN, Script, Talk, command, redis, redis_lines},
    replay,
};

fn lines(result: &Result) -> Vec<String> {
    result.lines()
}

/// Three exchanges; segments 0..3 are the handshake, 3.. alternate command and answer.
fn talk() -> Talk {
    Talk::new().open().script(&redis(3))
}

#[test]
fn in_order() {
    let result = replay(&talk().close().frames);
    assert_eq!(lines(&result), redis_lines(3));
    let summary = &result.summary;
    assert_eq!((summary.packets, summary.tcp_streams, summary.exchanges), (18, 1, 6));
    assert_eq!((summary.gaps, summary.unknown, summary.repeated), (0, 0, 0));
}

#[test]
fn sequence_numbers_wrap() {
    for first in [u32::MAX - 60, u32::MAX - 1, u32::MAX, 0x7fff_ffff - 20] {
        let talk = Talk::between("10.0.0.1:40000", "10.0.0.2:7000", [first, first.wrapping_sub(7)]);
        let result = replay(&talk.open().script(&redis(5)).close().frames);
        assert_eq!(lines(&result), redis_lines(5), "from {first}");
        assert_eq!(result.summary.gaps, 0);
    }
}

#[test]
fn an_answer_captured_before_its_request() {
    let mut talk = talk();
    for at in [3, 5, 7, 9] {
        talk.frames.swap(at, at + 1);
    }
    let result = replay(&talk.frames);
    assert_eq!(lines(&result), redis_lines(3));
    assert_eq!(result.summary.gaps, 0);
}

#[test]
fn every_packet_twice() {
    let doubled = talk().close().frames.into_iter().flat_map(|frame| [frame.clone(), frame]).collect::<Vec<_>>();
    let result = replay(&doubled);
    assert_eq!(lines(&result), redis_lines(3));
    assert_eq!((result.summary.tcp_streams, result.summary.repeated), (1, 12));
}

#[test]
fn retransmits_overlaps_and_keep_alives() {
    let mut talk = Talk::new().open();
    let set = command(&["SET", "k", "a long enough value"]);
    let start = talk.next[0];
    talk.say(true, 0, &set[..20]);
    talk.raw(true, ACK, start, talk.next[1], &set[..25]); // five more bytes than before
    talk.raw(true, ACK, start.wrapping_add(10), talk.next[1], &set[10..]); // overlaps, has the rest
    talk.next[0] = start.wrapping_add(set.len() as u32);
    talk.raw(true, ACK, talk.next[0].wrapping_sub(1), talk.next[1], b"\0"); // keep-alive with its byte
    talk.raw(true, ACK, talk.next[0].wrapping_sub(1), talk.next[1], b""); // keep-alive without
    talk.raw(false, ACK, talk.next[1], talk.next[0], b"");
    talk.say(false, 0, b"+OK\r\n");
    let result = replay(&talk.close().frames);
    assert_eq!(lines(&result), ["redis SET complete"]);
    assert_eq!(result.summary.gaps, 0);
}

#[test]
fn a_segment_lost_on_the_way_is_waited_for() {
    let mut talk = Talk::new().open();
    let set = command(&["SET", "k", "v"]);
    let (start, answer) = (talk.next[0], talk.next[1]);
    talk.raw(true, ACK, start.wrapping_add(10), answer, &set[10..]);
    talk.raw(false, ACK, answer, start, b""); // the receiver says that it has nothing yet
    talk.time += SECOND; // the sender's retransmission timer
    talk.raw(true, ACK, start, answer, &set[..10]);
    talk.next[0] = start.wrapping_add(set.len() as u32);
    talk.say(false, 0, b"+OK\r\n");
    let result = replay(&talk.frames);
    assert_eq!(lines(&result), ["redis SET complete"]);
    assert_eq!(result.summary.gaps, 0);
}

#[test]
fn a_segment_missing_from_the_capture_costs_what_it_carried() {
    // The fourth exchange's command, then its answer, then both.
    for missing in [&[9][..], &[10], &[9, 10]] {
        let mut talk = Talk::new().open().script(&redis(6));
        for index in missing.iter().rev() {
            talk.frames.remove(*index);
        }
        let result = replay(&talk.frames);
        let complete = lines(&result).into_iter().filter(|line| line.ends_with(" complete")).count();
        assert_eq!(complete, 11, "all but one of twelve: {:?}", lines(&result));
        assert_eq!(result.summary.gaps, missing.len() as u64);
        assert!(result.summary.exchanges <= 12);
    }
}

#[test]
fn what_waited_for_a_hole_keeps_its_times() {
    let mut talk = Talk::new().open().script(&redis(2));
    let (lost, read) = (talk.frames.len() - 1, talk.next[1]);
    talk.say(true, 0, &command(&["SET", "a", "1"]));
    talk.say(false, 0, b"+OK\r\n");
    let (asked, answered) = (talk.time - MILLI / 10, talk.time);
    // Sent before the answer was read.
    let next = command(&["SET", "b", "2"]);
    let start = talk.next[0];
    talk.raw(true, ACK, start, read, &next);
    talk.next[0] = start.wrapping_add(next.len() as u32);
    talk.say(false, 0, b"+OK\r\n");
    talk.frames.remove(lost);
    let result = replay(&talk.close().frames);
    assert_eq!(result.summary.gaps, 1);
    let times =
        result.spans.iter().map(|span| (span.span.start_unix_nano, span.span.end_unix_nano)).collect::<Vec<_>>();
    assert!(times.contains(&(asked, answered)), "{asked} to {answered}: {times:?}");
}

#[test]
fn a_hole_ends_when_capture_time_passes() {
    let mut talk = talk();
    talk.frames.remove(5);
    let (seen, late) = talk.frames.split_at(7);
    // Seconds later something else is captured: what waited is told then, not at the end.
    let mut other = Talk::between("10.0.0.3:1", "10.0.0.2:7000", [1, 1]);
    other.time = talk.time + 10 * SECOND;
    let frames = [seen, &other.open().frames, late].concat();
    let result = replay(&frames);
    assert!(result.summary.gaps >= 1);
    let complete = lines(&result).into_iter().filter(|line| line.ends_with(" complete")).count();
    assert_eq!(complete, 5, "{:?}", lines(&result));
}

#[test]
fn joined_in_the_middle() {
    for dropped in 1..11 {
        let frames = talk().frames.split_off(dropped);
        let result = replay(&frames);
        let whole = redis_lines(3);
        let missing = dropped.saturating_sub(2) / 2;
        let complete = lines(&result).into_iter().filter(|line| line.ends_with(" complete")).collect::<Vec<_>>();
        assert_eq!(complete, whole[missing.min(6)..], "without the first {dropped}");
    }
}

#[test]
fn without_a_syn_the_protocol_tells_the_roles_and_the_perspective_holds() {
    use obtrace_agent::replay::Settings;
    use obtrace_export::model::SpanKind;
    use obtrace_protocols::Role;
    // Joined at an answer and at a request: the first sender is the server, then the client.
    for dropped in [0, 3, 4] {
        for (perspective, kind) in [(Role::Client, SpanKind::Client), (Role::Server, SpanKind::Server)] {
            let frames = talk().frames.split_off(dropped);
            let settings = Settings::new().with_perspective(perspective);
            let result = crate::replay_with(settings, crate::build::ETHERNET, &frames);
            assert!(result.spans.len() >= 5, "{dropped} {perspective:?}");
            for (index, record) in result.spans.iter().enumerate() {
                assert_eq!(record.span.kind, kind);
                if kind == SpanKind::Client {
                    assert_eq!(result.text(index, "server.address").as_deref(), Some("10.0.0.2"));
                }
            }
        }
    }
}

#[test]
fn one_side_only() {
    for client in [true, false] {
        let keep = |frame: &&(u64, Vec<u8>)| (frame.1[34..36] == 40_000_u16.to_be_bytes()) == client;
        let frames = talk().close().frames.iter().filter(keep).cloned().collect::<Vec<_>>();
        let result = replay(&frames);
        assert!(lines(&result).iter().all(|line| !line.ends_with(" complete")), "{:?}", lines(&result));
        if client {
            assert_eq!(result.spans.len(), 6, "every command was seen: {:?}", lines(&result));
        }
    }
}

#[test]
fn the_same_addresses_used_again() {
    let first = talk().close();
    let mut second = Talk::between("10.0.0.1:40000", "10.0.0.2:7000", [77_000, 99_000]);
    second.time = first.time;
    let second = second.open().script(&redis(1)).close();
    let result = replay(&[first.frames, second.frames].concat());
    assert_eq!(lines(&result), redis_lines(4));
    assert_eq!((result.summary.tcp_streams, result.summary.gaps), (2, 0));

    // The first was never closed as far as the capture knows; its last request has no answer.
    let mut first = talk();
    first.say(true, 0, &command(&["PING"]));
    let mut second = Talk::between("10.0.0.1:40000", "10.0.0.2:7000", [first.next[0] + 10, 4]);
    second.time = first.time;
    let result = replay(&[first.frames, second.open().script(&redis(1)).frames].concat());
    let expected = [redis_lines(3), vec!["redis PING response_missing".to_owned()], redis_lines(1)].concat();
    assert_eq!(lines(&result), expected);
}

#[test]
fn late_segments_of_a_closed_connection_are_no_new_one() {
    let talk = talk().close();
    let (time, data) = talk.frames[4].clone();
    let mut frames = talk.frames.clone();
    frames.push((time + 5 * SECOND, data));
    let result = replay(&frames);
    assert_eq!(lines(&result), redis_lines(3));
    assert_eq!((result.summary.tcp_streams, result.summary.repeated), (1, 1));
}

#[test]
fn a_reset_ends_what_waits() {
    let mut talk = talk();
    talk.say(true, 0, &command(&["BLPOP", "q", "0"]));
    talk.raw(false, RST | ACK, talk.next[1], talk.next[0], b"");
    let mut frames = talk.frames.clone();
    // Late, but before the reset in the stream: it still counts.
    let late = frames.remove(10);
    frames.push((talk.time + MILLI, late.1));
    let result = replay(&frames);
    let expected = [redis_lines(3), vec!["redis BLPOP response_missing".to_owned()]].concat();
    assert_eq!(lines(&result), expected);
}

#[test]
fn a_refused_connect_is_a_span_of_the_client() {
    let mut talk = Talk::new();
    let first = talk.next[0];
    talk.raw(true, SYN, first, 0, b"");
    talk.raw(false, RST | ACK, 0, first.wrapping_add(1), b"");
    let result = replay(&talk.frames);
    assert_eq!(lines(&result).len(), 1);
    assert!(lines(&result)[0].starts_with("connect "), "{:?}", lines(&result));
    assert_eq!((result.summary.failed_connects, result.summary.exchanges), (1, 0));
    let settings = obtrace_agent::replay::Settings::new().with_perspective(obtrace_protocols::Role::Server);
    assert!(crate::replay_with(settings, crate::build::ETHERNET, &talk.frames).spans.is_empty());
    // A reset after the connection stood is none.
    let mut talk = Talk::new().open();
    talk.raw(false, RST, talk.next[1], 0, b"");
    assert!(replay(&talk.frames).spans.is_empty());
}

#[test]
fn data_in_the_syn_and_with_the_fin() {
    let mut talk = Talk::new();
    let first = talk.next[0];
    let ping = command(&["PING"]);
    talk.raw(true, SYN, first, 0, &ping);
    talk.next[0] = first.wrapping_add(1 + ping.len() as u32);
    talk.say(false, SYN, b"");
    talk.raw(false, FIN | ACK, talk.next[1], talk.next[0], b"+PONG\r\n");
    let result = replay(&talk.frames);
    assert_eq!(lines(&result), ["redis PING complete"]);
}

#[test]
fn data_that_acknowledges_a_fin() {
    let mut talk = talk();
    let quit = command(&["QUIT"]);
    talk.raw(false, FIN | ACK, talk.next[1], talk.next[0], b"");
    talk.raw(true, ACK, talk.next[0], talk.next[1].wrapping_add(1), &quit);
    talk.raw(false, RST, talk.next[1].wrapping_add(1), 0, b"");
    let result = replay(&talk.frames);
    let unanswered = ["redis QUIT response_missing".to_owned()];
    assert_eq!(lines(&result), [redis_lines(3), unanswered.to_vec()].concat());
    assert_eq!(result.summary.gaps, 0);
}

#[test]
fn time_that_goes_backwards() {
    let mut frames = talk().close().frames;
    for (index, frame) in frames.iter_mut().enumerate() {
        frame.0 -= index as u64 % 3 * MILLI;
    }
    let result = replay(&frames);
    assert_eq!(lines(&result), redis_lines(3));
    assert!(result.spans.iter().all(|span| span.span.end_unix_nano >= span.span.start_unix_nano));
}

#[test]
fn bytes_of_no_protocol_are_counted() {
    let script: Script = vec![(true, vec![0; 3000]), (false, vec![1; 3000])];
    let talk = Talk::new().open().script(&script).script(&script).script(&script).script(&script).close();
    let result = replay(&talk.frames);
    assert_eq!((result.summary.unknown, result.summary.exchanges), (1, 0));
    let tls = vec![(true, [&[0x16, 3, 1, 0, 200, 1][..], &[0; 199]].concat())];
    let result = replay(&Talk::new().open().script(&tls).close().frames);
    assert_eq!((result.summary.unknown, result.summary.tls), (0, 1));
}
