//! What metrics read of a span: its attributes by number, their values borrowed.

use crate::model::{Attribute, Text, Value};

/// Longest text that tells series apart; what is longer is cut.
const MAX_TEXT: usize = 256;

/// Longest name of an attribute that is read, and one more.
const LENGTHS: usize = 40;

macro_rules! keys {
    ($($key:ident = $name:literal $(| $other:literal)*,)*) => {
        /// The attributes that metrics read, and those that only metrics have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Key {
            $($key,)*
        }

        /// How many keys there are.
        pub(super) const KEYS: usize = [$($name,)*].len();

        impl Key {
            /// Its name in the metrics.
            pub(super) const fn text(self) -> Text {
                match self {
                    $(Self::$key => const { Text::key(concat!("\"", $name, "\":")) },)*
                }
            }
        }

        /// By what names spans have them: those of now first, then those of before.
        const NAMES: &[(&str, Key, bool)] = &[$(($name, Key::$key, true), $(($other, Key::$key, false),)*)*];
    };
}

keys! {
    HttpMethod = "http.request.method" | "http.method",
    HttpStatus = "http.response.status_code" | "http.status_code",
    HttpRoute = "http.route",
    UrlScheme = "url.scheme" | "http.scheme",
    ProtocolName = "network.protocol.name",
    ProtocolVersion = "network.protocol.version",
    ServerAddress = "server.address" | "net.host.name" | "net.peer.name",
    ServerPort = "server.port",
    ClientAddress = "client.address",
    ErrorType = "error.type",
    RequestSize = "http.request.body.size",
    ResponseSize = "http.response.body.size",
    RpcSystem = "rpc.system.name",
    OldRpcSystem = "rpc.system",
    RpcService = "rpc.service",
    RpcMethod = "rpc.method",
    RpcStatus = "rpc.response.status_code",
    GrpcStatus = "rpc.grpc.status_code",
    DbSystem = "db.system.name" | "db.system",
    DbOperation = "db.operation.name" | "db.operation",
    DbCollection = "db.collection.name",
    DbNamespace = "db.namespace",
    DbSummary = "db.query.summary",
    DbProcedure = "db.stored_procedure.name",
    DbStatus = "db.response.status_code",
    DbRows = "db.response.returned_rows",
    MessagingSystem = "messaging.system",
    MessagingOperation = "messaging.operation.name",
    MessagingType = "messaging.operation.type" | "messaging.operation",
    MessagingDestination = "messaging.destination.name",
    MessagingTemporary = "messaging.destination.temporary",
    MessagingAnonymous = "messaging.destination.anonymous",
    MessagingTemplate = "messaging.destination.template",
    MessagingSubscription = "messaging.destination.subscription.name",
    MessagingPartition = "messaging.destination.partition.id",
    MessagingGroup = "messaging.consumer.group.name",
    MessagingCount = "messaging.batch.message_count",
    DnsQuestion = "dns.question.name",
    GenAiOperation = "gen_ai.operation.name",
    GenAiProvider = "gen_ai.provider.name" | "gen_ai.system",
    GenAiRequestModel = "gen_ai.request.model",
    GenAiResponseModel = "gen_ai.response.model",
    GenAiInput = "gen_ai.usage.input_tokens",
    GenAiOutput = "gen_ai.usage.output_tokens",
    GenAiTokenType = "gen_ai.token.type",
    Peer = "service.peer.name" | "peer.service",
    PeerNamespace = "service.peer.namespace",
    SpanName = "span.name",
    SpanKind = "span.kind",
    SpanStatus = "status.code",
    Service = "service",
    ServiceName = "service.name",
    ServiceNamespace = "service.namespace",
    Client = "client",
    ClientNamespace = "client_service_namespace",
    Server = "server",
    ServerNamespace = "server_service_namespace",
    ConnectionType = "connection_type",
    Source = "source",
    Overflow = "otel.metric.overflow",
}

/// The names of one length stand together: where in the table of them those of each length begin.
const ORDER: ([u8; NAMES.len()], [u8; LENGTHS + 1]) = {
    let (mut order, mut starts) = ([0; NAMES.len()], [0; LENGTHS + 1]);
    let (mut length, mut next) = (0, 0);
    while length < LENGTHS {
        starts[length] = next as u8;
        let mut at = 0;
        while at < NAMES.len() {
            if NAMES[at].0.len() == length {
                order[next] = at as u8;
                next += 1;
            }
            at += 1;
        }
        length += 1;
    }
    assert!(next == NAMES.len(), "LENGTHS is less than that of a name");
    starts[LENGTHS] = next as u8;
    (order, starts)
};

/// The key with this name, and whether it is its name of now.
fn key_of(name: &[u8]) -> Option<(Key, bool)> {
    let (order, starts) = &ORDER;
    let (from, to) = (starts.get(name.len())?, starts.get(name.len() + 1)?);
    let alike = order.get(usize::from(*from)..usize::from(*to))?;
    let known = alike.iter().filter_map(|at| NAMES.get(usize::from(*at)));
    known.copied().find_map(|(known, key, now)| (known.as_bytes() == name).then_some((key, now)))
}

/// A value that can tell series apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Field<'a> {
    #[default]
    None,
    Str(&'a str),
    Int(i64),
    Bool(bool),
}

impl<'a> Field<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Str(text) => Self::text(text),
            Value::Int(number) => Self::Int(*number),
            Value::Bool(truth) => Self::Bool(*truth),
            // Nothing that the conventions have on a metric.
            _ => Self::None,
        }
    }

    /// Text, cut where it is too long; none if it is empty.
    pub(super) fn text(text: &'a str) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        if text.len() <= MAX_TEXT {
            return Self::Str(text);
        }
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        Self::Str(text.get(..end).unwrap_or_default())
    }

    pub(super) fn str(self) -> Option<&'a str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    pub(super) fn int(self) -> Option<i64> {
        if let Self::Int(number) = self { Some(number) } else { None }
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::None
    }

    pub(super) fn value(self) -> Value {
        match self {
            Self::None => Value::Empty,
            Self::Str(text) => Value::Str(Text::copied(text)),
            Self::Int(number) => Value::Int(number),
            Self::Bool(truth) => Value::Bool(truth),
        }
    }

    pub(super) fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Self::None, Value::Empty) => true,
            (Self::Str(a), Value::Str(b)) => a.as_bytes() == b.as_bytes(),
            (Self::Int(a), Value::Int(b)) => a == *b,
            (Self::Bool(a), Value::Bool(b)) => a == *b,
            _ => false,
        }
    }
}

/// The values of a span by their keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>([Field<'a>; KEYS]);

impl<'a> Fields<'a> {
    /// What is known of the attributes. The name of now goes before one of before, and of two alike the first.
    pub(super) fn of(attributes: &'a [Attribute]) -> Self {
        const { assert!(KEYS <= 64, "one bit each") };
        let mut fields = Self([Field::None; KEYS]);
        let mut settled = 0_u64;
        for Attribute { key, value } in attributes {
            let Some((known, now)) = key_of(key.as_bytes()) else { continue };
            let bit = 1 << known as u64;
            if (now && settled & bit == 0) || (!now && fields.get(known).is_none()) {
                fields.set(known, Field::of(value));
                settled |= if now { bit } else { 0 };
            }
        }
        fields
    }

    pub(super) fn get(&self, key: Key) -> Field<'a> {
        self.0.get(key as usize).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, key: Key, field: Field<'a>) {
        if let Some(place) = self.0.get_mut(key as usize) {
            *place = field;
        }
    }

    pub(super) fn set_text(&mut self, key: Key, text: &'a str) {
        self.set(key, Field::text(text));
    }

    pub(super) fn has_any(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| !self.get(*key).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_nothing_else() {
        for (name, key, now) in NAMES {
            assert_eq!(key_of(name.as_bytes()), Some((*key, *now)), "{name}");
            assert_eq!(key.text() == *name, *now, "{name}");
        }
        for name in ["", "url.path", "http.request.methoD", &"x".repeat(LENGTHS), &"x".repeat(LENGTHS + 1)] {
            assert_eq!(key_of(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn the_name_of_now_goes_before_that_of_before_and_the_first_before_the_second() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let attributes: Vec<_> = pairs.iter().map(|(key, value)| Attribute::new(*key, *value)).collect();
            Fields::of(&attributes).get(Key::DbSystem).str().map(str::to_owned)
        };
        let (now, before) = ("db.system.name", "db.system");
        for pairs in [
            &[(now, "a")][..],
            &[(before, "a")],
            &[(now, "a"), (before, "b")],
            &[(before, "b"), (now, "a")],
            &[(now, "a"), (now, "b")],
            &[(before, "a"), (before, "b")],
        ] {
            assert_eq!(of(pairs).as_deref(), Some("a"), "{pairs:?}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "ä".repeat(200);
        assert_eq!(Field::text(&text).str().unwrap().len(), 256);
        let text = format!("x{text}");
        assert_eq!(Field::text(&text).str().unwrap().len(), 255);
        assert!(Field::text("").is_none());
    }
}
