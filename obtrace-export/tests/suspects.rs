//! Batches in a spool that would not go for long, which others overtake: none is lost while the receiver is away, few are in
//! memory, few requests under way.
#![cfg(all(feature = "http", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod exporter;
mod server;

use std::{path::Path, time::Duration};

use child::{Folder, Reserved};
use exporter::{MILLI, SECOND, is_settled, span, start, wait, whole};
use obtrace_export::{
    batch::Limits,
    model::Signal,
    pipeline::Config,
    retry::Policy,
    spool::{self, WhenFull},
    stats::DropReason,
    transport::HttpConfig,
};
use server::{Act, Server};

/// A name that does not compress to less than half.
fn noise(seed: u64) -> String {
    let word = |i: u64| (i + seed * 1000).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
    (1..=180).map(|i| format!("{:016x}", word(i).wrapping_mul(0xbf58_476d_1ce4_e5b9))).collect()
}

/// Each item is a batch, and others soon overtake one that fails.
fn single(folder: &Path) -> Config {
    let retry = Policy::new().with_waits(5 * MILLI, 20 * MILLI).with_give_up_after(30 * MILLI);
    let config = whole().with_limits(Limits::new().with_batch_items(1)).with_retry(retry);
    config.with_spool(spool::Config::new(folder))
}

fn to(url: &str) -> HttpConfig {
    HttpConfig::otlp(url, Signal::Traces).unwrap().with_timeout(5 * SECOND)
}

#[test]
fn a_full_spool_that_keeps_the_oldest_delivers_all_it_kept_and_has_room_again() {
    let (folder, reserved) = (Folder::new(), Reserved::new());
    let small = spool::Config::new(folder.path()).with_max_bytes(64 * 1024).with_when_full(WhenFull::DropNewest);
    let exporter = start(to(&reserved.url()), single(folder.path()).with_spool(small));
    for i in 0..60 {
        exporter.try_send(span(noise(i))).unwrap();
    }
    // By then the oldest were to go to the end, where there is no room.
    let away = wait(&exporter, |stats| stats.queued == 0 && stats.requests > 200);
    let dropped = away.dropped(DropReason::SpoolFull);
    assert!(dropped > 10 && away.dropped_total() == dropped, "{away:?}");
    let server = Server::on(reserved.listen(), []);
    assert_eq!(wait(&exporter, is_settled).exported, 60 - dropped);
    for i in 60..90 {
        exporter.try_send(span(noise(i))).unwrap();
        wait(&exporter, is_settled);
    }
    let stats = exporter.shutdown_blocking(SECOND);
    assert_eq!((stats.exported, stats.dropped_total(), stats.recovered), (90 - dropped, dropped, 0));
    assert_eq!(server.requests().len() as u64, stats.exported);
}

#[test]
fn few_are_in_memory_though_each_is_overtaken_at_once() {
    let folder = Folder::new();
    let server = Server::start(vec![Act::status(503); 1000]);
    let retry = Policy::new().with_waits(5 * MILLI, 20 * MILLI).with_give_up_after(Duration::ZERO);
    let exporter = start(to(&server.url()), single(folder.path()).with_retry(retry));
    for i in 0..300 {
        exporter.try_send(span(i.to_string())).unwrap();
    }
    // Four that are overtaken, and those that begin until they are; what is written to the spool waits in no memory.
    let mut most = 0;
    let stats = wait(&exporter, |stats| {
        most = most.max(if stats.queued == 0 { stats.sending } else { 0 });
        is_settled(stats)
    });
    assert!((5..=8).contains(&most), "{most}");
    assert_eq!((stats.exported, stats.dropped_total()), (300, 0));
}

#[test]
fn those_that_never_go_do_not_keep_others_back_though_there_is_no_room_to_put_them_last() {
    let (folder, reserved) = (Folder::new(), Reserved::new());
    let small = spool::Config::new(folder.path()).with_max_bytes(64 * 1024).with_when_full(WhenFull::DropNewest);
    let exporter = start(to(&reserved.url()), single(folder.path()).with_spool(small));
    for i in 0..60 {
        exporter.try_send(span(format!("{} {}", if i < 9 { "poison" } else { "good" }, noise(i)))).unwrap();
    }
    wait(&exporter, |stats| stats.dropped(DropReason::SpoolFull) > 10 && stats.queued == 0);
    let server = Server::on(reserved.listen(), []);
    server.refuse("poison", Act::status(502));
    // They are told by what goes on to arrive while they do not.
    let stats = wait(&exporter, |stats| {
        if stats.queued == 0 {
            exporter.try_send(span("more")).unwrap();
        }
        stats.dropped(DropReason::Expired) == 9
    });
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::SpoolFull) + 9);
    let stats = wait(&exporter, is_settled);
    assert_eq!(stats.exported + stats.dropped_total(), stats.accepted);
}

#[test]
fn those_that_were_overtaken_are_among_the_requests_that_may_be_under_way() {
    let folder = Folder::new();
    let server = Server::start(vec![Act::Late(40 * MILLI); 60]);
    server.refuse("poison", Act::LateStatus(40 * MILLI, 503));
    let exporter = start(to(&server.url()), single(folder.path()).with_concurrency(2));
    for i in 0..100 {
        exporter.try_send(span(if i % 2 == 0 { "poison" } else { "good" })).unwrap();
    }
    wait(&exporter, |stats| stats.exported >= 30);
    assert_eq!(server.most_active(), 2);
    exporter.shutdown_blocking(Duration::ZERO);
}

#[test]
fn one_that_is_throttled_while_others_get_through_is_not_given_up() {
    for throttled in [Act::retry_after(503, "0"), Act::status(429)] {
        let (folder, server) = (Folder::new(), Server::start([]));
        server.refuse("unlucky", throttled);
        let exporter = start(to(&server.url()), single(folder.path()));
        exporter.try_send(span("unlucky")).unwrap();
        // It was overtaken, and asks again and again while others arrive.
        let mut others = 0;
        let stats = wait(&exporter, |stats| {
            if stats.queued + stats.spooled == 0 {
                exporter.try_send(span("other")).unwrap();
                others += 1;
            }
            stats.exported >= 10 && stats.retries >= 30
        });
        assert_eq!(stats.dropped_total(), 0);
        server.refuse("nobody", Act::status(503));
        let stats = wait(&exporter, is_settled);
        assert_eq!((stats.exported, stats.dropped_total()), (others + 1, 0));
    }
}
