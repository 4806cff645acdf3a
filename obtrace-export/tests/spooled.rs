//! An exporter with a spool: what a receiver that is away, refuses or throttles means for what waits on disk, and what the
//! disk means for the exporter.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod exporter;
mod server;

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use child::{Folder, Reserved, nobody};
use exporter::{MILLI, SECOND, is_settled, span, start, wait};
use obtrace_export::{
    batch::Limits,
    decode::{self, Telemetry, decode},
    encode::Format,
    model::{LogRecord, Metric, MetricData, NumberPoint, Signal, Span, Temporality},
    pipeline::{Config, Exporter, Workers},
    retry::Policy,
    spool,
    stats::DropReason,
    transport::{Http, HttpConfig},
};
use server::{Act, Server};

/// With a spool.
fn quick(folder: &Path) -> Config {
    exporter::quick().with_spool(spool::Config::new(folder))
}

fn to(url: &str) -> HttpConfig {
    HttpConfig::otlp(url, Signal::Traces).unwrap().with_timeout(5 * SECOND)
}

/// Leaves `spans` spans to the next run, each in a batch of its own.
fn leave(folder: &Path, format: Format, spans: usize) {
    let limits = Limits::new().with_batch_items(1);
    let exporter = start(to(&nobody()).with_format(format), quick(folder).with_limits(limits));
    for i in 0..spans {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = exporter.shutdown_blocking(200 * MILLI);
    assert_eq!((stats.spooled, stats.dropped_total(), stats.in_flight()), (spans as u64, 0, 0), "{stats:?}");
    assert!(stats.is_balanced());
}

#[test]
fn what_a_shutdown_leaves_the_next_run_sends_first() {
    let folder = Folder::new();
    leave(folder.path(), Format::Json, 7);
    let server = Server::start([]);
    // One after the other, however slow this machine is.
    let exporter = start(to(&server.url()), quick(folder.path()).with_concurrency(1));
    exporter.try_send(span("new")).unwrap();
    let stats = wait(&exporter, |stats| stats.exported == 8);
    assert_eq!((stats.accepted, stats.recovered), (1, 7));
    let names: Vec<_> = server.requests().iter().flat_map(server::Request::span_names).collect();
    assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "new"]);
    assert_eq!(exporter.shutdown_blocking(SECOND).spool_bytes, 0);
    let left: Vec<_> = fs::read_dir(folder.path().join("traces")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "nothing lies there when nothing waits");
}

#[test]
fn what_was_written_in_the_other_form_is_sent_in_the_one_that_is_asked_for() {
    for (first, second) in [(Format::Json, Format::Protobuf), (Format::Protobuf, Format::Json)] {
        let folder = Folder::new();
        leave(folder.path(), first, 2);
        let server = Server::start([]);
        let exporter = start(to(&server.url()).with_format(second), quick(folder.path()).with_concurrency(1));
        wait(&exporter, |stats| stats.exported == 2);
        for (request, name) in server.requests().iter().zip(["0", "1"]) {
            assert!(request.head.contains(second.content_type()), "{}", request.head);
            let telemetry = decode(Signal::Traces, second, &request.plain(), &decode::Limits::new()).unwrap();
            let Telemetry::Traces(spans) = telemetry else { panic!("{telemetry:?}") };
            assert_eq!(spans[..], [span(name)]);
        }
    }
}

#[test]
fn what_is_refused_is_counted_and_does_not_come_again() {
    let folder = Folder::new();
    leave(folder.path(), Format::Json, 3);
    let partial = Act::json(200, r#"{"partialSuccess":{"rejectedSpans":"1"}}"#);
    let server = Server::start([Act::status(400), partial]);
    let exporter = start(to(&server.url()), quick(folder.path()));
    let stats = wait(&exporter, |stats| stats.recovered == 3 && is_settled(stats));
    assert_eq!((stats.dropped(DropReason::Refused), stats.rejected, stats.exported), (1, 1, 1));
    exporter.shutdown_blocking(SECOND);
    let exporter = start(to(&server.url()), quick(folder.path()));
    assert_eq!(exporter.shutdown_blocking(SECOND).recovered, 0);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn what_is_too_large_is_sent_in_halves_once() {
    let folder = Folder::new();
    let server = Server::start([Act::status(413), Act::status(200), Act::status(413)]);
    let whole = Limits::new().with_delay(600 * SECOND);
    let exporter = start(to(&server.url()), quick(folder.path()).with_limits(whole));
    for i in 0..5 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = exporter.force_flush_blocking(20 * SECOND);
    assert_eq!((stats.exported, stats.dropped(DropReason::TooLarge)), (2, 3));
    let names: Vec<Vec<String>> = server.requests().iter().map(server::Request::span_names).collect();
    assert_eq!(names, [vec!["0", "1", "2", "3", "4"], vec!["0", "1"], vec!["2", "3", "4"]]);
    exporter.shutdown_blocking(SECOND);
    assert_eq!(start(to(&server.url()), quick(folder.path())).shutdown_blocking(SECOND).recovered, 0);
}

#[test]
fn our_own_limit_splits_before_the_disk() {
    let (folder, server) = (Folder::new(), Server::start([]));
    let exporter = start(to(&server.url()), quick(folder.path()).with_max_body(600));
    exporter.try_send(span("x".repeat(1000))).unwrap();
    for i in 0..7 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = wait(&exporter, is_settled);
    assert_eq!((stats.exported, stats.dropped(DropReason::TooLarge)), (7, 1));
    assert!(server.requests().iter().all(|request| request.plain().len() <= 600));
}

#[test]
fn no_batch_is_given_up_by_time() {
    let (folder, server) = (Folder::new(), Server::start(vec![Act::status(503); 12]));
    let retry = Policy::new().with_waits(10 * MILLI, 10 * MILLI).with_give_up_after(20 * MILLI);
    let exporter = start(to(&server.url()), quick(folder.path()).with_retry(retry));
    exporter.try_send(span("a")).unwrap();
    let stats = wait(&exporter, is_settled);
    assert_eq!((stats.exported, stats.dropped_total(), stats.retries), (1, 0, 12));
}

#[test]
fn while_the_receiver_fails_only_one_batch_asks() {
    let folder = Folder::new();
    leave(folder.path(), Format::Json, 40);
    // Slow enough that four begin, then they fail.
    let server = Server::start([vec![Act::Late(200 * MILLI); 4], vec![Act::status(503); 30]].concat());
    let exporter = start(to(&server.url()), quick(folder.path()));
    wait(&exporter, |stats| stats.exported == 40);
    assert_eq!(server.most_active(), 4);
    // Those four that began before it was known, and then one after the other with 15 ms between them at least.
    let requests = server.requests();
    let failing = &requests[8..34];
    let waits = failing.windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
    let quick = waits.filter(|wait| *wait < 10 * MILLI).count();
    assert!(quick <= 3, "{quick} of {} attempts came together", failing.len());
}

#[test]
fn several_requests_are_under_way_when_they_take_long() {
    let folder = Folder::new();
    leave(folder.path(), Format::Json, 30);
    let server = Server::start(vec![Act::Late(100 * MILLI); 30]);
    let exporter = start(to(&server.url()), quick(folder.path()));
    wait(&exporter, |stats| stats.exported == 30);
    assert_eq!(server.most_active(), 4);
}

#[test]
fn a_long_shutdown_is_not_waited_out_by_a_receiver_that_asks_for_more() {
    let (folder, server) = (Folder::new(), Server::start(vec![Act::retry_after(503, "120"); 10]));
    let exporter = start(to(&server.url()), quick(folder.path()));
    exporter.try_send(span("a")).unwrap();
    wait(&exporter, |stats| stats.requests == 1);
    let began = Instant::now();
    let stats = exporter.shutdown_blocking(60 * SECOND);
    assert!(began.elapsed() < 30 * SECOND, "it is safe on disk");
    assert_eq!((stats.spooled, stats.in_flight(), stats.dropped_total()), (1, 0, 0));
    assert_eq!(exporter.clone().shutdown_blocking(Duration::ZERO), stats, "again, by any clone");
}

#[test]
fn a_flush_does_not_wait_for_the_batch_and_keeps_its_deadline() {
    for spooled in [false, true] {
        let folder = Folder::new();
        let slow = Limits::new().with_delay(600 * SECOND);
        let config = |folder: &Path| {
            let mut config = quick(folder).with_limits(slow);
            config.spool = config.spool.filter(|_| spooled);
            config
        };
        let server = Server::start([]);
        let exporter = start(to(&server.url()), config(folder.path()));
        exporter.try_send(span("a")).unwrap();
        let stats = exporter.force_flush_blocking(20 * SECOND);
        assert_eq!((stats.exported, stats.in_flight()), (1, 0), "spool: {spooled}");
        exporter.try_send(span("b")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(exporter.clone().force_flush(20 * SECOND)).exported, 2);
        assert_eq!(exporter.force_flush_blocking(20 * SECOND).exported, 2, "nothing to wait for");
        exporter.shutdown_blocking(SECOND);
        assert_eq!(exporter.force_flush_blocking(20 * SECOND).exported, 2, "nor after the end");

        let exporter = start(to(&nobody()), config(folder.path()));
        exporter.try_send(span("c")).unwrap();
        let began = Instant::now();
        let stats = exporter.force_flush_blocking(200 * MILLI);
        assert!((200 * MILLI..10 * SECOND).contains(&began.elapsed()));
        assert_eq!((stats.exported, stats.in_flight() + stats.spooled), (0, 1));
    }
}

#[test]
fn three_signals_share_a_folder_and_a_thread() {
    let (folder, server) = (Folder::new(), Server::start([]));
    let http = |signal| Http::new(HttpConfig::otlp(&server.url(), signal).unwrap()).unwrap();
    let (spans, spans_worker) = Exporter::<Span>::new(http(Signal::Traces), quick(folder.path()));
    let (logs, logs_worker) = Exporter::<LogRecord>::new(http(Signal::Logs), quick(folder.path()));
    let (metrics, metrics_worker) = Exporter::<Metric>::new(http(Signal::Metrics), quick(folder.path()));
    let workers = Workers::new().with(spans_worker).with(logs_worker).with(metrics_worker);
    let thread = workers.spawn_thread().unwrap();
    spans.try_send(span("a")).unwrap();
    logs.try_send(LogRecord::new("up", Arc::default(), Arc::default())).unwrap();
    let points = vec![NumberPoint::new(1, 1), NumberPoint::new(2, 1), NumberPoint::new(3, 1)];
    let data = MetricData::sum(points, Temporality::Cumulative, true);
    metrics.try_send(Metric::new("m", "1", data, Arc::default(), Arc::default())).unwrap();
    let empty = MetricData::sum(Vec::new(), Temporality::Cumulative, true);
    metrics.try_send(Metric::new("none", "1", empty, Arc::default(), Arc::default())).unwrap();
    let ends = [spans.shutdown_blocking(20 * SECOND), logs.shutdown_blocking(20 * SECOND)];
    assert_eq!(ends.map(|stats| (stats.exported, stats.is_balanced())), [(1, true), (1, true)]);
    assert_eq!(metrics.shutdown_blocking(20 * SECOND).exported, 3);
    thread.join().unwrap();
    let mut paths: Vec<_> = server.requests().iter().map(|r| r.head.split(' ').nth(1).unwrap().to_owned()).collect();
    paths.sort();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
}

/// Delivers from memory, whatever the spool is like.
fn delivers_from_memory(folder: &Path) {
    let server = Server::start([]);
    let exporter = start(to(&server.url()), quick(folder));
    for i in 0..10 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = wait(&exporter, is_settled);
    assert_eq!((stats.exported, stats.recovered, stats.spool_bytes), (10, 0, 0));
    assert!(exporter.shutdown_blocking(SECOND).is_balanced());
}

#[test]
fn a_spool_that_cannot_be_had_does_not_stop_delivery() {
    let folder = Folder::new();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    delivers_from_memory(&file.join("below"));
    delivers_from_memory(Path::new("/proc/nowhere"));
    // One that another has.
    let holder = spool::Spool::open(&spool::Config::new(folder.path()), Signal::Traces).unwrap();
    delivers_from_memory(folder.path());
    drop(holder);
    if let Some(mount) = Tmpfs::new("a read-only volume", "ro,size=1m") {
        delivers_from_memory(mount.path());
    }
}

/// A file system in memory that goes when the test ends.
struct Tmpfs(Folder);

impl Tmpfs {
    /// `None`, with word of what is not tested, where this user may not mount; CI may.
    fn new(what: &str, options: &str) -> Option<Self> {
        let folder = Folder::new();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mount.as_ref().is_ok_and(|mount| mount.status.success()) {
            return Some(Self(folder));
        }
        assert!(env::var_os("CI").is_none(), "{what} cannot be mounted: {mount:?}");
        // Past what the test runner keeps to itself.
        let line = format!("SKIPPED a spool on {what}: mounting needs root\n");
        io::stdout().write_all(line.as_bytes()).unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_does_not_stop_delivery_and_is_used_again_when_it_is_not() {
    let Some(disk) = Tmpfs::new("a full disk", "size=256k") else { return };
    let reserved = Reserved::new();
    let limits = Limits::new().with_delay(20 * MILLI).with_batch_items(50).with_queue_items(1000);
    // The disk is not full of the spool alone.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 128 * 1024]).unwrap();
    let exporter = start(to(&reserved.url()), quick(disk.path()).with_limits(limits));
    // What hardly compresses, until disk and queue are full.
    let noise = |number: u64| {
        (0..40_u64)
            .map(|i| format!("{:016x}", (number * 40 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect::<String>()
    };
    let mut handed = 0_u64;
    let mut until_full = |dropped: u64| {
        while exporter.stats().dropped(DropReason::QueueFull) < dropped {
            let _ = exporter.try_send(span(noise(handed)));
            handed += 1;
            if handed.is_multiple_of(50) {
                wait(&exporter, |stats| {
                    stats.queued < 950 || stats.dropped(DropReason::QueueFull) > 0 || stats.spooled > 0
                });
                thread::sleep(MILLI);
            }
            assert!(handed < 100_000);
        }
        wait(&exporter, |stats| stats.spooled > 100)
    };
    let full = until_full(100);
    // There is room again while the receiver is still away: what waits in the queue goes to the disk.
    fs::remove_file(&ballast).unwrap();
    wait(&exporter, |stats| stats.spooled > full.spooled + 100);
    let full = until_full(exporter.stats().dropped(DropReason::QueueFull) + 100);
    assert!(full.spool_bytes > 128 * 1024 && full.spool_bytes <= 256 * 1024, "{full:?}");
    assert_eq!(full.dropped_total(), full.dropped(DropReason::QueueFull), "all but what found no room is there");
    let server = Server::on(reserved.listen(), []);
    let end = wait(&exporter, is_settled);
    assert_eq!(end.exported + end.dropped(DropReason::QueueFull), handed);
    assert_eq!(end.dropped_total(), end.dropped(DropReason::QueueFull));
    // There is room again.
    let requests = server.requests().len();
    exporter.try_send(span("after")).unwrap();
    wait(&exporter, is_settled);
    let stats = exporter.shutdown_blocking(SECOND);
    assert_eq!(stats.exported, end.exported + 1);
    let last = &server.requests()[requests];
    assert!(last.head.to_ascii_lowercase().contains("content-encoding: gzip"), "by way of the disk");
}

#[test]
fn what_a_full_disk_did_not_take_is_kept_at_the_end_if_there_is_room_by_then() {
    let Some(disk) = Tmpfs::new("a full disk", "size=256k") else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 248 * 1024]).unwrap();
    let limits = Limits::new().with_batch_items(50).with_delay(600 * SECOND);
    let exporter = start(to(&nobody()), quick(disk.path()).with_limits(limits));
    let noise = |number: u64| -> String {
        let hash = |i: u64| (number * 40 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..40_u64).map(|i| format!("{:016x}", hash(i))).collect()
    };
    for number in 0..50 {
        exporter.try_send(span(noise(number))).unwrap();
    }
    // Sent from memory, to nobody; what comes then cannot even begin.
    wait(&exporter, |stats| stats.retries > 0);
    for number in 50..100 {
        exporter.try_send(span(noise(number))).unwrap();
    }
    let full = wait(&exporter, |stats| stats.queued == 0);
    assert_eq!((full.sending, full.spooled), (100, 0));
    fs::remove_file(&ballast).unwrap();
    let stats = exporter.shutdown_blocking(Duration::ZERO);
    assert_eq!((stats.spooled, stats.dropped(DropReason::Shutdown)), (50, 50));
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
        Act::Late(30 * MILLI),
    ];
    let folder = Folder::new();
    let server = Server::start((0..200).map(|i| acts[i % acts.len()].clone()));
    let limits = Limits::new().with_batch_items(50).with_queue_items(500).with_delay(5 * MILLI);
    let small = spool::Config::new(folder.path()).with_max_bytes(64 * 1024);
    let mut recovered = 0;
    for run in 0..3 {
        let exporter = start(to(&server.url()), quick(folder.path()).with_limits(limits).with_spool(small.clone()));
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let exporter = exporter.clone();
                thread::spawn(move || {
                    for i in 0..3000 {
                        let _ = exporter.try_send(span(i.to_string()));
                    }
                })
            })
            .collect();
        while !producers.iter().all(thread::JoinHandle::is_finished) {
            let stats = exporter.stats();
            assert!(stats.is_balanced(), "{stats:?}");
        }
        let first = wait(&exporter, |stats| stats.queued == 0);
        assert_eq!((first.accepted, first.recovered), (9000, recovered), "run {run}");
        let stats = exporter.shutdown_blocking(if run == 2 { 30 * SECOND } else { Duration::ZERO });
        assert!(stats.is_balanced() && stats.in_flight() == 0, "{stats:?}");
        recovered = stats.spooled;
    }
    assert_eq!(recovered, 0);
}
