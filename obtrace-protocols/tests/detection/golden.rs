//! The golden vectors of each protocol, with every hint, from their start and joined anywhere.

use std::path::{Path, PathBuf};

use obtrace_protocols::{Protocol, Role};

use crate::{
    HINTS, Judged, Numbers,
    conversation::{Play, Speaker, Transport, Vector, files},
};

/// The folders of `testdata`, and what is spoken on their connections: after an upgrade two protocols are.
const FOLDERS: [(&str, &[Protocol]); 13] = [
    ("dns", &[Protocol::Dns]),
    ("fastcgi", &[Protocol::FastCgi]),
    ("http", &[Protocol::Http, Protocol::Http2, Protocol::WebSocket]),
    ("http2", &[Protocol::Http2, Protocol::Grpc, Protocol::Http]),
    ("kafka", &[Protocol::Kafka]),
    ("mongodb", &[Protocol::MongoDb]),
    ("mqtt", &[Protocol::Mqtt]),
    ("mysql", &[Protocol::MySql]),
    ("mysql/compressed", &[Protocol::MySql]),
    ("payload", &[Protocol::Http]),
    ("postgres", &[Protocol::Postgres]),
    ("redis", &[Protocol::Redis]),
    ("websocket", &[Protocol::Http, Protocol::WebSocket]),
];

/// On these TLS begins after a while, which is what is said of them once it has.
const TLS: [&str; 2] = ["http: CONNECT opens a tunnel", "postgres: SSLRequest that the server accepts: psycopg2"];

/// Where a connection that was joined inside of a message is taken for another for a while. Of the frame of HTTP/2 what is
/// left begins with the size, the kind and the name that a request of Kafka has; of the request of Kafka with the words of
/// a message of MongoDB, which are small numbers in both.
const LOOK_ALIKE: [(&str, &str); 2] = [
    ("http2: curl: a body, step 4 from byte 4,", ": Known(Kafka)"),
    ("kafka: rd-txn, connection 2, step 9 from byte 101,", ": Known(MongoDb)"),
];

/// Most bytes that are looked at of a conversation; of large values the rest is like the front.
const MOST: usize = 24 * 1024;
/// How many steps are seen of a connection that was joined.
const SEEN: usize = 4;

fn vectors() -> impl Iterator<Item = (String, &'static [Protocol], Vector, PathBuf)> {
    FOLDERS.into_iter().flat_map(|(name, spoken)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        let vectors = files(&folder).into_iter().flat_map(|(_, file)| file.vector);
        vectors
            .filter(|vector| vector.transport == Transport::Stream)
            .map(move |vector| (format!("{name}: {}", vector.name), spoken, vector, folder.clone()))
    })
}

/// Tells a connection some steps. Losses are only noticed by what comes next.
fn tell(judged: &mut Judged<'_>, plays: &[Play]) {
    let mut left = MOST;
    for play in plays {
        match play {
            Play::Bytes { from, bytes, .. } => {
                judged.say(*from == Speaker::Client, &bytes[..bytes.len().min(left)]);
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
            Play::Gap { from, length, .. } => judged.skip(*from == Speaker::Client, *length),
            Play::Timeout { .. } | Play::Close { .. } => {}
        }
    }
}

/// What is wrong, but for TLS where there is TLS and for what is known to be alike.
fn kept(wrong: String) -> Option<String> {
    let is_tls = wrong.ends_with(": Tls") && TLS.iter().any(|name| wrong.starts_with(name));
    let is_alike = LOOK_ALIKE.iter().any(|(from, to)| wrong.starts_with(from) && wrong.ends_with(to));
    (!is_tls && !is_alike).then_some(wrong)
}

#[test]
fn from_their_start() {
    let (mut wrong, mut known) = (Vec::new(), 0);
    for (name, spoken, vector, folder) in vectors() {
        let plays = vector.plays(&folder);
        for hint in HINTS {
            let mut judged = Judged::new(&name, spoken, None, hint);
            judged.starts([vector.server_offset, vector.client_offset]);
            tell(&mut judged, &plays);
            match judged.close() {
                Ok(exchanges) => known += usize::from(exchanges > 0),
                Err(what) => wrong.extend(kept(what)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
    assert!(known > 300 * HINTS.len(), "only {known} conversations are understood");
}

/// At the border of each step: every time with no hint, and with another one.
#[test]
fn joined_between_messages() {
    let mut wrong = Vec::new();
    for (number, (name, spoken, vector, folder)) in vectors().enumerate() {
        let plays = vector.plays(&folder);
        for first in 1..plays.len() {
            let hint = HINTS[1 + (number + first) % (HINTS.len() - 1)];
            let last = plays.len().min(first + SEEN);
            for (role, hint) in [(None, None), (None, hint), (Some(Role::Client), hint)] {
                let mut judged = Judged::new(&format!("{name}, step {first}"), spoken, role, hint);
                judged.connection.join();
                tell(&mut judged, &plays[first..last]);
                wrong.extend(judged.close().err().and_then(kept));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}

/// In the middle of each step, at places that are the same each time.
#[test]
fn joined_inside_of_messages() {
    let (mut wrong, mut numbers) = (Vec::new(), Numbers(0x9e37_79b9_7f4a_7c15));
    for (name, spoken, vector, folder) in vectors() {
        let plays = vector.plays(&folder);
        for (first, play) in plays.iter().enumerate() {
            let Play::Bytes { from, bytes, .. } = play else { continue };
            for _ in 0..bytes.len().min(3) {
                let (cut, hint) = (numbers.below(bytes.len()), HINTS[numbers.below(HINTS.len())]);
                let mut judged = Judged::new(&format!("{name}, step {first} from byte {cut}"), spoken, None, hint);
                judged.connection.join();
                judged.say(*from == Speaker::Client, &bytes[cut..bytes.len().min(cut + MOST)]);
                tell(&mut judged, &plays[first + 1..plays.len().min(first + SEEN)]);
                wrong.extend(judged.close().err().and_then(kept));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}
