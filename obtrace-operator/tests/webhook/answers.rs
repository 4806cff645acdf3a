//! Reviews and their answers.

use http::{Method, Request, StatusCode, header::ALLOW};
use http_body_util::Full;
use hyper::body::Bytes;

use crate::support::{PROTOCOLS, Served, is_patched, review, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_patched_over_both_protocols() {
    let served = Served::start(|_| {}).await;
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        for (uid, size) in [("a", 0), ("b", 100_000), ("c", 3_000_000), ("d", 0)] {
            let answer = client.review(review(uid, size)).await;
            assert!(is_patched(&answer, uid), "{protocol:?} {answer:?}");
        }
    }
    let series = r#"obtrace_zero_admissions_total{outcome="injected",reason="",dry_run="false"}"#;
    assert_eq!(served.metric(series), 8);
    assert_eq!(served.metric("obtrace_zero_admission_duration_seconds_count"), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_at_once_get_their_own_answers() {
    let served = Served::start(|_| {}).await;
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        let asked = (0..300).map(async |i: usize| {
            let uid = format!("u-{i}");
            let answer = client.review(review(&uid, i % 7 * 20_000)).await;
            is_patched(&answer, &uid)
        });
        let answers = futures::future::join_all(asked).await;
        assert!(answers.iter().all(|patched| *patched), "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_else_is_told_what_it_is() {
    let served = Served::start(|_| {}).await;
    for protocol in PROTOCOLS {
        let client = served.connect(protocol).await;
        for (method, path, status) in [
            (Method::GET, "/", StatusCode::NOT_FOUND),
            (Method::POST, "/mutate-pods/", StatusCode::NOT_FOUND),
            (Method::GET, "/mutate-pods", StatusCode::METHOD_NOT_ALLOWED),
            (Method::DELETE, "/mutate-pods", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let request = Request::builder().method(method.clone()).uri(format!("https://localhost{path}"));
            let request = request.header("host", "localhost").body(Full::new(Bytes::new())).unwrap();
            let response = soon(client.send(request)).await.unwrap();
            assert_eq!(response.status(), status, "{protocol:?} {method} {path}");
            assert_eq!(response.headers().contains_key(ALLOW), status == StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    assert_eq!(served.metric(r#"obtrace_zero_requests_refused_total{reason="path"}"#), 4);
    assert_eq!(served.metric(r#"obtrace_zero_requests_refused_total{reason="method"}"#), 4);
}
