//! Which protocol is this? Three stages: a hint (the kernel's look at the first bytes, or the port) only orders the
//! candidates; deterministic matchers look at what both directions began with; heuristics come last and are marked.
//!
//! Bias: a matcher that is not sure says [`Verdict::Maybe`] or [`Verdict::No`]. A connection taken for nothing costs
//! its spans; one taken for the wrong protocol costs trust in all the others.

use alloc::boxed::Box;

use crate::{
    Config, Direction, Protocol, Role, dns, fastcgi, http, http2, kafka, mongodb, mqtt, mysql, parser::NewParser,
    parser::Parser, postgres, redis, sql,
};

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detection {
    /// It is this protocol.
    Match {
        /// Which one.
        protocol: Protocol,
        /// The direction that carries the requests.
        requests: Direction,
        /// Found by a heuristic, not by a signature.
        heuristic: bool,
    },
    /// Too few bytes to say.
    NeedMore,
    /// A TLS record stream ([RFC 8446 §5.1](https://www.rfc-editor.org/rfc/rfc8446#section-5.1)).
    Tls,
    /// Nothing that this crate knows.
    Unknown,
}

/// What one matcher says of the first bytes of the client and of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Yes,
    /// It is, and either end may be the client: the role says which, else what cannot be of the other end.
    Either,
    /// It looks like it, and nothing better is known.
    Likely,
    /// It may be: more bytes will tell.
    Maybe,
    /// It is not.
    No,
}

/// One line a protocol.
struct Entry {
    protocol: Protocol,
    /// Looks at the unread bytes of the client and of the server.
    matches: fn(client: &[u8], server: &[u8]) -> Verdict,
    new: NewParser,
}

/// All stream matchers in the order they are asked, and why in this order: strictest first. HTTP/2's
/// preface is 24 bytes, and of a connection joined later a whole header block has to parse. PostgreSQL's startup packet is a
/// length and a version number that nothing else begins with; a message of MongoDB has a length, an opcode and what follows from
/// it in their places; the first record of FastCGI is fixed but for its numbers; a MySQL server greets with its version, and a
/// client's command is a length, a zero, a command and a statement of SQL; an HTTP/1 request line ends in its version; DNS over
/// TCP has to parse whole; of Kafka there is the header of a request, most bytes of which are small numbers and zeros
/// as others have them; MQTT's packets in the middle of a connection are lengths that have to fit and few fixed bits;
/// RESP's type characters are common text, so that it comes last.
static TABLE: &[Entry] = &[
    Entry { protocol: Protocol::Http2, matches: http2::matches, new: http2::new_parser },
    Entry { protocol: Protocol::Postgres, matches: postgres::matches, new: postgres::new_parser },
    Entry { protocol: Protocol::MongoDb, matches: mongodb::matches, new: mongodb::new_parser },
    Entry { protocol: Protocol::FastCgi, matches: fastcgi::matches, new: fastcgi::new_parser },
    Entry { protocol: Protocol::MySql, matches: mysql::matches, new: mysql::new_parser },
    Entry { protocol: Protocol::Http, matches: http::matches, new: http::new_parser },
    Entry { protocol: Protocol::Dns, matches: dns::matches, new: dns::new_parser },
    Entry { protocol: Protocol::Kafka, matches: kafka::matches, new: kafka::new_parser },
    Entry { protocol: Protocol::Mqtt, matches: mqtt::matches, new: mqtt::new_parser },
    Entry { protocol: Protocol::Redis, matches: redis::matches, new: redis::new_parser },
];

/// Looks at what was sent and received since a chunk that may be the start of a message.
///
/// `role` is the role of the observed socket if it is known; `hint` is tried first.
///
/// ```
/// use obtrace_protocols::{Detection, Direction, Protocol, detect};
/// let found = detect(b"", b"GET / HTTP/1.1\r\n\r\n", None, None);
/// assert_eq!(
///     found,
///     Detection::Match { protocol: Protocol::Http, requests: Direction::Received, heuristic: false }
/// );
/// ```
#[must_use]
pub fn detect(sent: &[u8], received: &[u8], role: Option<Role>, hint: Option<Protocol>) -> Detection {
    find(sent, received, role, None, hint)
}

/// As [`detect`]; what may be either end's is taken as `likely` says.
pub(crate) fn find(
    sent: &[u8],
    received: &[u8],
    role: Option<Role>,
    likely_role: Option<Role>,
    hint: Option<Protocol>,
) -> Detection {
    match (tls(sent), tls(received)) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => return Detection::Tls,
        (Verdict::Maybe, _) | (_, Verdict::Maybe) => return Detection::NeedMore,
        _ => {}
    }
    let seems = role.or(likely_role).map(|role| match role {
        Role::Client => Direction::Sent,
        Role::Server => Direction::Received,
    });
    let mut likely = None;
    let mut undecided = false;
    let hint = hint.map(carrier);
    let hinted = TABLE.iter().filter(|entry| Some(entry.protocol) == hint);
    let others = TABLE.iter().filter(|entry| Some(entry.protocol) != hint);
    for entry in hinted.chain(others) {
        let mut either = None;
        for requests in [Direction::Sent, Direction::Received] {
            let (client, server) = match requests {
                Direction::Sent => (sent, received),
                Direction::Received => (received, sent),
            };
            if role.is_some_and(|role| (role == Role::Client) != (requests == Direction::Sent)) {
                continue;
            }
            let found = |heuristic| Detection::Match { protocol: entry.protocol, requests, heuristic };
            match (entry.matches)(client, server) {
                Verdict::Yes => return found(false),
                Verdict::Either if seems == Some(requests) => return found(false),
                Verdict::Either => {
                    // Of both ends: more will tell.
                    undecided |= either.is_some();
                    either = if either.is_none() { Some(found(false)) } else { None };
                }
                Verdict::Likely => likely = likely.or(Some(found(true))),
                Verdict::Maybe => undecided = true,
                Verdict::No => {}
            }
        }
        if let Some(found) = either {
            return found;
        }
    }
    if undecided {
        return Detection::NeedMore;
    }
    likely.unwrap_or(Detection::Unknown)
}

/// Looks at one datagram.
pub(crate) fn detect_datagram(bytes: &[u8], direction: Direction, role: Option<Role>) -> Detection {
    match dns::matches_datagram(bytes) {
        Some(is_query) => {
            let requests = if is_query { direction } else { direction.opposite() };
            let told = role.map(|role| if role == Role::Client { Direction::Sent } else { Direction::Received });
            Detection::Match { protocol: Protocol::Dns, requests: told.unwrap_or(requests), heuristic: false }
        }
        None => Detection::Unknown,
    }
}

/// The protocol of a connection on which exchanges of this one are found.
const fn carrier(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Grpc => Protocol::Http2,
        other => other,
    }
}

pub(crate) fn new_parser(protocol: Protocol, config: &Config) -> Box<dyn Parser> {
    if protocol == Protocol::Sql {
        return sql::wire::new_parser(config);
    }
    let protocol = carrier(protocol);
    let entry = TABLE.iter().find(|entry| entry.protocol == protocol);
    entry.map_or_else(|| http::new_parser(config), |entry| (entry.new)(config))
}

/// A TLS record header: handshake, alert or application data, version 3.x, a length that is allowed. Of SSL 3.0, which
/// nobody speaks any more, it may as well be the length of a message of MongoDB, 788 to 791 bytes.
fn tls(bytes: &[u8]) -> Verdict {
    let &[kind @ 0x14..=0x17, 3, minor @ 0..=4, high, low, ..] = bytes else { return Verdict::No };
    let length = u16::from_be_bytes([high, low]);
    if length == 0 || length > 0x4100 || (kind == 0x16 && bytes.get(5).is_some_and(|&kind| kind > 24)) {
        return Verdict::No;
    }
    match mongodb::is_message(bytes).filter(|_| minor == 0) {
        None if minor == 0 => Verdict::Maybe,
        Some(true) => Verdict::No,
        _ => Verdict::Yes,
    }
}
