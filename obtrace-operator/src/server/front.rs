//! What all connections of a server have in common.

use std::{sync::Arc, time::Instant};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Limits, registry::Registry};
use crate::telemetry::{Metrics, RefusedConnection};

/// The largest window of a stream of HTTP/2, in bytes: what a body that waits for room may hold.
const STREAM_WINDOW: u32 = 32 << 10;

/// The buffer of a connection of HTTP/1.1 and the largest head of a request, in bytes.
const BUFFER: usize = 16 << 10;

/// The most headers of a request.
const HEADERS: usize = 64;

/// What all connections of a server have in common.
pub(super) struct Front {
    /// None where plain HTTP is served.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    /// None for servers whose connections are not worth counting.
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) registry: Arc<Registry>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) tasks: TaskTracker,
    /// Told to stop: connections are used for the last time.
    pub(super) stopping: CancellationToken,
    /// No request more than those that are being answered.
    pub(super) closing: CancellationToken,
    /// Not even those.
    pub(super) end: CancellationToken,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Front {
    pub(super) fn new(tls: Option<TlsAcceptor>, router: Router, limits: Limits, metrics: Option<Arc<Metrics>>) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // Time is taken by the connection itself, which knows an idle one from one that is slow.
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(BUFFER).max_headers(HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .initial_stream_window_size(STREAM_WINDOW)
            // Bodies that wait for room must leave something of it for the one that they wait for.
            .initial_connection_window_size(limits.streams.saturating_mul(STREAM_WINDOW).clamp(1 << 20, 1 << 30))
            .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX))
            .max_send_buf_size(BUFFER);
        Self {
            tls,
            router,
            slots: Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS))),
            limits,
            metrics,
            registry: Arc::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            end: CancellationToken::new(),
            http1: builder.clone().http1_only(),
            http2: builder.http2_only(),
        }
    }

    /// How a connection is served, by what was agreed on in TLS.
    pub(super) fn http(&self, is_http2: bool) -> &auto::Builder<TokioExecutor> {
        if is_http2 { &self.http2 } else { &self.http1 }
    }

    pub(super) fn refused(&self, reason: RefusedConnection) {
        if let Some(metrics) = &self.metrics {
            metrics.refused_connection(reason);
        }
    }

    pub(super) fn count_connections(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.connections(self.registry.len());
        }
    }

    /// When a handshake that begins now has to be over.
    pub(super) fn handshake_deadline(&self) -> tokio::time::Instant {
        (Instant::now() + self.limits.handshake).into()
    }
}
