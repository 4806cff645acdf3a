//! Variable by variable.

use std::time::Duration;

use super::{EnvError, Exporters, TemporalityPreference, TransportConfig};
#[cfg(feature = "grpc")]
use crate::transport::GrpcConfig;
use crate::{
    encode::Format,
    model::Signal,
    transport::{Compression, ConfigError, HttpConfig, Tls},
};

/// How a signal is sent.
#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Http(Format),
    #[cfg(feature = "grpc")]
    Grpc,
}

/// A variable and what it says.
struct Set {
    variable: String,
    value: String,
}

impl Set {
    fn error(&self, error: ConfigError) -> EnvError {
        EnvError::Value { variable: self.variable.clone(), error }
    }
}

/// Reads variables, and notes what is wrong with them.
pub(super) struct Reader<G> {
    get: G,
    warnings: Vec<String>,
}

/// The settings that a configuration of either protocol takes.
macro_rules! with_settings {
    ($reader:expr, $signal:expr, $config:expr) => {{
        let mut config = $config;
        if let Some(headers) = $reader.find($signal, "HEADERS") {
            config = config.with_header_list(&headers.value).map_err(|error| headers.error(error))?;
        }
        if let Some(timeout) = $reader.timeout($signal) {
            config = config.with_timeout(timeout);
        }
        config.with_compression($reader.compression($signal))
    }};
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    pub(super) fn new(get: G) -> Self {
        Self { get, warnings: Vec::new() }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable of the signal, or the general one.
    fn find(&self, signal: Signal, name: &str) -> Option<Set> {
        let of_signal = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.name().to_ascii_uppercase());
        [of_signal, format!("OTEL_EXPORTER_OTLP_{name}")]
            .into_iter()
            .find_map(|variable| self.get(&variable).map(|value| Set { variable, value }))
    }

    /// One variable may speak for three signals: it is told of once.
    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn exporters(&mut self, signal: Signal) -> Result<Exporters, EnvError> {
        let mut exporters = Exporters::default();
        if self.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(exporters);
        }
        let variable = format!("OTEL_{}_EXPORTER", signal.name().to_ascii_uppercase());
        let is_sent = match self.get(&variable) {
            Some(names) => self.named(signal, &variable, &names, &mut exporters),
            None => self.find(signal, "ENDPOINT").is_some(),
        };
        if is_sent {
            exporters.otlp = Some(self.otlp(signal)?);
            if signal == Signal::Metrics {
                exporters.temporality = self.temporality();
                self.histogram();
            }
        }
        Ok(exporters)
    }

    /// Whether OTLP is among the names.
    fn named(&mut self, signal: Signal, variable: &str, names: &str, exporters: &mut Exporters) -> bool {
        let mut is_otlp = false;
        for name in names.split(',').map(str::trim) {
            match name {
                "otlp" => is_otlp = true,
                "console" => exporters.console = true,
                "prometheus" if signal == Signal::Metrics => exporters.prometheus = true,
                "none" | "" => {}
                other => self.warn(format!(
                    "{variable}: there is no exporter {other:?} of {signal} here, nothing is sent by it"
                )),
            }
        }
        is_otlp
    }

    fn otlp(&mut self, signal: Signal) -> Result<TransportConfig, EnvError> {
        Ok(match self.protocol(signal)? {
            Protocol::Http(format) => {
                let config = with_settings!(self, signal, self.http(signal)?).with_format(format);
                let tls = self.tls(signal, &config.url())?;
                TransportConfig::Http(config.with_tls(tls))
            }
            #[cfg(feature = "grpc")]
            Protocol::Grpc => {
                let config = with_settings!(self, signal, self.grpc(signal)?);
                let tls = self.tls(signal, &config.url())?;
                TransportConfig::Grpc(config.with_tls(tls))
            }
        })
    }

    fn protocol(&mut self, signal: Signal) -> Result<Protocol, EnvError> {
        let usual = Protocol::Http(Format::Protobuf);
        let Some(Set { variable, value }) = self.find(signal, "PROTOCOL") else { return Ok(usual) };
        Ok(match &*value {
            "http/protobuf" => usual,
            "http/json" => Protocol::Http(Format::Json),
            #[cfg(feature = "grpc")]
            "grpc" => Protocol::Grpc,
            #[cfg(not(feature = "grpc"))]
            "grpc" => return Err(EnvError::NoGrpc { variable }),
            other => {
                self.warn(format!(
                    "{variable}={other} is none of grpc, http/protobuf and http/json: it is http/protobuf"
                ));
                usual
            }
        })
    }

    fn http(&self, signal: Signal) -> Result<HttpConfig, EnvError> {
        let fail = |set: &Set, error| Err(set.error(error));
        let Some(set) = self.find(signal, "ENDPOINT") else {
            let local =
                Set { variable: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), value: "http://localhost:4318".to_owned() };
            return HttpConfig::otlp(&local.value, signal).or_else(|error| fail(&local, error));
        };
        let is_general = set.variable == "OTEL_EXPORTER_OTLP_ENDPOINT";
        let config = if is_general { HttpConfig::otlp(&set.value, signal) } else { HttpConfig::exact(&set.value) };
        config.or_else(|error| fail(&set, error))
    }

    #[cfg(feature = "grpc")]
    fn grpc(&mut self, signal: Signal) -> Result<GrpcConfig, EnvError> {
        let Some(set) = self.find(signal, "ENDPOINT") else {
            let local =
                Set { variable: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), value: "http://localhost:4317".to_owned() };
            return GrpcConfig::new(&local.value, signal).map_err(|error| local.error(error));
        };
        let insecure = self.insecure(signal);
        let url = match (set.value.split_once("://"), &insecure) {
            (None, Some((_, true))) => format!("http://{}", set.value),
            (None, _) => format!("https://{}", set.value),
            (Some(("https", _)), Some((variable, true))) => {
                self.warn(format!("{variable}=true is not heard: {} says https://, so there is TLS", set.variable));
                set.value.clone()
            }
            (Some(_), _) => set.value.clone(),
        };
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        if path.is_some_and(|path| !path.is_empty()) {
            self.warn(format!("{}: gRPC has no use for a path, the one in it is left out", set.variable));
        }
        GrpcConfig::new(&url, signal).map_err(|error| set.error(error))
    }

    #[cfg(feature = "grpc")]
    fn insecure(&mut self, signal: Signal) -> Option<(String, bool)> {
        let Set { variable, value } = self.find(signal, "INSECURE")?;
        let is_true = value.eq_ignore_ascii_case("true");
        if !is_true && !value.eq_ignore_ascii_case("false") {
            self.warn(format!("{variable}={value} is neither true nor false: it is false"));
        }
        Some((variable, is_true))
    }

    fn timeout(&mut self, signal: Signal) -> Option<Duration> {
        let Set { variable, value } = self.find(signal, "TIMEOUT")?;
        match value.parse() {
            // Zero is no limit, here and for the transports.
            Ok(millis) => Some(Duration::from_millis(millis)),
            Err(_) => {
                self.warn(format!("{variable}={value} is no whole number of milliseconds: it is 10000"));
                None
            }
        }
    }

    fn temporality(&mut self) -> TemporalityPreference {
        const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let Some(value) = self.get(NAME) else { return TemporalityPreference::Cumulative };
        match value.to_ascii_lowercase().as_str() {
            "cumulative" => TemporalityPreference::Cumulative,
            "delta" => TemporalityPreference::Delta,
            "lowmemory" => TemporalityPreference::LowMemory,
            _ => {
                self.warn(format!("{NAME}={value} is none of cumulative, delta and lowmemory: it is cumulative"));
                TemporalityPreference::Cumulative
            }
        }
    }

    /// Histograms come as they were made.
    fn histogram(&mut self) {
        const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        let usual = "explicit_bucket_histogram";
        if let Some(value) = self.get(NAME).filter(|value| !value.eq_ignore_ascii_case(usual)) {
            self.warn(format!(
                "{NAME}={value} is not heard: histograms go as they were made, a view of the SDK changes that"
            ));
        }
    }

    fn compression(&mut self, signal: Signal) -> Compression {
        let Some(Set { variable, value }) = self.find(signal, "COMPRESSION") else { return Compression::None };
        match &*value {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            #[cfg(feature = "zstd")]
            "zstd" => Compression::Zstd,
            #[cfg(not(feature = "zstd"))]
            "zstd" => {
                self.warn(format!("{variable}=zstd: this program was built without it, it is gzip"));
                Compression::Gzip
            }
            other => {
                self.warn(format!("{variable}={other} is none of none, gzip and zstd: nothing is compressed"));
                Compression::None
            }
        }
    }

    fn tls(&mut self, signal: Signal, url: &str) -> Result<Tls, EnvError> {
        let [ca, certificate, key] =
            ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"].map(|name| self.find(signal, name));
        if !url.starts_with("https://") {
            for set in [ca, certificate, key].into_iter().flatten() {
                self.warn(format!("{} is not heard: {url} is without TLS, is https:// meant?", set.variable));
            }
            return Ok(Tls::new());
        }
        let tls = ca.map_or_else(Tls::new, |ca| Tls::new().with_ca(ca.value));
        let half =
            |set: Set, from, to| EnvError::Half { missing: set.variable.replace(from, to), variable: set.variable };
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(tls.with_client(certificate.value, key.value)),
            (Some(certificate), None) => Err(half(certificate, "CLIENT_CERTIFICATE", "CLIENT_KEY")),
            (None, Some(key)) => Err(half(key, "CLIENT_KEY", "CLIENT_CERTIFICATE")),
            (None, None) => Ok(tls),
        }
    }
}
