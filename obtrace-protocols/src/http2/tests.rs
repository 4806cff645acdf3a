mod goaway;
mod odd;
pub(super) mod talk;

use alloc::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::frame::PREFACE;
use crate::{Completeness, Config, Connection, Details, Direction, Exchange, Protocol, Role, Shared, Tag, Timestamp};
use talk::frame;

/// A field that is put in the table, or not.
fn field(indexed: bool, name: &str, value: &str) -> Vec<u8> {
    let first = if indexed { 0x40 } else { 0x00 };
    let (name_length, value_length) = (name.len() as u8, value.len() as u8);
    [&[first, name_length], name.as_bytes(), &[value_length], value.as_bytes()].concat()
}

/// A header block in one frame or in several.
fn headers(stream: u32, block: &[u8], ends_stream: bool, piece: usize) -> Vec<u8> {
    let mut out = vec![];
    let pieces: Vec<&[u8]> = block.chunks(piece).collect();
    for (number, bytes) in pieces.iter().enumerate() {
        let kind = if number == 0 { 1 } else { 9 };
        let flags = u8::from(ends_stream && number == 0) | if number + 1 == pieces.len() { 4 } else { 0 };
        out.extend(frame(kind, flags, stream, bytes));
    }
    out
}

/// DATA frames of at most so many bytes; the first is padded.
fn data(stream: u32, body: &[u8], ends_stream: bool, piece: usize) -> Vec<u8> {
    let mut out = vec![];
    let pieces: Vec<&[u8]> = body.chunks(piece).collect();
    for (number, bytes) in pieces.iter().enumerate() {
        let last = u8::from(ends_stream && number + 1 == pieces.len());
        if number == 0 {
            out.extend(frame(0, 8 | last, stream, &[&[3][..], bytes, &[0; 3]].concat()));
        } else {
            out.extend(frame(0, last, stream, bytes));
        }
    }
    out
}

fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// What one exchange is on the wire: what each side sends, piece by piece.
#[derive(Clone, Debug)]
struct Script {
    client: Vec<Vec<u8>>,
    server: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Shape {
    choice: u8,
    indexed: bool,
    piece: usize,
    body: Vec<u8>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..60),
        Just(frame(1, 5, 1, b"\x82\x86\x84")),
        Just(vec![0; 700]),
    ];
    (any::<u8>(), any::<bool>(), 1..200_usize, body).prop_map(|(choice, indexed, piece, body)| Shape {
        choice,
        indexed,
        piece,
        body,
    })
}

fn script(stream: u32, shape: &Shape) -> Script {
    let Shape { choice, indexed, piece, body } = shape;
    let path = format!("/p{stream}/m");
    let ask = |method: &[u8], more: &[u8]| [method, b"\x86", &field(*indexed, ":path", &path), more].concat();
    let status = |code: &str| field(*indexed, ":status", code);
    let (mut client, mut server) = (vec![], vec![]);
    match choice % 7 {
        0 => {
            client.push(headers(stream, &ask(b"\x82", b""), true, *piece));
            server.push(headers(stream, &status("200"), false, *piece));
            server.push(data(stream, body, true, *piece));
        }
        1 => {
            client.push(headers(stream, &ask(b"\x83", b""), false, *piece));
            client.push(data(stream, body, true, *piece));
            server.push(headers(stream, &status("404"), true, *piece));
        }
        2 | 3 => {
            let kind = field(*indexed, "content-type", "application/grpc");
            client.push(headers(stream, &ask(b"\x83", &kind), false, *piece));
            client.push(data(stream, &message(body), true, *piece));
            server.push(headers(stream, &[status("200"), kind].concat(), false, *piece));
            server.push(data(stream, &[message(body), message(b"")].concat(), false, *piece));
            server.push(headers(stream, &field(*indexed, "grpc-status", "5"), true, *piece));
        }
        4 => {
            client.push(headers(stream, &ask(b"\x82", &field(*indexed, "x-token", &path)), true, *piece));
            server.push(headers(stream, &status("200"), false, *piece));
            server.push(data(stream, body, false, *piece));
            client.push(frame(3, 0, stream, &[0, 0, 0, 8]));
        }
        5 => {
            client.push(headers(stream, &ask(b"\x83", b""), false, *piece));
            client.push(data(stream, body, false, *piece));
            client.push(frame(3, 0, stream, &[0, 0, 0, 8]));
        }
        _ => {
            client.push(headers(stream, &ask(b"\x83", b""), true, *piece));
            server.push(frame(3, 0, stream, &[0, 0, 0, 7]));
        }
    }
    Script { client, server }
}

/// The pieces of all exchanges: of each request before its response, one stream in another. The header blocks of each
/// side come in the order of `order`.
fn conversation(shapes: &[Shape], order: &[u8]) -> Vec<(Direction, Vec<u8>)> {
    let mut out = vec![
        (Direction::Sent, [PREFACE, &frame(4, 0, 0, b"")].concat()),
        (Direction::Received, frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])),
    ];
    let mut open: Vec<Vec<(Direction, Vec<u8>)>> = vec![];
    let mut shapes = shapes.iter().zip((1..).step_by(2));
    let mut order = order.iter().cycle();
    loop {
        let choice = usize::from(*order.next().unwrap());
        if (choice.is_multiple_of(3) || open.is_empty())
            && let Some((shape, stream)) = shapes.next()
        {
            let Script { client, server } = script(stream, shape);
            let mut steps = vec![];
            let mut client = client.into_iter().map(|bytes| (Direction::Sent, bytes));
            steps.extend(client.next());
            if shape.choice % 7 == 4 {
                steps.extend(server.into_iter().map(|bytes| (Direction::Received, bytes)));
                steps.extend(client);
            } else {
                steps.extend(client);
                steps.extend(server.into_iter().map(|bytes| (Direction::Received, bytes)));
            }
            steps.reverse();
            // The requests are in the order of their numbers.
            out.extend(steps.pop());
            open.push(steps);
            continue;
        }
        if open.is_empty() {
            return out;
        }
        let place = choice % open.len();
        match open[place].pop() {
            Some(step) => out.push(step),
            None => drop(open.remove(place)),
        }
    }
}

/// Bytes of one side that are not captured.
#[derive(Clone, Copy, Debug)]
struct Lost {
    direction: Direction,
    from: u64,
    until: u64,
}

fn play(steps: &[(Direction, Vec<u8>)], sizes: &[usize], lost: Option<Lost>, skipped: usize) -> Vec<Exchange<'static>> {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let (mut offsets, mut at, mut out, mut opened) = ([0_u64; 2], 0, vec![], vec![]);
    let mut sizes = sizes.iter().cycle();
    if skipped > 0 {
        connection.join();
    }
    for (number, (direction, bytes)) in steps.iter().enumerate() {
        at += 1000;
        let offset = &mut offsets[usize::from(*direction == Direction::Received)];
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            let end = *offset + piece.len() as u64;
            let hole = lost.filter(|lost| lost.direction == *direction && lost.from < end && *offset < lost.until);
            let (from, until) = hole.map_or((end, end), |it| (it.from.max(*offset), it.until.min(end)));
            if number >= skipped {
                let now = Timestamp::from_nanos(at);
                let (before, after) = ((from - *offset) as usize, (until - *offset) as usize);
                if before > 0 {
                    connection.handle_data(*direction, *offset, &piece[..before], now, Tag::new(1));
                }
                if from < until {
                    connection.handle_gap(*direction, from, until - from, now);
                }
                if after < piece.len() {
                    connection.handle_data(*direction, until, &piece[after..], now, Tag::new(1));
                }
            }
            *offset = end;
            rest = left;
            while let Some(one) = connection.poll_opened() {
                opened.push(one.id);
            }
            while let Some(exchange) = connection.poll_exchange() {
                out.push(exchange.into_owned());
            }
        }
    }
    connection.handle_close(Timestamp::from_nanos(at + 1000));
    while let Some(one) = connection.poll_opened() {
        opened.push(one.id);
    }
    while let Some(exchange) = connection.poll_exchange() {
        out.push(exchange.into_owned());
    }
    assert!(out.iter().all(|exchange| opened.contains(&exchange.id)));
    assert_eq!(out.len(), opened.len());
    out
}

/// What it says but for its number.
fn says(one: &Exchange<'_>, other: &Exchange<'_>) -> bool {
    let mut one = one.clone();
    one.id = other.id;
    one == *other
}

fn stream_of(exchange: &Exchange<'_>) -> u32 {
    match &exchange.details {
        Details::Http2(details) => details.stream,
        Details::Grpc(details) => details.stream,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_split_gives_the_same_exchanges(
        shapes in proptest::collection::vec(shape(), 1..12),
        order in proptest::collection::vec(any::<u8>(), 1..20),
        sizes in proptest::collection::vec(1..90_usize, 1..12),
    ) {
        let steps = conversation(&shapes, &order);
        let whole = play(&steps, &[usize::MAX], None, 0);
        prop_assert_eq!(whole.len(), shapes.len());
        for exchange in &whole {
            let shape = &shapes[(stream_of(exchange) as usize - 1) / 2];
            prop_assert_eq!(exchange.completeness, Completeness::Complete);
            let is_call = matches!(shape.choice % 7, 2 | 3);
            prop_assert_eq!(exchange.protocol, if is_call { Protocol::Grpc } else { Protocol::Http2 });
            let error = match shape.choice % 7 {
                0 => None,
                1 => Some("404"),
                2 | 3 => Some("NOT_FOUND"),
                4 | 5 => Some("CANCEL"),
                _ => Some("REFUSED_STREAM"),
            };
            prop_assert_eq!(exchange.error.as_deref(), error);
            if let Details::Grpc(details) = &exchange.details {
                prop_assert_eq!((details.request_messages, details.response_messages), (Some(1), Some(2)));
            }
        }
        prop_assert_eq!(&whole, &play(&steps, &sizes, None, 0));
    }

    /// Whatever is lost or came before: what is told whole is as it was. But for bodies that hold frames themselves:
    /// of their middle nobody can tell.
    #[test]
    fn nothing_wrong_comes_of_losses(
        shapes in proptest::collection::vec(shape(), 1..12),
        order in proptest::collection::vec(any::<u8>(), 1..20),
        sizes in proptest::collection::vec(1..90_usize, 1..12),
        sent in any::<bool>(),
        from in 0..2000_u64,
        length in 1..400_u64,
        skipped in 0..6_usize,
    ) {
        let mut shapes = shapes;
        for shape in shapes.iter_mut().filter(|shape| shape.body.starts_with(b"\0\0\x03\x01")) {
            shape.body.fill(1);
        }
        let steps = conversation(&shapes, &order);
        let whole = play(&steps, &[usize::MAX], None, 0);
        let direction = if sent { Direction::Sent } else { Direction::Received };
        let lost = Lost { direction, from, until: from + length };
        for (lost, skipped) in [(Some(lost), 0), (None, skipped), (Some(lost), skipped)] {
            for exchange in play(&steps, &sizes, lost, skipped) {
                let known: Vec<_> = whole.iter().filter(|known| stream_of(known) == stream_of(&exchange)).collect();
                prop_assert!(known.len() == 1, "{:?}", exchange);
                if exchange.completeness == Completeness::Complete {
                    prop_assert!(says(&exchange, known[0]), "{:?} is not {:?}", exchange, known[0]);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_borne(
        chunks in proptest::collection::vec(
            (any::<bool>(), prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                (0..11_u8, any::<u8>(), 0..6_u32, proptest::collection::vec(any::<u8>(), 0..40))
                    .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
            ]),
            0..40),
    ) {
        let mut steps = vec![(Direction::Sent, PREFACE.to_vec())];
        steps.extend(chunks.into_iter().map(|(sent, bytes)| (if sent { Direction::Sent } else { Direction::Received }, bytes)));
        play(&steps, &[usize::MAX], None, 0);
        play(&steps, &[1], None, 0);
    }
}

/// Streams that are never answered, header fields that fill the table: what is held has a bound.
#[test]
fn memory_has_a_bound() {
    let mut connection = Connection::new(Config::new().with_max_pending(64), &Shared::default());
    let at = Timestamp::from_nanos(1);
    connection.handle_data(Direction::Sent, 0, PREFACE, at, Tag::default());
    let mut offset = PREFACE.len() as u64;
    let mut told = 0;
    for stream in (1..40_001_u32).step_by(2) {
        let path = format!("/{stream}/{}", "x".repeat(100));
        let block = [b"\x82\x86", &field(true, ":path", &path)[..]].concat();
        let bytes = headers(stream, &block, true, 1000);
        connection.handle_data(Direction::Sent, offset, &bytes, at, Tag::default());
        offset += bytes.len() as u64;
        while connection.poll_opened().is_some() {}
        while let Some(exchange) = connection.poll_exchange() {
            assert_eq!(exchange.completeness, Completeness::ResponseMissing);
            told += 1;
        }
        assert!(connection.memory() < 256 * 1024, "{}", connection.memory());
    }
    assert_eq!(told, 20_000 - 64);
    connection.handle_close(at);
    while connection.poll_exchange().is_some() {}
    connection.shrink();
    assert!(connection.memory() < 32 * 1024, "{}", connection.memory());
}

/// Requests that are given up or are reset come by the thousand in one chunk: no more of them is held than
/// what they differ in.
#[test]
fn what_floods_takes_little_memory() {
    type Unit = fn(u32) -> Vec<u8>;
    let floods: [(&str, Unit); 3] = [
        ("given up", |stream| frame(1, 5, stream, b"\x82\x86\x84")),
        ("reset", |stream| [frame(1, 5, stream, b"\x82\x86\x84"), frame(3, 0, stream, &[0, 0, 0, 8])].concat()),
        ("given up, of three kinds", |stream| {
            frame(1, 5, stream, [&b"\x82\x86\x84"[..], b"\x83\x86\x84", b"\x82\x86\x85"][stream as usize / 2 % 3])
        }),
    ];
    let (at, tag) = (Timestamp::from_nanos(7), Tag::new(9));
    for (name, unit) in floods {
        let config = Config::new().with_role(Some(Role::Server)).with_max_pending(64);
        let mut connection = Connection::new(config, &Shared::default());
        connection.handle_data(Direction::Received, 0, &[PREFACE, &frame(1, 5, 1, b"\x82\x86\x84")].concat(), at, tag);
        let start = PREFACE.len() as u64 + 12;
        let units: Vec<_> = (3..8_003_u32).step_by(2).map(unit).collect();
        connection.handle_data(Direction::Received, start, &units.concat(), at, tag);
        while connection.poll_opened().is_some() {}
        let held = connection.memory() / units.len();
        // Announcements are 64 bytes each, and may be held twice.
        assert!(held < 200, "{name}: {held} B an exchange");
        connection.handle_close(at);
        let mut told: Vec<_> = core::iter::from_fn(|| connection.poll_exchange().map(Exchange::into_owned)).collect();
        told.sort_by_key(|exchange| exchange.id);
        let mut offset = start;
        for ((exchange, unit), number) in told[1..].iter().zip(&units).zip(1..) {
            assert_eq!((exchange.id, exchange.request.offset, exchange.request.tag), (number, offset, tag), "{name}");
            assert_eq!(stream_of(exchange), 2 * number as u32 + 1, "{name}");
            assert_eq!(exchange.operation, if unit[9] == 0x82 { "GET" } else { "POST" }, "{name}");
            assert_eq!(exchange.target, if unit[11] == 0x84 { "/" } else { "/index.html" }, "{name}");
            offset += unit.len() as u64;
        }
        assert_eq!(told.len(), units.len() + 1);
    }
}
