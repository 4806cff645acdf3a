//! Bodies of APIs over HTTP/2.

use alloc::{format, vec, vec::Vec};

use crate::{
    Completeness, Config, Connection, Details, Direction, Exchange, Interest, Protocol, Role, Shared, Tag, Timestamp,
    http2::{Http2Details, frame::PREFACE},
    payload::{GenAi, GenAiEndpoint, MAX_OBSERVED, Payload, Unread},
};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of fields that are not put in the table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let field = |(name, value): &(&str, &str)| {
        [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    fields.iter().flat_map(field).collect()
}

fn request(stream: u32, path: &str, kind: &str) -> Vec<u8> {
    let fields =
        [(":method", "POST"), (":scheme", "https"), (":authority", "h:80"), (":path", path), ("content-type", kind)];
    frame(1, 4, stream, &block(&fields))
}

fn response(stream: u32, status: &str, kind: &str) -> Vec<u8> {
    frame(1, 4, stream, &block(&[(":status", status), ("content-type", kind)]))
}

const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "application/json";
const ASKED: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"secret-prompt"}]}"#;
const ANSWERED: &[u8] = br#"{"id":"i","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"secret-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

struct Talk {
    connection: Connection,
    ends: [u64; 2],
    at: u64,
}

impl Talk {
    fn new(config: Config, shared: &Shared) -> Self {
        let connection = Connection::new(config.with_role(Some(Role::Client)), shared);
        let mut talk = Self { connection, ends: [0; 2], at: 0 };
        talk.say(Direction::Sent, &[PREFACE, &frame(4, 0, 0, b"")].concat());
        talk.say(Direction::Received, &frame(4, 0, 0, b""));
        talk
    }

    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.at = self.at.saturating_add(1000);
        self.connection.handle_data(direction, *end, bytes, Timestamp::from_nanos(self.at), Tag::default());
        *end = end.saturating_add(bytes.len() as u64);
        while self.connection.poll_opened().is_some() {}
    }

    fn lose(&mut self, direction: Direction, length: u64) {
        let end = &mut self.ends[usize::from(direction == Direction::Received)];
        self.connection.handle_gap(direction, *end, length, Timestamp::from_nanos(self.at));
        *end = end.saturating_add(length);
    }

    fn exchanges(&mut self) -> Vec<Exchange<'static>> {
        let mut out = Vec::new();
        while let Some(exchange) = self.connection.poll_exchange() {
            out.push(exchange.into_owned());
        }
        out
    }
}

fn details_of<'e>(exchange: &'e Exchange<'_>) -> &'e Http2Details<'e> {
    let Details::Http2(details) = &exchange.details else { panic!("{exchange:?}") };
    details
}

fn call_of(exchange: &Exchange<'_>) -> Option<GenAi> {
    match details_of(exchange).payload.as_ref().map(|payload| (***payload).clone()) {
        Some(Payload::GenAi(call)) => Some(call),
        _ => None,
    }
}

/// Asks on one stream, with `path`, and answers.
fn one(config: Config, shared: &Shared, path: &str, kind: &str) -> Exchange<'static> {
    let mut talk = Talk::new(config, shared);
    talk.say(Direction::Sent, &[request(1, path, kind), frame(0, 1, 1, ASKED)].concat());
    talk.say(Direction::Received, &[response(1, "200", JSON), frame(0, 1, 1, ANSWERED)].concat());
    let mut all = talk.exchanges();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn settings_hold_as_on_http1() {
    let plain = one(Config::new(), &Shared::default(), CHAT, JSON);
    assert!(!format!("{plain:?}").contains("secret"), "{plain:?}");
    assert_eq!(call_of(&plain).unwrap().input_tokens, Some(3));
    let kept = call_of(&one(Config::new().with_gen_ai_content(true), &Shared::default(), CHAT, JSON)).unwrap();
    assert!(kept.input_messages().unwrap().contains("secret-prompt"));
    assert!(kept.output_messages().unwrap().contains("secret-answer"));
    assert_eq!(call_of(&one(Config::new().with_max_body(0), &Shared::default(), CHAT, JSON)), None);
    let cut = one(Config::new().with_max_body(100), &Shared::default(), CHAT, JSON);
    assert_eq!(cut.completeness, Completeness::Truncated);
    let own = Shared::new(1 << 20).with_gen_ai_endpoints(vec![GenAiEndpoint::new("H", "own").with_port(Some(80))]);
    assert_eq!(call_of(&one(Config::new(), &own, "/mine/chat/completions", JSON)).unwrap().provider(), "own");
    assert_eq!(call_of(&one(Config::new(), &Shared::default(), "/other", JSON)), None);
}

#[test]
fn keys_in_the_path_are_masked() {
    let found = one(Config::new(), &Shared::default(), "/v1beta/models/g:generateContent?alt=x&key=AIza", JSON);
    assert_eq!(details_of(&found).query.as_deref(), Some("alt=x&key=****"));
}

#[test]
fn calls_of_grpc_are_left_alone() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let message = [&b"\0\0\0\0\x44"[..], ASKED].concat();
    talk.say(Direction::Sent, &[request(1, CHAT, "application/grpc"), frame(0, 1, 1, &message)].concat());
    talk.say(Direction::Received, &response(1, "200", "application/grpc"));
    talk.say(Direction::Received, &frame(1, 5, 1, &block(&[("grpc-status", "0")])));
    let all = talk.exchanges();
    let Details::Grpc(details) = &all[0].details else { panic!("{all:?}") };
    assert_eq!((all[0].protocol, details.request_messages), (Protocol::Grpc, Some(1)));
}

#[test]
fn what_is_read_may_not_be_skipped() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(Direction::Sent, &[request(1, "/other", JSON), frame(0, 1, 1, &[b' '; 9000])[..100].to_vec()].concat());
    assert!(matches!(talk.connection.interest(Direction::Sent), Interest::Until(_)));
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let body = frame(0, 9, 1, &[&[200][..], &[b' '; 9000], &[0; 200]].concat());
    talk.say(Direction::Sent, &[&request(1, CHAT, JSON), &body[..100]].concat());
    assert_eq!(talk.connection.interest(Direction::Sent), Interest::Full);
    talk.say(Direction::Sent, &body[100..9010]);
    let padding = talk.ends[0].saturating_add(199);
    assert_eq!(talk.connection.interest(Direction::Sent), Interest::Until(padding), "nobody reads what pads it");
}

#[test]
fn a_loss_costs_the_body_that_it_touches() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    for stream in [1, 3, 5] {
        talk.say(Direction::Sent, &[request(stream, CHAT, JSON), frame(0, 1, stream, ASKED)].concat());
        talk.say(Direction::Received, &response(stream, "200", JSON));
    }
    let events = response(7, "200", "text/event-stream");
    talk.say(Direction::Sent, &[request(7, CHAT, JSON), frame(0, 1, 7, ASKED)].concat());
    talk.say(Direction::Received, &events);
    let event = b"data: {\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9}}\n\n";
    let (body, event) =
        (frame(0, 1, 1, ANSWERED), frame(0, 1, 7, &[&b"data: {\"model\"} lost\n\n"[..], event].concat()));
    for (bytes, from, until) in [(body, 30, 50), (event, 12, 20)] {
        talk.say(Direction::Received, &bytes[..from]);
        talk.lose(Direction::Received, (until - from) as u64);
        talk.say(Direction::Received, &bytes[until..]);
    }
    // Only what pads it.
    let padded = frame(0, 9, 3, &[&[100][..], ANSWERED, &[0; 100]].concat());
    let end = padded.len();
    talk.say(Direction::Received, &padded[..end - 90]);
    talk.lose(Direction::Received, 80);
    talk.say(Direction::Received, &padded[end - 10..]);
    talk.say(Direction::Received, &frame(0, 1, 5, ANSWERED));
    let all = talk.exchanges();
    let unread: Vec<_> = all
        .iter()
        .map(|exchange| {
            (details_of(exchange).stream, exchange.completeness, call_of(exchange).unwrap().response_unread)
        })
        .collect();
    let (gap, complete) = (Completeness::Gap, Completeness::Complete);
    let lost = Some(Unread::Gap);
    assert_eq!(unread, [(1, gap, lost), (7, gap, lost), (3, complete, None), (5, complete, None)]);
    assert_eq!(call_of(&all[1]).unwrap().input_tokens, Some(9), "the event behind the loss");
}

#[test]
fn a_coding_that_is_not_known_is_not_read() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(Direction::Sent, &[request(1, CHAT, JSON), frame(0, 1, 1, ASKED)].concat());
    let fields = [(":status", "200"), ("content-type", JSON), ("content-encoding", "own")];
    talk.say(Direction::Received, &[frame(1, 4, 1, &block(&fields)), frame(0, 1, 1, ANSWERED)].concat());
    let all = talk.exchanges();
    let call = call_of(&all[0]).unwrap();
    assert_eq!((call.response_unread, call.input_tokens), (Some(Unread::Coding), None));
}

/// Many bodies at a time: some are looked at, of the others it is said that they are not, and memory has a bound.
#[test]
fn many_bodies_in_one_another_have_a_bound() {
    let mut talk = Talk::new(Config::new().with_gen_ai_content(true), &Shared::default());
    let streams = || (1_u32..).step_by(2).take(MAX_OBSERVED + 6);
    let path = "/v1beta/models/g:generateContent?key=AIza";
    for stream in streams() {
        talk.say(Direction::Sent, &[request(stream, path, JSON), frame(0, 0, stream, &ASKED[..60])].concat());
    }
    for _ in 0..200 {
        for stream in streams() {
            talk.say(Direction::Sent, &frame(0, 0, stream, &[b'x'; 1000]));
        }
    }
    let bound = MAX_OBSERVED * 16 * 1024;
    assert!(talk.connection.memory() < bound, "{}", talk.connection.memory());
    for stream in streams() {
        talk.say(Direction::Sent, &frame(0, 1, stream, b"\"}]}"));
        talk.say(Direction::Received, &frame(1, 5, stream, &block(&[(":status", "500")])));
    }
    let all = talk.exchanges();
    assert_eq!(all.len(), MAX_OBSERVED + 6);
    assert!(!format!("{all:?}").contains("AIza"));
    let kept = all.iter().filter(|exchange| details_of(exchange).payload.is_some()).count();
    assert_eq!(kept, MAX_OBSERVED);
    assert_eq!(all.iter().filter(|exchange| exchange.completeness == Completeness::Truncated).count(), 6);
    // None is held any more.
    talk.say(Direction::Sent, &[request(201, path, JSON), frame(0, 1, 201, ASKED)].concat());
    talk.say(Direction::Received, &frame(1, 5, 201, &block(&[(":status", "500")])));
    assert!(details_of(&talk.exchanges()[0]).payload.is_some());
}
