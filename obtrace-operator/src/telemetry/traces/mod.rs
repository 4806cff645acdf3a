//! The operator's own traces, when somebody asks for them: spans, by OTLP, over HTTP and as JSON unless something else is asked for.
//!
//! They are asked for as anywhere else, by the
//! [variables of OpenTelemetry](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/); without these nothing is
//! made or sent. What of them cannot be done is told in the log: an error, without traces, or a warning.
//!
//! | variable | says |
//! | --- | --- |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the receiver, by its full URL |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | the receiver; spans are posted to `URL/v1/traces` |
//! | `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, `OTEL_EXPORTER_OTLP_HEADERS` | headers of each request: `name=value,name=value` |
//! | `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/json`, which is usual, `http/protobuf`, `grpc` |
//! | `OTEL_EXPORTER_OTLP_TRACES_COMPRESSION`, `OTEL_EXPORTER_OTLP_COMPRESSION` | `none`, `gzip` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_CERTIFICATE`, `_CLIENT_KEY`, and those of `_TRACES_` | PEM files: who is trusted; what is shown to a receiver that asks |
//! | `OTEL_EXPORTER_OTLP_INSECURE`, and that of `_TRACES_` | `true`: gRPC without TLS where the receiver's address has no scheme |
//! | `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, `OTEL_EXPORTER_OTLP_TIMEOUT` | how long a request may take, in milliseconds: 10,000 |
//! | `OTEL_TRACES_EXPORTER` | `otlp`: `http://localhost:4318` if no receiver is named; `none`: no traces all the same |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `always_on`, `always_off`, `traceidratio`, each also as `parentbased_…`: `parentbased_always_on` |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` | how many spans wait: 4,096; how many go in a request: 500; how long they wait for more, in milliseconds: 2,000 |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | what the operator is called: `obtrace-zero-operator`; what else is said of it |
//! | `OTEL_SDK_DISABLED` | `true`: no traces |
//!
//! | span | kind | is |
//! | --- | --- | --- |
//! | `POST /mutate-pods` | server | a review, below the API server's own span where that traces (`traceparent`) |
//! | `discovery scan` | internal | a list of all workloads |
//! | `certificate STEP` | internal | a change of the webhook's Secret or of its bundle |
//! | `workload restart` | internal | a restart, from its beginning to its end |
//! | `image lookup` | internal | an image looked up in its registry |
//!
//! All but reviews are roots. An API server that traces sends a `traceparent` with every review, mostly unsampled: its `samplingRatePerMillion`
//! decides how many reviews there are spans of, unless `OTEL_TRACES_SAMPLER` says that it does not. A span is handed over without waiting:
//! what finds no room, or no receiver, is counted and gone.

mod parent;
mod sampler;
mod settings;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{
    Request, StatusCode, Version,
    header::{HOST, USER_AGENT},
    uri::Authority,
};
use obtrace_export::{
    model::{Resource, Scope, Span, SpanId, SpanKind, Status, Text, TraceId, Value},
    pipeline::Exporter,
    stats::Stats,
};

pub use self::settings::{Replica, Settings, SettingsError};
use self::{parent::Parent, sampler::Sampler};
use crate::{admission::Verdict, server::webhook::PATH};

/// The schema that the names follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";
/// The longest text that is taken from a request's head, in bytes.
const MAX_TEXT: usize = 256;

/// Makes spans and hands them over. Copies share one queue.
#[derive(Clone, Debug)]
pub struct Traces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exporter: Exporter,
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    sampler: Sampler,
    /// Of the system's random numbers; ids are what it makes of a count, and so as random.
    key: RandomState,
    count: AtomicU64,
}

impl Traces {
    /// Spans about that resource for that exporter: all that no parent has decided against.
    #[must_use]
    pub fn new(exporter: Exporter, resource: Resource) -> Self {
        Self::with(exporter, resource, Sampler::USUAL)
    }

    fn with(exporter: Exporter, resource: Resource, sampler: Sampler) -> Self {
        let scope = Scope::new("obtrace-operator", env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL);
        let (key, count) = (RandomState::new(), AtomicU64::new(0));
        Self(Arc::new(Inner { exporter, resource: Arc::new(resource), scope: Arc::new(scope), sampler, key, count }))
    }

    /// What became of all spans so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.exporter.stats()
    }

    /// Sends what waits, and takes no more; gives what became of everything. What is not sent `within` this time is dropped.
    pub async fn shutdown(&self, within: Duration) -> Stats {
        self.0.exporter.shutdown(within).await
    }

    /// The span of a review from that address, which begins now; `None` if it is not sampled.
    ///
    /// Its attributes are those of [HTTP servers](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span).
    pub(crate) fn review<B>(&self, request: &Request<B>, peer: IpAddr) -> Option<Review> {
        let headers = request.headers();
        let parent = Parent::of(headers);
        let mut span = self.span(parent, "POST /mutate-pods", SpanKind::Server)?;
        if parent.is_some() {
            span.trace_state = parent::state(headers);
        }
        span.attributes.reserve_exact(20);
        span.push("http.request.method", "POST");
        span.push("http.route", PATH);
        span.push("url.path", PATH);
        span.push("url.scheme", "https");
        if let Some(query) = request.uri().query() {
            span.push("url.query", clipped(query));
        }
        let version = match request.version() {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        };
        span.push("network.protocol.version", version);
        span.push("client.address", peer.to_string());
        let host = || Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
        if let Some(authority) = request.uri().authority().cloned().or_else(host) {
            span.push("server.address", clipped(authority.host()));
            span.push("server.port", authority.port_u16().unwrap_or(443));
        }
        if let Some(agent) = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()) {
            span.push("user_agent.original", clipped(agent));
        }
        Some(Review { span, refused: None })
    }

    /// A review was answered so.
    pub(crate) fn reviewed(&self, review: Review, status: StatusCode, took: Duration) {
        let Review { mut span, refused } = review;
        span.push("http.response.status_code", status.as_u16());
        match refused {
            Some(why) => span.push("error.type", why),
            None if status.is_server_error() => span.push("error.type", status.as_str().to_owned()),
            None => {}
        }
        // A client's fault is none of the server's; a Pod that is allowed without a verdict is one.
        if status.is_server_error() || refused.is_some() && !status.is_client_error() {
            span.status = Status::Error { description: Text::default() };
        }
        self.end(*span, took);
    }

    /// The span of something that the operator has done of its own accord; `None` if it is not sampled.
    pub(crate) fn work(&self, name: impl Into<Text>) -> Option<Work<'_>> {
        Some(Work { traces: self, span: self.span(None, name, SpanKind::Internal)? })
    }

    fn span(&self, parent: Option<Parent>, name: impl Into<Text>, kind: SpanKind) -> Option<Box<Span>> {
        let Inner { resource, scope, sampler, .. } = &*self.0;
        let new = || TraceId::from_bytes((u128::from(self.id()) << 64 | u128::from(self.id())).to_be_bytes());
        let trace = parent.map_or_else(new, |parent| parent.trace_id);
        if !sampler.keeps(trace, parent.map(|parent| parent.sampled)) {
            return None;
        }
        let id = SpanId::from_bytes(self.id().to_be_bytes());
        let span = Span::new(trace, id, name, kind, Arc::clone(resource), Arc::clone(scope));
        Some(Box::new(span.with_parent(parent.map(|parent| parent.span_id))))
    }

    fn id(&self) -> u64 {
        self.0.key.hash_one(self.0.count.fetch_add(1, Relaxed)).max(1)
    }

    fn end(&self, span: Span, took: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let end = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        // What finds no room is counted where it is not found.
        let _ = self.0.exporter.try_send(span.with_times(end.saturating_sub(nanos(took)), end));
    }
}

/// The span of a review that is being answered.
#[derive(Debug)]
pub(crate) struct Review {
    span: Box<Span>,
    refused: Option<&'static str>,
}

impl Review {
    /// What it came to.
    pub(crate) fn verdict(&mut self, verdict: &Verdict) {
        let span = &mut *self.span;
        let text = |text: &str| Value::from(text.to_owned());
        span.push("obtrace.admission.outcome", verdict.outcome.as_str());
        span.push("obtrace.admission.dry_run", verdict.dry_run);
        if let Some(reason) = verdict.reason {
            span.push("obtrace.admission.reason", reason);
        }
        if let Some(resource) = &verdict.resource {
            span.push("obtrace.admission.resource", text(resource));
        }
        if !verdict.namespace.is_empty() {
            span.push("k8s.namespace.name", text(&verdict.namespace));
        }
        if let Some((owner, key)) = verdict.owner.as_ref().and_then(|owner| Some((owner, key_of(&owner.kind)?))) {
            span.push(key, text(&owner.name));
        } else if verdict.owner.is_none() && !verdict.pod.is_empty() && !verdict.pod.ends_with('-') {
            // One that is to get a name has none yet.
            span.push("k8s.pod.name", text(&verdict.pod));
        }
        if !verdict.languages.is_empty() {
            let languages: Vec<_> =
                verdict.languages.iter().map(|(_, language)| Value::from(language.as_str())).collect();
            span.push("obtrace.admission.languages", languages);
        }
    }

    /// Why it got no verdict.
    pub(crate) fn refused(&mut self, why: &'static str) {
        self.refused = Some(why);
    }
}

/// The span of something that the operator has done.
#[derive(Debug)]
pub(crate) struct Work<'t> {
    traces: &'t Traces,
    span: Box<Span>,
}

impl Work<'_> {
    /// Says something of it.
    pub(crate) fn say(&mut self, key: &'static str, value: impl Into<Value>) {
        self.span.push(key, value);
    }

    /// Which workload it was done to.
    pub(crate) fn of_workload(&mut self, kind: &str, namespace: &str, name: &str) {
        self.say("k8s.namespace.name", namespace.to_owned());
        if let Some(key) = key_of(kind) {
            self.say(key, name.to_owned());
        }
    }

    /// It failed, by that of a small fixed set, and in words.
    pub(crate) fn failed(&mut self, kind: &'static str, why: impl Into<Text>) {
        self.say("error.type", kind);
        self.span.status = Status::Error { description: why.into() };
    }

    /// It is done, and took that long.
    pub(crate) fn done(self, took: Duration) {
        self.traces.end(*self.span, took);
    }
}

/// The attribute that an object of that kind is called by
/// ([Kubernetes](https://opentelemetry.io/docs/specs/semconv/registry/attributes/k8s/)).
fn key_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Deployment" => "k8s.deployment.name",
        "ReplicaSet" => "k8s.replicaset.name",
        "StatefulSet" => "k8s.statefulset.name",
        "DaemonSet" => "k8s.daemonset.name",
        "CronJob" => "k8s.cronjob.name",
        "Job" => "k8s.job.name",
        "ReplicationController" => "k8s.replicationcontroller.name",
        _ => return None,
    })
}

/// A text's beginning, at the end of a character.
fn clipped(text: &str) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}
