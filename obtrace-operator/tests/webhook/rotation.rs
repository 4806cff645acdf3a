//! Certificates are replaced while connections are open.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::support::{PROTOCOLS, Protocol, Served, certified, is_patched, review, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_connections_go_on_and_new_ones_see_the_new_certificate() {
    let served = Served::start(|_| {}).await;
    for protocol in PROTOCOLS {
        let before = served.connect(protocol).await;
        assert!(is_patched(&before.review(review("1", 0)).await, "1"));
        let (certificate, key) = served.authority.issue();
        served.resolver.set(certified((certificate.clone(), key)));
        assert!(is_patched(&before.review(review("2", 0)).await, "2"));
        let after = served.connect(protocol).await;
        assert!(is_patched(&after.review(review("3", 0)).await, "3"));
        assert_eq!(after.certificate, certificate);
        assert_ne!(before.certificate, certificate);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_review_fails_while_certificates_are_replaced() {
    let served = Served::start(|_| {}).await;
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = async |protocol: Protocol, renew: bool| {
        let mut client = served.connect(protocol).await;
        while !done.load(Relaxed) {
            let uid = asked.fetch_add(1, Relaxed).to_string();
            assert!(is_patched(&client.review(review(&uid, 0)).await, &uid));
            if renew {
                client = served.connect(protocol).await;
            }
        }
    };
    let rotate = async {
        for round in 1..=20 {
            served.resolver.set(certified(served.authority.issue()));
            soon(async {
                while asked.load(Relaxed) < round * 10 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        done.store(true, Relaxed);
    };
    tokio::join!(
        rotate,
        ask(Protocol::Http1, false),
        ask(Protocol::Http1, true),
        ask(Protocol::Http2, false),
        ask(Protocol::Http2, true)
    );
}
