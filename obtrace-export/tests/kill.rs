//! A process that is killed loses what waited for its batch, repeats one batch at most, and leaves nothing that the next
//! one stumbles over.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;

use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader, Write as _},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use child::{Counter, Folder, Reserved};
use obtrace_export::{
    batch::Limits,
    model::{Resource, Scope, Signal, Span, SpanId, SpanKind, TraceId},
    pipeline::{Config, Exporter},
    retry::Policy,
    spool,
    stats::DropReason,
    transport::{Http, HttpConfig},
};

const MILLI: Duration = Duration::from_millis(1);
const KILLS: usize = 50;
const BATCH: usize = 40;

fn span(number: u32) -> Span {
    Span::new(
        TraceId::from_bytes([1; 16]),
        SpanId::from_bytes([2; 8]),
        format!("#{number:08}"),
        SpanKind::Server,
        Arc::new(Resource::default()),
        Arc::new(Scope::new("test", "1")),
    )
}

/// The process that is killed: a span each millisecond or so, and word of it.
#[test]
fn victim() {
    if !child::is("victim") {
        return;
    }
    let http = HttpConfig::otlp(&format!("http://{}", child::order("ADDRESS")), Signal::Traces).unwrap();
    let config = Config::new()
        // However slow this machine is, one request at a time.
        .with_concurrency(1)
        .with_limits(Limits::new().with_batch_items(BATCH).with_delay(200 * MILLI))
        .with_retry(Policy::new().with_waits(10 * MILLI, 50 * MILLI))
        .with_spool(spool::Config::new(child::order("FOLDER")).with_max_bytes(8 << 20));
    let (exporter, worker) = Exporter::new(Http::new(http).unwrap(), config);
    worker.spawn_thread().unwrap();
    let first: u32 = child::order("FIRST").parse().unwrap();
    let mut out = std::io::stdout().lock();
    let count: u32 = child::order("COUNT").parse().unwrap();
    for number in first..first + count {
        exporter.try_send(span(number)).unwrap();
        writeln!(out, "\nSENT {number}").unwrap();
        out.flush().unwrap();
        thread::sleep(MILLI);
    }
    let stats = exporter.shutdown_blocking(Duration::from_secs(60));
    assert!(stats.is_balanced());
    let (corrupt, dropped) = (stats.dropped(DropReason::SpoolCorrupt), stats.dropped_total());
    writeln!(out, "\nDONE {} {corrupt} {dropped} {}", stats.recovered, stats.spooled).unwrap();
    out.flush().unwrap();
}

/// Runs a victim from a number on, kills it after this time; when it said to have sent which number.
fn kill(orders: &[(&str, String)], first: u32, after: Duration) -> (BTreeMap<u32, Instant>, Instant) {
    let orders = [orders, &[("FIRST", first.to_string()), ("COUNT", "1000000".to_owned())]].concat();
    let mut victim = child::start("victim", &orders);
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let sent = Arc::new(Mutex::new(BTreeMap::new()));
    let (started, first_sent) = std::sync::mpsc::channel();
    let reader = thread::spawn({
        let sent = Arc::clone(&sent);
        move || {
            for line in lines {
                if let Some(number) = line.strip_prefix("SENT ").and_then(|number| number.parse().ok()) {
                    sent.lock().unwrap().insert(number, Instant::now());
                    let _ = started.send(());
                }
            }
        }
    });
    first_sent.recv_timeout(Duration::from_secs(30)).expect("the victim starts, whatever it finds");
    thread::sleep(after);
    let killed = Instant::now();
    victim.kill().unwrap();
    victim.wait().unwrap();
    reader.join().unwrap();
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    (sent, killed)
}

#[test]
fn killed_at_fifty_points_it_loses_less_than_two_seconds_and_repeats_a_batch_at_most() {
    let (folder, counter) = (Folder::new(), Counter::on(Reserved::new().listen()));
    let orders = [("ADDRESS", counter.address.to_string()), ("FOLDER", folder.path().display().to_string())];
    let random = RandomState::new();
    let mut next = 0;
    let mut runs = Vec::new();
    for round in 0..KILLS {
        // In every third round the receiver is not well, so that several batches wait.
        counter.answer(if round % 3 == 2 { 503 } else { 200 });
        let after = Duration::from_millis(random.hash_one(round) % 130);
        let (sent, killed) = kill(&orders, next, after);
        // One more may have been handed over without a word.
        next = sent.last_key_value().unwrap().0 + 10;
        runs.push((sent, killed));
    }
    counter.answer(200);
    let last = [&orders[..], &[("FIRST", next.to_string()), ("COUNT", "10".to_owned())]].concat();
    let mut victim = child::start("victim", &last);
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let done = lines.find(|line| line.starts_with("DONE")).expect("the last one ends well");
    assert!(victim.wait().unwrap().success());
    let figures: Vec<u64> = done.split_whitespace().skip(1).map(|figure| figure.parse().unwrap()).collect();
    assert_eq!(figures[1..], [0, 0, 0], "nothing is corrupt, dropped or left: {done}");

    let (mut arrived, mut repeated) = (HashSet::new(), 0);
    for request in counter.taken() {
        assert!(request.len() <= BATCH);
        let again = request.iter().filter(|number| !arrived.insert(**number)).count();
        assert!(again == 0 || again == request.len(), "a batch is repeated whole");
        repeated += usize::from(again > 0);
    }
    assert!(repeated <= KILLS, "{repeated} batches came twice after {KILLS} kills");
    let (mut sum, mut lost) = (0, 0);
    for (sent, killed) in runs {
        sum += sent.len();
        let missing: Vec<_> = sent.iter().filter(|(number, _)| !arrived.contains(number)).collect();
        lost += missing.len();
        let Some((_, oldest)) = missing.first() else { continue };
        let age = killed - **oldest;
        assert!(age < Duration::from_secs(2), "a span that was handed over {age:?} before the kill is lost");
    }
    println!("{KILLS} kills: {lost} of {sum} spans lost, {repeated} batches repeated");
    assert!(arrived.len() > sum / 2);
}
