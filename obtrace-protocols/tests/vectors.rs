//! Runs the golden vectors: every `testdata/<protocol>/*.toml`, whatever the protocol. A new folder is found, and a
//! protocol of which no vector tells is a failure.
//!
//! A file holds vectors; a vector is a conversation and the exchanges it must give:
//!
//! ```toml
//! [[vector]]
//! name = "one request"            # unique in the file
//! role = "client"                 # of the observed socket: "client" (default), "server", "unknown"
//! transport = "stream"            # or "datagram": every step is one datagram, not split
//! gaps = "strict"                 # or "told" or "lenient", see below
//! max_buffered = 8192             # optional: Config::with_max_buffered
//! max_text = 64                   # optional: Config::with_max_text
//! max_pending = 2                 # optional: Config::with_max_pending
//! max_body = 100                  # optional: Config::with_max_body
//! gen_ai_content = true           # optional: Config::with_gen_ai_content
//! feature = "deflate"             # optional: only in a build with this feature: "brotli", "deflate", "zstd"
//! client_offset = 4294967290      # optional: stream offset of the first byte; 0 by default; also server_offset
//! steps = [
//!   { client = 'GET / HTTP/1.1\r\n\r\n', at = 5 },   # bytes from the client; time in ns, 1000 more than the last
//!                                                    # step's if left out; tag = tag number, step number if left out
//!   { server = 'HTTP/1.1 204 No Content\r\n\r\n' },  # bytes from the server
//!   { server_hex = '00 0a ff' },                     # the same in hexadecimal; also client_hex
//!   { client_file = 'big.bin' },                     # the same from a file beside the vectors; also server_file
//!   { client = 'x', repeat = 1000 },                 # the bytes 1000 times
//!   { client_gap = 12 },                             # 12 bytes passed that were not captured; also server_gap
//!   { timeout = true },                              # Connection::handle_timeout at the time of the step
//!   { close = true },                                # Connection::handle_close
//! ]
//!
//! [[vector.exchange]]             # in the order they come out; only what is listed is compared
//! operation = "GET"
//! target = "/"
//! error = "404"                   # "" means that there must be none
//! completeness = "complete"       # complete is the default: it is always compared
//! response = true                 # whether a response was seen
//! request_size = 18               # also response_size
//! request_start = 5               # also request_end, response_start, response_end
//! request_tag = 0                 # also response_tag
//! request_offset = 0              # also response_offset
//! trace = "0af7651916cd43dd8448eb211c80319c"   # trace id in Opened; "" means that there must be none
//! details = ['status: Some(204)'] # each must be a part of the Debug text of Exchange::details
//! no_details = ['secret']         # none of these may be
//! ```
//!
//! Text in steps knows the escapes `\r \n \t \0 \\ \xNN`, so that TOML's literal strings (`'…'`) can be used.
//!
//! Each vector is run whole (steps as written), byte by byte, in random splits, with what one side says in a row as one
//! chunk, and as the mirrored role (the same bytes seen from the peer's socket): these must give the same exchanges in
//! every field. Then each step with bytes is
//! replaced by a gap, told (`handle_gap`) and untold (the bytes never come, the hole times out): nothing may panic,
//! every exchange must have been announced, and with `gaps = "strict"` the exchanges that have no byte in the lost
//! step must come out just as without the loss. `"told"` asks that only of gaps that are told. `"lenient"` is for
//! conversations in which later messages depend on earlier ones (prepared statements, pipelining). Last, the vector is
//! played as a connection that was joined: nothing may be told otherwise.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    thread,
};

use obtrace_protocols::{
    Completeness, Config, Connection, Direction, Exchange, Message, Opened, Protocol, Role, Shared, Stage, Tag,
    Timestamp, TraceContext,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[serde(default)]
    role: Observed,
    #[serde(default)]
    transport: Transport,
    #[serde(default)]
    gaps: Gaps,
    max_buffered: Option<u32>,
    max_text: Option<u32>,
    max_pending: Option<u32>,
    max_body: Option<u32>,
    #[serde(default)]
    gen_ai_content: bool,
    feature: Option<String>,
    #[serde(default)]
    client_offset: u64,
    #[serde(default)]
    server_offset: u64,
    steps: Vec<Step>,
    #[serde(default)]
    exchange: Vec<Expected>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Observed {
    #[default]
    Client,
    Server,
    Unknown,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Transport {
    #[default]
    Stream,
    Datagram,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Gaps {
    /// A loss costs only the exchanges that it touches.
    #[default]
    Strict,
    /// So does a loss that is told of when it happens. Where it is noticed by what comes next, that may be what is left
    /// of a longer answer: nothing is told of it.
    Told,
    /// A loss may cost more.
    Lenient,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: Option<u64>,
    tag: Option<u64>,
    client: Option<String>,
    server: Option<String>,
    client_hex: Option<String>,
    server_hex: Option<String>,
    client_file: Option<String>,
    server_file: Option<String>,
    repeat: Option<usize>,
    client_gap: Option<u64>,
    server_gap: Option<u64>,
    #[serde(default)]
    timeout: bool,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    operation: Option<String>,
    target: Option<String>,
    error: Option<String>,
    #[serde(default = "complete")]
    completeness: String,
    response: Option<bool>,
    request_size: Option<u64>,
    response_size: Option<u64>,
    request_start: Option<u64>,
    request_end: Option<u64>,
    response_start: Option<u64>,
    response_end: Option<u64>,
    request_tag: Option<u64>,
    response_tag: Option<u64>,
    request_offset: Option<u64>,
    response_offset: Option<u64>,
    trace: Option<String>,
    #[serde(default)]
    details: Vec<String>,
    #[serde(default)]
    no_details: Vec<String>,
}

fn complete() -> String {
    "complete".into()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speaker {
    Client,
    Server,
}

/// A step, ready to be played.
#[derive(Clone)]
enum Play {
    Bytes { from: Speaker, offset: u64, bytes: Vec<u8>, at: u64, tag: u64 },
    Gap { from: Speaker, offset: u64, length: u64, at: u64 },
    Timeout { at: u64 },
    Close { at: u64 },
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let mut digit = || char::from(bytes.next().unwrap()).to_digit(16).unwrap() as u8;
                digit() << 4 | digit()
            }
            other => panic!("unknown escape {other:?} in {text:?}"),
        });
    }
    out
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits in {text:?}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Step {
    fn bytes(&self, folder: &Path) -> Option<(Speaker, Vec<u8>)> {
        let read = |name: &String| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = |text: &String| unescape(text);
        let (from, bytes) = None
            .or(self.client.as_ref().map(|it| (Speaker::Client, text(it))))
            .or(self.server.as_ref().map(|it| (Speaker::Server, text(it))))
            .or(self.client_hex.as_ref().map(|it| (Speaker::Client, hex(it))))
            .or(self.server_hex.as_ref().map(|it| (Speaker::Server, hex(it))))
            .or(self.client_file.as_ref().map(|it| (Speaker::Client, read(it))))
            .or(self.server_file.as_ref().map(|it| (Speaker::Server, read(it))))?;
        Some((from, bytes.repeat(self.repeat.unwrap_or(1))))
    }
}

impl Vector {
    /// Whether this build can play it.
    fn is_built(&self) -> bool {
        match self.feature.as_deref() {
            None => true,
            Some("brotli") => cfg!(feature = "brotli"),
            Some("deflate") => cfg!(feature = "deflate"),
            Some("zstd") => cfg!(feature = "zstd"),
            Some(other) => panic!("{}: unknown feature {other}", self.name),
        }
    }

    fn plays(&self, folder: &Path) -> Vec<Play> {
        let (mut client, mut server, mut at) = (self.client_offset, self.server_offset, 0);
        let mut plays = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            at = step.at.unwrap_or(at + 1000);
            let tag = step.tag.unwrap_or(number as u64);
            let mut pass = |from, length| {
                let offset = if from == Speaker::Client { &mut client } else { &mut server };
                *offset += length;
                *offset - length
            };
            plays.push(if let Some((from, bytes)) = step.bytes(folder) {
                Play::Bytes { from, offset: pass(from, bytes.len() as u64), bytes, at, tag }
            } else if let Some(length) = step.client_gap {
                Play::Gap { from: Speaker::Client, offset: pass(Speaker::Client, length), length, at }
            } else if let Some(length) = step.server_gap {
                Play::Gap { from: Speaker::Server, offset: pass(Speaker::Server, length), length, at }
            } else if step.timeout {
                Play::Timeout { at }
            } else {
                assert!(step.close, "{}: step {number} does nothing", self.name);
                Play::Close { at }
            });
        }
        plays
    }

    fn config(&self, role: Observed) -> Config {
        let mut config = Config::new().with_role(match role {
            Observed::Client => Some(Role::Client),
            Observed::Server => Some(Role::Server),
            Observed::Unknown => None,
        });
        if let Some(bytes) = self.max_buffered {
            config = config.with_max_buffered(bytes);
        }
        if let Some(bytes) = self.max_text {
            config = config.with_max_text(bytes);
        }
        if let Some(requests) = self.max_pending {
            config = config.with_max_pending(requests);
        }
        if let Some(bytes) = self.max_body {
            config = config.with_max_body(bytes);
        }
        config.with_gen_ai_content(self.gen_ai_content)
    }
}

impl Play {
    const fn at(&self) -> u64 {
        match self {
            Self::Bytes { at, .. } | Self::Gap { at, .. } | Self::Timeout { at } | Self::Close { at } => *at,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    exchange: Exchange<'static>,
    trace: Option<TraceContext>,
    /// Who asks.
    sender: Role,
}

/// Plays a conversation as the owner of one of the sockets would see it.
fn play(vector: &Vector, role: Observed, plays: &[Play]) -> Vec<Outcome> {
    play_with(vector, role, plays, false)
}

/// `joined`: the connection was there before.
fn play_with(vector: &Vector, role: Observed, plays: &[Play], joined: bool) -> Vec<Outcome> {
    let mut connection = Connection::new(vector.config(role), &Shared::default());
    let direction = |from| match (from, role) {
        (Speaker::Client, Observed::Server) | (Speaker::Server, Observed::Client | Observed::Unknown) => {
            Direction::Received
        }
        _ => Direction::Sent,
    };
    if joined {
        connection.join();
    } else if vector.transport == Transport::Stream {
        connection.expect(direction(Speaker::Client), vector.client_offset);
        connection.expect(direction(Speaker::Server), vector.server_offset);
    }
    let mut opened: Vec<Opened> = Vec::new();
    let mut out = Vec::new();
    let mut seen = HashSet::new();
    for play in plays {
        match play {
            Play::Bytes { from, bytes, at, tag, .. } if vector.transport == Transport::Datagram => {
                connection.handle_datagram(direction(*from), bytes, Timestamp::from_nanos(*at), Tag::new(*tag));
            }
            Play::Bytes { from, offset, bytes, at, tag } => {
                let at = Timestamp::from_nanos(*at);
                connection.handle_data(direction(*from), *offset, bytes, at, Tag::new(*tag));
            }
            Play::Gap { from, offset, length, at } => {
                connection.handle_gap(direction(*from), *offset, *length, Timestamp::from_nanos(*at));
            }
            Play::Timeout { at } => connection.handle_timeout(Timestamp::from_nanos(*at)),
            Play::Close { at } => connection.handle_close(Timestamp::from_nanos(*at)),
        }
        while let Some(one) = connection.poll_opened() {
            let known = opened.iter().position(|other| other.id == one.id);
            let Some(known) = known else {
                assert!(matches!(one.stage, Stage::Certain | Stage::Tentative), "{}: {one:?} is new", vector.name);
                opened.push(one);
                continue;
            };
            // What was tentative is settled once, and is the same request still.
            let before = &mut opened[known];
            assert!(matches!(one.stage, Stage::Confirmed | Stage::Withdrawn), "{}: {one:?} twice", vector.name);
            let mut settled = *before;
            assert_eq!(settled.stage, Stage::Tentative, "{}: {one:?}", vector.name);
            settled.stage = one.stage;
            assert_eq!(settled, one, "{}", vector.name);
            *before = one;
        }
        while let Some(exchange) = connection.poll_exchange() {
            let announced = opened.iter().find(|opened| opened.id == exchange.id);
            let announced = announced.unwrap_or_else(|| panic!("{}: not announced: {exchange:?}", vector.name));
            assert_eq!(exchange.details.protocol(), exchange.protocol, "{}: {exchange:?}", vector.name);
            assert_eq!(announced.start, exchange.request.start, "{}: {exchange:?}", vector.name);
            assert_eq!(announced.offset, exchange.request.offset, "{}: {exchange:?}", vector.name);
            assert!(seen.insert(exchange.id), "{}: twice: {exchange:?}", vector.name);
            assert_ne!(announced.stage, Stage::Withdrawn, "{}: {exchange:?}", vector.name);
            let Opened { trace_context: trace, sender, .. } = *announced;
            out.push(Outcome { exchange: exchange.into_owned(), trace, sender });
        }
    }
    if matches!(plays.last(), Some(Play::Close { .. })) {
        let owed = opened.iter().find(|one| one.stage != Stage::Withdrawn && !seen.contains(&one.id));
        assert_eq!(owed, None, "{}: announced and did not come", vector.name);
    }
    out
}

/// Cuts every chunk at the places that `cut` names.
fn split(plays: &[Play], mut cut: impl FnMut(usize) -> usize) -> Vec<Play> {
    let mut out = Vec::new();
    for play in plays {
        let Play::Bytes { from, offset, bytes, at, tag } = play else {
            out.push(play.clone());
            continue;
        };
        let (mut rest, mut offset) = (&bytes[..], *offset);
        while !rest.is_empty() {
            let (part, left) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            out.push(Play::Bytes { from: *from, offset, bytes: part.to_vec(), at: *at, tag: *tag });
            offset += part.len() as u64;
            rest = left;
        }
    }
    out
}

/// What a speaker says in a row is said at one time: as it is, and as one chunk.
fn together(plays: &[Play]) -> [Vec<Play>; 2] {
    let (mut parts, mut wholes): (Vec<Play>, Vec<Play>) = Default::default();
    for play in plays {
        let Play::Bytes { from, bytes, .. } = play else {
            parts.push(play.clone());
            wholes.push(play.clone());
            continue;
        };
        let mut part = play.clone();
        match wholes.last_mut() {
            Some(Play::Bytes { from: before, bytes: whole, at: first, tag: mark, .. }) if before == from => {
                let Play::Bytes { at, tag, .. } = &mut part else { unreachable!() };
                (*at, *tag) = (*first, *mark);
                whole.extend_from_slice(bytes);
            }
            _ => wholes.push(play.clone()),
        }
        parts.push(part);
    }
    [parts, wholes]
}

fn check(vector: &Vector, outcomes: &[Outcome]) {
    let name = &vector.name;
    assert_eq!(outcomes.len(), vector.exchange.len(), "{name}: number of exchanges: {outcomes:#?}");
    for (number, (outcome, expected)) in outcomes.iter().zip(&vector.exchange).enumerate() {
        let Outcome { exchange, trace, .. } = outcome;
        let it = format!("{name}, exchange {number}: {exchange:#?}");
        let text = |wanted: &Option<String>, found: &str, what: &str| {
            if let Some(wanted) = wanted {
                assert_eq!(wanted, found, "{what} of {it}");
            }
        };
        text(&expected.operation, &exchange.operation, "operation");
        text(&expected.target, &exchange.target, "target");
        text(&expected.error, exchange.error.as_deref().unwrap_or_default(), "error");
        assert_eq!(expected.completeness, exchange.completeness.name(), "completeness of {it}");
        if let Some(response) = expected.response {
            assert_eq!(response, exchange.response.is_some(), "response of {it}");
        }
        let number = |wanted: Option<u64>, message: Option<Message>, get: fn(&Message) -> u64, what: &str| {
            if let Some(wanted) = wanted {
                assert_eq!(Some(wanted), message.as_ref().map(get), "{what} of {it}");
            }
        };
        let (request, response) = (Some(exchange.request), exchange.response);
        number(expected.request_size, request, |it| it.size, "request size");
        number(expected.response_size, response, |it| it.size, "response size");
        number(expected.request_start, request, |it| it.start.as_nanos(), "request start");
        number(expected.request_end, request, |it| it.end.as_nanos(), "request end");
        number(expected.response_start, response, |it| it.start.as_nanos(), "response start");
        number(expected.response_end, response, |it| it.end.as_nanos(), "response end");
        number(expected.request_tag, request, |it| it.tag.get(), "request tag");
        number(expected.response_tag, response, |it| it.tag.get(), "response tag");
        number(expected.request_offset, request, |it| it.offset, "request offset");
        number(expected.response_offset, response, |it| it.offset, "response offset");
        let trace_id = trace.map(|trace| trace.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        text(&expected.trace, trace_id.as_deref().unwrap_or_default(), "trace id");
        let details = format!("{:?}", exchange.details);
        for part in &expected.details {
            assert!(details.contains(part.as_str()), "no {part:?} in details of {it}");
        }
        for part in &expected.no_details {
            assert!(!details.contains(part.as_str()), "{part:?} in details of {it}");
        }
    }
}

/// Whether an exchange has bytes in the lost chunk. A response that was never seen may have been anywhere.
fn touches(Outcome { exchange, sender, .. }: &Outcome, lost_from: Speaker, lost: std::ops::Range<u64>) -> bool {
    let overlaps = |message: &Message| {
        message.offset < lost.end && lost.start < message.offset.saturating_add(message.size.max(1))
    };
    if (lost_from == Speaker::Client) == (*sender == Role::Client) {
        overlaps(&exchange.request)
    } else {
        exchange.response.as_ref().is_none_or(overlaps)
    }
}

fn with_gaps(vector: &Vector, plays: &[Play], whole: &[Outcome]) {
    for (index, lost) in plays.iter().enumerate() {
        let Play::Bytes { from, offset, bytes, at, .. } = lost else { continue };
        let range = *offset..*offset + bytes.len() as u64;
        let mut told = plays.to_vec();
        told[index] = Play::Gap { from: *from, offset: *offset, length: bytes.len() as u64, at: *at };
        let mut untold = plays.to_vec();
        untold.remove(index);
        let last = plays.iter().map(Play::at);
        // Silence: first the hole is given up, then nothing is under way any more.
        let last = last.max().unwrap_or_default();
        let silence = [60_000_000_000, 120_000_000_000].map(|after| Play::Timeout { at: last + after });
        told.extend(silence.clone());
        untold.extend(silence);
        for (how, plays) in [("told", told), ("untold", untold)] {
            if vector.transport == Transport::Datagram && how == "told" {
                continue;
            }
            let outcomes = play(vector, vector.role, &plays);
            let is_strict = vector.gaps == Gaps::Strict || (vector.gaps == Gaps::Told && how == "told");
            if !is_strict || (vector.role == Observed::Unknown && index == 0) {
                continue;
            }
            for kept in whole.iter().filter(|it| !touches(it, *from, range.clone())) {
                let same = |outcome: &Outcome| {
                    let mut outcome = outcome.clone();
                    outcome.exchange.id = kept.exchange.id;
                    outcome == *kept
                };
                assert!(
                    outcomes.iter().any(same),
                    "{}: step {index} lost ({how}): missing {kept:#?}\nin {outcomes:#?}",
                    vector.name
                );
            }
        }
    }
}

fn run(vector: &Vector, folder: &Path, told: &mut [usize; 2], protocols: &mut HashSet<Protocol>) {
    let plays = vector.plays(folder);
    let whole = play(vector, vector.role, &plays);
    check(vector, &whole);
    protocols.extend(whole.iter().map(|outcome| outcome.exchange.protocol));
    if vector.transport == Transport::Stream {
        let bytewise = split(&plays, |_| 1);
        assert_eq!(whole, play(vector, vector.role, &bytewise), "{}: byte by byte", vector.name);
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..24 {
            let random = split(&plays, |left| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                1 + seed as usize % left.min(1 << (round % 12))
            });
            assert_eq!(whole, play(vector, vector.role, &random), "{}: random split {round}", vector.name);
        }
    }
    if vector.transport == Transport::Stream {
        let [parts, wholes] = together(&plays).map(|plays| play(vector, vector.role, &plays));
        assert_eq!(parts, wholes, "{}: what is said in a row in one chunk", vector.name);
    }
    let mirrored = match vector.role {
        Observed::Client => Observed::Server,
        Observed::Server | Observed::Unknown => Observed::Client,
    };
    let strip = |outcomes: &[Outcome]| -> Vec<_> {
        let parts = outcomes.iter().map(|outcome| {
            let Exchange { id, protocol, operation, target, request, response, completeness, .. } = &outcome.exchange;
            let common = (*id, *protocol, operation.clone(), target.clone());
            (common, *request, *response, *completeness, outcome.trace)
        });
        parts.collect()
    };
    assert_eq!(strip(&whole), strip(&play(vector, mirrored, &plays)), "{}: seen from the peer", vector.name);
    with_gaps(vector, &plays, &whole);
    if vector.transport == Transport::Stream {
        joined(vector, &plays, &whole, told);
    }
}

/// The same bytes of a connection that was there before they were seen: what is told whole is as it is, and `told`
/// counts how much of it is told.
fn joined(vector: &Vector, plays: &[Play], whole: &[Outcome], told: &mut [usize; 2]) {
    let mut plays = plays.to_vec();
    let last = plays.iter().map(Play::at).max().unwrap_or_default();
    plays.push(Play::Timeout { at: last + 60_000_000_000 });
    let outcomes = play_with(vector, vector.role, &plays, true);
    let same = |one: &Outcome, other: &Outcome| {
        let mut one = one.clone();
        one.exchange.id = other.exchange.id;
        one == *other
    };
    for outcome in outcomes.iter().filter(|it| it.exchange.completeness == Completeness::Complete) {
        let is_right = whole.iter().any(|known| same(outcome, known));
        assert!(is_right, "{}: joined: {outcome:#?} is not in {whole:#?}", vector.name);
    }
    told[0] += whole.iter().filter(|known| outcomes.iter().any(|outcome| same(outcome, known))).count();
    told[1] += whole.len();
}

/// Plays the vectors of a folder. Gives the protocols of what they told.
fn run_folder(name: &str, folder: &Path) -> HashSet<Protocol> {
    let (mut count, mut told, mut protocols) = (0, [0; 2], HashSet::new());
    for path in entries(folder).iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let text = fs::read_to_string(path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut names = HashSet::new();
        for vector in &file.vector {
            assert!(names.insert(&vector.name), "{}: two vectors named {:?}", path.display(), vector.name);
            count += 1;
            if vector.is_built() {
                run(vector, folder, &mut told, &mut protocols);
            }
        }
    }
    assert!(count >= fewest(name), "only {count} vectors in {}", folder.display());
    assert!(told[0] * 10 >= told[1] * 8, "{}: joined: {} of {} exchanges", folder.display(), told[0], told[1]);
    protocols
}

/// How many vectors a folder must have. A folder in that of a protocol holds what only some builds read.
fn fewest(name: &str) -> usize {
    match name {
        "payload" => 70,
        "http2" => 65,
        "mysql" => 60,
        "redis" | "http" | "postgres" => 40,
        "dns" | "mongodb" => 35,
        "websocket" => 12,
        part if part.contains('/') => 2,
        _ => 20,
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The folders below one, and those below them, by name.
fn folders(below: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in entries(below).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let parts = folders(&folder).into_iter().map(|(part, path)| (format!("{name}/{part}"), path));
        found.extend(parts.collect::<Vec<_>>());
        found.push((name, folder));
    }
    found
}

/// Each folder in a thread of its name, which a failure tells.
#[test]
fn every_folder() {
    let folders = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"));
    assert!(!folders.is_empty());
    let told: HashSet<Protocol> = thread::scope(|scope| {
        let play = |(name, folder): &(String, PathBuf)| {
            let (name, folder) = (name.clone(), folder.clone());
            let thread = thread::Builder::new().name(name.clone());
            thread.spawn_scoped(scope, move || run_folder(&name, &folder)).unwrap()
        };
        let threads: Vec<_> = folders.iter().map(play).collect();
        let outcomes: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        outcomes.into_iter().flat_map(|outcome| outcome.expect("a folder failed")).collect()
    });
    // Guesses have no vectors.
    let untold = Protocol::ALL.iter().filter(|protocol| **protocol != Protocol::Sql && !told.contains(protocol));
    assert_eq!(untold.collect::<Vec<_>>(), Vec::<&Protocol>::new(), "no vector tells of it");
}
