//! WebSocket's frame headers beside tungstenite's and soketto's, which both read headers without the payload: of both
//! ends short and long messages, one in three frames, pings and pongs.

use std::io::Cursor;

use obtrace_protocols::{
    Role,
    websocket::frame::{Extensions, Header, Opcode, Read},
};
use soketto::{Parsing, base::Codec};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use crate::harness::{Goals, Group, Run};

/// First byte and length of the payload.
const FRAMES: [(u8, usize); 12] = [
    (0x81, 5),
    (0x81, 40),
    (0x82, 300),
    (0x01, 100),
    (0x00, 100),
    (0x89, 4),
    (0x80, 17),
    (0x8a, 4),
    (0x82, 1_400),
    (0x81, 0),
    (0x82, 70_000),
    (0x81, 125),
];

/// The frames of one end, masked or not.
fn frames(masked: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (first, length) in FRAMES {
        let mask = if masked { 0x80 } else { 0 };
        out.push(first);
        match u16::try_from(length) {
            Ok(short @ ..=125) => out.push(mask | u8::try_from(short).expect("a short length")),
            Ok(middle) => out.extend([&[mask | 126][..], &middle.to_be_bytes()].concat()),
            Err(_) => out.extend([&[mask | 127][..], &(length as u64).to_be_bytes()].concat()),
        }
        out.extend(if masked { &b"abcd"[..] } else { b"" });
        out.extend(vec![b'x'; length]);
    }
    out
}

/// What all are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer {
    frames: u32,
    messages: u32,
    texts: u32,
    pings: u32,
    bytes: u64,
}

fn ours(ends: &[Vec<u8>; 2]) -> Answer {
    let mut answer = Answer::default();
    for (mut bytes, sender) in ends.iter().map(|end| &end[..]).zip([Role::Client, Role::Server]) {
        while let Read::Whole(header) = Header::parse(bytes, sender, Extensions::default()) {
            let is_data = matches!(header.opcode, Opcode::Text | Opcode::Binary | Opcode::Continuation);
            answer.frames += 1;
            answer.messages += u32::from(header.fin && is_data);
            answer.texts += u32::from(header.opcode == Opcode::Text);
            answer.pings += u32::from(header.opcode == Opcode::Ping);
            answer.bytes += header.length;
            bytes = bytes.get(header.size + header.length as usize..).expect("a whole frame");
        }
    }
    answer
}

fn tungstenite_answer(ends: &[Vec<u8>; 2]) -> Answer {
    let mut answer = Answer::default();
    for end in ends {
        let mut cursor = Cursor::new(&end[..]);
        while let Some((header, length)) = FrameHeader::parse(&mut cursor).expect("a header") {
            answer.frames += 1;
            answer.messages += u32::from(header.is_final && matches!(header.opcode, OpCode::Data(_)));
            answer.texts += u32::from(header.opcode == OpCode::Data(Data::Text));
            answer.pings += u32::from(header.opcode == OpCode::Control(Control::Ping));
            answer.bytes += length;
            cursor.set_position(cursor.position() + length);
        }
    }
    answer
}

fn soketto_answer(ends: &[Vec<u8>; 2]) -> Answer {
    use soketto::base::OpCode;
    let mut answer = Answer::default();
    for end in ends {
        let (codec, mut bytes) = (Codec::new(), &end[..]);
        while let Parsing::Done { value: header, offset } = codec.decode_header(bytes).expect("a header") {
            answer.frames += 1;
            let is_data = matches!(header.opcode(), OpCode::Text | OpCode::Binary | OpCode::Continue);
            answer.messages += u32::from(header.is_fin() && is_data);
            answer.texts += u32::from(header.opcode() == OpCode::Text);
            answer.pings += u32::from(header.opcode() == OpCode::Ping);
            answer.bytes += header.payload_len() as u64;
            bytes = bytes.get(offset + header.payload_len()..).expect("a whole frame");
        }
    }
    answer
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let ends = [frames(true), frames(false)];
    let told = ours(&ends);
    assert_eq!((told.frames, told.messages, told.texts, told.pings), (24, 16, 10, 2));
    assert_eq!(told, tungstenite_answer(&ends));
    assert_eq!(told, soketto_answer(&ends));
    // Payloads are stepped over.
    let bytes = ends.iter().map(Vec::len).sum::<usize>() - told.bytes as usize;
    let outcome = Group::new("WebSocket frame headers", "header", told.frames as usize)
        .add("obtrace-protocols", bytes, || ours(&ends))
        .add("tungstenite", bytes, || tungstenite_answer(&ends))
        .add("soketto", bytes, || soketto_answer(&ends))
        .run(run);
    goals.ratio("WebSocket headers: times tungstenite", outcome.nanos[1] / outcome.nanos[0], 1.0, 0.7);
    goals.ratio("WebSocket headers: times soketto", outcome.nanos[2] / outcome.nanos[0], 1.0, 0.7);
    goals.no_allocations("WebSocket headers", outcome.allocations[0]);
}
