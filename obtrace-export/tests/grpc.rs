//! OTLP over gRPC against a receiver that misbehaves on purpose.
#![cfg(feature = "grpc")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod exporter;
#[expect(dead_code, reason = "other tests use the rest")]
mod secure;

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
    thread,
    time::Duration,
};

use exporter::{MILLI, SECOND, quick, settled, span, start_with};
use h2::Reason;
use obtrace_export::{
    model::{Item, LogRecord, Resource, Scope, Signal},
    retry::Class,
    stats::{DropReason, Stats},
    transport::{Compression, Grpc, GrpcConfig, Reply, SendError},
};
use secure::{Act, Server, headers};

/// A `google.rpc.Status` with a `RetryInfo` of 2 s, in Base64 without padding.
const RETRY_IN_2_S: &str = "GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAI";

fn config(server: &Server, signal: Signal) -> GrpcConfig {
    GrpcConfig::new(&server.url(), signal).unwrap().with_timeout(500 * MILLI)
}

/// Sends these in one batch and waits until their fate is known.
fn deliver<T: Item>(config: GrpcConfig, items: impl IntoIterator<Item = T>) -> Stats {
    let exporter = start_with(Grpc::new(config).unwrap(), quick());
    for item in items {
        exporter.try_send(item).unwrap();
    }
    let stats = settled(&exporter);
    assert_eq!(exporter.shutdown_blocking(SECOND), stats);
    stats
}

fn spans(server: &Server) -> Stats {
    deliver(config(server, Signal::Traces), (0..5).map(|number| span(number.to_string())))
}

/// One request, by itself.
fn send(config: GrpcConfig, body: &[u8]) -> Result<Reply, SendError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Grpc::new(config).unwrap().send(body.to_vec()))
}

#[test]
fn requests_are_what_grpc_asks_for() {
    for (signal, path) in [
        (Signal::Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (Signal::Metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
        (Signal::Logs, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    ] {
        let server = Server::start([]);
        let config = config(&server, signal).with_header_list("x-tenant=a%20b,grpc-timeout=1H").unwrap();
        let config = config.with_product("obtrace-agent/1.2").unwrap();
        assert_eq!(send(config, b"body").unwrap().class, Class::Accepted);
        let [request] = &server.requests()[..] else { panic!("one request") };
        assert_eq!((request.path.as_str(), &request.body[..]), (path, &b"\0\0\0\0\x04body"[..]));
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "500m"),
            ("grpc-encoding", ""),
            ("x-tenant", "a b"),
        ] {
            assert_eq!(request.header(name), value);
        }
        assert!(request.header("user-agent").starts_with("obtrace-agent/1.2 obtrace-export/"), "{request:?}");
        assert_eq!(request.headers.get_all("grpc-timeout").iter().count(), 1);
    }
}

#[test]
fn messages_are_compressed_as_asked_for() {
    let body = b"resource ".repeat(1000);
    let sent = |compression| {
        let server = Server::start([]);
        send(config(&server, Signal::Traces).with_compression(compression), &body).unwrap();
        let request = server.requests().pop().unwrap();
        let (prefix, message) = request.body.split_at(5);
        assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, message.len());
        (request.header("grpc-encoding").to_owned(), prefix[0], message.to_vec())
    };
    let (encoding, flag, message) = sent(Compression::Gzip);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&message[..]).read_to_end(&mut plain).unwrap();
    assert_eq!((encoding.as_str(), flag, &plain), ("gzip", 1, &body));
    assert!(message.len() * 10 < body.len(), "{}", message.len());
    #[cfg(feature = "zstd")]
    {
        let (encoding, flag, message) = sent(Compression::Zstd);
        assert_eq!((encoding.as_str(), flag), ("zstd", 1));
        assert_eq!(zstd::bulk::decompress(&message, 1 << 20).unwrap(), body);
    }
    assert_eq!(sent(Compression::None), (String::new(), 0, body));
}

/// `rejected` = 2 and an error message, in the field that all three services have for it.
const PARTIAL: &[u8] = b"\x0a\x0b\x08\x02\x12\x07too old";

#[test]
fn a_partial_success_of_each_signal_is_counted_and_not_retried() {
    let (resource, scope) = (Arc::new(Resource::default()), Arc::new(Scope::new("test", "1")));
    let record = || LogRecord::new("up", Arc::clone(&resource), Arc::clone(&scope));
    let server = Server::start(vec![Act::message(PARTIAL); 3]);
    for stats in [
        deliver(config(&server, Signal::Traces), (0..5).map(|number| span(number.to_string()))),
        deliver(config(&server, Signal::Logs), (0..5).map(|_| record())),
    ] {
        assert_eq!((stats.exported, stats.rejected, stats.requests), (3, 2, 1));
    }
    let reply = send(config(&server, Signal::Metrics), b"").unwrap();
    assert_eq!((reply.class, reply.rejected, reply.message.as_str()), (Class::Accepted, 2, "too old"));
    assert_eq!(server.requests().len(), 3);
}

/// The table of the specification: each status is told twice, as a whole reply and by its head alone.
#[test]
fn statuses_are_retried_by_the_table() {
    let all = (1..=20).map(|code| {
        thread::spawn(move || {
            let retried = [1, 4, 10, 11, 14, 15].contains(&code);
            let head_only = Act::HeadOnly(headers(&[("grpc-status", &code.to_string())]));
            let server = Server::start([Act::status(code), head_only]);
            let stats = spans(&server);
            if retried {
                assert_eq!((stats.exported, stats.requests, stats.retries), (5, 3, 2), "{code}");
                let requests = server.requests();
                assert!(requests.iter().all(|request| request.body == requests[0].body), "the same batch each time");
            } else {
                assert_eq!((stats.dropped(DropReason::Refused), stats.requests), (5, 1), "{code}");
            }
            let server = Server::start([Act::HeadOnly(headers(&[("grpc-status", &code.to_string())]))]);
            assert_eq!(spans(&server).exported, if retried { 5 } else { 0 }, "{code}");
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.join().unwrap();
    }
}

#[test]
fn retry_info_is_obeyed_and_makes_an_exhausted_receiver_worth_a_retry() {
    let info = [("grpc-status-details-bin", RETRY_IN_2_S)];
    let all = [(14, 2.0), (8, 2.0)].map(|(code, asked)| {
        thread::spawn(move || {
            let server = Server::start([Act::with(code, &info)]);
            let stats = spans(&server);
            assert_eq!((stats.exported, stats.requests), (5, 2), "{code}");
            let requests = server.requests();
            let waited = (requests[1].at - requests[0].at).as_secs_f64();
            assert!((asked..asked * 1.1 + 1.0).contains(&waited), "{code}: {waited}");
        })
    });
    for one in all {
        one.join().unwrap();
    }
}

#[test]
fn details_that_say_nothing_leave_the_back_off() {
    for details in ["", "!!!", "AAAA", "/////w", "GgA"] {
        let server = Server::start([Act::with(14, &[("grpc-status-details-bin", details)])]);
        let stats = spans(&server);
        assert_eq!((stats.exported, stats.requests), (5, 2), "{details}");
        let requests = server.requests();
        assert!(requests[1].at - requests[0].at < Duration::from_secs(1), "{details}");
        let server = Server::start([Act::with(8, &[("grpc-status-details-bin", details)])]);
        assert_eq!(spans(&server).dropped(DropReason::Refused), 5, "{details}");
    }
}

#[test]
fn a_message_above_the_receivers_limit_is_split_once() {
    let too_large = || {
        let words = "grpc: received message larger than max (5000000 vs. 4194304)";
        Act::with(8, &[("grpc-message", words)])
    };
    let server = Server::start([too_large(), Act::status(0), too_large()]);
    let stats = spans(&server);
    assert_eq!((stats.exported, stats.dropped(DropReason::TooLarge), stats.requests), (2, 3, 3));
}

#[test]
fn streams_and_connections_that_break_are_tried_again() {
    for act in [
        Act::Reset(Reason::REFUSED_STREAM),
        Act::Reset(Reason::CANCEL),
        Act::Reset(Reason::INTERNAL_ERROR),
        Act::Reset(Reason::ENHANCE_YOUR_CALM),
        Act::GoAway,
        Act::Close,
        Act::NoStatus,
    ] {
        let server = Server::start([act.clone(), act.clone()]);
        let stats = spans(&server);
        assert_eq!((stats.exported, stats.requests, stats.retries), (5, 3, 2), "{act:?}");
    }
}

#[test]
fn a_receiver_that_says_nothing_is_given_up_after_the_deadline() {
    let server = Server::start([Act::Silent]);
    let error = send(config(&server, Signal::Traces), b"").unwrap_err();
    assert_eq!(error, SendError::Timeout(500 * MILLI));
    let server = Server::start([Act::Silent]);
    let stats = spans(&server);
    assert_eq!((stats.exported, stats.retries), (5, 1));
}

#[test]
fn replies_without_end_are_not_read() {
    let server = Server::start([Act::Huge]);
    let stats = spans(&server);
    assert_eq!((stats.dropped(DropReason::Refused), stats.requests), (5, 1));
    // What was read, and what may be under way by the windows of HTTP/2.
    assert!(server.written() <= 3 * 64 * 1024, "{}", server.written());

    let server = Server::start([Act::HugeTrailers]);
    let stats = spans(&server);
    assert_eq!((stats.exported, stats.requests), (5, 2));
}

#[test]
fn a_compressed_reply_is_not_opened() {
    let trailers = headers(&[("grpc-status", "0")]);
    let bomb = Act::Grpc { compressed: true, message: b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), trailers };
    let stats = spans(&Server::start([bomb]));
    assert_eq!((stats.exported, stats.rejected, stats.requests), (5, 0, 1));
}

#[test]
fn answers_that_are_not_grpc_are_taken_for_what_they_are() {
    for (status, content_type, retried) in [
        (200, "text/html", false),
        (200, "application/json", false),
        (400, "text/plain", false),
        (401, "text/plain", false),
        (404, "", false),
        (415, "", false),
        (429, "text/plain", true),
        (500, "text/plain", false),
        (502, "text/html", true),
        (503, "", true),
        (504, "text/html", true),
    ] {
        let fields = if content_type.is_empty() { headers(&[]) } else { headers(&[("content-type", content_type)]) };
        let act = Act::Http(status, fields, b"<html>".to_vec());
        let stats = spans(&Server::start([act.clone()]));
        assert_eq!((stats.exported, stats.requests), if retried { (5, 2) } else { (0, 1) }, "{status} {content_type}");
        let said = send(config(&Server::start([act]), Signal::Traces), b"").unwrap().message;
        assert!(said.contains(&format!("HTTP {status}")) && said.contains("port of OTLP/gRPC"), "{said}");
    }
}

#[test]
fn one_transport_lives_through_several_runtimes() {
    let server = Server::start([]);
    let grpc = Grpc::new(config(&server, Signal::Traces)).unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The first in a new runtime finds that the connection went with the old one.
        let first = runtime.block_on(grpc.send(Vec::new()));
        assert!(matches!(first, Ok(_) | Err(SendError::Broken(_))), "{first:?}");
        assert_eq!(runtime.block_on(grpc.send(Vec::new())).unwrap().class, Class::Accepted);
    }
}

#[test]
fn secrets_do_not_come_back() {
    let echo = Act::with(3, &[("grpc-message", "bad key hunter22")]);
    let config = config(&Server::start([echo]), Signal::Traces).with_header("x-api-key", "hunter22").unwrap();
    assert_eq!(send(config, b"").unwrap().message, "bad key ***");
}

/// Ends the first connection with a GOAWAY (RFC 9113, 6.8) that says this.
fn going_away(said: &[u8]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], payload].concat()
    };
    let goaway = frame(7, &[&[0, 0, 0, 0, 0, 0, 0, 11], said].concat());
    let answer = [frame(4, &[]), goaway].concat();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = [0; 1024];
        // The preface and what comes with it.
        let _ = stream.read(&mut read).unwrap();
        stream.write_all(&answer).unwrap();
        while stream.read(&mut read).is_ok_and(|count| count > 0) {}
    });
    url
}

#[test]
fn what_the_end_of_a_connection_says_is_one_short_line_without_secrets() {
    let url = going_away(format!("bad key hunt\"er22\n{}", "x".repeat(8_000)).as_bytes());
    let config = GrpcConfig::new(&url, Signal::Traces).unwrap().with_header("x-api-key", "hunt\"er22").unwrap();
    let said = send(config, b"").unwrap_err().to_string();
    assert!(said.contains("bad key ***") && !said.contains("er22"), "{said}");
    assert!(said.len() < 1_500, "{}", said.len());
}

#[test]
fn a_timeout_of_zero_is_none() {
    let server = Server::start([]);
    let config = config(&server, Signal::Traces).with_timeout(Duration::ZERO);
    assert_eq!(deliver(config, [span("a")]).exported, 1);
}

#[test]
fn nobody_there_is_no_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = send(GrpcConfig::new(&url, Signal::Traces).unwrap(), b"").unwrap_err();
    assert!(matches!(&error, SendError::Connect(said) if said.contains("refused")), "{error:?}");
}
