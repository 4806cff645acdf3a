//! What the environment says of exporters, by the specification's
//! [variables of the OTLP exporter](https://opentelemetry.io/docs/specs/otel/protocol/exporter/) and of the
//! [selection of exporters](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#exporter-selection).
//!
//! | variable, `OTEL_EXPORTER_OTLP_` | value | else |
//! |---|---|---|
//! | `ENDPOINT` | URL; `/v1/<signal>` is appended for HTTP. Of one signal: the whole URL | `http://localhost:4318`, with gRPC `:4317` |
//! | `PROTOCOL` | `http/protobuf`, `http/json`, `grpc` | `http/protobuf` |
//! | `HEADERS` | `name=value,name=value`, values percent-encoded | none |
//! | `TIMEOUT` | milliseconds of one request; 0: no limit, see [`HttpConfig::with_timeout`] | 10000 |
//! | `COMPRESSION` | `none`, `gzip`, `zstd` | `none` |
//! | `CERTIFICATE` | PEM file of the certificates that are trusted | those of the system |
//! | `CLIENT_CERTIFICATE`, `CLIENT_KEY` | PEM files | none |
//! | `INSECURE` | `true`: no TLS where a gRPC endpoint has no scheme | `false` |
//! | `METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, `lowmemory`: see [`Exporters::temporality`] | `cumulative` |
//!
//! Each may be given for one signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), which goes before the general one. What is empty
//! counts as not set.

mod read;

use self::read::Reader;
use super::{ConfigError, Http, HttpConfig, Transport};
#[cfg(feature = "grpc")]
use super::{Grpc, GrpcConfig};
use crate::model::Signal;

/// Why telemetry cannot be sent as the environment says. Messages hold no header value or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// A value cannot be used, and there is nothing sensible to do instead.
    #[error("{variable}: {error}")]
    Value {
        /// The variable that it comes from.
        variable: String,
        /// What is wrong with it.
        error: ConfigError,
    },
    /// A client certificate without its key, or a key without its certificate.
    #[error("{variable} is set but {missing} is not: a client certificate needs both files, set it as well")]
    Half {
        /// What is set.
        variable: String,
        /// What is not.
        missing: String,
    },
    /// gRPC is asked for, and this program was built without it.
    #[error(
        "{variable}=grpc: this program was built without OTLP/gRPC; use http/protobuf and the receiver's HTTP port, mostly 4318"
    )]
    NoGrpc {
        /// The variable that asks.
        variable: String,
    },
}

/// What the environment says of exporters.
///
/// A signal goes by OTLP if `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` says `otlp`, or says nothing while an endpoint is set.
/// Nothing is sent to where nobody asked for: without any variable there is no exporter.
///
/// ```
/// use obtrace_export::{model::Signal, transport::env::Environment};
///
/// let get = |name: &str| match name {
///     "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://collector:4318".to_owned()),
///     "OTEL_METRICS_EXPORTER" => Some("prometheus".to_owned()),
///     _ => None,
/// };
/// let environment = Environment::read(get).unwrap();
/// let traces = environment.of(Signal::Traces);
/// assert_eq!(traces.otlp.as_ref().unwrap().url(), "http://collector:4318/v1/traces");
/// let metrics = environment.of(Signal::Metrics);
/// assert!(metrics.otlp.is_none() && metrics.prometheus);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Environment {
    signals: [Exporters; Signal::ALL.len()],
    warnings: Vec<String>,
}

/// The exporters of one signal.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exporters {
    /// OTLP, where it is asked for.
    pub otlp: Option<TransportConfig>,
    /// People read it on standard output.
    pub console: bool,
    /// Prometheus fetches it; of metrics only.
    pub prometheus: bool,
    /// How OTLP's sums and histograms are to be aggregated; of metrics only. Whoever makes them has to do it: for those of an
    /// SDK, `MetricExporter::with_temporality` takes it.
    pub temporality: TemporalityPreference,
}

/// Whether sums and histograms begin anew with each collection, by the
/// [OTLP exporter of metrics](https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemporalityPreference {
    /// None do.
    #[default]
    Cumulative,
    /// Those that only grow, and histograms.
    Delta,
    /// As [`Delta`](Self::Delta), but for those that are observed: an SDK needs no memory of them.
    LowMemory,
}

impl Environment {
    /// Reads the variables; `get` gives a variable's value, so [`std::env::var`] is one way and a test's table another.
    ///
    /// # Errors
    ///
    /// An endpoint or a header list cannot be used, a client certificate has no key, or gRPC is asked for and not built in.
    /// Of other values that cannot be meant there are [`warnings`](Self::warnings). Files are read by
    /// [`TransportConfig::build`].
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, EnvError> {
        let mut reader = Reader::new(get);
        let mut signals = <[Exporters; Signal::ALL.len()]>::default();
        for (exporters, signal) in signals.iter_mut().zip(Signal::ALL) {
            *exporters = reader.exporters(signal)?;
        }
        Ok(Self { signals, warnings: reader.into_warnings() })
    }

    /// The exporters of a signal.
    #[must_use]
    pub fn of(&self, signal: Signal) -> &Exporters {
        let [traces, metrics, logs] = &self.signals;
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        }
    }

    /// What was asked for and is not done, and what is done instead; each line names its variable.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A transport that is described but not made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransportConfig {
    /// OTLP over HTTP.
    Http(HttpConfig),
    /// OTLP over gRPC.
    #[cfg(feature = "grpc")]
    Grpc(GrpcConfig),
}

impl TransportConfig {
    /// The URL that requests go to, without user name, password and query.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Http(config) => config.url(),
            #[cfg(feature = "grpc")]
            Self::Grpc(config) => config.url(),
        }
    }

    /// As [`HttpConfig::with_product`].
    ///
    /// # Errors
    ///
    /// The product has a character that a header may not have.
    pub fn with_product(self, product: &str) -> Result<Self, ConfigError> {
        Ok(match self {
            Self::Http(config) => Self::Http(config.with_product(product)?),
            #[cfg(feature = "grpc")]
            Self::Grpc(config) => Self::Grpc(config.with_product(product)?),
        })
    }

    /// Makes the transport. Certificate files are read; nothing is connected to.
    ///
    /// # Errors
    ///
    /// TLS is asked for and cannot be set up, such as because of a file.
    pub fn build(self) -> Result<Transport, ConfigError> {
        Ok(match self {
            Self::Http(config) => Http::new(config)?.into(),
            #[cfg(feature = "grpc")]
            Self::Grpc(config) => Grpc::new(config)?.into(),
        })
    }
}

#[cfg(test)]
mod tests;
