//! `/healthz` and `/readyz`, over plain HTTP, in the words of the API server's own.
//!
//! Alive is who answers. Ready is whose checks pass, all of them: `/readyz?verbose` lists them, and so does `/readyz` when one fails.
//!
//! ```
//! use obtrace_operator::server::health::Readiness;
//!
//! let readiness = Readiness::new();
//! let [certificate, caches] = ["certificate", "caches"].map(|name| readiness.check(name));
//! certificate.pass();
//! assert!(!readiness.is_ready());
//! caches.fail("waiting for the namespaces");
//! assert_eq!(
//!     readiness.report(),
//!     "[+]certificate ok\n[-]caches failed: waiting for the namespaces\nreadyz check failed\n"
//! );
//! caches.pass();
//! assert!(readiness.is_ready());
//! ```

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Limits, ServeError, accept, front::Front};

/// Whether this replica should be sent requests: checks by name, each failed until it passes. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<Vec<CheckState>>>,
}

#[derive(Debug)]
struct CheckState {
    name: &'static str,
    /// Why it fails, if it does.
    failure: Option<String>,
}

/// One check of a [`Readiness`]. Copies stand for the same one.
#[derive(Clone, Debug)]
pub struct Check {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// No checks, and so ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The check of that name; made, and failed for now, if there is none yet.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        let mut checks = self.checks();
        if !checks.iter().any(|check| check.name == name) {
            checks.push(CheckState { name, failure: Some("not done yet".to_owned()) });
        }
        drop(checks);
        Check { readiness: self.clone(), name }
    }

    /// Whether all checks pass.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks().iter().all(|check| check.failure.is_none())
    }

    /// A line for each check and one for all.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        let mut all = true;
        for check in self.checks().iter() {
            // Writing to a string does not fail.
            let _ = match &check.failure {
                None => writeln!(text, "[+]{} ok", check.name),
                Some(why) => writeln!(text, "[-]{} failed: {why}", check.name),
            };
            all &= check.failure.is_none();
        }
        text.push_str(if all { "readyz check passed\n" } else { "readyz check failed\n" });
        text
    }

    fn checks(&self) -> MutexGuard<'_, Vec<CheckState>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// It passes from now on.
    pub fn pass(&self) {
        self.set(None);
    }

    /// It fails from now on, for that reason.
    pub fn fail(&self, why: impl Into<String>) {
        self.set(Some(why.into().replace('\n', " ")));
    }

    fn set(&self, failure: Option<String>) {
        if let Some(check) = self.readiness.checks().iter_mut().find(|check| check.name == self.name) {
            check.failure = failure;
        }
    }
}

/// Serves `/healthz` and `/readyz` until `stop`.
///
/// # Errors
/// If the listener is none any more.
pub async fn serve(listener: TcpListener, readiness: Readiness, stop: CancellationToken) -> Result<(), ServeError> {
    let router = Router::new().route("/healthz", get(async || "ok")).route("/readyz", get(ready)).with_state(readiness);
    accept::run(listener, Front::new(None, router, Limits::small(), None), stop).await
}

async fn ready(State(readiness): State<Readiness>, uri: Uri) -> Response {
    if !readiness.is_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, readiness.report()).into_response();
    }
    let verbose = uri.query().unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("verbose"));
    if verbose { readiness.report().into_response() } else { "ok".into_response() }
}
