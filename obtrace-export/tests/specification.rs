//! What the OTLP specification asks of a client about sizes, concurrency, failures, throttling, partial success and
//! connections (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), a test for each sentence, without and with a spool. For
//! gRPC the same is in `grpc.rs`.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod exporter;
mod server;

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use child::{Folder, Reserved};
use exporter::{MILLI, SECOND, quick, settled, span, start, wait};
use obtrace_export::{
    batch::Limits,
    encode::Format,
    model::Signal,
    pipeline::Config,
    retry::Policy,
    spool,
    stats::{DropReason, Stats},
    transport::{Compression, HttpConfig},
};
use server::{Act, Server};

fn transport(server: &Server) -> HttpConfig {
    HttpConfig::otlp(&server.url(), Signal::Traces).unwrap().with_timeout(20 * SECOND)
}

/// Runs a check without a spool and with one.
fn both(check: impl Fn(Config)) {
    check(quick());
    let folder = Folder::new();
    check(quick().with_spool(spool::Config::new(folder.path())));
}

/// Sends so many spans in one batch and waits until their fate is known.
fn deliver(server: &Server, mut config: Config, spans: usize) -> Stats {
    // However slow this machine is.
    config.limits.delay = 600 * SECOND;
    let exporter = start(transport(server), config);
    for i in 0..spans {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    exporter.force_flush_blocking(MILLI);
    let stats = settled(&exporter);
    exporter.shutdown_blocking(SECOND);
    stats
}

fn waits(server: &Server) -> Vec<Duration> {
    server.requests().windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at)).collect()
}

/// OTLP/HTTP Request: the client may gzip the content, and must say so then.
#[test]
fn content_that_is_gzip_says_so() {
    both(|config| {
        let has_spool = config.spool.is_some();
        for compression in [Compression::None, Compression::Gzip] {
            let server = Server::start([]);
            let exporter = start(transport(&server).with_compression(compression), config.clone());
            exporter.try_send(span("a")).unwrap();
            settled(&exporter);
            exporter.shutdown_blocking(SECOND);
            let [request] = &server.requests()[..] else { panic!("one request") };
            let says_so = request.head.to_ascii_lowercase().contains("\r\ncontent-encoding: gzip\r\n");
            assert_eq!(says_so, request.body.starts_with(&[0x1f, 0x8b]));
            // What lies in the spool is gzip, and goes as it is.
            assert_eq!(says_so, has_spool || compression == Compression::Gzip);
            assert_eq!(request.span_names(), ["a"]);
        }
    });
}

/// Binary and JSON encoding: the client must set the content type of what it sends.
#[test]
fn the_content_type_is_that_of_the_form() {
    both(|config| {
        for (format, line) in [
            (Format::Json, "\r\ncontent-type: application/json\r\n"),
            (Format::Protobuf, "\r\ncontent-type: application/x-protobuf\r\n"),
        ] {
            let server = Server::start([]);
            let exporter = start(transport(&server).with_format(format), config.clone());
            exporter.try_send(span("a")).unwrap();
            settled(&exporter);
            exporter.shutdown_blocking(SECOND);
            assert!(server.requests()[0].head.to_ascii_lowercase().contains(line));
        }
    });
}

/// OTLP/HTTP Request: above the limit, before compression, the client must not make the request and should record it.
#[test]
fn a_request_above_the_limit_is_not_made_and_is_counted() {
    both(|config| {
        let server = Server::start([]);
        let exporter = start(transport(&server), config.with_max_body(10_000));
        // Compressed it would be far below.
        exporter.try_send(span("a".repeat(20_000))).unwrap();
        let stats = settled(&exporter);
        assert_eq!((stats.dropped(DropReason::TooLarge), stats.requests, server.requests().len()), (1, 0, 0));
        exporter.shutdown_blocking(SECOND);
    });
}

/// OTLP/HTTP Response: the client must limit what it reads of a response, and a larger one is no reason to send again.
#[test]
fn a_response_above_the_limit_is_not_read_and_not_retried() {
    both(|config| {
        let server = Server::start([Act::Huge]);
        let stats = deliver(&server, config, 3);
        assert_eq!((stats.requests, stats.retries, stats.in_flight()), (1, 0, 0));
        // 64 KiB and what the buffers of the kernel hold.
        assert!(server.written() < 16 << 20, "{}", server.written());
    });
}

/// Concurrent Requests: their number should be configurable.
#[test]
fn the_number_of_concurrent_requests_is_set() {
    both(|config| {
        for most in [1, 3] {
            let server = Server::start(vec![Act::Late(80 * MILLI); 12]);
            let limits = Limits::new().with_batch_items(1);
            let exporter = start(transport(&server), config.clone().with_limits(limits).with_concurrency(most));
            for i in 0..12 {
                exporter.try_send(span(i.to_string())).unwrap();
            }
            settled(&exporter);
            assert_eq!(server.most_active(), most);
            exporter.shutdown_blocking(SECOND);
        }
    });
}

/// Concurrent Requests: at a shutdown the client waits until all pending acknowledgements are received or a time expires; the
/// waiting can be turned off.
#[test]
fn a_shutdown_waits_for_acknowledgements_as_long_as_it_is_told() {
    both(|config| {
        let server = Server::start([Act::Late(300 * MILLI), Act::Late(10 * SECOND), Act::Late(10 * SECOND)]);
        let exporter = start(transport(&server).with_timeout(20 * SECOND), config.clone());
        exporter.try_send(span("a")).unwrap();
        assert_eq!(exporter.shutdown_blocking(10 * SECOND).exported, 1);
        for within in [300 * MILLI, Duration::ZERO] {
            let exporter = start(transport(&server).with_timeout(20 * SECOND), config.clone());
            let began = Instant::now();
            exporter.try_send(span("b")).unwrap();
            let stats = exporter.shutdown_blocking(within);
            assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
            assert_eq!((stats.exported, stats.in_flight()), (0, 0));
            assert_eq!(stats.dropped(DropReason::Shutdown) + stats.spooled, stats.accepted + stats.recovered);
        }
    });
}

/// Concurrent Requests: when a request cannot be delivered the client should record that the data was not.
#[test]
fn data_that_was_not_delivered_is_counted() {
    let server = Server::start(vec![Act::status(503); 100]);
    let policy = Policy::new().with_waits(20 * MILLI, 20 * MILLI).with_give_up_after(100 * MILLI);
    let stats = deliver(&server, quick().with_retry(policy), 3);
    assert_eq!((stats.exported, stats.dropped(DropReason::Expired)), (0, 3));
}

/// Partial Success: the client must not retry a request whose partial success is populated.
#[test]
fn a_partial_success_is_not_retried() {
    both(|config| {
        let body = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
        let server = Server::start([Act::json(200, body)]);
        let stats = deliver(&server, config, 5);
        assert_eq!((stats.exported, stats.rejected, stats.requests), (3, 2, 1));
    });
}

/// Partial Success: with nothing rejected, a message is a warning about a request that was taken whole.
#[test]
fn a_warning_is_a_success() {
    both(|config| {
        let server = Server::start([Act::json(200, r#"{"partialSuccess":{"errorMessage":"use v2"}}"#)]);
        let stats = deliver(&server, config, 5);
        assert_eq!((stats.exported, stats.rejected, stats.requests), (5, 0, 1));
    });
}

/// Retryable Response Codes: requests answered by one of the four should be retried.
#[test]
fn the_four_codes_are_retried() {
    both(|config| {
        let server = Server::start([429, 502, 503, 504].map(Act::status));
        let stats = deliver(&server, config, 3);
        assert_eq!((stats.exported, stats.requests, stats.retries), (3, 5, 4));
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.body == requests[0].body), "the same data each time");
    });
}

/// Retryable Response Codes: all other 4xx and 5xx must not be retried. Failures: the data must be dropped, and counted.
#[test]
fn all_other_codes_are_not_retried_and_their_data_is_dropped() {
    both(|config| {
        let others = || (400..600).filter(|status| ![413, 429, 502, 503, 504].contains(status));
        let server = Server::start(others().map(Act::status));
        let exporter = start(transport(&server), config.with_limits(Limits::new().with_batch_items(1)));
        for i in others() {
            exporter.try_send(span(i.to_string())).unwrap();
        }
        let stats = settled(&exporter);
        let sent = others().count();
        assert_eq!((stats.dropped(DropReason::Refused), stats.requests), (sent as u64, sent as u64));
        let mut names: Vec<_> = server.requests().iter().flat_map(server::Request::span_names).collect();
        names.sort();
        assert!(names.into_iter().eq(others().map(|status| status.to_string())), "each once");
        exporter.shutdown_blocking(SECOND);
    });
}

/// Retryable Response Codes: 413 is none. Halves are other data, and are tried once.
#[test]
fn what_is_too_large_is_not_retried_but_in_halves() {
    both(|config| {
        let server = Server::start(vec![Act::status(413); 3]);
        let stats = deliver(&server, config, 4);
        assert_eq!((stats.dropped(DropReason::TooLarge), stats.requests, stats.retries), (4, 3, 0));
    });
}

/// Bad Data: the client must not retry a request that receives 400.
#[test]
fn bad_data_is_not_retried() {
    both(|config| {
        let server = Server::start([Act::json(400, r#"{"code":3,"message":"bad span"}"#)]);
        let stats = deliver(&server, config, 3);
        assert_eq!((stats.dropped(DropReason::Refused), stats.requests), (3, 1));
    });
}

/// Failures: clients are not expected to alter their behaviour by the code of the status message.
#[test]
fn the_code_in_the_body_changes_nothing() {
    both(|config| {
        let (unavailable, invalid) = (r#"{"code":14,"message":"x"}"#, r#"{"code":3,"message":"x"}"#);
        let server = Server::start([Act::json(400, unavailable)]);
        assert_eq!(deliver(&server, config.clone(), 1).dropped(DropReason::Refused), 1);
        let server = Server::start([Act::json(503, invalid)]);
        assert_eq!(deliver(&server, config, 1).exported, 1);
    });
}

/// Throttling: the client should honour `Retry-After`, in seconds.
#[test]
fn a_wait_in_seconds_is_honoured() {
    both(|config| {
        for status in [429, 503] {
            let server = Server::start([Act::retry_after(status, "1")]);
            assert_eq!(deliver(&server, config.clone(), 1).exported, 1);
            let wait = waits(&server)[0];
            assert!((SECOND..SECOND * 11 / 10 + SECOND).contains(&wait), "{wait:?}");
        }
    });
}

/// Throttling: the wait is the client's, not that of one request: nothing else is sent meanwhile, though the batch that was
/// answered so cannot wait that long.
#[test]
fn a_wait_holds_for_what_comes_after() {
    both(|config| {
        let server = Server::start(vec![Act::retry_after(429, "300"); 4]);
        let limits = Limits::new().with_batch_items(1);
        let exporter = start(transport(&server), config.with_limits(limits).with_concurrency(1));
        for i in 0..20 {
            exporter.try_send(span(i.to_string())).unwrap();
        }
        wait(&exporter, |stats| stats.requests > 0 && (stats.spooled == 19 || stats.dropped(DropReason::Expired) > 0));
        thread::sleep(200 * MILLI);
        assert_eq!(server.requests().len(), 1);
        // Nor at the end.
        let began = Instant::now();
        let stats = exporter.shutdown_blocking(60 * SECOND);
        assert!(began.elapsed() < 30 * SECOND, "{:?}", began.elapsed());
        assert_eq!((stats.requests, stats.exported, stats.in_flight()), (1, 0, 0));
        assert_eq!(stats.dropped_total() + stats.spooled, 20);
    });

    both(|config| {
        let server = Server::start([Act::retry_after(503, "1")]);
        let limits = Limits::new().with_batch_items(1);
        let retry = Policy::new().with_waits(20 * MILLI, 80 * MILLI).with_give_up_after(100 * MILLI);
        let config = config.with_limits(limits).with_retry(retry).with_concurrency(1);
        let exporter = start(transport(&server), config);
        for i in 0..5 {
            exporter.try_send(span(i.to_string())).unwrap();
        }
        let stats = settled(&exporter);
        assert_eq!(stats.exported + stats.dropped(DropReason::Expired), 5);
        let waited = waits(&server)[0];
        assert!((SECOND..SECOND * 11 / 10 + SECOND).contains(&waited), "{waited:?}");
        exporter.shutdown_blocking(SECOND);
    });
}

/// Throttling: or as a date.
#[test]
fn a_wait_until_a_date_is_honoured() {
    both(|config| {
        // A date has whole seconds: 1 to 2 s from now.
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 2;
        let server = Server::start([Act::retry_after(429, &date(at))]);
        assert_eq!(deliver(&server, config, 1).exported, 1);
        let wait = waits(&server)[0];
        assert!((900 * MILLI..3200 * MILLI).contains(&wait), "{wait:?}");
    });
}

/// An HTTP date of this century.
fn date(unix: u64) -> String {
    let (days, left) = (unix / 86_400, unix % 86_400);
    let (mut year, mut day) = (1970, days);
    let length = |year: u64| if year.is_multiple_of(4) { 366 } else { 365 };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let lengths = [31, length(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
    // The epoch was a Thursday.
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap()];
    let (hour, minute, second) = (left / 3600, left / 60 % 60, left % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}

/// Throttling: without `Retry-After` the client should back off exponentially. Connection: with a random jitter.
#[test]
fn without_a_wait_that_is_asked_for_waits_double() {
    both(|config| {
        let server = Server::start(vec![Act::status(503); 5]);
        let retry = Policy::new().with_waits(50 * MILLI, 10 * SECOND);
        assert_eq!(deliver(&server, config.with_retry(retry), 1).exported, 1);
        // A quarter less at most, each a quarter more at most but for what the machine adds.
        for (wait, factor) in waits(&server).into_iter().zip([1, 2, 4, 8, 16]) {
            assert!(wait >= 37 * MILLI * factor, "{wait:?} is less than {factor} times 50 ms");
            assert!(wait < 63 * MILLI * factor + SECOND, "{wait:?} is more than {factor} times 50 ms");
        }
    });
}

/// All Other Responses: by HTTP. Redirects of a POST are not followed; every 2xx is a success.
#[test]
fn other_responses_are_taken_by_http() {
    both(|config| {
        for status in [201, 202, 204] {
            assert_eq!(deliver(&Server::start([Act::status(status)]), config.clone(), 1).exported, 1, "{status}");
        }
        for status in [300, 301, 302, 303, 307, 308] {
            let to = Server::start([]);
            let location = format!("Location: {}/v1/traces\r\n", to.url());
            let server = Server::start([Act::Reply(status, location, Vec::new())]);
            let stats = deliver(&server, config.clone(), 1);
            assert_eq!((stats.dropped(DropReason::Refused), to.requests().len()), (1, 0), "{status}");
        }
    });
}

/// All Other Responses: when the server disconnects without a response, the client should send the same request again, after a
/// back-off.
#[test]
fn a_disconnect_is_followed_by_the_same_request() {
    both(|config| {
        let server = Server::start(vec![Act::ResetInHead; 3]);
        let stats = deliver(&server, config, 3);
        assert_eq!((stats.exported, stats.retries), (3, 3));
        let requests = server.requests();
        // A byte of the first ones was left unread, to break the connection.
        assert!(requests.iter().all(|r| requests[3].body.starts_with(&r.body[..requests[3].body.len() - 1])));
        assert!(waits(&server).iter().all(|wait| *wait >= 14 * MILLI), "{:?}", waits(&server));
    });
}

/// Connection: when the client cannot connect, it should try again with exponential back-off.
#[test]
fn a_server_that_is_not_there_is_tried_again() {
    both(|config| {
        let reserved = Reserved::new();
        let http = HttpConfig::otlp(&reserved.url(), Signal::Traces).unwrap();
        let exporter = start(http, config);
        exporter.try_send(span("a")).unwrap();
        let end = Instant::now() + 20 * SECOND;
        while exporter.stats().retries < 3 {
            assert!(Instant::now() < end);
            thread::sleep(MILLI);
        }
        let server = Server::on(reserved.listen(), []);
        assert_eq!(settled(&exporter).exported, 1);
        assert_eq!(server.requests().len(), 1);
        exporter.shutdown_blocking(SECOND);
    });
}

/// Connection: the client should keep the connection alive between requests.
#[test]
fn the_connection_is_kept_between_requests() {
    both(|config| {
        let server = Server::start([]);
        let limits = Limits::new().with_batch_items(1);
        let exporter = start(transport(&server), config.with_limits(limits).with_concurrency(1));
        for i in 0..20 {
            exporter.try_send(span(i.to_string())).unwrap();
        }
        settled(&exporter);
        let mut peers: Vec<_> = server.requests().iter().map(|request| request.peer).collect();
        assert_eq!(peers.len(), 20);
        peers.dedup();
        assert_eq!(peers.len(), 1);
        exporter.shutdown_blocking(SECOND);
    });
}

/// Empty Telemetry Envelopes: an exporter that has nothing to say says nothing.
#[test]
fn nothing_is_sent_when_there_is_nothing() {
    both(|config| {
        let server = Server::start([]);
        let exporter = start(transport(&server), config);
        exporter.force_flush_blocking(SECOND);
        exporter.shutdown_blocking(SECOND);
        assert_eq!((server.requests().len(), exporter.stats()), (0, Stats::default()));
    });
}
