//! Every signal in both forms of OTLP over HTTP, against receivers that behave in every way that receivers do.
#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use obtrace_export::{
    batch::Limits,
    encode::{Encoder, Format},
    model::{
        Item, LogRecord, Metric, MetricData, NumberPoint, Resource, Scope, Signal, Span, SpanId, SpanKind, TraceId,
    },
    pipeline::{Config, Exporter},
    retry::Policy,
    stats::{DropReason, Stats},
    transport::{Compression, Http, HttpConfig},
};
use server::{Act, Server};

const MILLI: Duration = Duration::from_millis(1);
const FORMATS: [Format; 2] = [Format::Json, Format::Protobuf];
/// Items of a batch; as many of metrics have a point each.
const ITEMS: u64 = 4;

fn about() -> (Arc<Resource>, Arc<Scope>) {
    (Arc::new(Resource::default()), Arc::new(Scope::new("test", "1")))
}

fn span(number: u64) -> Span {
    let (resource, scope) = about();
    let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
    Span::new(ids.0, ids.1, number.to_string(), SpanKind::Server, resource, scope).with_times(1, 2)
}

fn record(number: u64) -> LogRecord {
    let (resource, scope) = about();
    LogRecord::new(number.to_string(), resource, scope)
}

fn metric(number: u64) -> Metric {
    let (resource, scope) = about();
    Metric::new(format!("metric.{number}"), "1", MetricData::Gauge(vec![NumberPoint::new(1_i64, 2)]), resource, scope)
}

fn transport(server: &Server, signal: Signal, format: Format) -> HttpConfig {
    // A path prefix, as behind a reverse proxy.
    let url = format!("{}/otlp", server.url());
    HttpConfig::otlp(&url, signal).unwrap().with_format(format).with_timeout(500 * MILLI)
}

/// Sends a batch and waits until its fate is known.
fn deliver<T: Item>(transport: HttpConfig, item: fn(u64) -> T) -> Stats {
    // Back-off of our own is about 20 ms.
    let policy = Policy::new().with_waits(20 * MILLI, 80 * MILLI).with_give_up_after(Duration::from_secs(60));
    let config = Config::new().with_limits(Limits::new().with_delay(20 * MILLI)).with_retry(policy);
    let (exporter, worker) = Exporter::new(Http::new(transport).unwrap(), config);
    worker.spawn_thread().unwrap();
    for number in 0..ITEMS {
        exporter.try_send(item(number)).unwrap();
    }
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = exporter.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        if stats.in_flight() == 0 {
            assert_eq!(exporter.shutdown_blocking(Duration::from_secs(1)), stats);
            return stats;
        }
        assert!(Instant::now() < end, "still under way: {stats:?}");
        thread::sleep(MILLI);
    }
}

#[test]
fn a_timeout_of_zero_is_none() {
    let server = Server::start([Act::Slow(MILLI)]);
    let stats = deliver(transport(&server, Signal::Traces, Format::Json).with_timeout(Duration::ZERO), span);
    assert_eq!((stats.exported, stats.requests), (ITEMS, 1));
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is taken, but for so many items, with one request.
    Accepted { rejected: u64 },
    /// It is not, with one request.
    Dropped(DropReason),
    /// It is taken at the second attempt, which comes after so many seconds, and 10 % and 1 s later at most.
    Retried { after: f64 },
    /// So it is, and not before this time.
    RetriedAt(Instant),
    /// It is taken in halves.
    Split,
}

struct Case {
    name: &'static str,
    act: Act,
    fate: Fate,
}

/// The reply's type and body of a partial success.
fn partial(signal: Signal, format: Format) -> (&'static str, Vec<u8>) {
    let name = match signal {
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
        _ => "rejectedSpans",
    };
    match format {
        Format::Json => {
            let body = format!(r#"{{"partialSuccess":{{"{name}":"3","errorMessage":"too old"}}}}"#);
            ("application/json", body.into_bytes())
        }
        _ => ("application/x-protobuf", b"\x0a\x0b\x08\x03\x12\x07too old".to_vec()),
    }
}

/// A hundred megabytes in a hundred kilobytes.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..100 {
        encoder.write_all(&[b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

fn cases(signal: Signal, format: Format) -> Vec<Case> {
    use Fate::{Accepted, Dropped, Retried, Split};
    let all = Accepted { rejected: 0 };
    let soon = Retried { after: 0.0 };
    let typed = |status, content_type: &str, body: Vec<u8>| {
        Act::Reply(status, format!("Content-Type: {content_type}\r\n"), body)
    };
    let (content_type, body) = partial(signal, format);
    // A date has whole seconds.
    let until = SystemTime::now() + Duration::from_secs(3);
    let into_second = Duration::from_nanos(until.duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
    let (date, until) = (http_date(until), Instant::now() + Duration::from_secs(3) - into_second);
    let list = [
        ("200", typed(200, format.content_type(), Vec::new()), all),
        ("200 and no type", Act::status(200), all),
        ("partial success", typed(200, content_type, body.clone()), Accepted { rejected: 3 }),
        // Servers that name the type with parameters, or not at all: it is the request's.
        (
            "partial success with a charset",
            typed(200, &format!("{content_type}; charset=utf-8"), body.clone()),
            Accepted { rejected: 3 },
        ),
        ("partial success and no type", Act::Reply(200, String::new(), body), Accepted { rejected: 3 }),
        ("wrong type", typed(200, "text/html", b"<html>welcome</html>".to_vec()), all),
        ("garbage of the right type", typed(200, content_type, vec![0xff; 1000]), all),
        ("400", typed(400, content_type, vec![0xff; 1000]), Dropped(DropReason::Refused)),
        ("401", Act::status(401), Dropped(DropReason::Refused)),
        ("404", typed(404, "text/html", b"<html>".to_vec()), Dropped(DropReason::Refused)),
        ("413", Act::status(413), Split),
        ("429 for 2 s", Act::retry_after(429, "2"), Retried { after: 2.0 }),
        ("503 for 1 s", Act::retry_after(503, "1"), Retried { after: 1.0 }),
        ("503 until a date", Act::retry_after(503, &date), Fate::RetriedAt(until)),
        ("429 and garbage", Act::retry_after(429, "in a while"), soon),
        ("502", Act::status(502), soon),
        ("504", Act::status(504), soon),
        ("reset in the head", Act::ResetInHead, soon),
        ("reset in the body of a 200", Act::ResetInBody(200), all),
        ("reset in the body of a 503", Act::ResetInBody(503), soon),
        // The whole of it would take two seconds.
        ("a byte now and then", Act::Slow(50 * MILLI), soon),
        ("10 GB", Act::Huge, all),
        ("a head without end", Act::EndlessHead, soon),
        ("a gzip bomb", Act::Reply(200, "Content-Encoding: gzip\r\n".to_owned(), bomb()), all),
    ];
    list.into_iter().map(|(name, act, fate)| Case { name, act, fate }).collect()
}

fn check<T: Item>(case: &Case, format: Format, item: fn(u64) -> T) {
    let name = format!("{} of {} as {format:?}", case.name, T::SIGNAL);
    let server = Server::start([case.act.clone()]);
    let stats = deliver(transport(&server, T::SIGNAL, format), item);
    let requests = server.requests();
    assert_eq!(stats.requests, requests.len() as u64, "{name}");
    let fates = (stats.exported, stats.rejected, stats.dropped_total());
    match case.fate {
        Fate::Accepted { rejected } => {
            assert_eq!((fates, requests.len()), ((ITEMS - rejected, rejected, 0), 1), "{name}");
        }
        Fate::Dropped(reason) => {
            assert_eq!((stats.dropped(reason), fates.2, requests.len()), (ITEMS, ITEMS, 1), "{name}");
        }
        Fate::Retried { after } => {
            assert_eq!((fates, requests.len()), ((ITEMS, 0, 0), 2), "{name}");
            // Before a reset, a byte is left unread.
            let (first, second) = (&requests[0].body, &requests[1].body);
            assert!(second.starts_with(first) && second.len() - first.len() <= 1, "{name}: the same batch");
            let waited = (requests[1].at - requests[0].at).as_secs_f64();
            assert!((after..after * 1.1 + 1.0).contains(&waited), "{name}: {waited}");
        }
        Fate::RetriedAt(time) => {
            assert_eq!((fates, requests.len()), ((ITEMS, 0, 0), 2), "{name}");
            let (first, second) = (requests[0].at, requests[1].at);
            // The clock of dates and the one of waits are not the same.
            assert!(second + 100 * MILLI > time, "{name}: {:?} early", time - second);
            let latest = time.max(first) + Duration::from_millis(1300);
            assert!(second < latest, "{name}: {:?} late", second - latest);
        }
        Fate::Split => assert_eq!((fates, requests.len()), ((ITEMS, 0, 0), 3), "{name}"),
    }
    let head = format!("POST /otlp/v1/{} HTTP/1.1\r\n", T::SIGNAL);
    let content_type = format!("\r\ncontent-type: {}\r\n", format.content_type());
    for request in &requests {
        assert!(request.head.starts_with(&head) && request.head.contains(&content_type), "{name}: {}", request.head);
    }
    // 64 KiB are read; the rest is what the kernel holds for both sides.
    assert!(server.written() < 2 << 20, "{name}: {}", server.written());
}

/// All at the same time: most of them wait.
fn check_all<T: Item>(item: fn(u64) -> T) {
    let threads = FORMATS.into_iter().flat_map(|format| {
        cases(T::SIGNAL, format).into_iter().map(move |case| thread::spawn(move || check(&case, format, item)))
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

#[test]
fn spans_meet_every_receiver() {
    check_all(span);
}

#[test]
fn metrics_meet_every_receiver() {
    check_all(metric);
}

#[test]
fn log_records_meet_every_receiver() {
    check_all(record);
}

#[test]
fn a_billion_seconds_are_capped_and_obeyed_until_the_batch_is_given_up() {
    for format in FORMATS {
        let server = Server::start([Act::retry_after(429, "1000000000")]);
        let stats = deliver(transport(&server, Signal::Traces, format), span);
        assert_eq!((stats.dropped(DropReason::Expired), stats.requests), (ITEMS, 1));
    }
}

fn sent<T: Item>(format: Format, compression: Compression, item: fn(u64) -> T) -> server::Request {
    let server = Server::start([]);
    let stats = deliver(transport(&server, T::SIGNAL, format).with_compression(compression), item);
    assert_eq!(stats.exported, ITEMS);
    server.requests().pop().unwrap()
}

fn check_bodies<T: Item>(item: fn(u64) -> T) {
    let items: Vec<T> = (0..ITEMS).map(item).collect();
    for format in FORMATS {
        let mut plain = Vec::new();
        Encoder::new().encode(format, &items, &mut plain);
        let request = sent(format, Compression::None, item);
        assert_eq!(request.body, plain);
        assert!(!request.head.contains("content-encoding"), "{}", request.head);

        let request = sent(format, Compression::Gzip, item);
        let mut opened = Vec::new();
        flate2::read::GzDecoder::new(&request.body[..]).read_to_end(&mut opened).unwrap();
        assert_eq!(opened, plain);
        assert!(request.head.contains("\r\ncontent-encoding: gzip\r\n"), "{}", request.head);

        #[cfg(feature = "zstd")]
        {
            let request = sent(format, Compression::Zstd, item);
            assert_eq!(zstd::bulk::decompress(&request.body, 1 << 20).unwrap(), plain);
            assert!(request.head.contains("\r\ncontent-encoding: zstd\r\n"), "{}", request.head);
        }
    }
}

#[test]
fn bodies_are_what_their_heads_say() {
    check_bodies(span);
    check_bodies(record);
    check_bodies(metric);
}

/// A page that repeats the request, as those of 404 do: what is shown of it has no secret in it.
#[test]
fn what_a_receiver_repeats_is_shown_without_the_secrets() {
    let server = Server::start([Act::Echo(404), Act::Echo(401), Act::Echo(503)]);
    let url = server.url().replace("http://", "http://hunter1:hunter2@");
    let with_user = HttpConfig::exact(&format!("{url}/v1/traces?key=hunter3&x=%2Fhunter4")).unwrap();
    let with_token =
        HttpConfig::exact(&server.url()).unwrap().with_header_list("authorization=Bearer hunter5").unwrap();
    let with_key = HttpConfig::exact(&server.url()).unwrap().with_api_key("hunter6").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for config in [with_user, with_token, with_key] {
        let http = Http::new(config).unwrap();
        let reply = runtime.block_on(http.send(b"{}".to_vec())).unwrap();
        assert!(reply.message.starts_with("POST /"), "{reply:?}");
        assert!(reply.message.contains("***") && !reply.message.contains("hunter"), "{reply:?}");
        // That of user and password in Base64.
        assert!(!reply.message.contains("aHVudGVyMTpodW50ZXIy"), "{reply:?}");
    }
    let sent: String = server.requests().into_iter().map(|request| request.head).collect();
    for secret in ["hunter3", "%2Fhunter4", "Bearer hunter5", "hunter6", "aHVudGVyMTpodW50ZXIy"] {
        assert!(sent.contains(secret), "{sent}");
    }
}

/// As `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(at: SystemTime) -> String {
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap()];
    let (mut year, mut left) = (1970, days);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut months = MONTHS.iter().map(|(name, days)| (name, days + u64::from(*name == "Feb" && is_leap(year))));
    let month = months
        .find_map(|(name, days)| {
            let is_it = left < days;
            left -= if is_it { 0 } else { days };
            is_it.then_some(name)
        })
        .unwrap();
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", left + 1)
}

#[test]
fn dates_of_these_tests_are_right() {
    for (seconds, date) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
    ] {
        assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(seconds)), date);
    }
}
