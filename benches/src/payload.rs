//! Calls of generative AI models beside httparse and serde_json: both are given what sockets read, and serde_json the members
//! that are wanted. What serde_json takes for the bodies alone is told too.

use std::{borrow::Cow, mem::MaybeUninit};

use httparse::{Header, Request, Response};
use obtrace_protocols::{
    Config, Connection, Details, Direction, Role, Shared, Tag, Timestamp,
    payload::{GenAi, Payload},
};
use serde::Deserialize;

use crate::harness::{Goals, Group, Run};

/// As much as a socket gives at once.
const READ: usize = 16 * 1024;

/// Most header fields of a head, for the peer.
const SLOTS: usize = 64;

/// What both are asked for.
#[derive(Debug, Default, PartialEq)]
struct Answer<'a> {
    asked: Cow<'a, str>,
    stream: bool,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
    id: Cow<'a, str>,
    answered: Cow<'a, str>,
    reason: Cow<'a, str>,
    tokens: [Option<u64>; 4],
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Cached>,
    completion_tokens_details: Option<Reasoning>,
}

#[derive(Deserialize)]
struct Cached {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Reasoning {
    reasoning_tokens: Option<u64>,
}

/// A conversation with some turns behind it and a picture in it, as one request.
fn request(stream: bool) -> String {
    let turn = |role: &str, n: usize| {
        let text = "Tell me more about it, please: what \\\"exactly\\\" was meant?\\nThanks. ".repeat(n);
        format!(r#"{{"role":"{role}","content":"{text}"}}"#)
    };
    let picture = format!(
        r#"{{"role":"user","content":[{{"type":"text","text":"And this?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}"#,
        "iVBORw0KGgoAAAANSUhEUg".repeat(200)
    );
    let turns = [turn("system", 4), turn("user", 2), turn("assistant", 12), turn("user", 3), picture].join(",");
    format!(r#"{{"messages":[{turns}],"model":"gpt-5.1-mini","temperature":0.2,"max_tokens":900,"stream":{stream}}}"#)
}

fn response() -> String {
    let text = "It is what it says: \\u201cexactly\\u201d as it was meant.\\n\\n* first\\n* second\\n".repeat(12);
    format!(
        r#"{{"id":"chatcmpl-9f2c1e7ab34d4f0c8a6b","object":"chat.completion","created":1795402448,"model":"gpt-5.1-mini-2026-08-01","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],{USAGE},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}}"#
    )
}

const USAGE: &str = r#""usage":{"prompt_tokens":1184,"completion_tokens":211,"total_tokens":1395,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":0}}"#;

/// The same answer in sixty events.
fn events() -> String {
    let event = |choices: &str, usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-9f2c1e7ab34d4f0c8a6b\",\"object\":\"chat.completion.chunk\",\"created\":1795402448,\"model\":\"gpt-5.1-mini-2026-08-01\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{choices}],{usage}}}\n\n"
        )
    };
    let mut out = String::new();
    for _ in 0..58 {
        let choice = r#"{"index":0,"delta":{"content":" exactly as it was"},"logprobs":null,"finish_reason":null}"#;
        out += &event(choice, r#""usage":null"#);
    }
    out += &event(r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#, r#""usage":null"#);
    out + &event("", USAGE) + "data: [DONE]\n\n"
}

fn message(start: &str, kind: &str, body: &str) -> Vec<u8> {
    format!("{start}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A connection that goes on.
struct Talk {
    connection: Connection,
    ends: [u64; 2],
    now: u64,
}

impl Talk {
    fn new() -> Self {
        let config = Config::new().with_role(Some(Role::Client));
        Self { connection: Connection::new(config, &Shared::default()), ends: [0; 2], now: 0 }
    }

    /// One exchange, as the connection is shown it.
    fn exchange<T>(&mut self, asked: &[u8], answered: &[u8], look: impl FnOnce(&GenAi) -> T) -> T {
        for (index, (direction, bytes)) in
            [(Direction::Sent, asked), (Direction::Received, answered)].into_iter().enumerate()
        {
            // As sockets are read.
            for part in bytes.chunks(READ) {
                self.now += 1000;
                let at = Timestamp::from_nanos(self.now);
                self.connection.handle_data(direction, self.ends[index], part, at, Tag::new(1));
                self.ends[index] += part.len() as u64;
            }
        }
        while self.connection.poll_opened().is_some() {}
        let exchange = self.connection.poll_exchange().expect("an exchange");
        let Details::Http(details) = &exchange.details else { panic!("{exchange:?}") };
        match details.payload.as_ref().map(|payload| &***payload) {
            Some(Payload::GenAi(call)) => look(call),
            other => panic!("{other:?}"),
        }
    }
}

fn told(call: &GenAi) -> Answer<'static> {
    let own = |text: Option<&str>| Cow::Owned(text.unwrap_or_default().to_owned());
    Answer {
        asked: own(call.request_model()),
        stream: call.stream,
        temperature: call.temperature,
        max_tokens: call.max_tokens,
        id: own(call.response_id()),
        answered: own(call.response_model()),
        reason: own(call.finish_reasons().next()),
        tokens: [call.input_tokens, call.output_tokens, call.cache_read_tokens, call.reasoning_tokens],
    }
}

/// What serde_json reads of the bodies: the answer is one document, or a stream of them.
fn peer([asked, answered]: [&str; 2], stream: bool) -> Answer<'_> {
    if stream { read(asked, data_of(answered)) } else { read(asked, std::iter::once(answered)) }
}

fn read<'a>(asked: &'a str, documents: impl Iterator<Item = &'a str>) -> Answer<'a> {
    let asked: Asked<'_> = serde_json::from_str(asked).expect("a request");
    let mut answer = Answer {
        asked: asked.model,
        stream: asked.stream,
        temperature: asked.temperature,
        max_tokens: asked.max_tokens,
        ..Answer::default()
    };
    for document in documents {
        let one: Answered<'_> = serde_json::from_str(document).expect("an answer");
        (answer.id, answer.answered) = (one.id, one.model);
        if let Some(reason) = one.choices.into_iter().find_map(|choice| choice.finish_reason) {
            answer.reason = reason;
        }
        if let Some(usage) = one.usage {
            answer.tokens = [
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.prompt_tokens_details.and_then(|details| details.cached_tokens),
                usage.completion_tokens_details.and_then(|details| details.reasoning_tokens),
            ];
        }
    }
    answer
}

fn data_of(events: &str) -> impl Iterator<Item = &str> {
    events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]")
}

/// Both directions of a connection as a program has them that reads with httparse and serde_json: what sockets give, in one
/// piece each. They are used again.
#[derive(Default)]
struct Gathered([Vec<u8>; 2]);

impl Gathered {
    fn gather(&mut self, asked: &[u8], answered: &[u8]) {
        for (kept, bytes) in self.0.iter_mut().zip([asked, answered]) {
            kept.clear();
            for part in bytes.chunks(READ) {
                kept.extend_from_slice(part);
            }
        }
    }

    fn bodies(&self) -> [&str; 2] {
        let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; SLOTS];
        let mut request = Request::new(&mut []);
        let head = request.parse_with_uninit_headers(&self.0[0], &mut slots).expect("a request");
        let asked = body(&self.0[0], head.unwrap(), request.headers);
        let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; SLOTS];
        let mut response = Response::new(&mut []);
        let head = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, &self.0[1], &mut slots)
            .expect("a response");
        [asked, body(&self.0[1], head.unwrap(), response.headers)]
    }
}

/// The body behind a head, as long as its fields say.
fn body<'a>(bytes: &'a [u8], head: usize, headers: &[Header<'_>]) -> &'a str {
    let length = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length")).expect("a length");
    let length: usize = str::from_utf8(length.value).ok().and_then(|digits| digits.parse().ok()).expect("a number");
    str::from_utf8(&bytes[head..head + length]).expect("text")
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    for (name, stream) in [("whole", false), ("60 events", true)] {
        let (asked, answered) = (request(stream), if stream { events() } else { response() });
        let kind = if stream { "text/event-stream" } else { "application/json" };
        let sent = message("POST /v1/chat/completions HTTP/1.1\r\nHost: api", "application/json", &asked);
        let received = message("HTTP/1.1 200 OK", kind, &answered);
        let mut gathered = Gathered::default();
        gathered.gather(&sent, &received);
        assert_eq!(Talk::new().exchange(&sent, &received, told), peer(gathered.bodies(), stream), "{name}");
        let mut talk = Talk::new();
        // What is used again is there after some.
        for _ in 0..8 {
            talk.exchange(&sent, &received, |_| ());
        }
        let bytes = sent.len() + received.len();
        let outcome = Group::new(format!("Generative AI: a chat, answered {name}"), "call", 1)
            .add("obtrace-protocols, from the stream", bytes, || {
                talk.exchange(&sent, &received, |call| {
                    (call.input_tokens, call.output_tokens, call.temperature.is_some())
                })
            })
            .add("httparse and serde_json", bytes, || {
                gathered.gather(&sent, &received);
                peer(gathered.bodies(), stream).tokens
            })
            .add("serde_json, bodies alone", bytes, || peer([&asked, &answered], stream).tokens)
            .run(run);
        let ratio = outcome.nanos[1] / outcome.nanos[0];
        // Of a stream most is said again and again, and read once.
        let held = if stream { 1.0 } else { 0.5 };
        goals.ratio(format!("Generative AI, {name}: times httparse and serde_json"), ratio, 1.0, held);
        goals.no_allocations(format!("Generative AI, {name}"), outcome.allocations[0]);
    }
}
