//! The admission webhook: `POST /mutate-pods` over TLS, by HTTP/1.1 and HTTP/2.
//!
//! Answers come from memory, on the connection's own task: an answer takes some microseconds, less than handing it to another thread would.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{
    HeaderMap, HeaderValue, Request, StatusCode, Uri,
    header::{ALLOW, CONTENT_TYPE},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    Limits, ServeError, accept,
    body::Room,
    front::Front,
    pool::{Place, Pool},
    registry::Link,
    self_review,
};
use crate::{
    admission::{self, Answer, Outcome, Verdict},
    index::Index,
    telemetry::{Metrics, RefusedRequest, Traces, traces},
};

/// Where reviews are sent to.
pub const PATH: &str = "/mutate-pods";

/// The webhook: what it answers from and whom it tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Webhook {
    /// What is known of the cluster; replaced whole whenever something changes.
    pub index: Arc<ArcSwap<Index>>,
    /// Where admissions are counted.
    pub metrics: Arc<Metrics>,
    /// Who sends Events about verdicts. Of dry runs they are not told; when the channel is full, the verdict is dropped and counted.
    pub events: Option<mpsc::Sender<Verdict>>,
    /// Who gets a span of every review.
    pub traces: Option<Traces>,
    /// The bounds.
    pub limits: Limits,
}

impl Webhook {
    /// A webhook with the usual bounds that sends no Events.
    #[must_use]
    pub fn new(index: Arc<ArcSwap<Index>>, metrics: Arc<Metrics>) -> Self {
        Self { index, metrics, events: None, traces: None, limits: Limits::default() }
    }
}

/// Serves the webhook until `stop`, then for [`Limits::linger`] more, then answers what has begun and returns.
///
/// The certificate comes from `tls`, for every connection anew: a resolver in it that is given another one is all that a rotation takes.
/// `tls` should offer the protocols `h2` and `http/1.1` (ALPN).
///
/// # Errors
/// If the listener is none any more. Nothing that a client does ends the server.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    webhook: Webhook,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    serve_judged_by(admission::judge, listener, tls, webhook, stop).await
}

/// What answers reviews.
type Judge = fn(&[u8], &Index) -> Answer;

async fn serve_judged_by(
    judge: Judge,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    webhook: Webhook,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving the webhook");
    }
    let (limits, metrics) = (webhook.limits.clone(), Arc::clone(&webhook.metrics));
    let server = Arc::new(Server { room: Room::new(&limits), answers: Pool::new(limits.answers), webhook, judge });
    let router = Router::new().route(PATH, post(review).fallback(method)).fallback(path).with_state(server);
    accept::run(listener, Front::new(Some(TlsAcceptor::from(tls)), router, limits, Some(metrics)), stop).await
}

struct Server {
    webhook: Webhook,
    room: Room,
    answers: Arc<Pool>,
    judge: Judge,
}

async fn path(State(server): State<Arc<Server>>) -> Response {
    server.webhook.metrics.refused_request(RefusedRequest::Path);
    (StatusCode::NOT_FOUND, format!("not found: reviews go to {PATH}\n")).into_response()
}

async fn method(State(server): State<Arc<Server>>) -> Response {
    server.webhook.metrics.refused_request(RefusedRequest::Method);
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], "reviews are sent by POST\n").into_response()
}

async fn review(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    if !is_json(request.headers()) {
        server.webhook.metrics.refused_request(RefusedRequest::ContentType);
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "a review is application/json\n").into_response();
    }
    let time = asked_time(request.uri())
        .map_or(server.webhook.limits.request, |asked| asked.min(server.webhook.limits.request));
    let Some(link) = request.extensions().get::<Arc<Link>>().cloned() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "a review without a connection\n").into_response();
    };
    let deadline = started + time;
    let mut span = server.webhook.traces.as_ref().and_then(|traces| traces.review(&request, link.peer));
    let response = match server.room.read(request.into_body(), link.peer, deadline).await {
        Ok(held) => match server.answer(&held.bytes, started, &mut span) {
            // The review keeps its room until its answer has some.
            Ok(answer) => server.hand_out(answer, &held.bytes, &link, deadline, &mut span).await,
            Err(why) => server.allow(why, &held.bytes, &mut span),
        },
        Err(unread) => server.allow(unread.why, &unread.head, &mut span),
    };
    if let (Some(traces), Some(span)) = (&server.webhook.traces, span) {
        traces.reviewed(span, response.status(), started.elapsed());
    }
    response
}

/// The span of a review, if there is one.
type Span = Option<traces::Review>;

/// An answer in its place, which it has until the client has taken it.
struct Answered {
    body: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Answered {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Server {
    fn answer(&self, review: &[u8], started: Instant, span: &mut Span) -> Result<Vec<u8>, RefusedRequest> {
        let index = self.webhook.index.load();
        // Nothing that is shared is left half-done: the index is only read, and the answer is made anew.
        let judged = catch_unwind(AssertUnwindSafe(|| (self.judge)(review, &index)));
        let Ok(answer) = judged else {
            error!(bytes = review.len(), "a fault in the admission of a Pod, which is left alone; please report it");
            self.webhook.metrics.panicked();
            return Err(RefusedRequest::Panic);
        };
        if self_review::is_of(&answer.verdict) {
            *span = None;
        } else {
            if let Some(span) = span {
                span.verdict(&answer.verdict);
            }
            self.webhook.metrics.admission(&answer.verdict, started.elapsed());
            self.tell(answer.verdict);
        }
        Ok(answer.body)
    }

    /// Answers with that, as soon as there is room: a client need not take it soon. Without room in time the Pod is allowed as it is, which
    /// takes next to none.
    async fn hand_out(
        &self,
        body: Vec<u8>,
        review: &[u8],
        link: &Link,
        deadline: Instant,
        span: &mut Span,
    ) -> Response {
        match self.answers.take(link.peer, body.len(), link.untaken.clone(), deadline).await {
            Ok(place) => json(Bytes::from_owner(Answered { body, _place: place })),
            Err(_) => self.allow(RefusedRequest::Overloaded, review, span),
        }
    }

    /// Tells of a verdict that something may come of.
    fn tell(&self, verdict: Verdict) {
        let Some(events) = &self.webhook.events else { return };
        let is_news = match verdict.outcome {
            Outcome::Injected => true,
            Outcome::NothingToDo => verdict.reason.is_some(),
            _ => false,
        };
        if is_news && !verdict.dry_run && events.try_send(verdict).is_err() {
            self.webhook.metrics.events_dropped();
        }
    }

    fn refuse(&self, why: RefusedRequest, span: &mut Span) {
        self.webhook.metrics.refused_request(why);
        if let Some(span) = span {
            span.refused(why.as_str());
        }
    }

    /// An answer without a verdict. The Pod is allowed if it can be said which one: an error of HTTP would leave it to the webhook's
    /// `failurePolicy`.
    fn allow(&self, why: RefusedRequest, head: &[u8], span: &mut Span) -> Response {
        self.refuse(why, span);
        let (status, what) = match why {
            RefusedRequest::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the review is too large"),
            RefusedRequest::Timeout => (StatusCode::REQUEST_TIMEOUT, "the review did not come in time"),
            RefusedRequest::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "too many reviews or answers at once"),
            RefusedRequest::Broken => (StatusCode::BAD_REQUEST, "the review broke off"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "a fault of the webhook"),
        };
        match admission::allow_unread(head, &format!("obtrace-zero: the Pod is not instrumented: {what}")) {
            Some(body) => json(body.into()),
            None => (status, format!("{what}\n")).into_response(),
        }
    }
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the content is JSON, or says nothing of what it is.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return true };
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// The time that the API server gives (`?timeout=10s`), less a tenth for the way back.
fn asked_time(uri: &Uri) -> Option<Duration> {
    let mut values = uri.query()?.split('&').filter_map(|pair| pair.strip_prefix("timeout="));
    let seconds: u32 = values.next()?.strip_suffix('s')?.parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()) * 9 / 10)
}

#[cfg(test)]
mod tests;
