//! What is answered where the admission itself cannot be asked, or fails.

use std::net::Ipv4Addr;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::{
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{SYSTEM_NAMESPACE, World},
    server::registry::Registry,
};

fn server(judge: Judge, events: Option<mpsc::Sender<Verdict>>) -> Arc<Server> {
    let mut resource =
        ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let mut world = World::new();
    world.resources.push(resource);
    let mut webhook = Webhook::new(Arc::new(ArcSwap::from_pointee(Index::new(world))), Arc::default());
    webhook.events = events;
    let answers = Pool::new(webhook.limits.answers);
    Arc::new(Server { room: Room::new(&webhook.limits), answers, webhook, judge })
}

fn body(image: &str, dry_run: bool) -> Vec<u8> {
    let containers = json!([{ "name": "web", "image": image }]);
    let request = json!({ "uid": "u-1", "operation": "CREATE", "namespace": "shop", "dryRun": dry_run,
        "kind": { "group": "", "version": "v1", "kind": "Pod" }, "object": { "metadata": { "generateName": "web-" }, "spec": { "containers": containers } } });
    format!(r#"{{"kind":"AdmissionReview","request":{request}}}"#).into_bytes()
}

async fn ask(server: &Arc<Server>, mut request: Request<Body>) -> (StatusCode, Value) {
    let entry = Arc::<Registry>::default().open(Ipv4Addr::LOCALHOST.into());
    request.extensions_mut().insert(Arc::clone(&entry.link));
    let response = review(State(Arc::clone(server)), request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

fn counted(server: &Server, line: &str) {
    let text = server.webhook.metrics.encode().unwrap();
    assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
}

#[tokio::test]
async fn a_fault_of_ours_allows_the_pod_and_is_counted() {
    let server = server(|_, _| panic!("a fault, on purpose"), None);
    let (status, answer) = ask(&server, Request::new(Body::from(body("node:22", false)))).await;
    assert_eq!((status, &answer["response"]["uid"]), (StatusCode::OK, &json!("u-1")));
    assert_eq!(answer["response"]["allowed"], true);
    assert!(answer["response"]["warnings"][0].as_str().unwrap().contains("a fault of the webhook"));
    counted(&server, "obtrace_zero_admission_panics_total 1");
    let (status, _) = ask(&server, Request::new(Body::from("nobody knows"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn what_is_too_large_is_allowed_where_it_says_what_it_is() {
    let server = server(admission::judge, None);
    let mut large = body("node:22", false);
    large.resize(server.webhook.limits.body + 1, b' ');
    let (status, answer) = ask(&server, Request::new(Body::from(large))).await;
    assert_eq!((status, &answer["response"]["allowed"]), (StatusCode::OK, &json!(true)));
    assert!(answer["response"]["warnings"][0].as_str().unwrap().contains("too large"));
    let unknown = vec![b' '; server.webhook.limits.body + 1];
    let (status, text) = ask(&server, Request::new(Body::from(unknown))).await;
    assert_eq!((status, text), (StatusCode::PAYLOAD_TOO_LARGE, json!("the review is too large\n")));
    counted(&server, r#"obtrace_zero_requests_refused_total{reason="too_large"} 2"#);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_the_time_that_is_given_is_not_waited_for() {
    let server = server(admission::judge, None);
    let mut request = Request::new(Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()));
    *request.uri_mut() = Uri::from_static("/mutate-pods?timeout=1s");
    let (status, text) = ask(&server, request).await;
    assert_eq!((status, text), (StatusCode::REQUEST_TIMEOUT, json!("the review did not come in time\n")));
}

#[tokio::test]
async fn other_content_is_refused() {
    let server = server(admission::judge, None);
    for (kind, status) in [
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/yaml", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json; charset=utf-8", StatusCode::OK),
    ] {
        let mut request = Request::new(Body::from(body("node:22", false)));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        assert_eq!(ask(&server, request).await.0, status, "{kind}");
    }
}

#[tokio::test]
async fn verdicts_are_told_but_not_those_of_dry_runs_and_not_without_bound() {
    let (sender, mut receiver) = mpsc::channel(1);
    let server = server(admission::judge, Some(sender));
    let pod = |image, dry_run| Request::new(Body::from(body(image, dry_run)));
    let (_, dry) = ask(&server, pod("python:3.12", true)).await;
    let (_, real) = ask(&server, pod("python:3.12", false)).await;
    assert_eq!(dry["response"]["patch"], real["response"]["patch"]);
    ask(&server, pod("node:22", false)).await;
    let verdict = receiver.try_recv().unwrap();
    assert_eq!(
        (verdict.outcome, verdict.namespace.as_str(), verdict.pod.as_str()),
        (Outcome::Injected, "shop", "web-")
    );
    assert_eq!(verdict.languages, [("web".to_owned(), obtrace_detect::Language::Python)]);
    assert!(receiver.try_recv().is_err());
    counted(&server, "obtrace_zero_events_dropped_total 1");
    counted(&server, r#"obtrace_zero_admissions_total{outcome="injected",reason="",dry_run="true"} 1"#);
}

#[test]
fn the_time_that_is_asked_for_is_read() {
    for (uri, seconds) in [
        ("/mutate-pods?timeout=10s", Some(9.0)),
        ("/mutate-pods?a=b&timeout=2s", Some(1.8)),
        ("/mutate-pods?timeout=0s", None),
        ("/mutate-pods?timeout=1m0s", None),
        ("/mutate-pods", None),
    ] {
        assert_eq!(asked_time(&Uri::from_static(uri)).map(|time| time.as_secs_f64()), seconds, "{uri}");
    }
}
