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

/// What is wrong, but for TLS where there is TLS.
fn kept(wrong: String) -> Option<String> {
    let is_tls = wrong.ends_with(": Tls") && TLS.iter().any(|name| wrong.starts_with(name));
    (!is_tls).then_some(wrong)
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

/// Plays some steps, the first of them from this byte on. What is wrong.
fn joined_inside(
    name: &str,
    spoken: &[Protocol],
    plays: &[Play],
    first: usize,
    cut: usize,
    hint: Option<Protocol>,
) -> Option<String> {
    let Play::Bytes { from, bytes, .. } = &plays[first] else { return None };
    let mut judged = Judged::new(&format!("{name}, step {first} from byte {cut}"), spoken, None, hint);
    judged.connection.join();
    judged.say(*from == Speaker::Client, &bytes[cut..bytes.len().min(cut + MOST)]);
    tell(&mut judged, &plays[first + 1..plays.len().min(first + SEEN)]);
    judged.close().err().and_then(kept)
}

/// In the middle of each step, at every place, with every hint.
#[test]
#[ignore = "takes minutes; after a matcher was changed"]
fn joined_at_every_byte() {
    let mut wrong = Vec::new();
    for (name, spoken, vector, folder) in vectors() {
        let plays = vector.plays(&folder);
        for (first, play) in plays.iter().enumerate() {
            let Play::Bytes { bytes, .. } = play else { continue };
            for (cut, hint) in (0..bytes.len().min(MOST)).flat_map(|cut| HINTS.map(|hint| (cut, hint))) {
                wrong.extend(joined_inside(&name, spoken, &plays, first, cut, hint));
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
            let Play::Bytes { bytes, .. } = play else { continue };
            for _ in 0..bytes.len().min(3) {
                let (cut, hint) = (numbers.below(bytes.len()), HINTS[numbers.below(HINTS.len())]);
                wrong.extend(joined_inside(&name, spoken, &plays, first, cut, hint));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}
