//! This crate as the exporter of the OpenTelemetry SDK, version 0.33 (feature `opentelemetry_sdk_0_33`).
//!
//! A program that is instrumented with the SDK keeps its providers and processors, and hands what they export to a
//! [`pipeline::Exporter`](crate::pipeline::Exporter): its queue, its retries, its spool, its counters.
//!
//! ```
//! use std::time::Duration;
//! use obtrace_export::{
//!     model::Span,
//!     opentelemetry_sdk_0_33::SpanExporter,
//!     pipeline::{Config, Exporter},
//!     transport::{Console, ConsoleForm},
//! };
//! use opentelemetry::trace::{Tracer as _, TracerProvider as _};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (exporter, worker) = Exporter::<Span>::new(Console::stderr(ConsoleForm::Lines), Config::new());
//! worker.spawn_thread()?;
//! let provider = SdkTracerProvider::builder().with_batch_exporter(SpanExporter::new(exporter.clone())).build();
//! provider.tracer("shop").in_span("checkout", |_| {});
//! provider.shutdown()?;
//! assert_eq!(exporter.stats().exported, 1);
//! # Ok(()) }
//! ```
//!
//! # What an export waits for
//!
//! The SDK's `force_flush` and `shutdown` are as honest as the exports that they make: the processors of spans and log
//! records never ask the exporter to flush. So an export waits until the receiver has answered for every item of the batch,
//! 4 s by default, which is within the 5 s that the SDK gives a flush. What was given up by then is told as a failure, and
//! what is still to be delivered as a timeout: it stays in the queue (or the spool) and is tried again.
//!
//! [`SpanExporter::with_wait`] of zero hands over and returns at once: for a `SimpleSpanProcessor`, which exports on the
//! thread that ends the span, or where only [`Exporter::stats`](crate::pipeline::Exporter::stats) is looked at. Then the
//! exporter itself has to be flushed or shut down at the end.
//!
//! The worker must have a thread or a runtime thread of its own: processors export on threads that they block.

mod convert;
mod metrics;
mod wait;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry_sdk::{
    Resource as SdkResource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter as SdkLogExporter, SdkLogRecord},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter as SdkSpanExporter},
};

use self::{convert::Scopes, wait::Delivery};
use crate::{
    model::{LogRecord, Metric, Resource, Span},
    pipeline::Exporter,
};

macro_rules! adapter {
    ($name:ident, $item:ty, $(#[$about:meta])*) => {
        $(#[$about])*
        pub struct $name {
            delivery: Delivery<$item>,
            resource: Arc<Resource>,
            scopes: Mutex<Scopes>,
        }

        impl $name {
            /// Hands over to this exporter, and waits for up to 4 s for what becomes of a batch.
            #[must_use]
            pub fn new(exporter: Exporter<$item>) -> Self {
                Self { delivery: Delivery::new(exporter), resource: Arc::default(), scopes: Mutex::default() }
            }

            /// How long an export waits for the delivery of its batch; zero: not at all. See the [module](self).
            #[must_use]
            pub fn with_wait(mut self, wait: Duration) -> Self {
                self.delivery.wait = wait;
                self
            }

            fn scopes(&self) -> MutexGuard<'_, Scopes> {
                self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("delivery", &self.delivery).finish_non_exhaustive()
            }
        }
    };
}

adapter!(SpanExporter, Span, /// The exporter of a `TracerProvider`.
);
adapter!(LogExporter, LogRecord, /// The exporter of a `LoggerProvider`.
);

impl SdkSpanExporter for SpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans: Vec<_> = {
            let mut scopes = self.scopes();
            let span = |data: SpanData| {
                let scope = scopes.get(&data.instrumentation_scope);
                convert::span(data, Arc::clone(&self.resource), scope)
            };
            batch.into_iter().map(span).collect()
        };
        self.delivery.deliver(spans).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.delivery.shutdown(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.delivery.flush()
    }

    fn set_resource(&mut self, resource: &SdkResource) {
        self.resource = Arc::new(convert::resource(resource));
    }
}

impl SdkLogExporter for LogExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records: Vec<_> = {
            let mut scopes = self.scopes();
            let record = |(record, scope): (&SdkLogRecord, _)| {
                let scope = scopes.of_target(scope, record.target());
                convert::log_record(record, Arc::clone(&self.resource), scope)
            };
            batch.iter().map(record).collect()
        };
        self.delivery.deliver(records).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.delivery.shutdown(timeout)
    }

    fn set_resource(&mut self, resource: &SdkResource) {
        self.resource = Arc::new(convert::resource(resource));
    }
}

/// The exporter of a `MeterProvider`, over a `PeriodicReader`.
#[derive(Debug)]
pub struct MetricExporter {
    way: Way,
    temporality: Temporality,
    scopes: Mutex<Scopes>,
}

/// Where metrics go.
enum Way {
    Delivery(Delivery<Metric>),
    Function(Box<dyn Fn(Vec<Metric>) + Send + Sync>),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(delivery) => delivery.fmt(f),
            Self::Function(_) => f.write_str("a function"),
        }
    }
}

impl MetricExporter {
    /// Hands over to this exporter, and waits for up to 4 s for what becomes of a collection. Sums and distributions are
    /// cumulative.
    #[must_use]
    pub fn new(exporter: Exporter<Metric>) -> Self {
        Self::by(Way::Delivery(Delivery::new(exporter)))
    }

    /// Hands each collection to a function, on the thread that collects: where metrics go to more than one exporter, or
    /// are shown on a page.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use obtrace_export::opentelemetry_sdk_0_33::MetricExporter;
    /// use opentelemetry::metrics::MeterProvider as _;
    /// use opentelemetry_sdk::metrics::SdkMeterProvider;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let newest = Arc::new(Mutex::new(Vec::new()));
    /// let keep = Arc::clone(&newest);
    /// let exporter = MetricExporter::with_function(move |metrics| *keep.lock().unwrap() = metrics);
    /// let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    /// provider.meter("shop").u64_counter("orders").build().add(3, &[]);
    /// provider.force_flush()?;
    /// assert_eq!(newest.lock().unwrap()[0].name, "orders");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_function(take: impl Fn(Vec<Metric>) + Send + Sync + 'static) -> Self {
        Self::by(Way::Function(Box::new(take)))
    }

    fn by(way: Way) -> Self {
        Self { way, temporality: Temporality::Cumulative, scopes: Mutex::default() }
    }

    /// How long an export waits for the delivery of a collection; zero: not at all. See the [module](self). A function is
    /// never waited for.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        if let Way::Delivery(delivery) = &mut self.way {
            delivery.wait = wait;
        }
        self
    }

    /// The temporality that the SDK aggregates with. Of what `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` says,
    /// `transport::env::Exporters::temporality` makes one (feature `http`).
    #[must_use]
    pub fn with_temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }
}

#[cfg(feature = "http")]
impl From<crate::transport::env::TemporalityPreference> for Temporality {
    fn from(preference: crate::transport::env::TemporalityPreference) -> Self {
        use crate::transport::env::TemporalityPreference::{Cumulative, Delta, LowMemory};
        match preference {
            Cumulative => Self::Cumulative,
            Delta => Self::Delta,
            LowMemory => Self::LowMemory,
        }
    }
}

impl PushMetricExporter for MetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let made = metrics::metrics(metrics, &mut self.scopes.lock().unwrap_or_else(PoisonError::into_inner));
        match &self.way {
            Way::Delivery(delivery) => delivery.deliver(made).await,
            Way::Function(take) => {
                take(made);
                Ok(())
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        match &self.way {
            Way::Delivery(delivery) => delivery.flush(),
            Way::Function(_) => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.way {
            Way::Delivery(delivery) => delivery.shutdown(timeout),
            Way::Function(_) => Ok(()),
        }
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
