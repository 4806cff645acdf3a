//! Hundreds of distinct secrets go through every protocol (`conversations/`, in the format of the golden vectors): in
//! passwords, tokens, fields, literals, values, payloads, prompts, error texts. Whatever of a conversation is seen and
//! however it is cut, nothing that comes out holds a part of one.
//!
//! What is meant to be told is no place for them: paths, names of tables, keys, topics, models and hosts, stop sequences,
//! and parameters of a query that are not named like credentials.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../conversation/mod.rs"]
mod conversation;
#[path = "../conversation/leak.rs"]
mod leak;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use conversation::{File, Observed, Play, Speaker, Transport, Vector, files};
use leak::leak;
use obtrace_protocols::{Config, Connection, Direction, Protocol, Role, Shared, Tag, Timestamp};

/// The files, which protocol each speaks, and how many exchanges each has at least.
const FILES: [(&str, Protocol, usize); 13] = [
    ("dns", Protocol::Dns, 1),
    ("fastcgi", Protocol::FastCgi, 3),
    ("generative", Protocol::Http, 19),
    ("http", Protocol::Http, 32),
    ("http2", Protocol::Http2, 6),
    ("kafka", Protocol::Kafka, 16),
    ("mongodb", Protocol::MongoDb, 22),
    ("mqtt", Protocol::Mqtt, 8),
    ("mysql", Protocol::MySql, 36),
    ("postgres", Protocol::Postgres, 40),
    ("redis", Protocol::Redis, 40),
    ("sql", Protocol::Sql, 4),
    ("websocket", Protocol::WebSocket, 1),
];

fn conversations() -> Vec<(String, File)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/canary/conversations");
    let named = files(&folder).into_iter();
    named.map(|(path, file)| (path.file_stem().unwrap().to_str().unwrap().to_owned(), file)).collect()
}

fn plays(vector: &Vector) -> Vec<Play> {
    vector.plays(Path::new(""))
}

/// A connection that looks at what comes out of it.
struct Watched<'a> {
    name: String,
    vector: &'a Vector,
    connection: Connection,
    seen: Vec<Protocol>,
    leaks: Vec<String>,
    text: String,
}

impl<'a> Watched<'a> {
    fn new(name: &str, vector: &'a Vector, config: Config) -> Self {
        let name = format!("{name}, {}", vector.name);
        let connection = Connection::new(config, &Shared::default());
        Self { name, vector, connection, seen: Vec::new(), leaks: Vec::new(), text: String::new() }
    }

    fn play(&mut self, play: &Play, role: Observed) {
        let direction = |from| {
            if (from == Speaker::Client) == (role != Observed::Server) { Direction::Sent } else { Direction::Received }
        };
        match play {
            Play::Bytes { from, bytes, at, tag, .. } if self.vector.transport == Transport::Datagram => {
                self.connection.handle_datagram(direction(*from), bytes, Timestamp::from_nanos(*at), Tag::new(*tag));
            }
            Play::Bytes { from, offset, bytes, at, tag } => {
                let at = Timestamp::from_nanos(*at);
                self.connection.handle_data(direction(*from), *offset, bytes, at, Tag::new(*tag));
            }
            Play::Gap { from, offset, length, at } => {
                self.connection.handle_gap(direction(*from), *offset, *length, Timestamp::from_nanos(*at));
            }
            Play::Timeout { at } => self.connection.handle_timeout(Timestamp::from_nanos(*at)),
            Play::Close { at } => self.connection.handle_close(Timestamp::from_nanos(*at)),
        }
        self.drain();
    }

    fn drain(&mut self) {
        use std::fmt::Write as _;
        while let Some(opened) = self.connection.poll_opened() {
            self.text.clear();
            write!(self.text, "{opened:?}").unwrap();
            self.leaks.extend(leak(&self.text));
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            self.seen.push(exchange.protocol);
            self.text.clear();
            write!(self.text, "{exchange:?}").unwrap();
            self.leaks.extend(leak(&self.text));
        }
    }

    /// Adds what leaked to what others did: the first of a conversation.
    fn add_to(self, found: &mut BTreeMap<String, String>, how: impl FnOnce() -> String) {
        if let Some(leak) = self.leaks.first() {
            found.entry(self.name).or_insert_with(|| format!("{}: {leak}", how()));
        }
    }
}

fn config(name: &str) -> Config {
    Config::new().with_heuristic_sql(name == "sql")
}

fn roles() -> [(Observed, Option<Role>); 3] {
    [(Observed::Client, Some(Role::Client)), (Observed::Server, Some(Role::Server)), (Observed::Unknown, None)]
}

fn in_pieces(plays: &[Play], size: usize) -> Vec<Play> {
    let mut out = Vec::new();
    for play in plays {
        let Play::Bytes { from, offset, bytes, at, tag } = play else {
            out.push(play.clone());
            continue;
        };
        for (part, start) in bytes.chunks(size).zip((*offset..).step_by(size)) {
            out.push(Play::Bytes { from: *from, offset: start, bytes: part.to_vec(), at: *at, tag: *tag });
        }
    }
    out
}

#[test]
fn conversations_hold_many_secrets_and_are_understood() {
    let conversations = conversations();
    assert_eq!(conversations.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), FILES.map(|(name, ..)| name));
    let mut secrets = BTreeSet::new();
    for ((name, file), (_, protocol, at_least)) in conversations.iter().zip(FILES) {
        let mut seen = Vec::new();
        for vector in &file.vector {
            let mut watched = Watched::new(name, vector, config(name).with_role(Some(Role::Client)));
            for play in plays(vector) {
                watched.play(&play, Observed::Client);
                if let Play::Bytes { bytes, .. } = &play {
                    let text = String::from_utf8_lossy(bytes);
                    secrets.extend(
                        text.match_indices("zqjxzqjxzqjx")
                            .map(|(at, _)| text[at..].chars().take(18).collect::<String>()),
                    );
                }
            }
            seen.append(&mut watched.seen);
        }
        assert!(seen.contains(&protocol), "{name}: {seen:?}");
        assert!(seen.len() >= at_least, "{name}: {} exchanges", seen.len());
    }
    assert!(secrets.len() >= 750, "{}", secrets.len());
}

#[test]
fn nothing_leaks_from_whole_conversations() {
    let mut found = BTreeMap::new();
    for (name, file) in conversations() {
        for vector in &file.vector {
            let whole = plays(vector);
            let mut play = |size, (observed, role), max_text, joins| {
                let mut watched = Watched::new(&name, vector, config(&name).with_role(role).with_max_text(max_text));
                if joins {
                    watched.connection.join();
                }
                let size = if vector.transport == Transport::Stream { size } else { usize::MAX };
                in_pieces(&whole, size).iter().for_each(|play| watched.play(play, observed));
                watched.add_to(&mut found, || {
                    format!("pieces of {size}, {role:?}, {max_text} bytes of a text, joined: {joins}")
                });
            };
            for role in roles() {
                for max_text in [4096, 60, 24, 7] {
                    play(7, role, max_text, false);
                }
                play(usize::MAX, role, 4096, true);
            }
            play(1, roles()[0], 4096, false);
            play(1, roles()[2], 4096, true);
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// How many steps of a conversation tell what it is.
const PRELUDE: usize = 3;

/// A loss up to every byte of the first sixteen of each step, then to every eleventh: of what comes before, the beginning
/// of the conversation is seen, or nothing.
#[test]
fn nothing_leaks_after_a_loss() {
    let mut found = BTreeMap::new();
    for (name, file) in conversations() {
        for vector in file.vector.iter().filter(|vector| vector.transport == Transport::Stream) {
            let whole = plays(vector);
            for (index, play) in whole.iter().enumerate() {
                let Play::Bytes { from, offset, bytes, at, tag } = play else { continue };
                for cut in (1..bytes.len()).filter(|cut| *cut < 16 || cut % 11 == index % 11) {
                    let rest = Play::Bytes {
                        from: *from,
                        offset: offset + cut as u64,
                        bytes: bytes[cut..].to_vec(),
                        at: *at,
                        tag: *tag,
                    };
                    for knows in [false, true] {
                        let mut watched = Watched::new(&name, vector, config(&name).with_role(Some(Role::Client)));
                        let prelude = if knows { index.min(PRELUDE) } else { 0 };
                        for play in &whole[..prelude] {
                            watched.play(play, Observed::Client);
                        }
                        let (silence, last) =
                            (Play::Timeout { at: at + 60_000_000_000 }, Play::Close { at: at + 120_000_000_000 });
                        for play in
                            core::iter::once(&rest).chain(whole[index + 1..].iter().take(2)).chain([&silence, &last])
                        {
                            watched.play(play, Observed::Client);
                        }
                        watched.add_to(&mut found, || format!("step {index} from byte {cut}, after {prelude} steps"));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What is kept where it is asked for is found: these canaries can be heard.
#[test]
fn what_is_asked_for_is_heard() {
    let asked = Config::new().with_raw_sql(true).with_error_text(true).with_gen_ai_content(true);
    for (name, file) in conversations() {
        let mut leaks = 0;
        for vector in &file.vector {
            let mut watched = Watched::new(&name, vector, asked.with_role(Some(Role::Client)));
            plays(vector).iter().for_each(|play| watched.play(play, Observed::Client));
            leaks += watched.leaks.len();
        }
        let keeps = matches!(&*name, "generative" | "http2" | "mongodb" | "mysql" | "postgres");
        assert_eq!(leaks > 0, keeps, "{name}: {leaks}");
    }
}
