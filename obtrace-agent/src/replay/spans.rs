//! Where exchanges go: through the traces to whoever takes the spans.

use std::{net::SocketAddr, sync::Arc};

use obtrace_export::model::{Attribute, Resource};
use obtrace_protocols::{Exchange, Opened, Role};

use super::Summary;
use crate::traces::{ConnectionInfo, FailedConnect, SCHEMA_URL, SpanRecord, Strand, Traces, Transport};

/// `ECONNREFUSED`, as Linux numbers it.
const CONNECTION_REFUSED: u32 = 111;

/// Makes spans of exchanges, and counts.
#[derive(Debug)]
pub(super) struct Spans<S> {
    traces: Traces,
    resource: Arc<Resource>,
    sink: S,
    perspective: Role,
    /// The newest time of the capture.
    pub(super) now: u64,
    pub(super) summary: Summary,
}

impl<S: FnMut(&SpanRecord, u64)> Spans<S> {
    pub(super) fn new(traces: Traces, perspective: Role, sink: S) -> Self {
        // A capture does not say whose packets they are; this is the conventions' word for it.
        let service = vec![Attribute::new("service.name", "unknown_service")];
        let resource = Arc::new(Resource::new(service).with_schema_url(SCHEMA_URL));
        Self { traces, resource, sink, perspective, now: 0, summary: Summary::default() }
    }

    pub(super) fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
        self.traces.opened(info, opened);
    }

    pub(super) fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>) {
        self.summary.exchanges += 1;
        let (sink, now) = (&mut self.sink, self.now);
        self.traces.exchange(info, &self.resource, exchange, &mut |record| sink(&record, now));
    }

    pub(super) fn closed(&mut self, info: &ConnectionInfo, at: u64) {
        self.traces.closed(info, at);
    }

    /// A SYN was answered by a reset. Only its sender knows of that.
    pub(super) fn connect_refused(&mut self, since: u64, at: u64, remote: SocketAddr) {
        if self.perspective == Role::Client {
            self.summary.failed_connects += 1;
            let failed = FailedConnect::new(since, at, Strand::default(), Transport::Tcp, CONNECTION_REFUSED)
                .with_remote(Some(remote));
            let (sink, now) = (&mut self.sink, self.now);
            self.traces.connect_failed(&failed, &self.resource, &mut |record| sink(&record, now));
        }
    }
}
