//! The server of a page: what it answers, to whom, and for how long it waits.

#![cfg(feature = "prometheus")]

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use flate2::read::GzDecoder;
use obtrace_export::{
    model::{Attribute, Metric, MetricData, NumberPoint, Temporality},
    prometheus::{Counters, Counts, Server, Settings},
};
use proptest::prelude::*;
use tokio::sync::oneshot;

const LOOPBACK: &str = "127.0.0.1:0";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

fn metrics() -> Vec<Metric> {
    let data = MetricData::sum(vec![NumberPoint::new(7_i64, 0)], Temporality::Cumulative, true);
    vec![Metric::new("calls", "", data, Arc::default(), Arc::default())]
}

/// A server at work on a thread.
struct Running {
    address: SocketAddr,
    counters: Counters,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Counts>,
}

impl Running {
    fn new(settings: Settings, source: impl Fn() -> Vec<Metric> + Send + Sync + 'static) -> Self {
        let server = Server::bind(LOOPBACK.parse().expect("an address"), settings).expect("a port");
        let (address, counters) = (server.local_address(), server.counters());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let until = async { drop(stopped.await) };
            runtime.block_on(server.serve(source, until)).expect("sockets")
        });
        Self { address, counters, stop, thread }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        stream
    }

    /// The head in lower case, and the body.
    fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it is read");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
        let body = answer.split_off(end);
        (String::from_utf8_lossy(&answer).to_ascii_lowercase(), body)
    }

    fn get(&self, more: &str) -> (String, Vec<u8>) {
        self.ask(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"))
    }

    fn stop(self) -> Counts {
        self.stop.send(()).expect("it runs");
        self.thread.join().expect("it does not panic")
    }
}

const TEXT: &str = "# TYPE calls_total counter\ncalls_total 7\n";
const OPEN: &str = "# TYPE calls counter\ncalls_total 7\n# EOF\n";

#[test]
fn a_page_in_the_form_that_is_asked_for() {
    let server = Running::new(Settings::new(), metrics);
    let (head, body) = server.get("");
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert_eq!(body, TEXT.as_bytes());

    let (head, body) = server.get("Accept: application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"), "{head}");
    assert_eq!(body, OPEN.as_bytes());

    let (head, body) = server.get("Accept-Encoding: br, gzip;q=0.5\r\nAccept: application/openmetrics-text\r\n");
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
    let mut plain = String::new();
    GzDecoder::new(&*body).read_to_string(&mut plain).expect("gzip");
    assert_eq!(plain, OPEN);
    let (head, body) = server.get("Accept-Encoding: gzip;q=0\r\n");
    assert!(!head.contains("content-encoding"), "{head}");
    assert_eq!(body, TEXT.as_bytes());

    let (head, body) = server.ask("HEAD /metrics?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", TEXT.len())), "{head}");
    assert!(body.is_empty());
    assert_eq!(server.stop(), {
        let mut counts = Counts::default();
        counts.scrapes = 5;
        counts
    });
}

#[test]
fn what_is_not_the_page_is_refused_and_counted() {
    let server = Running::new(Settings::new().with_path("stats"), metrics);
    let (head, body) = server.get("");
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert_eq!(body, b"the metrics are at /stats\n");
    let (head, _) = server.ask("POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    assert!(head.starts_with("http/1.1 405 ") && head.contains("\r\nallow: get, head\r\n"), "{head}");
    let (head, _) = server.ask("nonsense\r\n\r\n");
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    let (head, body) = server.ask("GET /stats HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("http/1.0 200 "), "{head}");
    assert_eq!(body, TEXT.as_bytes());
    let counts = server.stop();
    assert_eq!((counts.scrapes, counts.refused), (1, 3));
}

#[test]
fn a_source_that_panics_ends_one_answer_only() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let server = Running::new(Settings::new(), move || {
        assert!(calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0, "the first time, on purpose");
        metrics()
    });
    assert!(server.get("").0.starts_with("http/1.1 500 "));
    assert_eq!(server.get("").1, TEXT.as_bytes());
    assert_eq!((server.counters.counts().scrapes, server.counters.counts().refused), (1, 1));
}

#[test]
fn who_says_nothing_does_not_keep_others_out() {
    let settings = Settings::new().with_connections(2).with_head_time(Duration::from_millis(300));
    let server = Running::new(settings, metrics);
    let mut slow: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metrics HT").expect("it is read");
    }
    // It waits until those before it are cut off.
    assert_eq!(server.get("").1, TEXT.as_bytes());
}

/// Cut off it would miss a page: the time is over when it asks, where its interval divides it.
#[test]
fn a_reader_that_comes_again_is_told_when_its_connection_is_old() {
    let server = Running::new(Settings::new().with_connection_time(Duration::from_secs(8)), metrics);
    let mut stream = BufReader::new(server.connect());
    let mut answers = 0;
    loop {
        stream.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is read");
        let head: Vec<_> =
            stream.by_ref().lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect();
        stream.read_exact(&mut vec![0; TEXT.len()]).expect("a page");
        answers += 1;
        if head.iter().any(|line| line.eq_ignore_ascii_case("connection: close")) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert!(answers > 1);
    assert_eq!(stream.read(&mut [0; 1]).expect("it ends"), 0);
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let huge = || {
        let points = (0..200_000_i64).map(|at| NumberPoint::new(at, 0)).collect();
        let mut metrics = metrics();
        metrics[0].data = MetricData::Gauge(points);
        metrics[0].description = "x".repeat(32 << 20).into();
        metrics
    };
    let settings = Settings::new().with_connections(1).with_connection_time(Duration::from_millis(500));
    let server = Running::new(settings, huge);
    let mut slow = server.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is read");
    BufReader::new(&slow).read_line(&mut String::new()).expect("a head");
    // The only place is free again.
    let (head, _) = server.ask("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("http/1.1 404 "), "{head}");
}

/// Clients that ask and go: what works for them cannot be stopped, but is not done twice at a time.
#[test]
fn pages_are_made_one_at_a_time_even_if_nobody_waits_for_them() {
    let (begun, mut pages) = (Arc::new(AtomicU64::new(0)), Vec::new());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (now, most, released) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Mutex::new(released));
    let source = {
        let (begun, now, most) = (Arc::clone(&begun), Arc::clone(&now), Arc::clone(&most));
        move || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            begun.fetch_add(1, Ordering::SeqCst);
            // Those behind the first wait at this lock, if they come so far.
            let _ = released.lock().expect("nobody panics").recv_timeout(LONG);
            now.fetch_sub(1, Ordering::SeqCst);
            metrics()
        }
    };
    let server = Running::new(Settings::new(), source);
    for _ in 0..8 {
        let mut stream = server.connect();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is read");
        pages.push(stream);
        while begun.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
    }
    // The server ends a connection when it has seen that its client is gone, and drops what it did for it.
    for mut stream in pages {
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("its end");
        assert!(rest.is_empty(), "nobody has got a page");
    }
    let last = thread::spawn({
        let address = server.address;
        move || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it is read");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        }
    });
    // Of the first one, and of the last.
    (0..2).for_each(|_| release.send(()).expect("it runs"));
    assert!(last.join().expect("it does not panic").ends_with(TEXT));
    assert_eq!((begun.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (2, 1));
}

#[test]
fn a_page_has_a_bound_and_what_it_has_no_room_for_is_counted() {
    let many = || {
        let point = |at: i64| NumberPoint::new(at, 0).with_attributes(vec![Attribute::new("at", at)]);
        let mut metrics = metrics();
        metrics[0].data = MetricData::sum((0..30_000).map(point).collect(), Temporality::Cumulative, true);
        // And another family behind it.
        metrics.push(Metric::new("more", "", metrics[0].data.clone(), Arc::default(), Arc::default()));
        metrics
    };
    let bound = 50_000;
    let server = Running::new(Settings::new().with_max_page(bound), many);
    let (_, body) = server.get("");
    let text = String::from_utf8(body).expect("text");
    let told = text.lines().filter(|line| line.starts_with("calls_total{")).count();
    assert!(text.len() <= bound && text.len() > bound - 100 && text.ends_with('\n'), "{}", text.len());
    let left = 60_000 - told as u64;
    assert_eq!(server.counters.counts().left_out, left);

    let (_, body) = server.get("Accept-Encoding: gzip\r\nAccept: application/openmetrics-text\r\n");
    let mut text = String::new();
    GzDecoder::new(&*body).read_to_string(&mut text).expect("gzip");
    let told = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(body.len() > bound / 2 && body.len() < bound + (128 << 10), "{}", body.len());
    assert!(text.len() > 3 * bound && text.ends_with("\n# EOF\n"), "{}", text.len());
    assert_eq!(server.counters.counts().left_out, left + 60_000 - told as u64);
    server.stop();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = Server::bind(LOOPBACK.parse().expect("an address"), Settings::new()).expect("a port");
    let address = server.local_address();
    assert!(address.ip().is_loopback());
    let error = Server::bind(address, Settings::new()).expect_err("it is taken");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot serve metrics at {address}: ")), "{text}");
    assert!(text.ends_with("another program listens there; choose another port"), "{text}");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn the_end_waits_for_nobody_that_is_idle() {
    let server = Running::new(Settings::new(), metrics);
    let mut idle = server.connect();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is read");
    BufReader::new(&idle).read_line(&mut String::new()).expect("a head");
    assert_eq!(server.stop().scrapes, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the request line and the headers are, the server lives, and answers the next one.
    #[test]
    fn no_request_ends_it(
        lines in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                "(GET|HEAD|OPTIONS|CONNECT) [!-~]{0,30} HTTP/1[.][01]\r\n(Accept|Accept-Encoding|Host): [ -~]{0,40}\r\n\r\n"
                    .prop_map(String::into_bytes),
                "(GET|CONNECT) (//|[*]|http://|[?]|/%|:)[!-~]{0,9} HTTP/1.1\r\nHost: x\r\n\r\n".prop_map(String::into_bytes),
            ],
            1..12,
        ),
    ) {
        let server = Running::new(Settings::new().with_head_time(Duration::from_millis(200)), metrics);
        for line in lines {
            let mut stream = server.connect();
            // It may be cut off before it has said all.
            let _ = stream.write_all(&line);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        prop_assert_eq!(server.get("").1, TEXT.as_bytes());
        server.stop();
    }
}
