//! One review that we ask ourselves, the way an API server would: over TLS, with the certificate checked. Only then it is known that
//! listener, certificate, bundle and admission fit together.

use std::{fmt::Display, net::SocketAddr, sync::Arc, time::Duration};

use http::{
    Method, Request, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::warn;

use super::{health::Check, webhook::PATH};
use crate::{admission::Verdict, index::SYSTEM_NAMESPACE};

/// The time in which it has to be answered.
const TIME: Duration = Duration::from_secs(5);

/// The time to the next one after one that failed.
const RETRY: Duration = Duration::from_millis(500);

/// How many in a row may fail once one was answered: who is only slow goes on.
const FORGIVEN: u32 = 2;

/// The name of the Pod that does not exist.
const POD: &str = "obtrace-zero-self-review";

/// The request's id.
const UID: &str = "self-review";

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// What went wrong with a review of our own.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {why}")]
pub struct SelfReviewError {
    what: &'static str,
    why: String,
}

impl SelfReviewError {
    fn new(what: &'static str, why: impl Display) -> Self {
        Self { what, why: why.to_string() }
    }

    fn of<E: Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::new(what, why)
    }
}

/// Whether a verdict is about our own made-up Pod, which is not counted.
pub(super) fn is_of(verdict: &Verdict) -> bool {
    verdict.dry_run && verdict.namespace == SYSTEM_NAMESPACE && verdict.pod == POD
}

/// Asks for one review at `address`, as `name`, trusting `roots` alone.
///
/// # Errors
/// If it is not answered as it should be: what was tried and what went wrong.
pub async fn ask(address: SocketAddr, name: ServerName<'static>, roots: RootCertStore) -> Result<(), SelfReviewError> {
    let late = |_| SelfReviewError::new("review a Pod", format!("no answer within {} s", TIME.as_secs()));
    timeout(TIME, ask_now(address, name, roots)).await.map_err(late)?
}

async fn ask_now(address: SocketAddr, name: ServerName<'static>, roots: RootCertStore) -> Result<(), SelfReviewError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SelfReviewError::of("set up TLS"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = name.to_str().into_owned();
    let stream = TcpStream::connect(address).await.map_err(SelfReviewError::of("connect to the webhook"))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(SelfReviewError::of("agree on TLS with the webhook"))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(SelfReviewError::of("speak HTTP with the webhook"))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::builder()
        .method(Method::POST)
        .uri(PATH)
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(review().to_string())))
        .map_err(SelfReviewError::of("write a review"))?;
    let answer = sender.send_request(request).await.map_err(SelfReviewError::of("send a review"))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER);
    let body = body.collect().await.map_err(SelfReviewError::of("read the answer to a review"))?.to_bytes();
    check(status, &body)
}

fn check(status: StatusCode, body: &[u8]) -> Result<(), SelfReviewError> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let response = answer.get("response");
    let is = |field: &str, value: &Value| response.and_then(|it| it.get(field)) == Some(value);
    if status == StatusCode::OK && is("uid", &UID.into()) && is("allowed", &true.into()) {
        return Ok(());
    }
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Err(SelfReviewError::new("use the answer to a review", format!("{status}: {text}")))
}

/// In the system's namespace, which is never instrumented: nothing comes of it even if somebody took it for real.
fn review() -> Value {
    let containers = json!([{ "name": "web", "image": "node:22" }]);
    json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": UID,
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" },
        "namespace": SYSTEM_NAMESPACE,
        "operation": "CREATE",
        "dryRun": true,
        "object": { "metadata": { "name": POD, "namespace": SYSTEM_NAMESPACE }, "spec": { "containers": containers } },
    } })
}

/// Keeps a check true to what a review of our own says, one every `interval`, until `stop`.
///
/// `roots` is asked each time for what the API server trusts now; `None` as long as that is not known.
pub async fn watch(
    address: SocketAddr,
    name: ServerName<'static>,
    roots: impl Fn() -> Option<RootCertStore> + Send + Sync,
    check: Check,
    interval: Duration,
    stop: CancellationToken,
) {
    let rounds = async {
        // Before the first answer nothing is forgiven.
        let mut failures = FORGIVEN;
        loop {
            let result = match roots() {
                Some(roots) => ask(address, name.clone(), roots).await.map_err(|error| error.to_string()),
                None => Err("there is no certificate yet".to_owned()),
            };
            let wait = if result.is_ok() { interval } else { RETRY };
            match result {
                Ok(()) => {
                    failures = 0;
                    check.pass();
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    if failures == FORGIVEN + 1 {
                        warn!(why, "a review of our own is not answered: this replica is not ready until one is");
                    }
                    if failures > FORGIVEN {
                        check.fail(why);
                    }
                }
            }
            sleep(wait).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => check.fail("stopping"),
        () = rounds => {}
    }
}
