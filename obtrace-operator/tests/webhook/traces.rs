//! Spans of reviews, at a real receiver.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use obtrace_export::{
    batch,
    model::{Attribute, Resource, Signal, Span, SpanKind, Status, Value},
    pipeline::{Config, Exporter},
    receive::{Limits, Receiver, Running, Telemetry},
    transport::{Http, HttpConfig},
};
use obtrace_operator::telemetry::{Replica, Settings, Traces};

use crate::support::{PATIENCE, Protocol, Served, is_patched, post, review, soon};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

/// A receiver, what it takes, and traces that go there.
struct Traced {
    receiver: Running,
    taken: mpsc::Receiver<Telemetry>,
    traces: Traces,
    worker: tokio::task::JoinHandle<()>,
}

impl Traced {
    fn start(variables: &[(&str, &str)]) -> Self {
        let (took, taken) = mpsc::channel();
        let receiver = Receiver::bind("127.0.0.1:0", Limits::new()).unwrap();
        let receiver = receiver.spawn_thread(move |request| took.send(request.telemetry).unwrap()).unwrap();
        let url = format!("http://{}", receiver.local_address());
        let get = |name: &str| match variables.iter().find(|(it, _)| *it == name) {
            Some((_, value)) => Some((*value).to_owned()),
            None => (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| url.clone()),
        };
        let settings = Settings::read(get, &Replica::new("obtrace-system", "operator-1")).unwrap();
        assert_eq!((settings.warnings(), settings.receiver()), (&[][..], Some(format!("{url}/v1/traces"))));
        let (traces, worker) = settings.start().unwrap().unwrap();
        Self { receiver, taken, traces, worker: tokio::spawn(worker.run()) }
    }

    /// What was sent, once everything is.
    async fn spans(self) -> Vec<Span> {
        let stats = self.traces.shutdown(PATIENCE).await;
        self.worker.await.unwrap();
        let counts = self.receiver.stop(Duration::from_secs(10));
        let spans = self.taken.iter().flat_map(|it| if let Telemetry::Traces(spans) = it { spans } else { Vec::new() });
        let spans: Vec<_> = spans.collect();
        assert_eq!((stats.exported, stats.dropped_total()), (spans.len() as u64, 0), "{counts:?}");
        spans
    }
}

fn value<'s>(attributes: &'s [Attribute], key: &str) -> Option<&'s Value> {
    attributes.iter().find(|it| it.key == key).map(|it| &it.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_is_a_span_below_that_of_who_asked() {
    let traced = Traced::start(&[]);
    let served = Served::start_with(|webhook| webhook.traces = Some(traced.traces.clone())).await;
    let client = served.connect(Protocol::Http2).await;
    for flags in ["01", "00"] {
        let mut request = post(review("u", 0));
        request.headers_mut().insert("traceparent", format!("{PARENT}-{flags}").parse().unwrap());
        request.headers_mut().insert("tracestate", "a=1".parse().unwrap());
        assert_eq!(soon(client.ask(request)).await.unwrap().0, 200);
    }
    assert!(is_patched(&client.review(review("root", 0)).await, "root"));
    let spans = traced.spans().await;
    let [below, root] = &spans[..] else { panic!("who does not sample has no span: {spans:?}") };
    assert_eq!(below.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(below.parent_span_id.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!((&*below.trace_state, &*root.trace_state), ("a=1", ""));
    assert!(root.parent_span_id.is_none() && root.trace_id != below.trace_id && root.span_id != below.span_id);
    for span in &spans {
        assert_eq!((&*span.name, span.kind, &span.status), ("POST /mutate-pods", SpanKind::Server, &Status::Unset));
        assert!(span.start_unix_nano > 0 && span.end_unix_nano >= span.start_unix_nano);
        for (key, wanted) in [
            ("http.request.method", Value::from("POST")),
            ("http.route", "/mutate-pods".into()),
            ("http.response.status_code", 200_u16.into()),
            ("network.protocol.version", "2".into()),
            ("client.address", "127.0.0.1".into()),
            ("k8s.namespace.name", "shop".into()),
            ("obtrace.admission.outcome", "injected".into()),
            ("obtrace.admission.dry_run", false.into()),
            ("obtrace.admission.languages", vec![Value::from("python")].into()),
        ] {
            assert_eq!(value(&span.attributes, key), Some(&wanted), "{key}");
        }
        assert_eq!(span.resource.get("k8s.pod.name"), Some(&Value::from("operator-1")));
        assert_eq!(span.resource.get("service.name"), Some(&Value::from("obtrace-zero-operator")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_without_a_verdict_is_a_span_that_failed() {
    let traced = Traced::start(&[("OTEL_TRACES_SAMPLER", "always_on")]);
    let served = Served::start_with(|webhook| {
        webhook.traces = Some(traced.traces.clone());
        webhook.limits.body = 4096;
    })
    .await;
    let client = served.connect(Protocol::Http1).await;
    let mut request = post(review("large", 8192));
    request.headers_mut().insert("traceparent", format!("{PARENT}-00").parse().unwrap());
    let (status, _) = soon(client.ask(request)).await.unwrap();
    let spans = traced.spans().await;
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert!(span.parent_span_id.is_some(), "always_on asks no parent, and is below it all the same");
    assert_eq!(value(&span.attributes, "error.type"), Some(&Value::from("too_large")));
    assert_eq!(value(&span.attributes, "http.response.status_code"), Some(&Value::from(status.as_u16())));
    // Allowed without a verdict, it is our fault; refused for what it is, the client's.
    assert_eq!(matches!(span.status, Status::Error { .. }), status == 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_not_there_is_in_no_reviews_way() {
    let http = Http::new(HttpConfig::otlp("http://127.0.0.1:9", Signal::Traces).unwrap()).unwrap();
    let config = Config::new().with_limits(batch::Limits::new().with_queue_items(4).with_batch_items(4));
    // Nothing takes from the queue.
    let (exporter, _worker) = Exporter::new(http, config);
    let traces = Traces::new(exporter, Resource::new(Vec::new()));
    let served = Served::start_with(|webhook| webhook.traces = Some(traces.clone())).await;
    served.metrics.spans_of(&traces);
    let client = served.connect(Protocol::Http1).await;
    for _ in 0..50 {
        assert!(is_patched(&client.review(review("u", 0)).await, "u"));
    }
    assert_eq!(served.metric(r#"obtrace_zero_spans_dropped_total{reason="queue_full"}"#), 46);
    let began = Instant::now();
    let stats = traces.shutdown(Duration::from_millis(100)).await;
    assert_eq!((stats.accepted, stats.exported), (50, 0));
    assert!(began.elapsed() < PATIENCE, "its end has a deadline");
}
