//! `/metrics`, over plain HTTP.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Limits, ServeError, accept, front::Front};
use crate::telemetry::Metrics;

/// The media type of [`Metrics::encode`].
pub const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics` until `stop`.
///
/// # Errors
/// If the listener is none any more.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, stop: CancellationToken) -> Result<(), ServeError> {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    accept::run(listener, Front::new(None, router, Limits::small(), None), stop).await
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, CONTENT)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n")).into_response()
        }
    }
}
