//! What must not stop an exporter with a spool: batches that the spool does not take, that the receiver never takes, or that
//! end half-way; and what is sent in parts.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod exporter;
mod server;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use child::{Folder, Reserved, nobody};
use exporter::{MILLI, SECOND, is_settled, span, start_with, wait, whole};
use obtrace_export::{
    batch::Limits,
    decode::{self, Telemetry, decode},
    encode::Format,
    model::{Attribute, HistogramPoint, Item, Metric, MetricData, NumberPoint, Signal, Temporality},
    pipeline::{Config, Exporter},
    retry::Policy,
    spool,
    stats::DropReason,
    transport::{Compression, Http, HttpConfig},
};
use server::{Act, Request, Server};

/// Text that does not compress to less than half.
fn noise(characters: usize) -> String {
    let mut text: String =
        (1..=characters as u64 / 16).map(|i| format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    text.truncate(characters);
    text
}

/// Batches leave when they are full or flushed.
fn slow(folder: &Path) -> Config {
    whole().with_spool(spool::Config::new(folder))
}

/// Each item is a batch.
fn single(folder: &Path) -> Config {
    slow(folder).with_limits(Limits::new().with_batch_items(1))
}

fn start<T: Item>(url: &str, config: Config) -> Exporter<T> {
    start_with(Http::new(HttpConfig::otlp(url, T::SIGNAL).unwrap()).unwrap(), config)
}

fn names(server: &Server) -> Vec<Vec<String>> {
    server.requests().iter().map(Request::span_names).collect()
}

fn sum(points: u64) -> Metric {
    let points =
        (0..points).map(|i| NumberPoint::new(i, 1).with_attributes(vec![Attribute::new("series", format!("{i:08}"))]));
    let data = MetricData::sum(points.collect(), Temporality::Cumulative, true);
    Metric::new("requests", "1", data, Arc::default(), Arc::default()).with_description("what it means")
}

#[test]
fn a_metric_without_points_does_not_hold_up_what_comes_after_it() {
    let folder = Folder::new();
    let exporter = start(&nobody(), single(folder.path()));
    for points in [1, 0, 1, 1, 0, 1, 1] {
        exporter.try_send(sum(points)).unwrap();
    }
    wait(&exporter, |stats| stats.spooled == 4 && stats.sending == 1);
    assert_eq!(exporter.shutdown_blocking(SECOND).spooled, 5);
}

#[test]
fn what_is_larger_than_the_spool_does_not_hold_up_what_comes_after_it() {
    let folder = Folder::new();
    let reserved = Reserved::new();
    let small = spool::Config::new(folder.path()).with_max_bytes(64 * 1024);
    let exporter = start(&reserved.url(), single(folder.path()).with_spool(small));
    exporter.try_send(span("first")).unwrap();
    wait(&exporter, |stats| stats.retries > 0);
    for i in 0..5 {
        exporter.try_send(span(noise(200_000))).unwrap();
        exporter.try_send(span(i.to_string())).unwrap();
    }
    // One of those waits in memory; there is no room for more.
    let stats = wait(&exporter, |stats| stats.spooled == 5);
    assert_eq!((stats.sending, stats.dropped(DropReason::TooLarge), stats.queued), (2, 4, 0));
    let server = Server::on(reserved.listen(), []);
    let stats = wait(&exporter, is_settled);
    assert_eq!(stats.exported, 7);
    assert_eq!(server.requests().len(), 7);
}

#[test]
fn a_batch_that_is_larger_than_the_spool_is_divided() {
    let folder = Folder::new();
    let small = spool::Config::new(folder.path()).with_max_bytes(64 * 1024);
    let exporter = start(&nobody(), slow(folder.path()).with_spool(small));
    let all = noise(140_000);
    for i in 0..7 {
        exporter.try_send(span(&all[i * 20_000..][..20_000])).unwrap();
    }
    exporter.force_flush_blocking(MILLI);
    // Of the halves the first gives way to the second, as anything would.
    let stats = wait(&exporter, |stats| stats.queued == 0 && stats.retries > 0);
    assert_eq!((stats.dropped(DropReason::SpoolFull), stats.spooled + stats.sending), (3, 4));
    assert_eq!(exporter.shutdown_blocking(SECOND).spooled, 4);
}

/// Files of records that this process has open.
fn open_segments(folder: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|path| path.starts_with(folder) && path.extension().is_some_and(|name| name == "segment")).count()
}

#[test]
fn full_segments_are_synchronised_as_it_goes() {
    let folder = Folder::new();
    let config = spool::Config::new(folder.path()).with_max_bytes(1024 * 1024);
    let exporter = start(&nobody(), single(folder.path()).with_spool(config));
    for _ in 0..30 {
        // Two of them fill a segment.
        exporter.try_send(span(noise(60_000))).unwrap();
        wait(&exporter, |stats| stats.queued == 0);
    }
    wait(&exporter, |stats| stats.spooled == 29);
    let segments = fs::read_dir(folder.path().join("traces")).unwrap().count() - 1;
    assert!(segments > 8, "{segments}");
    let end = Instant::now() + 20 * SECOND;
    // The one that is written, the one that is read.
    while open_segments(folder.path()) > 2 {
        assert!(Instant::now() < end, "{} of {segments} are open", open_segments(folder.path()));
        thread::sleep(MILLI);
    }
    exporter.shutdown_blocking(Duration::ZERO);
}

#[test]
fn a_producer_that_never_rests_does_not_keep_batches_from_being_sent() {
    let (folder, server) = (Folder::new(), Server::start([]));
    let exporter = start(&server.url(), slow(folder.path()));
    let done = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..3)
        .map(|_| {
            let (exporter, done) = (exporter.clone(), Arc::clone(&done));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let _ = exporter.try_send(span("a"));
                }
            })
        })
        .collect();
    let stats = wait(&exporter, |stats| stats.exported > 5_000);
    done.store(true, Ordering::Relaxed);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    assert!(stats.requests > 10);
    exporter.shutdown_blocking(Duration::ZERO);
}

/// Each of these spans is a batch. The receiver never takes that of `3`, nor says that it never will.
fn poison(folder: &Path, act: Act) {
    let exporter = start(&nobody(), single(folder));
    for i in 0..9 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    assert_eq!(exporter.shutdown_blocking(200 * MILLI).spooled, 9);
    let server = Server::start([]);
    server.refuse(r#""name":"3""#, act);
    let retry = Policy::new().with_waits(20 * MILLI, 20 * MILLI).with_give_up_after(200 * MILLI);
    let http = HttpConfig::otlp(&server.url(), Signal::Traces).unwrap().with_timeout(400 * MILLI);
    let exporter = start_with(Http::new(http).unwrap(), single(folder).with_retry(retry).with_concurrency(1));
    wait(&exporter, |stats| stats.exported == 8);
    // It is told by what goes on to arrive while it does not.
    let feed = || exporter.try_send(span("more")).unwrap();
    let end = Instant::now() + 30 * SECOND;
    while exporter.stats().dropped(DropReason::Expired) == 0 {
        assert!(Instant::now() < end, "{:?}", exporter.stats());
        feed();
        thread::sleep(10 * MILLI);
    }
    let stats = wait(&exporter, is_settled);
    assert_eq!(stats.dropped_total(), 1);
    exporter.shutdown_blocking(SECOND);
    let exporter: Exporter = start(&server.url(), single(folder));
    assert_eq!(exporter.shutdown_blocking(SECOND).recovered, 0);
}

#[test]
fn a_batch_that_never_gets_through_is_overtaken_and_given_up() {
    poison(Folder::new().path(), Act::status(502));
    poison(Folder::new().path(), Act::Late(800 * MILLI));
}

#[test]
fn many_such_batches_in_a_row_are_overtaken_as_well() {
    let folder = Folder::new();
    let server = Server::start([]);
    server.refuse("poison", Act::status(502));
    let retry = Policy::new().with_waits(5 * MILLI, 5 * MILLI).with_give_up_after(50 * MILLI);
    let exporter = start(&server.url(), single(folder.path()).with_retry(retry).with_concurrency(2));
    for i in 0..12 {
        exporter.try_send(span(format!("poison {i}"))).unwrap();
    }
    for _ in 0..200 {
        exporter.try_send(span("good")).unwrap();
    }
    let stats = wait(&exporter, |stats| stats.exported == 200);
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::Expired));
    exporter.shutdown_blocking(Duration::ZERO);
}

#[test]
fn an_outage_that_lasts_longer_than_a_batch_is_tried_for_loses_nothing() {
    let folder = Folder::new();
    let server = Server::start(vec![Act::status(503); 60]);
    let retry = Policy::new().with_waits(5 * MILLI, 5 * MILLI).with_give_up_after(20 * MILLI);
    let exporter = start(&server.url(), single(folder.path()).with_retry(retry));
    for i in 0..40 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let stats = wait(&exporter, is_settled);
    assert_eq!((stats.exported, stats.dropped_total(), stats.recovered), (40, 0, 0));
    let mut arrived = names(&server)[60..].concat();
    arrived.sort_by_key(|name| name.parse::<u32>().unwrap());
    assert!(arrived.into_iter().eq((0..40).map(|i| i.to_string())), "each once");
}

#[test]
fn of_a_batch_that_went_in_part_the_rest_is_kept() {
    let folder = Folder::new();
    let server = Server::start([Act::status(413), Act::status(200), Act::retry_after(503, "100")]);
    let exporter = start(&server.url(), slow(folder.path()));
    for i in 0..5 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    exporter.force_flush_blocking(MILLI);
    wait(&exporter, |stats| stats.requests == 3 && stats.exported == 2);
    let stats = exporter.shutdown_blocking(SECOND);
    assert_eq!((stats.exported, stats.spooled, stats.in_flight(), stats.recovered), (2, 3, 0, 0));
    assert!(stats.is_balanced());

    let next: Exporter = start(&server.url(), slow(folder.path()));
    let stats = wait(&next, |stats| stats.recovered > 0 && is_settled(stats));
    assert_eq!((stats.recovered, stats.exported), (3, 3));
    assert_eq!(names(&server)[3..], [["2", "3", "4"]]);
    next.shutdown_blocking(SECOND);
}

#[test]
fn a_shutdown_before_anything_else_leaves_what_waits_to_the_next_run() {
    let folder = Folder::new();
    let (exporter, worker) =
        Exporter::new(Http::new(HttpConfig::otlp(&nobody(), Signal::Traces).unwrap()).unwrap(), slow(folder.path()));
    for i in 0..10 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stats = runtime.block_on(async {
        let worker = tokio::spawn(worker.run());
        exporter.shutdown(Duration::ZERO).await;
        worker.await.unwrap();
        exporter.stats()
    });
    assert_eq!((stats.spooled, stats.dropped_total(), stats.in_flight()), (10, 0, 0));
    let exporter: Exporter = start(&Server::start([]).url(), slow(folder.path()));
    assert_eq!(wait(&exporter, |stats| stats.recovered > 0 && is_settled(stats)).exported, 10);
}

#[test]
fn halves_go_out_compressed_as_the_whole_did() {
    let folder = Folder::new();
    let server = Server::start([Act::status(413)]);
    let exporter = start(&server.url(), slow(folder.path()));
    for i in 0..400 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    exporter.force_flush_blocking(20 * SECOND);
    let requests = server.requests();
    assert_eq!((requests.len(), exporter.stats().exported), (3, 400));
    for request in &requests {
        assert!(request.head.to_ascii_lowercase().contains("\r\ncontent-encoding: gzip\r\n"), "{}", request.head);
        assert!(request.body.len() <= requests[0].body.len());
    }
    exporter.shutdown_blocking(SECOND);
}

#[test]
fn what_is_sent_in_another_form_goes_out_compressed() {
    let folder = Folder::new();
    let exporter = start(&nobody(), slow(folder.path()));
    for i in 0..100 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    assert_eq!(exporter.shutdown_blocking(200 * MILLI).spooled, 100);
    let server = Server::start([Act::status(503)]);
    let http = HttpConfig::otlp(&server.url(), Signal::Traces).unwrap();
    let http = http.with_format(Format::Protobuf).with_compression(Compression::None);
    let exporter: Exporter = start_with(Http::new(http).unwrap(), slow(folder.path()));
    wait(&exporter, |stats| stats.exported == 100);
    for request in server.requests() {
        let head = request.head.to_ascii_lowercase();
        assert!(head.contains("content-encoding: gzip") && head.contains("x-protobuf"), "{head}");
        assert!(request.body.len() < request.plain().len() / 2);
    }
    exporter.shutdown_blocking(SECOND);
}

/// The points of all the metrics that arrived, each metric as the one that was sent but for them.
fn points(server: &Server, like: &Metric) -> Vec<HistogramPoint> {
    let mut all = Vec::new();
    for request in server.requests() {
        let telemetry = decode(Signal::Metrics, Format::Json, &request.plain(), &decode::Limits::new()).unwrap();
        let Telemetry::Metrics(metrics) = telemetry else { panic!("{telemetry:?}") };
        for mut metric in metrics {
            let MetricData::Histogram { points, .. } = &mut metric.data else { panic!("{metric:?}") };
            all.append(points);
            let mut like = like.clone();
            let MetricData::Histogram { points, .. } = &mut like.data else { panic!("{like:?}") };
            points.clear();
            assert_eq!(metric, like);
        }
    }
    all
}

#[test]
fn a_metric_of_many_points_is_sent_in_several() {
    let series: Vec<_> = (0..600)
        .map(|i| {
            let bounds = (0..100).map(f64::from).collect();
            let mut point = HistogramPoint::new(101, 1).with_buckets(bounds, vec![1; 101]);
            point.attributes.push(Attribute::new("series", i64::from(i)));
            point
        })
        .collect();
    let data = MetricData::histogram(series.clone(), Temporality::Cumulative);
    let metric = Metric::new("duration", "s", data, Arc::default(), Arc::default()).with_description("how long");
    for spooled in [false, true] {
        let (folder, server) = (Folder::new(), Server::start([]));
        let mut config = slow(folder.path()).with_max_body(100_000);
        config.spool = config.spool.filter(|_| spooled);
        let exporter = start(&server.url(), config);
        exporter.try_send(metric.clone()).unwrap();
        let stats = exporter.force_flush_blocking(20 * SECOND);
        assert_eq!((stats.exported, stats.dropped_total()), (600, 0), "spool: {spooled}");
        assert!(server.requests().len() > 3);
        assert!(server.requests().iter().all(|request| request.plain().len() <= 100_000));
        let mut arrived = points(&server, &metric);
        arrived.sort_by_key(|point| format!("{:?}", point.attributes));
        let mut sent = series.clone();
        sent.sort_by_key(|point| format!("{:?}", point.attributes));
        assert_eq!(arrived, sent);
        exporter.shutdown_blocking(SECOND);
    }
}

#[test]
fn a_receiver_that_finds_a_metric_too_large_gets_halves() {
    for spooled in [false, true] {
        let (folder, server) = (Folder::new(), Server::start([Act::status(413)]));
        let mut config = single(folder.path());
        config.spool = config.spool.filter(|_| spooled);
        let exporter = start(&server.url(), config);
        exporter.try_send(sum(9)).unwrap();
        let stats = wait(&exporter, is_settled);
        assert_eq!((stats.exported, stats.requests), (9, 3), "spool: {spooled}");
        exporter.shutdown_blocking(SECOND);
    }
}

#[test]
fn no_requests_at_once_are_one_and_no_time_is_too_long() {
    for spooled in [false, true] {
        let (folder, server) = (Folder::new(), Server::start([]));
        let mut config = slow(folder.path()).with_limits(Limits::new().with_delay(Duration::MAX));
        config.concurrency = 0;
        config.spool = config.spool.filter(|_| spooled);
        let exporter = start(&server.url(), config);
        exporter.try_send(span("a")).unwrap();
        assert_eq!(exporter.force_flush_blocking(Duration::MAX).exported, 1);
        exporter.try_send(span("b")).unwrap();
        assert_eq!(exporter.shutdown_blocking(Duration::MAX).exported, 2);
    }
}
