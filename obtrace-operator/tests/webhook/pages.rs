//! Health, metrics, and the review that the webhook asks itself.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use obtrace_operator::server::{
    health::{self, Readiness},
    metrics, self_review,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Authority, Protocol, Served, review, soon};

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_scraped() {
    let served = Served::start(|_| {}).await;
    served.connect(Protocol::Http2).await.review(review("u", 0)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(metrics::serve(listener, Arc::clone(&served.metrics), stop.clone()));
    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.contains("obtrace_zero_admissions_total{outcome=\"injected\""), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    stop.cancel();
    soon(serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_needs_an_answer_to_a_review_of_our_own() {
    let served = Served::start(|_| {}).await;
    let readiness = Readiness::new();
    readiness.check("certificate").pass();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(health::serve(listener, readiness.clone(), stop.clone()));
    let check = readiness.check("review");
    assert!(get(address, "/healthz").await.ends_with("\r\n\r\nok"));
    let failed = get(address, "/readyz").await;
    assert!(failed.starts_with("HTTP/1.1 503"), "{failed}");
    assert!(failed.ends_with("[+]certificate ok\n[-]review failed: not done yet\nreadyz check failed\n"), "{failed}");

    let name = ServerName::try_from("localhost").unwrap();
    // First an authority that has nothing to do with it, as when the bundle is not up to date.
    let roots = Arc::new(std::sync::Mutex::new(Authority::new().roots()));
    let given = Arc::clone(&roots);
    let watch = self_review::watch(
        served.address,
        name,
        move || Some(given.lock().unwrap().clone()),
        check,
        Duration::from_millis(20),
        stop.clone(),
    );
    let watching = tokio::spawn(watch);
    let until = async |wanted: &str| {
        while !readiness.report().contains(wanted) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(until("cannot agree on TLS with the webhook: invalid peer certificate")).await;
    *roots.lock().unwrap() = served.authority.roots();
    soon(until("readyz check passed")).await;
    assert!(get(address, "/readyz").await.ends_with("\r\n\r\nok"));
    let verbose = get(address, "/readyz?verbose").await;
    assert!(verbose.ends_with("[+]certificate ok\n[+]review ok\nreadyz check passed\n"), "{verbose}");
    // It is no admission.
    assert!(!served.metrics.encode().unwrap().contains("obtrace_zero_admissions_total{"));
    stop.cancel();
    soon(watching).await.unwrap();
    assert!(!readiness.is_ready());
}
