//! The forms in which telemetry is sent.

use std::fmt;

use obtrace_export::{
    encode::Format,
    model::Signal,
    transport::{Compression, Grpc, GrpcConfig, Http, HttpConfig, Tls, Transport},
};

use super::{
    certificates::Certificates,
    running::{Collector, Door},
};

/// What carries the bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    HttpJson,
    HttpProtobuf,
    Grpc,
}

/// A wire form, and the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    protocol: Protocol,
    compression: Compression,
    door: Door,
}

/// `http/json`, `grpc, gzip, tls`: the names of the specification.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Protocol::HttpJson => "http/json",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::Grpc => "grpc",
        })?;
        f.write_str(match self.compression {
            Compression::Gzip => ", gzip",
            Compression::Zstd => ", zstd",
            _ => "",
        })?;
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
    for protocol in [Protocol::HttpJson, Protocol::HttpProtobuf, Protocol::Grpc] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let form = |door| Form { protocol, compression, door };
            forms.extend([Door::Plain, Door::Tls, Door::MutualTls].map(form));
        }
    }
    forms
}

impl Form {
    pub(crate) fn transport(
        &self,
        signal: Signal,
        collector: &Collector,
        certificates: &Certificates,
    ) -> Result<Transport, Box<dyn std::error::Error>> {
        let url = collector.endpoint(self.door, self.protocol == Protocol::Grpc);
        let tls = self.tls(certificates);
        Ok(match self.protocol {
            Protocol::Grpc => {
                let config = GrpcConfig::new(&url, signal)?;
                Grpc::new(config.with_compression(self.compression).with_tls(tls))?.into()
            }
            Protocol::HttpJson | Protocol::HttpProtobuf => {
                let format = if self.protocol == Protocol::HttpJson { Format::Json } else { Format::Protobuf };
                let config = HttpConfig::otlp(&url, signal)?.with_format(format);
                Http::new(config.with_compression(self.compression).with_tls(tls))?.into()
            }
        })
    }

    fn tls(&self, certificates: &Certificates) -> Tls {
        match self.door {
            Door::Plain => Tls::new(),
            Door::Tls => Tls::new().with_ca(certificates.path("ca.crt")),
            Door::MutualTls => Tls::new()
                .with_ca(certificates.path("ca.crt"))
                .with_client(certificates.path("client.crt"), certificates.path("client.key")),
        }
    }
}
