//! What a span says of which metrics.

use super::{
    config::{Config, Names, SpanNames},
    family::Id,
    field::{Field, Fields, Key},
    resources::Services,
};
use crate::model::{Span, SpanKind, Status, Value};

/// Values of one family's metrics, in their order.
pub(super) type Values = [Option<f64>; 4];

/// The methods of [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-9), PATCH and QUERY.
const METHODS: [&str; 10] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"];

/// What the conventions have for what is not on their lists.
const OTHER: &str = "_OTHER";

/// Names of [gRPC's status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The statuses of HTTP that are errors, as text: from 400 to 599.
const CODES: [[u8; 3]; 200] = {
    let mut codes = [[0; 3]; 200];
    let mut at = 0;
    while at < codes.len() {
        let code = at + 400;
        codes[at] = [b'0' + (code / 100) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8];
        at += 1;
    }
    codes
};

/// The method's full name, where a span has it in two parts as it was before `rpc.service` was deprecated.
pub(super) fn full_method(config: &Config, fields: &Fields<'_>) -> Option<String> {
    let service = fields.get(Key::RpcService).str().filter(|_| config.names != Names::Obi04)?;
    let method = fields.get(Key::RpcMethod).str().filter(|method| !method.contains('/'))?;
    Some(format!("{service}/{method}"))
}

/// Reads one span.
pub(super) struct Measure<'a, F> {
    config: &'a Config,
    span: &'a Span,
    fields: Fields<'a>,
    seconds: f64,
    record: F,
}

impl<'a, F: FnMut(Id, &Fields<'a>, Values)> Measure<'a, F> {
    /// `record` gets the values of each family that the span says something of.
    pub(super) fn new(config: &'a Config, span: &'a Span, fields: Fields<'a>, record: F) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "exact up to a hundred days")]
        let seconds = span.end_unix_nano.saturating_sub(span.start_unix_nano) as f64 / 1e9;
        Self { config, span, fields, seconds, record }
    }

    fn tell(&mut self, id: Id, values: Values) {
        if values.iter().all(Option::is_none) {
            return;
        }
        (self.record)(id, &self.fields, values);
    }

    /// What the span is an operation of. An operation that another one carries, a query over HTTP, is the outer one's.
    pub(super) fn operation(&mut self) {
        self.rpc_status();
        self.error();
        let fields = &self.fields;
        if fields.has_any(&[Key::GenAiOperation]) {
            self.gen_ai();
        } else if fields.has_any(&[Key::DbSystem]) {
            self.database();
        } else if fields.has_any(&[Key::MessagingSystem]) {
            self.messaging();
        } else if fields.has_any(&[Key::RpcSystem, Key::OldRpcSystem]) {
            self.rpc();
        } else if fields.has_any(&[Key::HttpMethod]) {
            self.http();
        } else if fields.has_any(&[Key::DnsQuestion]) && self.span.kind == SpanKind::Client {
            self.tell(Id::Dns, [Some(self.seconds), None, None, None]);
        }
    }

    /// A call's status by both names that it may have.
    fn rpc_status(&mut self) {
        let (name, number) = (self.fields.get(Key::RpcStatus), self.fields.get(Key::GrpcStatus));
        if let (Field::None, Some(number)) = (name, number.int()) {
            let name = usize::try_from(number).ok().and_then(|number| GRPC.get(number));
            self.fields.set(Key::RpcStatus, name.map_or(Field::Int(number), |name| Field::Str(name)));
        }
        if let (Field::None, Some(name)) = (number, name.str()) {
            let number = GRPC.iter().position(|known| *known == name).and_then(|number| i64::try_from(number).ok());
            self.fields.set(Key::GrpcStatus, number.map_or(Field::None, Field::Int));
        }
    }

    /// A span that failed has an `error.type`: the status of HTTP or of a call, or `_OTHER`.
    fn error(&mut self) {
        if !self.fields.get(Key::ErrorType).is_none() || !matches!(self.span.status, Status::Error { .. }) {
            return;
        }
        let status =
            self.fields.get(Key::HttpStatus).int().and_then(|status| usize::try_from(status.checked_sub(400)?).ok());
        let code = status.and_then(|at| CODES.get(at)).and_then(|code| str::from_utf8(code).ok());
        let call = self.fields.get(Key::RpcStatus).str().filter(|status| *status != "OK");
        self.fields.set(Key::ErrorType, Field::Str(call.or(code).unwrap_or(OTHER)));
    }

    fn http(&mut self) {
        let id = match self.span.kind {
            SpanKind::Server => Id::HttpServer,
            SpanKind::Client => Id::HttpClient,
            _ => return,
        };
        let method = self.fields.get(Key::HttpMethod).str().unwrap_or_default();
        let known = METHODS.iter().find(|known| **known == method).copied();
        self.fields.set(Key::HttpMethod, Field::Str(known.unwrap_or(OTHER)));
        if self.config.routes_of_names && id == Id::HttpServer && self.fields.get(Key::HttpRoute).is_none() {
            let route = self.span.name.split_once(' ').map_or("", |(_, path)| path);
            if route.starts_with('/') {
                self.fields.set_text(Key::HttpRoute, route);
            }
        }
        if self.fields.get(Key::ProtocolName).str().is_some_and(|name| name.eq_ignore_ascii_case("http")) {
            self.fields.set(Key::ProtocolName, Field::None);
        }
        let (request, response) = (self.amount(Key::RequestSize), self.amount(Key::ResponseSize));
        self.tell(id, [Some(self.seconds), request, response, None]);
    }

    fn rpc(&mut self) {
        let id = match self.span.kind {
            SpanKind::Server => Id::RpcServer,
            SpanKind::Client => Id::RpcClient,
            _ => return,
        };
        for (key, other) in [(Key::RpcSystem, Key::OldRpcSystem), (Key::OldRpcSystem, Key::RpcSystem)] {
            if self.fields.get(key).is_none() {
                self.fields.set(key, self.fields.get(other));
            }
        }
        self.tell(id, [Some(self.seconds), None, None, None]);
    }

    fn database(&mut self) {
        let id = match self.span.kind {
            SpanKind::Server => Id::DbServer,
            SpanKind::Client | SpanKind::Internal => Id::DbClient,
            _ => return,
        };
        let rows = if self.config.names == Names::Obi04 { None } else { self.amount(Key::DbRows) };
        self.tell(id, [Some(self.seconds), rows.filter(|_| id == Id::DbClient), None, None]);
    }

    fn messaging(&mut self) {
        let fallback = match self.span.kind {
            SpanKind::Consumer => "process",
            SpanKind::Producer => "send",
            SpanKind::Client => "",
            _ => return,
        };
        if self.fields.get(Key::MessagingType).is_none() {
            self.fields.set_text(Key::MessagingType, fallback);
        }
        let kind = match self.fields.get(Key::MessagingType).str().unwrap_or_default() {
            // Before they got the names of now.
            "publish" => "send",
            "deliver" => "process",
            kind => kind,
        };
        self.fields.set_text(Key::MessagingType, kind);
        if self.fields.get(Key::MessagingOperation).is_none() {
            self.fields.set_text(Key::MessagingOperation, kind);
        }
        let endless = [Key::MessagingTemporary, Key::MessagingAnonymous];
        let endless = endless.iter().any(|key| self.fields.get(*key) == Field::Bool(true));
        if endless || !self.fields.get(Key::MessagingTemplate).is_none() {
            self.fields.set(Key::MessagingDestination, Field::None);
        }
        let obi = self.config.names == Names::Obi04;
        let one = |value| [Some(value), None, None, None];
        let count = self.amount(Key::MessagingCount).unwrap_or(1.0);
        if kind == "process" {
            self.tell(Id::MessagingProcess, one(self.seconds));
        } else if !obi || kind == "send" {
            self.tell(Id::MessagingClient, one(self.seconds));
        }
        match kind {
            "send" if !obi => self.tell(Id::MessagingSent, one(count)),
            "receive" if !obi => self.tell(Id::MessagingConsumed, one(count)),
            _ => {}
        }
    }

    fn gen_ai(&mut self) {
        if !matches!(self.span.kind, SpanKind::Client | SpanKind::Internal) {
            return;
        }
        self.tell(Id::GenAi, [Some(self.seconds), None, None, None]);
        for (key, kind) in [(Key::GenAiInput, "input"), (Key::GenAiOutput, "output")] {
            if let Some(tokens) = self.amount(key) {
                self.fields.set(Key::GenAiTokenType, Field::Str(kind));
                self.tell(Id::GenAiTokens, [Some(tokens), None, None, None]);
            }
        }
    }

    /// The edge from one service to another that the span is seen from one end of. Where both ends are seen, the server's counts.
    pub(super) fn edge(&mut self, services: &Services) {
        let serves = match self.span.kind {
            SpanKind::Server | SpanKind::Consumer => true,
            SpanKind::Client | SpanKind::Producer => false,
            SpanKind::Internal => return,
        };
        let own = (self.resource("service.name"), self.resource("service.namespace"));
        // A consumer's other end is the broker.
        let is_server = self.span.kind == SpanKind::Server;
        let address = self.fields.get(if is_server { Key::ClientAddress } else { Key::ServerAddress });
        let peer = Some(self.fields.get(Key::Peer)).filter(|peer| !peer.is_none()).unwrap_or(address);
        let peer = (peer, self.fields.get(Key::PeerNamespace));
        if peer == own {
            return;
        }
        let (client, server) = if serves { (peer, own) } else { (own, peer) };
        let kind = if self.fields.has_any(&[Key::DbSystem]) {
            Field::Str("database")
        } else if self.fields.has_any(&[Key::MessagingSystem]) {
            Field::Str("messaging_system")
        } else {
            Field::None
        };
        let source = Field::text(&self.config.source);
        for (key, field) in [
            (Key::Client, client.0),
            (Key::ClientNamespace, client.1),
            (Key::Server, server.0),
            (Key::ServerNamespace, server.1),
            (Key::ConnectionType, kind),
            (Key::Source, source),
        ] {
            self.fields.set(key, field);
        }
        // Who the other end is may not be known: it may count.
        let is_counted = serves || !(peer.0.is_none() || services.has(peer.0, peer.1));
        let failed = f64::from(u8::from(matches!(self.span.status, Status::Error { .. })));
        let (server, client) = if serves { (Some(self.seconds), None) } else { (None, Some(self.seconds)) };
        self.tell(Id::Graph, [is_counted.then_some(1.0), is_counted.then_some(failed), server, client]);
    }

    /// The span by its name, or by what stands for it.
    pub(super) fn span(&mut self, name: &'a str) {
        let kind = match self.span.kind {
            SpanKind::Internal => "SPAN_KIND_INTERNAL",
            SpanKind::Server => "SPAN_KIND_SERVER",
            SpanKind::Client => "SPAN_KIND_CLIENT",
            SpanKind::Producer => "SPAN_KIND_PRODUCER",
            SpanKind::Consumer => "SPAN_KIND_CONSUMER",
        };
        let status = match self.span.status {
            Status::Unset => "STATUS_CODE_UNSET",
            Status::Ok => "STATUS_CODE_OK",
            Status::Error { .. } => "STATUS_CODE_ERROR",
        };
        let service = self.resource("service.name");
        for (key, field) in [
            (Key::SpanName, Field::text(name)),
            (Key::SpanKind, Field::Str(kind)),
            (Key::SpanStatus, Field::Str(status)),
            (Key::Service, service),
            (Key::ServiceName, service),
            (Key::ServiceNamespace, self.resource("service.namespace")),
            (Key::Source, Field::text(&self.config.source)),
        ] {
            self.fields.set(key, field);
        }
        let names = self.config.spans;
        if matches!(names, SpanNames::Collector | SpanNames::Both) {
            self.tell(Id::Spans, [Some(self.seconds), Some(1.0), None, None]);
        }
        let tempo = matches!(names, SpanNames::Tempo | SpanNames::Both);
        let size = |key| self.amount(key).filter(|_| self.config.span_sizes);
        let (request, response) = (size(Key::RequestSize), size(Key::ResponseSize));
        self.tell(Id::TempoSpans, [tempo.then_some(self.seconds), tempo.then_some(1.0), request, response]);
    }

    fn resource(&self, key: &str) -> Field<'a> {
        match self.span.resource.get(key) {
            Some(Value::Str(text)) => Field::text(text),
            _ => Field::None,
        }
    }

    /// A number that is not negative.
    #[expect(clippy::cast_precision_loss, reason = "exact up to nine petabytes")]
    fn amount(&self, key: Key) -> Option<f64> {
        self.fields.get(key).int().filter(|number| *number >= 0).map(|number| number as f64)
    }
}
