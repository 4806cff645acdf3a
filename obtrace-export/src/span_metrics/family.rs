//! The metrics that there are: each with its name, unit, attributes and bounds. Those with the same attributes are a family
//! and share their series.

use std::sync::Arc;

use super::{
    aggregate::Kind,
    config::{self, Buckets, Config, Names},
    field::Key,
};
use crate::model::Text;

/// The families, in the order of [`families`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    HttpServer,
    HttpClient,
    RpcServer,
    RpcClient,
    DbClient,
    DbServer,
    MessagingClient,
    MessagingSent,
    MessagingConsumed,
    MessagingProcess,
    Dns,
    GenAi,
    GenAiTokens,
    Graph,
    Spans,
    TempoSpans,
}

/// Metrics with the same attributes.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) keys: Vec<Key>,
    pub(super) instruments: Vec<Instrument>,
}

/// A metric.
#[derive(Clone, Debug)]
pub(super) struct Instrument {
    pub(super) name: Text,
    pub(super) unit: Text,
    pub(super) description: Text,
    pub(super) kind: Kind,
}

/// A duration in seconds whose name in Prometheus has no unit.
pub(crate) const TEMPO_LATENCY: &str = "traces_spanmetrics_latency";

/// What the conventions recommend for HTTP, RPC, messaging and DNS.
const DURATION: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// And for databases,
const DB_DURATION: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
const DB_ROWS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0];
/// for models,
const GEN_AI_DURATION: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// and for their tokens: powers of four.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// They say nothing about sizes of bodies: an empty one, then powers of four up to 64 MiB.
const SIZE: &[f64] = &[
    0.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Makes the metrics of a configuration.
struct Maker<'a> {
    config: &'a Config,
    durations: Vec<f64>,
    sizes: Vec<f64>,
}

impl Maker<'_> {
    fn histogram(&self, bounds: &[f64]) -> Kind {
        match self.config.buckets {
            Buckets::Exponential => Kind::Exponential,
            Buckets::Explicit => Kind::Explicit(Arc::from(bounds)),
        }
    }

    fn duration(&self, name: &'static str, description: &'static str, bounds: &[f64]) -> Instrument {
        let bounds = if self.durations.is_empty() { bounds } else { &self.durations };
        instrument(name, "s", description, self.histogram(bounds))
    }

    fn size(&self, name: &'static str, description: &'static str) -> Instrument {
        let bounds = if self.sizes.is_empty() { SIZE } else { &self.sizes };
        instrument(name, "By", description, self.histogram(bounds))
    }

    fn obi(&self) -> bool {
        self.config.names == Names::Obi04
    }

    fn http(&self, server: bool) -> Family {
        let mut keys = vec![Key::HttpMethod, Key::HttpStatus, Key::ErrorType, Key::ProtocolName, Key::ProtocolVersion];
        if self.obi() {
            keys = vec![Key::HttpMethod, Key::HttpStatus, Key::HttpRoute, Key::UrlScheme];
        } else if server {
            keys.extend([Key::HttpRoute, Key::UrlScheme]);
        }
        if self.obi() || !server || self.config.server_address {
            keys.extend([Key::ServerAddress, Key::ServerPort]);
        }
        let instruments = if server {
            vec![
                self.duration("http.server.request.duration", "Duration of HTTP server requests.", DURATION),
                self.size("http.server.request.body.size", "Size of HTTP server request bodies."),
                self.size("http.server.response.body.size", "Size of HTTP server response bodies."),
            ]
        } else {
            vec![
                self.duration("http.client.request.duration", "Duration of HTTP client requests.", DURATION),
                self.size("http.client.request.body.size", "Size of HTTP client request bodies."),
                self.size("http.client.response.body.size", "Size of HTTP client response bodies."),
            ]
        };
        Family { keys, instruments }
    }

    fn rpc(&self, server: bool) -> Family {
        let mut keys = if self.obi() {
            vec![Key::OldRpcSystem, Key::RpcService, Key::RpcMethod, Key::GrpcStatus]
        } else {
            vec![Key::RpcSystem, Key::RpcMethod, Key::RpcStatus, Key::ErrorType]
        };
        if self.obi() || !server || self.config.server_address {
            keys.push(Key::ServerAddress);
        }
        if if self.obi() { server } else { !server || self.config.server_address } {
            keys.push(Key::ServerPort);
        }
        let name = match (server, self.obi()) {
            (true, false) => "rpc.server.call.duration",
            (false, false) => "rpc.client.call.duration",
            (true, true) => "rpc.server.duration",
            (false, true) => "rpc.client.duration",
        };
        let description = if server {
            "Duration of incoming remote procedure calls."
        } else {
            "Duration of outgoing remote procedure calls."
        };
        Family { keys, instruments: vec![self.duration(name, description, DURATION)] }
    }

    fn db(&self, server: bool) -> Family {
        let mut keys = vec![Key::DbSystem, Key::DbOperation, Key::ErrorType, Key::ServerAddress];
        if !self.obi() {
            keys.extend([Key::DbCollection, Key::DbNamespace, Key::DbStatus, Key::DbSummary, Key::DbProcedure]);
        }
        if server || !self.obi() {
            keys.push(Key::ServerPort);
        }
        if server {
            let name = "db.server.operation.duration";
            return Family {
                keys,
                instruments: vec![self.duration(
                    name,
                    "Duration of operations that a database carried out.",
                    DB_DURATION,
                )],
            };
        }
        let mut instruments =
            vec![self.duration("db.client.operation.duration", "Duration of database client operations.", DB_DURATION)];
        if !self.obi() {
            let kind = self.histogram(DB_ROWS);
            let description = "Records that database operations returned.";
            instruments.push(instrument("db.client.response.returned_rows", "{row}", description, kind));
        }
        Family { keys, instruments }
    }

    fn messaging(&self, id: Id) -> Family {
        let mut keys =
            vec![Key::MessagingSystem, Key::MessagingOperation, Key::MessagingDestination, Key::ServerAddress];
        if !self.obi() {
            keys.extend([Key::MessagingTemplate, Key::MessagingPartition, Key::ServerPort, Key::ErrorType]);
            if id != Id::MessagingSent {
                keys.extend([Key::MessagingGroup, Key::MessagingSubscription]);
            }
        }
        let instrument = match id {
            Id::MessagingProcess => {
                self.duration("messaging.process.duration", "Duration of processing messages.", DURATION)
            }
            Id::MessagingSent => instrument(
                "messaging.client.sent.messages",
                "{message}",
                "Messages that producers tried to send to the broker.",
                Kind::Sum,
            ),
            Id::MessagingConsumed => instrument(
                "messaging.client.consumed.messages",
                "{message}",
                "Messages that were delivered to the application.",
                Kind::Sum,
            ),
            _ if self.obi() => {
                self.duration("messaging.publish.duration", "Duration of publishing messages.", DURATION)
            }
            _ => {
                keys.push(Key::MessagingType);
                let description = "Duration of messaging operations of producers and consumers.";
                self.duration("messaging.client.operation.duration", description, DURATION)
            }
        };
        Family { keys, instruments: vec![instrument] }
    }

    fn dns(&self) -> Family {
        let keys = if self.obi() { vec![Key::ErrorType] } else { vec![Key::DnsQuestion, Key::ErrorType] };
        Family { keys, instruments: vec![self.duration("dns.lookup.duration", "Duration of DNS lookups.", DURATION)] }
    }

    fn gen_ai(&self, tokens: bool) -> Family {
        let mut keys = vec![Key::GenAiOperation, Key::GenAiProvider, Key::GenAiRequestModel, Key::GenAiResponseModel];
        keys.extend([Key::ServerAddress, Key::ServerPort]);
        let instrument = if tokens {
            keys.push(Key::GenAiTokenType);
            let kind = self.histogram(TOKENS);
            instrument("gen_ai.client.token.usage", "{token}", "Tokens of the input and of the output.", kind)
        } else {
            keys.push(Key::ErrorType);
            self.duration("gen_ai.client.operation.duration", "Duration of operations on models.", GEN_AI_DURATION)
        };
        Family { keys, instruments: vec![instrument] }
    }

    fn graph(&self) -> Family {
        let keys = vec![
            Key::Client,
            Key::ClientNamespace,
            Key::Server,
            Key::ServerNamespace,
            Key::ConnectionType,
            Key::Source,
        ];
        let total = "Requests from one service to another.";
        let failed = "Requests from one service to another that failed.";
        let server = "Duration of requests from one service to another, as the server saw it.";
        let client = "Duration of requests from one service to another, as the client saw it.";
        Family {
            keys,
            instruments: vec![
                instrument("traces_service_graph_request_total", "", total, Kind::Sum),
                instrument("traces_service_graph_request_failed_total", "", failed, Kind::Sum),
                self.duration("traces_service_graph_request_server", server, DURATION),
                self.duration("traces_service_graph_request_client", client, DURATION),
            ],
        }
    }

    /// As the Collector names them.
    fn spans(&self) -> Family {
        Family {
            keys: vec![Key::ServiceName, Key::SpanName, Key::SpanKind, Key::SpanStatus],
            instruments: vec![
                self.duration("traces.span.metrics.duration", "Duration of spans.", DURATION),
                instrument("traces.span.metrics.calls", "{call}", "Spans.", Kind::Sum),
            ],
        }
    }

    /// As Tempo names them, and the sizes, which have no other names.
    fn tempo_spans(&self) -> Family {
        let mut latency = self.duration(TEMPO_LATENCY, "Duration of spans, in seconds.", DURATION);
        latency.unit = Text::default();
        let (request, response) = ("Bytes of requests' bodies.", "Bytes of responses' bodies.");
        let keys = [Key::Service, Key::ServiceNamespace, Key::SpanName, Key::SpanKind, Key::SpanStatus, Key::Source];
        Family {
            keys: keys.to_vec(),
            instruments: vec![
                latency,
                instrument("traces_spanmetrics_calls_total", "", "Spans.", Kind::Sum),
                instrument("traces_spanmetrics_size_total", "", request, Kind::Sum),
                instrument("traces_spanmetrics_response_size_total", "", response, Kind::Sum),
            ],
        }
    }
}

const fn instrument(name: &'static str, unit: &'static str, description: &'static str, kind: Kind) -> Instrument {
    Instrument {
        name: Text::constant(name),
        unit: Text::constant(unit),
        description: Text::constant(description),
        kind,
    }
}

/// All families, in the order of their ids.
pub(super) fn families(config: &Config) -> Vec<Family> {
    let durations = config::bounds(config.duration_bounds.clone());
    let sizes = config::bounds(config.size_bounds.clone());
    let maker = Maker { config, durations, sizes };
    vec![
        maker.http(true),
        maker.http(false),
        maker.rpc(true),
        maker.rpc(false),
        maker.db(false),
        maker.db(true),
        maker.messaging(Id::MessagingClient),
        maker.messaging(Id::MessagingSent),
        maker.messaging(Id::MessagingConsumed),
        maker.messaging(Id::MessagingProcess),
        maker.dns(),
        maker.gen_ai(false),
        maker.gen_ai(true),
        maker.graph(),
        maker.spans(),
        maker.tempo_spans(),
    ]
}
