//! Conversations as data: what the golden vectors and the canaries are written in.
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

#![allow(dead_code, reason = "not every test reads everything")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use obtrace_protocols::{Config, Role};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) vector: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) role: Observed,
    #[serde(default)]
    pub(crate) transport: Transport,
    #[serde(default)]
    pub(crate) gaps: Gaps,
    pub(crate) max_buffered: Option<u32>,
    pub(crate) max_text: Option<u32>,
    pub(crate) max_pending: Option<u32>,
    pub(crate) max_body: Option<u32>,
    #[serde(default)]
    pub(crate) gen_ai_content: bool,
    pub(crate) feature: Option<String>,
    #[serde(default)]
    pub(crate) client_offset: u64,
    #[serde(default)]
    pub(crate) server_offset: u64,
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) exchange: Vec<Expected>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Observed {
    #[default]
    Client,
    Server,
    Unknown,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    #[default]
    Stream,
    Datagram,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gaps {
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
pub(crate) struct Step {
    pub(crate) at: Option<u64>,
    pub(crate) tag: Option<u64>,
    pub(crate) client: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) client_hex: Option<String>,
    pub(crate) server_hex: Option<String>,
    pub(crate) client_file: Option<String>,
    pub(crate) server_file: Option<String>,
    pub(crate) repeat: Option<usize>,
    pub(crate) client_gap: Option<u64>,
    pub(crate) server_gap: Option<u64>,
    #[serde(default)]
    pub(crate) timeout: bool,
    #[serde(default)]
    pub(crate) close: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) operation: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) error: Option<String>,
    #[serde(default = "complete")]
    pub(crate) completeness: String,
    pub(crate) response: Option<bool>,
    pub(crate) request_size: Option<u64>,
    pub(crate) response_size: Option<u64>,
    pub(crate) request_start: Option<u64>,
    pub(crate) request_end: Option<u64>,
    pub(crate) response_start: Option<u64>,
    pub(crate) response_end: Option<u64>,
    pub(crate) request_tag: Option<u64>,
    pub(crate) response_tag: Option<u64>,
    pub(crate) request_offset: Option<u64>,
    pub(crate) response_offset: Option<u64>,
    pub(crate) trace: Option<String>,
    #[serde(default)]
    pub(crate) details: Vec<String>,
    #[serde(default)]
    pub(crate) no_details: Vec<String>,
}

pub(crate) fn complete() -> String {
    "complete".into()
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speaker {
    Client,
    Server,
}

/// A step, ready to be played.
#[derive(Clone)]
pub(crate) enum Play {
    Bytes { from: Speaker, offset: u64, bytes: Vec<u8>, at: u64, tag: u64 },
    Gap { from: Speaker, offset: u64, length: u64, at: u64 },
    Timeout { at: u64 },
    Close { at: u64 },
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
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

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap() as u8).collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits in {text:?}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Step {
    pub(crate) fn bytes(&self, folder: &Path) -> Option<(Speaker, Vec<u8>)> {
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
    pub(crate) fn plays(&self, folder: &Path) -> Vec<Play> {
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

    pub(crate) fn config(&self, role: Observed) -> Config {
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
    pub(crate) const fn at(&self) -> u64 {
        match self {
            Self::Bytes { at, .. } | Self::Gap { at, .. } | Self::Timeout { at } | Self::Close { at } => *at,
        }
    }
}

/// What is in a folder, in order.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The files of a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, File)> {
    let mut files = entries(folder);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let file = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, file)
    };
    files.into_iter().map(read).collect()
}
