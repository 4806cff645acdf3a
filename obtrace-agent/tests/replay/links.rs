//! Link layers, IP versions, extension headers, fragments, snap lengths.

use obtrace_agent::replay::{Packet, Replay, Settings, Skipped};
use obtrace_agent::traces::SpanRecord;

use crate::{
    build::{
        self, ACK, ETHERNET, MILLI, RAW, SECOND, START, Talk, address, ethernet, ipv4, ipv6, redis, redis_lines,
        tagged, tcp,
    },
    replay, replay_with,
};

/// The IP packets of a conversation.
fn packets(client: &str, server: &str) -> Vec<(u64, Vec<u8>)> {
    let talk = Talk::between(client, server, [5, 6]).open().script(&redis(2)).close();
    talk.frames.into_iter().map(|(time, frame)| (time, frame[14..].to_vec())).collect()
}

const V4: [&str; 2] = ["10.1.0.1:4000", "10.1.0.2:7000"];
const V6: [&str; 2] = ["[2001:db8::1]:4000", "[2001:db8::2]:7000"];

fn check(link_type: u16, wrap: impl Fn(&[u8]) -> Vec<u8>, ends: [&str; 2]) {
    let frames = packets(ends[0], ends[1]).iter().map(|(time, packet)| (*time, wrap(packet))).collect::<Vec<_>>();
    let result = replay_with(Settings::new(), link_type, &frames);
    assert_eq!(result.lines(), redis_lines(2), "link type {link_type}: {}", result.summary);
    assert_eq!(
        result.text(0, "server.address").as_deref(),
        Some(ends[1].rsplit_once(':').unwrap().0.trim_matches(['[', ']']))
    );
}

#[test]
fn every_link_type() {
    let with = |head: &[u8], packet: &[u8]| [head, packet].concat();
    for (ends, kind, families) in [(V4, [8, 0], &[2_u32][..]), (V6, [0x86, 0xdd], &[10, 24, 28, 30])] {
        check(ETHERNET, ethernet, ends);
        check(ETHERNET, |packet| tagged(&[0x8100], packet), ends);
        check(ETHERNET, |packet| tagged(&[0x88a8, 0x8100], packet), ends);
        check(ETHERNET, |packet| tagged(&[0x9100, 0x9100, 0x8100], packet), ends);
        for family in families {
            check(0, |packet| with(&family.to_le_bytes(), packet), ends);
            check(0, |packet| with(&family.to_be_bytes(), packet), ends);
            check(108, |packet| with(&family.to_be_bytes(), packet), ends);
        }
        for raw in [12, 14, RAW, if ends == V4 { 228 } else { 229 }] {
            check(raw, <[u8]>::to_vec, ends);
        }
        check(113, |packet| with(&[&[0, 4, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &kind].concat(), packet), ends);
        check(
            276,
            |packet| with(&[&kind[..], &[0, 0, 0, 0, 0, 1, 3, 4, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0]].concat(), packet),
            ends,
        );
        // 802.3 with an 802.2 SNAP header instead of an Ethernet type.
        let snap = [&[0; 12][..], &[0, 100, 0xaa, 0xaa, 3, 0, 0, 0], &kind].concat();
        check(ETHERNET, |packet| with(&snap, packet), ends);
    }
}

#[test]
fn what_is_not_for_us_is_counted_by_reason() {
    let [client, server] = V4.map(address);
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let icmp = ethernet(&ipv4(client.ip(), server.ip(), 1, 1, 0, b"ping"));
    let mut odd = ethernet(&tcp(client, server, ACK, 1, 1, b"x"));
    odd[14] = 0x42;
    let acknowledgement = ethernet(&tcp(client, server, ACK, 1, 1, b""));
    let short = ethernet(&tcp(client, server, ACK, 1, 1, b""))[..40].to_vec();
    let frames = [arp, icmp, odd, acknowledgement, short].map(|frame| (START, frame));
    let result = replay(&frames);
    for reason in [Skipped::NotIp, Skipped::OtherTransport, Skipped::BadHeader, Skipped::NoConnection, Skipped::Cut] {
        assert_eq!(result.summary.skipped(reason), 1, "{reason:?}");
    }
    assert_eq!(result.summary.streams(), 0);
    let result = replay_with(Settings::new(), 147, &frames);
    assert_eq!(result.summary.skipped(Skipped::LinkType), 5);
    assert!(result.summary.to_string().contains("skipped, link type not read: 5"));
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let [client, server] = V6.map(address);
    let frames = packets(V6[0], V6[1]).into_iter().map(|(time, packet)| {
        let transport = &packet[40..];
        // Hop-by-hop, routing, destination options (16 bytes), authentication, an atomic fragment.
        let chain = [
            &[43, 0, 1, 4, 0, 0, 0, 0][..],
            &[60, 0, 4, 0, 0, 0, 0, 0],
            &[51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[44, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9],
            &[6, 0, 0, 0, 0, 0, 0, 9],
            transport,
        ];
        (time, ipv6(client.ip(), server.ip(), 0, &chain.concat()))
    });
    let turned = frames.zip(packets(V6[0], V6[1])).map(|((time, mut packet), (_, original))| {
        packet[8..40].copy_from_slice(&original[8..40]);
        (time, packet)
    });
    let result = replay_with(Settings::new(), RAW, &turned.collect::<Vec<_>>());
    assert_eq!(result.lines(), redis_lines(2));
}

/// Cuts an IPv4 packet into fragments of 24 bytes.
fn fragments(packet: &[u8], id: u16) -> Vec<Vec<u8>> {
    let ip = |at: usize| std::net::IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let parts = packet[20..].chunks(24).collect::<Vec<_>>();
    let last = parts.len() - 1;
    let place = |number: usize| (number * 3) as u16 | if number < last { 0x2000 } else { 0 };
    parts.iter().enumerate().map(|(number, part)| ipv4(ip(12), ip(16), 6, id, place(number), part)).collect()
}

#[test]
fn fragments_are_put_together_in_any_order_and_twice() {
    for reverse in [false, true] {
        let mut frames = Vec::new();
        for (number, (time, packet)) in packets(V4[0], V4[1]).into_iter().enumerate() {
            let mut parts = fragments(&packet, number as u16);
            if reverse {
                parts.reverse();
            }
            let again = parts[0].clone();
            if parts.len() > 1 {
                parts.insert(1, again);
            }
            frames.extend(parts.into_iter().map(|part| (time, part)));
        }
        let result = replay_with(Settings::new(), RAW, &frames);
        assert_eq!(result.lines(), redis_lines(2));
        assert_eq!(result.summary.fragments_incomplete, 0);
    }
}

#[test]
fn ipv6_fragments_too() {
    let mut frames = Vec::new();
    for (number, (time, packet)) in packets(V6[0], V6[1]).into_iter().enumerate() {
        let parts = packet[40..].chunks(24).collect::<Vec<_>>();
        for (index, part) in parts.iter().enumerate() {
            let place = (index * 24) as u16 | u16::from(index + 1 < parts.len());
            let header = [&[6, 0][..], &place.to_be_bytes(), &(number as u32).to_be_bytes()].concat();
            let mut fragment = ipv6(address(V6[0]).ip(), address(V6[1]).ip(), 44, &[&header[..], part].concat());
            fragment[8..40].copy_from_slice(&packet[8..40]);
            frames.push((time, fragment));
        }
    }
    assert_eq!(replay_with(Settings::new(), RAW, &frames).lines(), redis_lines(2));
}

#[test]
fn endless_incomplete_fragments_are_bounded_and_counted() {
    let [client, server] = V4.map(address);
    let frames = (0..5_000_u64).map(|number| {
        let source = std::net::Ipv4Addr::from(0x0a00_0000 + number as u32);
        (START, ipv4(source.into(), server.ip(), 6, 1, 0x2000, &[0; 1400]))
    });
    let result = replay_with(Settings::new(), RAW, &frames.collect::<Vec<_>>());
    assert_eq!(result.summary.fragments_incomplete, 5_000);
    // What comes a minute later does not complete what came before.
    let mut late = fragments(&tcp(client, server, ACK, 1, 1, &build::command(&["PING"])), 3);
    let last = late.pop().unwrap();
    let mut frames = late.into_iter().map(|part| (START, part)).collect::<Vec<_>>();
    frames.push((START + 61 * SECOND, last));
    let result = replay_with(Settings::new(), RAW, &frames);
    assert_eq!((result.summary.streams(), result.summary.fragments_incomplete), (0, 2));
}

#[test]
fn a_packet_cut_by_the_snap_length_is_a_gap_and_nothing_wrong_comes_of_it() {
    let script = vec![
        (true, build::command(&["SET", "a", &"x".repeat(500)])),
        (false, b"+OK\r\n".to_vec()),
        (true, build::command(&["GET", "b"])),
        (false, b"$1\r\nx\r\n".to_vec()),
        (true, build::command(&["PING"])),
        (false, b"+PONG\r\n".to_vec()),
    ];
    let talk = Talk::new().open().script(&script).close();
    for snap in [67_usize, 80, 96, 130, 200] {
        let mut spans = Vec::new();
        let mut replayed = Replay::new(Settings::new(), |record: &SpanRecord, _| spans.push(record.clone()));
        for (time, frame) in &talk.frames {
            let cut = &frame[..frame.len().min(snap)];
            replayed.packet(&Packet::new(*time, ETHERNET, cut).with_length(frame.len() as u32));
        }
        let summary = replayed.finish();
        assert!(summary.gaps >= 1, "snap length {snap}: {summary}");
        for record in &spans {
            let name = record.span.name.split(' ').next().unwrap();
            let whole = record.completeness == obtrace_protocols::Completeness::Complete;
            assert!(["SET", "GET", "PING"].contains(&name), "{name}");
            assert!(!(whole && name == "SET" && snap < 130), "its value was not seen");
        }
        if snap >= 96 {
            let complete = |name| spans.iter().any(|span| span.span.name.starts_with(name));
            assert!(complete("GET") && complete("PING"), "what was not cut is there, snap length {snap}: {spans:?}");
        }
    }
}

#[test]
fn segmentation_offload_leaves_the_ip_length_empty() {
    let frames = packets(V4[0], V4[1]).into_iter().map(|(time, mut packet)| {
        packet[2..4].fill(0);
        (time + MILLI, packet)
    });
    assert_eq!(replay_with(Settings::new(), RAW, &frames.collect::<Vec<_>>()).lines(), redis_lines(2));
}
