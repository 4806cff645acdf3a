//! A receiver that is away: nothing is lost that the spool can hold, and what it cannot is counted.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use child::{Counter, Folder, Reserved};
use obtrace_export::{
    model::{Attribute, Resource, Scope, Signal, Span, SpanId, SpanKind, TraceId},
    pipeline::{Config, Exporter},
    spool::{self, WhenFull},
    stats::{DropReason, Stats},
    transport::{Http, HttpConfig},
};

const MILLI: Duration = Duration::from_millis(1);
const MIB: u64 = 1024 * 1024;

/// A minute at 10,000 a second.
const SPANS: u32 = 600_000;

/// Spans of 12 attributes, as an agent makes them.
struct Maker {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

impl Maker {
    fn new() -> Self {
        let resource = [("service.name", "checkout"), ("service.namespace", "shop"), ("service.version", "1.42.7")];
        Self {
            resource: Arc::new(Resource::new(resource.map(|(key, value)| Attribute::new(key, value)).to_vec())),
            scope: Arc::new(Scope::new("test", "1")),
        }
    }

    fn span(&self, number: u32) -> Span {
        let hash = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&hash.to_be_bytes());
        trace[8..].copy_from_slice(&(!hash).to_be_bytes());
        let start = 1_760_000_000_000_000_000 + u64::from(number) * 100_003;
        let mut span = Span::new(
            TraceId::from_bytes(trace),
            SpanId::from_bytes((hash | 1).to_be_bytes()),
            format!("#{number:08}"),
            SpanKind::Server,
            Arc::clone(&self.resource),
            Arc::clone(&self.scope),
        )
        .with_times(start, start + 2_345_678 + (hash >> 44))
        .with_parent(Some(SpanId::from_bytes((hash.rotate_left(17) | 1).to_be_bytes())));
        span.push("http.request.method", "GET");
        span.push("http.route", "/api/v1/orders/{id}");
        span.push("url.path", format!("/api/v1/orders/{}", 100_000 + (hash >> 48)));
        span.push("url.scheme", "http");
        span.push("http.response.status_code", if number.is_multiple_of(20) { 503_i64 } else { 200 });
        span.push("server.address", "checkout.shop.svc.cluster.local");
        span.push("server.port", 8080_i64);
        span.push("client.address", format!("10.42.{}.{}", number % 7, hash % 250));
        span.push("network.peer.port", 30_000 + (hash % 20_000) as i64);
        span.push("network.protocol.version", "1.1");
        span.push("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) kube-probe/1.34");
        span.push("http.request.body.size", 0_i64);
        span
    }
}

fn start(address: std::net::SocketAddr, spool: spool::Config) -> Exporter {
    // However slow this machine is, no request is made twice.
    let http =
        HttpConfig::otlp(&format!("http://{address}"), Signal::Traces).unwrap().with_timeout(Duration::from_secs(60));
    let http = Http::new(http).unwrap();
    let (exporter, worker) = Exporter::new(http, Config::new().with_spool(spool));
    worker.spawn_thread().unwrap();
    exporter
}

/// Hands spans over, as fast as they are written but no faster.
fn produce(exporter: &Exporter, count: u32, pace: Option<Duration>) {
    let (maker, began) = (Maker::new(), Instant::now());
    for number in 0..count {
        if number.is_multiple_of(500) {
            let due = pace.map_or(Duration::ZERO, |pace| pace * number);
            while exporter.stats().queued > 6000 || began.elapsed() < due {
                thread::sleep(MILLI);
            }
        }
        exporter.try_send(maker.span(number)).unwrap();
    }
}

fn wait(exporter: &Exporter, within: Duration, what: impl Fn(&Stats) -> bool) -> Stats {
    let end = Instant::now() + within;
    loop {
        let stats = exporter.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        if what(&stats) {
            return stats;
        }
        assert!(Instant::now() < end, "{stats:?}");
        thread::sleep(5 * MILLI);
    }
}

/// The process that is measured: an exporter whose receiver is away while it makes its spans.
#[test]
fn sender() {
    if !child::is("sender") {
        return;
    }
    let exporter = start(child::order("ADDRESS").parse().unwrap(), spool::Config::new(child::order("FOLDER")));
    let maker = Maker::new();
    // Everything that is needed for sending is there.
    exporter.try_send(maker.span(SPANS)).unwrap();
    wait(&exporter, Duration::from_secs(20), |stats| stats.requests > 0);
    let idle = child::memory("VmRSS");
    let pace = child::order("REAL_TIME").parse::<bool>().unwrap().then_some(Duration::from_micros(100));
    produce(&exporter, SPANS, pace);
    let away = wait(&exporter, Duration::from_secs(20), |stats| stats.queued == 0);
    let most_away = child::memory("VmHWM");
    println!("\nAWAY {idle} {most_away} {} {}", away.spooled + away.sending, away.spool_bytes);
    std::io::stdout().flush().unwrap();
    let back = wait(&exporter, Duration::from_secs(120), |stats| stats.in_flight() + stats.spooled == 0);
    println!("\nBACK {} {} {}", back.exported, back.dropped_total(), child::memory("VmHWM"));
    let stats = exporter.shutdown_blocking(Duration::from_secs(5));
    assert!(stats.is_balanced());
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect()
}

fn outage(real_time: bool) {
    let (folder, reserved) = (Folder::new(), Reserved::new());
    let orders = [
        ("ADDRESS", reserved.address().to_string()),
        ("FOLDER", folder.path().display().to_string()),
        ("REAL_TIME", real_time.to_string()),
    ];
    let mut sender = child::start("sender", &orders);
    let mut lines = BufReader::new(sender.stdout.take().unwrap()).lines().map_while(Result::ok);
    let away = lines.find(|line| line.starts_with("AWAY")).expect("the sender gets through the outage");
    let [idle, most_away, waiting, bytes] = numbers(&away)[..] else { panic!("{away}") };
    assert_eq!(waiting, u64::from(SPANS) + 1);
    assert!(bytes <= 64 * MIB, "{bytes}");

    let (counter, returned) = (Counter::on(reserved.listen()), Instant::now());
    let back = lines.find(|line| line.starts_with("BACK")).expect("the sender delivers");
    let drained = returned.elapsed();
    let [exported, dropped, most] = numbers(&back)[..] else { panic!("{back}") };
    assert!(sender.wait().unwrap().success());
    println!(
        "idle {} KiB, away + {} KiB, drained + {} KiB; {bytes} bytes in the spool; drained in {drained:?}",
        idle / 1024,
        (most_away - idle) / 1024,
        (most - idle) / 1024
    );
    assert_eq!((exported, dropped), (u64::from(SPANS) + 1, 0));
    assert!(drained < Duration::from_secs(30), "{drained:?}");
    assert!(counter.most_active() <= 4);
    assert!(most - idle <= 32 * MIB, "idle {idle}, at most {most}");
    in_order(&counter);
}

/// Every span came once, and each request when all before it had come but for those under way, three at most.
fn in_order(counter: &Counter) {
    let taken = counter.taken();
    // The span that was there before all others came first.
    let firsts: Vec<_> = taken.iter().map(|request| request[0]).filter(|first| *first != SPANS).collect();
    let mut sorted = firsts.clone();
    sorted.sort_unstable();
    let mut furthest = 0;
    for (arrived, first) in (1..).zip(&firsts) {
        furthest = furthest.max(sorted.binary_search(first).unwrap() + 1);
        assert!(furthest - arrived <= 3, "{} requests overtaken when {first} came", furthest - arrived);
    }
    assert!(taken.iter().all(|request| request.is_sorted() && request.len() <= 500));
    let mut all = taken.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..=SPANS), "each span once");
}

/// As fast as it goes, or, which takes a minute and a half, in real time: `OBTRACE_REAL_TIME=1`.
#[test]
fn a_minute_at_ten_thousand_spans_a_second_is_kept() {
    outage(env::var_os("OBTRACE_REAL_TIME").is_some());
}

/// Fills a small spool while the receiver is away, then lets it come back: what became of the spans, which arrived.
fn overflow(when_full: WhenFull) -> (Stats, Vec<u32>) {
    let (folder, reserved) = (Folder::new(), Reserved::new());
    let config = spool::Config::new(folder.path()).with_max_bytes(MIB).with_when_full(when_full);
    let exporter = start(reserved.address(), config);
    produce(&exporter, 30_000, None);
    let away = wait(&exporter, Duration::from_secs(20), |stats| stats.queued == 0);
    assert!(away.dropped(DropReason::SpoolFull) > 0 && away.spool_bytes <= MIB, "{away:?}");
    let counter = Counter::on(reserved.listen());
    let back = wait(&exporter, Duration::from_secs(60), |stats| stats.in_flight() + stats.spooled == 0);
    let mut arrived: Vec<_> = counter.taken().concat();
    arrived.sort_unstable();
    assert_eq!(exporter.shutdown_blocking(Duration::from_secs(5)).exported, arrived.len() as u64);
    (back, arrived)
}

#[test]
fn beyond_the_bound_the_oldest_are_given_up_and_counted() {
    let (stats, arrived) = overflow(WhenFull::DropOldest);
    assert_eq!(stats.exported + stats.dropped(DropReason::SpoolFull), 30_000);
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::SpoolFull));
    // Those that were being tried, and the last ones.
    let tried = arrived.iter().zip(0..).take_while(|&(number, at)| *number == at).count();
    assert!(tried <= 4 * 500, "{tried}");
    let last = u32::try_from(arrived.len() - tried).unwrap();
    assert!(arrived[tried..].iter().copied().eq(30_000 - last..30_000));
}

#[test]
fn beyond_the_bound_the_newest_are_given_up_and_counted() {
    let (stats, arrived) = overflow(WhenFull::DropNewest);
    assert_eq!(stats.exported + stats.dropped(DropReason::SpoolFull), 30_000);
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::SpoolFull));
    assert_eq!(arrived[0], 0);
    // A smaller batch may find room where a larger one did not.
    assert!(arrived.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count() <= 3);
}
