//! The forms in which telemetry is sent.

use std::fmt;

use obtrace_export::{
    model::Signal,
    transport::{Transport, env::Environment},
};

use super::{
    certificates::Certificates,
    running::{Collector, Door},
};

/// A wire form, and the way, in the words of the specification's variables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    protocol: &'static str,
    compression: &'static str,
    door: Door,
}

/// `http/json`, `grpc, gzip, tls`.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol)?;
        if self.compression != "none" {
            write!(f, ", {}", self.compression)?;
        }
        f.write_str(match self.door {
            Door::Plain => "",
            Door::Tls => ", tls",
            Door::MutualTls => ", mutual tls",
        })
    }
}

/// Every form that there is.
pub(crate) fn all() -> Vec<Form> {
    let mut forms = Vec::new();
    for protocol in ["http/json", "http/protobuf", "grpc"] {
        for compression in ["none", "gzip", "zstd"] {
            let form = |door| Form { protocol, compression, door };
            forms.extend([Door::Plain, Door::Tls, Door::MutualTls].map(form));
        }
    }
    forms
}

impl Form {
    /// The transport of a signal, made from variables as a program has them.
    pub(crate) fn transport(
        &self,
        signal: Signal,
        collector: &Collector,
        certificates: &Certificates,
    ) -> Result<Transport, Box<dyn std::error::Error>> {
        let environment = Environment::read(|name| self.variable(name, collector, certificates))?;
        if !environment.warnings().is_empty() {
            return Err(format!("{:?}", environment.warnings()).into());
        }
        Ok(environment.of(signal).otlp.clone().ok_or("no exporter although there is an endpoint")?.build()?)
    }

    fn variable(&self, name: &str, collector: &Collector, certificates: &Certificates) -> Option<String> {
        let file = |name: &str| certificates.path(name).display().to_string();
        let is_mutual = self.door == Door::MutualTls;
        match name.strip_prefix("OTEL_EXPORTER_OTLP_")? {
            "ENDPOINT" => Some(collector.endpoint(self.door, self.protocol == "grpc")),
            "PROTOCOL" => Some(self.protocol.to_owned()),
            "COMPRESSION" => Some(self.compression.to_owned()),
            "CERTIFICATE" => (self.door != Door::Plain).then(|| file("ca.crt")),
            "CLIENT_CERTIFICATE" => is_mutual.then(|| file("client.crt")),
            "CLIENT_KEY" => is_mutual.then(|| file("client.key")),
            _ => None,
        }
    }
}
