//! Each sentence of OTLP's failure rules, against a receiver that misbehaves on purpose.
#![cfg(all(feature = "http", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod exporter;
mod server;

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use child::Reserved;
use exporter::{MILLI, SECOND, quick, settled, span, start, wait, whole};
use obtrace_export::{
    batch::Limits,
    model::{Signal, Span},
    pipeline::{Config, Exporter},
    retry::{Class, Policy},
    stats::{DropReason, Stats},
    transport::{Http, HttpConfig, SendError},
};
use server::{Act, Server};

fn transport(server: &Server) -> HttpConfig {
    HttpConfig::otlp(&server.url(), Signal::Traces).unwrap().with_timeout(20 * SECOND)
}

/// Sends `spans` spans in one batch and waits until their fate is known.
fn deliver(server: &Server, config: Config, spans: usize) -> Stats {
    deliver_by(transport(server), config, spans)
}

fn deliver_by(transport: HttpConfig, mut config: Config, spans: usize) -> Stats {
    config.limits = whole().limits;
    let exporter = start(transport, config);
    for i in 0..spans {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    exporter.force_flush_blocking(MILLI);
    let stats = settled(&exporter);
    assert_eq!(exporter.shutdown_blocking(Duration::from_secs(1)), stats);
    stats
}

#[test]
fn requests_to_the_ingest_carry_its_headers() {
    let server = Server::start([]);
    let config = HttpConfig::ingest(&server.url(), Signal::Traces)
        .and_then(|c| c.with_api_key("hunter22"))
        .and_then(|c| c.with_product("obtrace-agent/1.2"))
        .unwrap();
    let exporter = start(config, whole());
    exporter.try_send(span("a")).unwrap();
    exporter.try_send(span("b")).unwrap();
    assert_eq!(exporter.shutdown_blocking(30 * SECOND).exported, 2);
    let [request] = &server.requests()[..] else { panic!("one request") };
    let head = request.head.to_ascii_lowercase();
    assert!(head.starts_with("post /otlp/v1/traces http/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json",
        "x-api-key: hunter22",
        "x-obtrace-source: zero-agent-ebpf",
        concat!("user-agent: obtrace-agent/1.2 obtrace-export/", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(head.lines().filter(|l| *l == line).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("accept-encoding"), "a compressed reply is not asked for: {head}");
    assert_eq!(request.span_names(), ["a", "b"]);
}

#[test]
fn requests_to_other_receivers_carry_only_what_was_set() {
    let server = Server::start([]);
    let config = transport(&server).with_header_list("x-tenant=a%20b,authorization=Basic%20eA%3D%3D").unwrap();
    let exporter = start(config, quick());
    exporter.try_send(span("a")).unwrap();
    exporter.shutdown_blocking(30 * SECOND);
    let head = server.requests()[0].head.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nx-tenant: a b\r\n") && head.contains("\r\nauthorization: basic ea==\r\n"), "{head}");
    assert!(!head.contains("x-obtrace") && !head.contains("x-api-key"), "{head}");
}

#[test]
fn a_partial_success_is_counted_and_not_retried() {
    let server =
        Server::start([Act::json(200, r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#)]);
    let stats = deliver(&server, quick(), 5);
    assert_eq!((stats.exported, stats.rejected, stats.dropped_total()), (3, 2, 0));
    assert_eq!((stats.requests, server.requests().len()), (1, 1));
}

#[test]
fn more_rejected_than_sent_is_all_of_it() {
    let server = Server::start([Act::json(200, r#"{"partialSuccess":{"rejectedSpans":"9223372036854775807"}}"#)]);
    let stats = deliver(&server, quick(), 5);
    assert_eq!((stats.exported, stats.rejected), (0, 5));
}

#[test]
fn other_failures_are_not_retried() {
    for status in [300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 415, 422, 500, 501, 505] {
        let location = "Location: http://127.0.0.1:1/\r\nRetry-After: 1\r\n".to_owned();
        let server = Server::start([Act::Reply(status, location, Vec::new())]);
        let stats = deliver(&server, quick(), 3);
        assert_eq!((stats.dropped(DropReason::Refused), stats.exported), (3, 0), "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_body_that_is_too_large_is_split_once() {
    let server = Server::start([Act::status(413), Act::status(200), Act::status(413)]);
    let stats = deliver(&server, quick(), 5);
    assert_eq!((stats.exported, stats.dropped(DropReason::TooLarge)), (2, 3));
    let names: Vec<Vec<String>> = server.requests().iter().map(server::Request::span_names).collect();
    assert_eq!(names, [vec!["0", "1", "2", "3", "4"], vec!["0", "1"], vec!["2", "3", "4"]]);

    let server = Server::start([Act::status(413)]);
    let stats = deliver(&server, quick(), 1);
    assert_eq!((stats.dropped(DropReason::TooLarge), stats.requests), (1, 1));
}

#[test]
fn our_own_limit_splits_as_often_as_needed() {
    let server = Server::start([]);
    let exporter = start(transport(&server), quick().with_max_body(600));
    exporter.try_send(span("x".repeat(1000))).unwrap();
    for i in 0..7 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = settled(&exporter);
    assert_eq!((stats.exported, stats.dropped(DropReason::TooLarge)), (7, 1));
    assert!(server.requests().iter().all(|request| request.body.len() <= 600));
}

#[test]
fn four_codes_are_retried_until_the_receiver_is_back() {
    for status in [429, 502, 503, 504] {
        let server = Server::start([Act::status(status), Act::status(status)]);
        let stats = deliver(&server, quick(), 3);
        assert_eq!((stats.exported, stats.requests, stats.retries), (3, 3, 2), "{status}");
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.body == requests[0].body), "the same batch each time");
    }
}

#[test]
fn retry_after_is_obeyed_in_each_form() {
    let date = |form: fn(&Date) -> String| {
        let at = SystemTime::now() + Duration::from_secs(2);
        form(&Date::of(at))
    };
    let forms = [
        ("1".to_owned(), 1.0, 2.1),
        // A date has whole seconds: 1 to 2 s from now.
        (date(Date::imf), 0.9, 3.2),
        (date(Date::rfc850), 0.9, 3.2),
        (date(Date::asctime), 0.9, 3.2),
    ];
    let threads = forms.map(|(value, low, high)| {
        thread::spawn(move || {
            for status in [429, 503] {
                let server = Server::start([Act::retry_after(status, &value)]);
                // Back-off of our own would be 20 ms.
                let stats = deliver(&server, quick(), 1);
                assert_eq!((stats.exported, stats.requests), (1, 2));
                let requests = server.requests();
                let waited = (requests[1].at - requests[0].at).as_secs_f64();
                if status == 429 {
                    assert!((low..high).contains(&waited), "{value}: {waited}");
                }
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn retry_after_that_says_nothing_leaves_the_back_off() {
    for value in ["soon", "-5", "", "Sun, 99 Foo 2026 00:00:00 GMT", "0", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let server = Server::start([Act::retry_after(503, value)]);
        let stats = deliver(&server, quick(), 1);
        assert_eq!((stats.exported, stats.requests), (1, 2), "{value}");
        let waited = server.requests()[1].at - server.requests()[0].at;
        assert!((9 * MILLI..20 * SECOND).contains(&waited), "{value}: {waited:?}");
    }
}

#[test]
fn retry_after_cannot_silence_the_exporter() {
    let server = Server::start([Act::retry_after(503, "1000000000")]);
    // The cap is 300 s, which is more than a batch is tried for.
    let config = quick().with_retry(Policy::new().with_give_up_after(Duration::from_secs(200)));
    let stats = deliver(&server, config, 3);
    assert_eq!((stats.dropped(DropReason::Expired), stats.requests), (3, 1));
}

#[test]
fn a_reset_before_the_answer_is_retried() {
    let server = Server::start([Act::ResetInHead, Act::ResetInHead]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.retries), (3, 2));
}

#[test]
fn a_reset_inside_the_answer_changes_nothing() {
    let server = Server::start([Act::ResetInBody(200)]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.requests), (3, 1));

    let server = Server::start([Act::ResetInBody(503)]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.requests), (3, 2));
}

#[test]
fn a_slow_answer_meets_the_deadline() {
    // 40 bytes at 1 s each are 40 s; the deadline is 1 s.
    let server = Server::start([Act::Slow(SECOND)]);
    let began = Instant::now();
    let stats = deliver_by(transport(&server).with_timeout(SECOND), quick(), 3);
    assert_eq!(stats.exported, 3);
    assert!(stats.retries >= 1);
    assert!(began.elapsed() < 30 * SECOND, "{:?}", began.elapsed());
}

#[test]
fn a_huge_answer_is_not_read() {
    let server = Server::start([Act::Huge]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.requests), (3, 1));
    // 64 KiB and what the buffers of the kernel hold.
    assert!(server.written() < 16 * 1024 * 1024, "{}", server.written());
}

#[test]
fn an_endless_head_is_given_up() {
    let server = Server::start([Act::EndlessHead]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.requests), (3, 2));
    assert!(server.written() < 16 * 1024 * 1024, "{}", server.written());
}

#[test]
fn a_compressed_answer_is_not_opened() {
    let bomb = Act::Reply(200, "Content-Encoding: gzip\r\n".to_owned(), vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    let server = Server::start([bomb]);
    let stats = deliver(&server, quick(), 3);
    assert_eq!((stats.exported, stats.requests), (3, 1));
}

#[test]
fn a_receiver_that_is_not_there_yet_is_waited_for() {
    let reserved = Reserved::new();
    let exporter = start(HttpConfig::otlp(&reserved.url(), Signal::Traces).unwrap(), quick());
    exporter.try_send(span("a")).unwrap();
    let stats = wait(&exporter, |stats| stats.retries >= 1);
    assert_eq!((stats.exported, stats.in_flight()), (0, 1));
    let server = Server::on(reserved.listen(), []);
    assert_eq!(settled(&exporter).exported, 1);
    assert_eq!(server.requests()[0].span_names(), ["a"]);
}

#[test]
fn a_batch_is_given_up_after_its_time() {
    let server = Server::start(vec![Act::status(503); 100]);
    let policy = Policy::new().with_waits(20 * MILLI, 20 * MILLI).with_give_up_after(200 * MILLI);
    let stats = deliver(&server, quick().with_retry(policy), 3);
    assert_eq!((stats.exported, stats.dropped(DropReason::Expired)), (0, 3));
    // Waits are 15 ms at least.
    assert!((2..=15).contains(&server.requests().len()), "{}", server.requests().len());
}

#[test]
fn the_first_span_leaves_after_two_seconds() {
    let server = Server::start([]);
    let exporter = start(transport(&server), Config::new());
    let began = Instant::now();
    exporter.try_send(span("a")).unwrap();
    thread::sleep(500 * MILLI);
    exporter.try_send(span("b")).unwrap();
    assert_eq!(settled(&exporter).exported, 2);
    let [request] = &server.requests()[..] else { panic!("one request") };
    let waited = request.at - began;
    assert!((2000 * MILLI..3200 * MILLI).contains(&waited), "{waited:?}");
}

#[test]
fn full_batches_leave_at_once_with_few_requests_under_way() {
    let server = Server::start(vec![Act::Late(150 * MILLI); 16]);
    let exporter = start(transport(&server), Config::new());
    for i in 0..8000 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = settled(&exporter);
    assert_eq!((stats.exported, stats.requests), (8000, 16));
    assert_eq!(server.most_active(), 4);
    let mut numbers: Vec<usize> =
        server.requests().iter().flat_map(server::Request::span_names).map(|name| name.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..8000).collect::<Vec<_>>());
}

#[test]
fn a_failing_receiver_gets_no_further_batches() {
    let server = Server::start(vec![Act::status(503); 1000]);
    let limits = Limits::new().with_batch_items(1);
    let exporter = start(transport(&server), quick().with_limits(limits));
    for i in 0..50 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = wait(&exporter, |stats| stats.retries >= 10);
    assert!(stats.sending <= 4 && stats.queued >= 46, "{stats:?}");
    let stats = exporter.shutdown_blocking(200 * MILLI);
    assert_eq!(stats.dropped(DropReason::Shutdown), 50, "{stats:?}");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let server = Server::start([]);
    let config = quick().with_limits(Limits::new().with_queue_items(10).with_delay(20 * MILLI));
    let (exporter, worker) = Exporter::new(Http::new(transport(&server)).unwrap(), config);
    let refused = (0..25).filter(|i| exporter.try_send(span(i.to_string())) == Err(DropReason::QueueFull)).count();
    let stats = exporter.stats();
    assert_eq!((refused, stats.dropped(DropReason::QueueFull), stats.queued, stats.accepted), (15, 15, 10, 25));
    assert!(stats.is_balanced());
    worker.spawn_thread().unwrap();
    assert_eq!(settled(&exporter).exported, 10);
}

#[test]
fn shutdown_sends_what_waits_and_may_be_called_again() {
    let server = Server::start([]);
    let exporter = start(transport(&server), whole());
    exporter.try_send(span("a")).unwrap();
    let began = Instant::now();
    let stats = exporter.shutdown_blocking(60 * SECOND);
    assert!(began.elapsed() < 30 * SECOND, "it does not wait for the batch's time");
    assert_eq!((stats.exported, stats.in_flight()), (1, 0));
    assert_eq!(exporter.clone().shutdown_blocking(Duration::ZERO), stats);
    assert_eq!(exporter.try_send(span("late")), Err(DropReason::Closed));
    let stats = exporter.stats();
    assert_eq!((stats.accepted, stats.dropped(DropReason::Closed)), (2, 1));
    assert!(stats.is_balanced());
}

#[test]
fn shutdown_keeps_its_deadline() {
    let server = Server::start(vec![Act::Late(60 * SECOND); 4]);
    let config = transport(&server).with_timeout(120 * SECOND);
    let exporter = start(config, Config::new());
    for i in 0..700 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let began = Instant::now();
    let stats = exporter.shutdown_blocking(300 * MILLI);
    assert!((300 * MILLI..30 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!((stats.dropped(DropReason::Shutdown), stats.in_flight()), (700, 0));
    assert!(stats.is_balanced());
}

#[test]
fn shutdown_does_not_wait_out_a_long_retry_after() {
    let server = Server::start([Act::retry_after(503, "120")]);
    let exporter = start(transport(&server), quick());
    exporter.try_send(span("a")).unwrap();
    wait(&exporter, |stats| stats.requests == 1);
    let began = Instant::now();
    let stats = exporter.shutdown_blocking(60 * SECOND);
    assert!(began.elapsed() < 30 * SECOND, "{:?}", began.elapsed());
    assert_eq!((stats.dropped(DropReason::Shutdown), stats.requests), (1, 1));
}

#[test]
fn shutdown_makes_one_last_attempt() {
    let server = Server::start([Act::status(503)]);
    let policy = Policy::new().with_waits(Duration::from_secs(30), Duration::from_secs(30));
    let exporter = start(transport(&server), quick().with_retry(policy));
    exporter.try_send(span("a")).unwrap();
    // Nothing tells that the answer was read.
    while server.written() == 0 {
        thread::sleep(MILLI);
    }
    thread::sleep(SECOND);
    let stats = exporter.shutdown_blocking(20 * SECOND);
    assert_eq!((stats.exported, stats.requests), (1, 2));
}

#[test]
fn dropping_the_last_exporter_ends_the_worker() {
    let server = Server::start([]);
    let (exporter, worker) = Exporter::new(Http::new(transport(&server)).unwrap(), Config::new());
    let thread = worker.spawn_thread().unwrap();
    exporter.clone().try_send(span("a")).unwrap();
    drop(exporter);
    thread.join().unwrap();
    assert_eq!(server.requests()[0].span_names(), ["a"]);
}

#[test]
fn dropping_the_worker_counts_what_waits() {
    let server = Server::start([]);
    let (exporter, worker) = Exporter::new(Http::new(transport(&server)).unwrap(), Config::new());
    exporter.try_send(span("a")).unwrap();
    drop(worker);
    let stats = exporter.shutdown_blocking(30 * SECOND);
    assert_eq!((stats.dropped(DropReason::Shutdown), stats.in_flight()), (1, 0));
    assert_eq!(exporter.try_send(span("b")), Err(DropReason::Closed));
}

#[test]
fn the_identity_holds_at_every_reading() {
    let acts = [
        Act::status(200),
        Act::status(503),
        Act::json(200, r#"{"partialSuccess":{"rejectedSpans":"7"}}"#),
        Act::status(413),
        Act::status(400),
        Act::ResetInHead,
        Act::Late(5 * MILLI),
    ];
    let server = Server::start((0..140).map(|i| acts[i % acts.len()].clone()));
    let limits = Limits::new().with_batch_items(50).with_queue_items(500).with_delay(5 * MILLI);
    let exporter = start(transport(&server), quick().with_limits(limits));
    let producers: Vec<_> = (0..3)
        .map(|_| {
            let exporter = exporter.clone();
            thread::spawn(move || {
                for i in 0..3000 {
                    let _ = exporter.try_send(span(i.to_string()));
                    if i % 50 == 0 {
                        thread::sleep(MILLI);
                    }
                }
            })
        })
        .collect();
    let mut readings = 0;
    while producers.iter().any(|producer| !producer.is_finished()) {
        let stats = exporter.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        readings += 1;
    }
    let stats = exporter.shutdown_blocking(60 * SECOND);
    assert!(readings > 100);
    assert_eq!((stats.accepted, stats.in_flight()), (9000, 0));
    assert!(stats.is_balanced(), "{stats:?}");
    for part in [stats.exported, stats.rejected, stats.retries, stats.dropped(DropReason::Refused)] {
        assert!(part > 0, "{stats:?}");
    }
}

#[test]
fn secrets_do_not_come_back() {
    let server = Server::start([Act::json(401, r#"{"message":"the key hunter22 is not known"}"#), Act::ResetInHead]);
    let config = transport(&server).with_api_key("hunter22").unwrap();
    let http = Http::new(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = runtime.block_on(http.send(b"{}".to_vec())).unwrap();
    assert_eq!((reply.status, reply.class), (401, Class::Refused));
    assert_eq!(reply.message, "the key *** is not known");
    let error = runtime.block_on(http.send(b"{}".to_vec())).unwrap_err();
    assert!(matches!(error, SendError::Broken(_)), "{error}");
    let (exporter, worker) = Exporter::<Span>::new(http.clone(), Config::new());
    assert!(!format!("{http:?} {exporter:?} {worker:?} {error:?} {error}").contains("hunter22"));
}

/// A date for `Retry-After`.
struct Date {
    weekday: usize,
    day: u64,
    month: usize,
    year: u64,
    time: String,
}

impl Date {
    fn of(at: SystemTime) -> Self {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (days, left) = (seconds / 86_400, seconds % 86_400);
        let (mut year, mut day) = (1970, days);
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        while day >= 365 + u64::from(leap(year)) {
            day -= 365 + u64::from(leap(year));
            year += 1;
        }
        let mut month = 0;
        for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        let time = format!("{:02}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60);
        Self { weekday: usize::try_from(days % 7).unwrap(), day: day + 1, month, year, time }
    }

    fn month(&self) -> &'static str {
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][self.month]
    }

    /// The epoch was a Thursday.
    fn weekday(&self) -> &'static str {
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"][self.weekday]
    }

    fn imf(&self) -> String {
        format!("{}, {:02} {} {} {} GMT", &self.weekday()[..3], self.day, self.month(), self.year, self.time)
    }

    fn rfc850(&self) -> String {
        format!("{}, {:02}-{}-{:02} {} GMT", self.weekday(), self.day, self.month(), self.year % 100, self.time)
    }

    fn asctime(&self) -> String {
        format!("{} {} {:>2} {} {}", &self.weekday()[..3], self.month(), self.day, self.time, self.year)
    }
}
