//! Whole conversations on HTTP/1.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::*;
#[cfg(feature = "brotli")]
use crate::parser::Side;
use crate::{Completeness, Connection, Details, Direction, Exchange, Interest, Role, Tag};

/// A request with its response, both with a length.
fn exchange(
    config: Config,
    shared: &Shared,
    path: &str,
    request: &str,
    kind: &str,
    response: &[u8],
) -> Exchange<'static> {
    let asked = format!(
        "POST {path} HTTP/1.1\r\nHost: h:80\r\nAuthorization: Bearer sk-secret\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{request}",
        request.len()
    );
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", response.len());
    let mut all = play(
        config,
        shared,
        &[(Direction::Sent, asked.as_bytes()), (Direction::Received, &[head.as_bytes(), response].concat())],
    );
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn play(config: Config, shared: &Shared, turns: &[(Direction, &[u8])]) -> Vec<Exchange<'static>> {
    let mut connection = Connection::new(config.with_role(Some(Role::Client)), shared);
    let mut ends = [0_u64; 2];
    let mut out = Vec::new();
    for (at, (direction, bytes)) in turns.iter().enumerate() {
        let end = &mut ends[usize::from(*direction == Direction::Received)];
        // As sockets are read.
        for part in bytes.chunks(16 * 1024) {
            connection.handle_data(*direction, *end, part, Timestamp::from_nanos(at as u64), Tag::default());
            *end = end.saturating_add(part.len() as u64);
        }
        while let Some(exchange) = connection.poll_exchange() {
            out.push(exchange.into_owned());
        }
    }
    out
}

fn payload_of(exchange: &Exchange<'_>) -> Option<Payload> {
    let Details::Http(details) = &exchange.details else { panic!("{exchange:?}") };
    details.payload.as_ref().map(|payload| (***payload).clone())
}

fn call_of(exchange: &Exchange<'_>) -> GenAi {
    match payload_of(exchange) {
        Some(Payload::GenAi(call)) => call,
        other => panic!("{other:?}"),
    }
}

fn with_contents() -> Config {
    Config::new().with_gen_ai_content(true)
}

fn events(documents: &[&str]) -> Vec<u8> {
    documents.iter().map(|document| format!("data: {document}\n\n")).collect::<String>().into_bytes()
}

const CHAT: &str = "/v1/chat/completions";
const ASKED: &str = r#"{"model":"m","messages":[{"role":"user","content":"secret-prompt"}]}"#;
const ANSWERED: &[u8] = br#"{"id":"i","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"secret-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

#[test]
fn contents_are_not_kept_unless_asked_for() {
    let plain = exchange(Config::new(), &Shared::default(), CHAT, ASKED, "application/json", ANSWERED);
    let text = format!("{plain:?}");
    assert!(!text.contains("secret"), "{text}");
    let call = call_of(&plain);
    assert_eq!((call.request_model(), call.response_model(), call.response_id()), (Some("m"), Some("m-1"), Some("i")));
    assert_eq!((call.input_tokens, call.output_tokens), (Some(3), Some(4)));
    assert_eq!((call.input_messages(), call.output_messages()), (None, None));
    let kept = call_of(&exchange(with_contents(), &Shared::default(), CHAT, ASKED, "application/json", ANSWERED));
    assert_eq!(kept.input_messages(), Some(r#"[{"parts":[{"type":"text","content":"secret-prompt"}],"role":"user"}]"#));
    let answer = r#"[{"parts":[{"type":"text","content":"secret-answer"}],"role":"assistant","finish_reason":"stop"}]"#;
    assert_eq!(kept.output_messages(), Some(answer));
    assert!(!format!("{kept:?}").contains("sk-secret"));
}

#[test]
fn contents_of_openai_with_tools() {
    let asked = r#"{"model":"m","tools":[{"type":"function"}],"messages":[{"content":[{"type":"text","text":"a\"b"},{"type":"image_url","image_url":{"url":"x"}}],"role":"user"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"sunny"}]}"#;
    let answer = events(&[
        r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"It "}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"other"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"is"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c2","function":{"name":"g","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"y\""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":2}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    let call = call_of(&exchange(with_contents(), &Shared::default(), CHAT, asked, "text/event-stream", &answer));
    let input = concat!(
        r#"[{"parts":[{"type":"text","content":"a\"b"}],"role":"user"},"#,
        r#"{"parts":[{"type":"tool_call","name":"f","id":"c1","arguments":{"x":1}}],"role":"assistant"},"#,
        r#"{"parts":[{"type":"tool_call_response","id":"c1","result":"sunny"}],"role":"tool"}]"#
    );
    assert_eq!(call.input_messages(), Some(input));
    let output = concat!(
        r#"[{"parts":[{"type":"text","content":"It is"},{"type":"tool_call","name":"g","id":"c2","arguments":{"y":2}}],"#,
        r#""role":"assistant","finish_reason":"tool_calls"}]"#
    );
    assert_eq!(call.output_messages(), Some(output));
    assert_eq!(call.tool_definitions(), Some(r#"[{"type":"function"}]"#));
    let calls: Vec<_> = call.tool_calls().collect();
    assert_eq!((calls.len(), calls[0].name, calls[0].id), (1, "g", Some("c2")));
    assert!(call.stream && call.first_chunk.is_some());
}

#[test]
fn contents_of_the_other_apis() {
    let asked = r#"{"model":"c","max_tokens":9,"system":"be kind","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}]}]}]}"#;
    let answer = events(&[
        r#"{"type":"message_start","message":{"type":"message","id":"i","model":"c","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"u","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}"#,
    ]);
    let call =
        call_of(&exchange(with_contents(), &Shared::default(), "/v1/messages", asked, "text/event-stream", &answer));
    assert_eq!(call.system_instructions(), Some(r#"[{"type":"text","content":"be kind"}]"#));
    let input = concat!(
        r#"[{"parts":[{"type":"text","content":"hi"},{"type":"tool_call_response","id":"t","result":[{"type":"text","text":"r"}]}],"#,
        r#""role":"user"}]"#
    );
    assert_eq!(call.input_messages(), Some(input));
    let output = concat!(
        r#"[{"parts":[{"type":"text","content":"Hello"},{"type":"tool_call","name":"f","id":"u","arguments":{"a":1}}],"#,
        r#""role":"assistant","finish_reason":"tool_use"}]"#
    );
    assert_eq!(call.output_messages(), Some(output));

    let asked =
        r#"{"contents":[{"parts":[{"text":"hi"}],"role":"user"}],"systemInstruction":{"parts":[{"text":"be kind"}]}}"#;
    let answer = br#"[{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"}}]},
        {"candidates":[{"content":{"parts":[{"text":"b"},{"functionCall":{"name":"f","args":{"x":1}}}]},"finishReason":"STOP"}]}]"#;
    let path = "/v1beta/models/g:streamGenerateContent";
    let call = call_of(&exchange(with_contents(), &Shared::default(), path, asked, "application/json", answer));
    assert_eq!(call.system_instructions(), Some(r#"[{"type":"text","content":"be kind"}]"#));
    assert_eq!(call.input_messages(), Some(r#"[{"parts":[{"type":"text","content":"hi"}],"role":"user"}]"#));
    assert_eq!((call.tool_calls().count(), call.finish_reasons().collect::<Vec<_>>()), (1, vec!["STOP"]));

    let asked = r#"{"model":"r","input":[{"role":"user","content":"hi"}],"instructions":"be kind"}"#;
    let answer = br#"{"object":"response","id":"i","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}"#;
    let call =
        call_of(&exchange(with_contents(), &Shared::default(), "/v1/responses", asked, "application/json", answer));
    assert_eq!(call.input_messages(), Some(r#"[{"parts":[{"type":"text","content":"hi"}],"role":"user"}]"#));
    let output = concat!(
        r#"[{"parts":[{"type":"text","content":"Hello"},{"type":"tool_call","name":"f","id":"c","arguments":{}}],"#,
        r#""role":"assistant","finish_reason":"completed"}]"#
    );
    assert_eq!(call.output_messages(), Some(output));
}

#[test]
fn contents_are_bounded_and_whole_json() {
    let long = "\\u00e9\\n\\\"x".repeat(4000);
    let messages = vec![format!(r#"{{"role":"user","content":"{long}"}}"#); 5].join(",");
    let asked = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
    for most in [300, 700, 4096] {
        let config = with_contents().with_max_text(most);
        let call = call_of(&exchange(config, &Shared::default(), CHAT, &asked, "application/json", ANSWERED));
        let input = call.input_messages().unwrap_or("[]");
        assert!(input.len() <= most as usize + 64, "{} of {most}", input.len());
        assert!(valid::is_container(input), "{input}");
    }
}

#[test]
fn endpoints_of_ones_own() {
    let shared = Shared::new(1 << 20).with_gen_ai_endpoints(vec![GenAiEndpoint::new("H", "own").with_port(Some(80))]);
    let call = call_of(&exchange(Config::new(), &shared, "/gateway/responses", ASKED, "application/json", b"{}"));
    assert_eq!((call.provider(), call.operation), ("own", "chat"));
    let other = exchange(Config::new(), &Shared::default(), "/gateway/responses", ASKED, "application/json", b"{}");
    assert_eq!(payload_of(&other), None);
}

#[test]
fn what_only_looks_like_it_is_none() {
    for path in [
        "/v1/messages",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/completions",
        "/api/chat",
        "/api/generate",
        "/query",
        "/v1/graphql",
    ] {
        let found = exchange(
            Config::new(),
            &Shared::default(),
            path,
            r#"{"text":"hello","query":"{ shop { name } }"}"#,
            "application/json",
            b"{\"id\":1}",
        );
        assert_eq!(payload_of(&found), None, "{path}");
    }
}

#[test]
fn limits_are_told() {
    let config = Config::new().with_max_body(100);
    let found = exchange(config, &Shared::default(), CHAT, ASKED, "application/json", ANSWERED);
    assert_eq!(found.completeness, Completeness::Truncated);
    assert_eq!(call_of(&found).response_unread, Some(Unread::Limit));
    assert_eq!(call_of(&found).input_tokens, None);
    let none = exchange(Config::new().with_max_body(0), &Shared::default(), CHAT, ASKED, "application/json", ANSWERED);
    assert_eq!((payload_of(&none), none.completeness), (None, Completeness::Complete));
    let found = exchange(Config::new(), &Shared::default(), CHAT, ASKED, "application/json", b"{\"id\":\"i\",]");
    assert_eq!(call_of(&found).response_unread, Some(Unread::Malformed));
    let found = exchange(Config::new(), &Shared::default(), CHAT, ASKED, "text/html", b"<html>");
    assert_eq!((call_of(&found).response_unread, call_of(&found).response_id()), (None, None));
}

#[test]
fn an_unknown_coding_is_told() {
    let asked = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{ASKED}", ASKED.len());
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: compress\r\nContent-Length: 3\r\n\r\nxyz";
    let found = play(
        Config::new(),
        &Shared::default(),
        &[(Direction::Sent, asked.as_bytes()), (Direction::Received, answer.as_bytes())],
    );
    assert_eq!(call_of(&found[0]).response_unread, Some(Unread::Coding));
    assert_eq!(found[0].completeness, Completeness::Complete);
}

#[test]
fn keys_are_not_kept() {
    let path = "/v1beta/models/g:generateContent?alt=json&key=AIza-secret";
    let found = exchange(Config::new(), &Shared::default(), path, ASKED, "application/json", b"{}");
    assert!(!format!("{found:?}").contains("secret"), "{found:?}");
    let Details::Http(details) = &found.details else { panic!("{found:?}") };
    assert_eq!(details.query.as_deref(), Some("alt=json&key=***********"));
}

#[test]
fn errors_by_their_names() {
    for (path, body, error) in [
        (CHAT, r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#, "rate_limit_exceeded"),
        (CHAT, r#"{"error":{"type":"BadRequestError","code":400}}"#, "BadRequestError"),
        (CHAT, r#"{"error":{"type":"a sentence with sk-secret","code":null}}"#, "_OTHER"),
        (
            "/v1beta/models/m:generateContent",
            r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#,
            "INVALID_ARGUMENT",
        ),
        (
            "/api/v1/services/aigc/text-generation/generation",
            r#"{"code":"InvalidApiKey","message":"m"}"#,
            "InvalidApiKey",
        ),
        ("/v2/vectordb/entities/search", r#"{"code":100,"message":"m"}"#, "100"),
    ] {
        let found = exchange(Config::new(), &Shared::default(), path, ASKED, "application/json", body.as_bytes());
        assert_eq!(found.error.as_deref(), Some(error), "{body}");
    }
}

#[test]
fn a_stream_goes_on_behind_a_loss() {
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{ASKED}", ASKED.len());
    let first = events(&[r#"{"id":"i","model":"m-1","choices":[]}"#]);
    let lost = events(&[r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#]);
    let last = events(&[r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#]);
    let total = first.len() + lost.len() * 2 + last.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {total}\r\n\r\n");
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let at = Timestamp::from_nanos;
    connection.handle_data(Direction::Sent, 0, head.as_bytes(), at(1), Tag::default());
    let begun = [answer.as_bytes(), &first].concat();
    connection.handle_data(Direction::Received, 0, &begun, at(2), Tag::default());
    assert_eq!(connection.interest(Direction::Received), Interest::Full);
    // The middle of one event up to the middle of the next.
    let gap = lost.len() as u64;
    connection.handle_gap(Direction::Received, begun.len() as u64, gap, at(3));
    let rest = [&lost[..], &last].concat();
    connection.handle_data(Direction::Received, begun.len() as u64 + gap, &rest, at(4), Tag::default());
    let found = connection.poll_exchange().unwrap().into_owned();
    assert_eq!(found.completeness, Completeness::Gap);
    let call = call_of(&found);
    assert_eq!(
        (call.response_model(), call.input_tokens, call.response_unread),
        (Some("m-1"), Some(5), Some(Unread::Gap))
    );
}

#[test]
fn bodies_that_nobody_reads_are_skipped() {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let at = Timestamp::from_nanos(1);
    let upload = b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nxxx";
    connection.handle_data(Direction::Sent, 0, upload, at, Tag::default());
    let end = upload.len() as u64 - 3 + 1_000_000;
    assert_eq!(connection.interest(Direction::Sent), Interest::Until(end - 1));

    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    connection.handle_data(Direction::Sent, 0, head.as_bytes(), at, Tag::default());
    connection.handle_data(Direction::Sent, head.len() as u64, b"{\"model\":", at, Tag::default());
    assert_eq!(connection.interest(Direction::Sent), Interest::Full);
    // What is no JSON is not read any more.
    connection.handle_data(Direction::Sent, head.len() as u64 + 9, b"]", at, Tag::default());
    connection.handle_data(Direction::Sent, head.len() as u64 + 10, b"]", at, Tag::default());
    assert!(matches!(connection.interest(Direction::Sent), Interest::Until(_)));
}

#[test]
fn only_so_many_are_observed_at_a_time() {
    let mut turns = Vec::new();
    let one = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{ASKED}", ASKED.len());
    turns.push((Direction::Sent, one.repeat(MAX_OBSERVED + 1).into_bytes()));
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", ANSWERED.len());
    turns.push((Direction::Received, [answer.as_bytes(), ANSWERED].concat().repeat(MAX_OBSERVED + 1)));
    let turns: Vec<(Direction, &[u8])> = turns.iter().map(|(direction, bytes)| (*direction, &bytes[..])).collect();
    let found = play(Config::new(), &Shared::default(), &turns);
    assert_eq!(found.len(), MAX_OBSERVED + 1);
    assert_eq!(call_of(&found[MAX_OBSERVED - 1]).input_tokens, Some(3));
    let last = &found[MAX_OBSERVED];
    assert_eq!((payload_of(last), last.completeness), (None, Completeness::Truncated));
}

/// A block as it is of 4 MiB, in a window as large, five bytes of it here.
#[cfg(feature = "brotli")]
const WINDOW: &[u8] = b"\xcb\xff\xff\x9f     ";

#[cfg(feature = "brotli")]
#[test]
fn an_abandoned_response_leaves_nothing() {
    let mut observers = Observers::default();
    let (content_type, start) = ("application/json", Timestamp::default());
    let request = Request { method: "POST", target: CHAT, host: "h", content_type, coding: Coding::Identity, start };
    let Observed::Yes(mut observer) = observers.observe(&request, &Config::new(), &Shared::default()) else { panic!() };
    observers.with(&mut *observer, |observer| {
        observer.response(&Response { status: 200, content_type, coding: Coding::Brotli });
        observer.body(Side::Server, WINDOW, start);
    });
    assert!(observers.memory() > 4 << 20, "{}", observers.memory());
    observer.abandon();
    observers.give_back(observer);
    assert!(observers.memory() < 64 << 10, "{}", observers.memory());
}

#[cfg(feature = "brotli")]
#[test]
fn a_request_that_is_given_up_leaves_nothing() {
    let asked = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{ASKED}", ASKED.len());
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: br\r\nContent-Length: 100\r\n\r\n";
    let config = Config::new().with_role(Some(Role::Client)).with_max_pending(2);
    let mut connection = Connection::new(config, &Shared::default());
    let at = Timestamp::from_nanos(1);
    connection.handle_data(Direction::Sent, 0, asked.as_bytes(), at, Tag::default());
    connection.handle_data(Direction::Received, 0, &[head.as_bytes(), WINDOW].concat(), at, Tag::default());
    assert!(connection.memory() > 4 << 20, "{}", connection.memory());
    let more = asked.repeat(2);
    connection.handle_data(Direction::Sent, asked.len() as u64, more.as_bytes(), at, Tag::default());
    assert_eq!(payload_of(&connection.poll_exchange().unwrap()).unwrap().response_unread(), Some(Unread::Gap));
    assert!(connection.memory() < 256 << 10, "{}", connection.memory());
}

#[cfg(feature = "deflate")]
#[test]
fn a_bomb_stops_the_reading() {
    {
        let body = [&b"{\"id\":\"i\",\"x\":\""[..], &vec![b'x'; 8 << 20]].concat();
        let coded = miniz_oxide::deflate::compress_to_vec_zlib(&body, 6);
        let asked = format!("POST {CHAT} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{ASKED}", ASKED.len());
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\nContent-Length: {}\r\n\r\n",
            coded.len()
        );
        let answer = [head.as_bytes(), &coded].concat();
        let found = play(
            Config::new(),
            &Shared::default(),
            &[(Direction::Sent, asked.as_bytes()), (Direction::Received, &answer)],
        );
        assert_eq!(found[0].completeness, Completeness::Truncated);
        let call = call_of(&found[0]);
        assert_eq!((call.response_unread, call.response_id()), (Some(Unread::Limit), Some("i")));
    }
}

#[test]
fn numbers_are_as_they_were_told() {
    let asked = r#"{"model":"m","messages":[],"temperature":1e0,"n":2,"seed":-5,"max_tokens":16.0,"top_p":"high","stop":"x","stream":null}"#;
    let answer = br#"{"id":"i","usage":{"prompt_tokens":null,"completion_tokens":-1,"prompt_tokens_details":null}}"#;
    let call =
        call_of(&exchange(Config::new(), &Shared::default(), CHAT, asked, "application/json; charset=utf-8", answer));
    assert_eq!(
        (call.temperature, call.choice_count, call.seed, call.max_tokens),
        (Some(1.0), Some(2), Some(-5), Some(16))
    );
    assert_eq!((call.top_p, call.stream, call.stop_sequences().next()), (None, false, Some("x")));
    assert_eq!((call.input_tokens, call.output_tokens, call.cache_read_tokens), (None, None, None));
    assert_eq!(call.response_id().map(ToString::to_string), Some("i".into()));
}
