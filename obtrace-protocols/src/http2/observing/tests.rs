//! Bodies of APIs over HTTP/2.

use alloc::{format, vec, vec::Vec};

use crate::{
    Completeness, Config, Connection, Details, Direction, Exchange, Interest, Protocol, Role, Shared,
    http2::{
        frame::PREFACE,
        tests::talk::{Talk, block, details_of, frame, request, response},
    },
    payload::{GenAi, GenAiEndpoint, MAX_OBSERVED, Payload, Unread},
};

const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "application/json";
const ASKED: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"secret-prompt"}]}"#;
const ANSWERED: &[u8] = br#"{"id":"i","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"secret-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

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

/// The request of HTTP/1 that offers to go on in HTTP/2 is stream 1, its body included.
#[test]
fn the_body_of_an_upgrade_is_read() {
    for (asked, lost) in [(ASKED, 0), (ASKED, 9)] {
        let config = Config::new().with_role(Some(Role::Client)).with_gen_ai_content(lost == 0);
        let mut talk = Talk { connection: Connection::new(config, &Shared::default()), ends: [0; 2], at: 0 };
        let head = format!(
            "POST {CHAT}?a=1 HTTP/1.1\r\nHost: h:80\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABk\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            asked.len()
        );
        talk.say(Direction::Sent, head.as_bytes());
        talk.say(Direction::Sent, &asked[..20]);
        if lost > 0 {
            talk.lose(Direction::Sent, lost);
        }
        talk.say(Direction::Sent, &asked[20 + lost as usize..]);
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
        talk.say(Direction::Received, &[&switch[..], &frame(4, 0, 0, b"")].concat());
        talk.say(Direction::Sent, &[PREFACE, &frame(4, 0, 0, b"")].concat());
        let answer = [response(1, "200", JSON), frame(0, 1, 1, ANSWERED)].concat();
        for part in answer.chunks(50) {
            talk.say(Direction::Received, part);
        }
        let all = talk.exchanges();
        let call = call_of(&all[0]).unwrap();
        assert_eq!((call.response_model(), call.input_tokens, call.response_unread), (Some("m-1"), Some(3), None));
        assert_eq!((call.request_model(), call.request_unread), (Some("m"), (lost > 0).then_some(Unread::Gap)));
        assert_eq!(call.output_messages().is_some(), lost == 0);
        let completeness = if lost == 0 { Completeness::Complete } else { Completeness::Gap };
        assert_eq!((all.len(), all[0].completeness), (1, completeness));
        let details = details_of(&all[0]);
        assert_eq!(details.request_body_size, Some(asked.len() as u64));
        assert_eq!((details.response_body_size, details.query.as_deref()), (Some(ANSWERED.len() as u64), Some("a=1")));
        assert_eq!(
            (all[0].request.size, all[0].response.unwrap().size),
            ((head.len() + asked.len()) as u64, answer.len() as u64)
        );
        // Others follow as on any connection.
        talk.say(Direction::Sent, &[request(3, CHAT, JSON), frame(0, 1, 3, ASKED)].concat());
        talk.say(Direction::Received, &[response(3, "200", JSON), frame(0, 1, 3, ANSWERED)].concat());
        assert_eq!(call_of(&talk.exchanges()[0]).unwrap().output_tokens, Some(4));
    }
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
