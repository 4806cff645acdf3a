//! What rides on HTTP: calls of APIs whose requests and responses say more in their bodies than in their heads.
//!
//! Bodies are not read, with one exception: where the head of a request says that it may be one of these calls, the
//! bodies of its exchange are shown to an *observer*, piece by piece as they pass, and nothing of them is stored but what
//! it found. [`Exchange::details`](crate::Exchange::details) has it as a [`Payload`] then.
//!
//! ```
//! use obtrace_protocols::{
//!     Config, Connection, Details, Direction, Role, Shared, Tag, Timestamp, payload::Payload,
//! };
//! let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
//! let asked = b"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n\
//!     Content-Length: 52\r\n\r\n{\"model\":\"gpt-5\",\"messages\":[{\"content\":\"private\"}]}";
//! let answered = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\r\n\
//!     {\"model\":\"gpt-5-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9}}  ";
//! connection.handle_data(Direction::Sent, 0, asked, Timestamp::from_nanos(1), Tag::default());
//! connection.handle_data(Direction::Received, 0, answered, Timestamp::from_nanos(2), Tag::default());
//! let exchange = connection.poll_exchange().unwrap();
//! let Details::Http(details) = &exchange.details else { panic!() };
//! let Some(Payload::GenAi(call)) = details.payload.as_ref().map(|payload| &***payload) else { panic!() };
//! assert_eq!((call.operation, call.request_model()), ("chat", Some("gpt-5")));
//! assert_eq!((call.response_model(), call.input_tokens), (Some("gpt-5-1"), Some(9)));
//! assert_eq!(call.input_messages(), None);
//! ```
//!
//! # How a body is read
//!
//! The protocol takes its framing away (chunks, frames). What is left is decoded if the build knows the content coding
//! (features `deflate`, `brotli`, `zstd`), split into documents (one JSON document, one a line, one a server-sent event), and
//! walked through by a reader that knows which members are of interest. All of it is incremental: any split of the bytes
//! finds the same, at linear cost and without allocation once buffers have their size.
//!
//! # Limits
//!
//! [`Config::max_body`](crate::Config::max_body) decoded bytes of a body, so that a bomb stops the reading; names of 256
//! bytes, lists of 8 to 16 entries, JSON of 128 levels, 64 exchanges of a connection at a time. All that they hold, the
//! windows of compressed bodies above all, is bounded by 16 MiB a connection: a body whose decoder might go beyond that is
//! not read on. What is left unread for such a reason is told by [`Unread`], and by
//! [`Completeness::Truncated`](crate::Completeness::Truncated) where it was a limit.
//!
//! # What is not kept
//!
//! Prompts, outputs, arguments of tools and vectors, unless
//! [`Config::gen_ai_content`](crate::Config::gen_ai_content) asks for the first three; texts of errors; header fields, so no keys of APIs.
//!
//! # Adding one
//!
//! A folder with a recogniser, the shapes of its documents and what it makes of their values; a line in the table of this
//! module; a variant of [`Payload`]. A protocol that carries HTTP holds the `Observers` of a connection, asks them at the
//! end of a request's head, and gives the observer that it gets what follows.

mod body;
pub(crate) mod coding;
mod events;
mod gen_ai;
mod json;
mod retrieval;
mod valid;
mod watch;
mod words;

use alloc::{boxed::Box, vec::Vec};

pub use gen_ai::{GenAi, GenAiEndpoint, ToolCall};
pub use retrieval::Retrieval;
pub(crate) use watch::Observer;

use self::coding::Coding;
use crate::{Config, Shared, Timestamp};

/// What a call of an API that rides on HTTP was about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "it is always in a box, which serves many exchanges")]
pub enum Payload {
    /// A model of generative AI was asked.
    GenAi(GenAi),
    /// A vector store was searched.
    Retrieval(Retrieval),
}

impl Payload {
    /// Why it failed, in the words of the service; a name of low cardinality.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::GenAi(call) => call.error(),
            Self::Retrieval(call) => call.error(),
        }
    }

    /// What kept the request's body from being read to its end.
    #[must_use]
    pub const fn request_unread(&self) -> Option<Unread> {
        match self {
            Self::GenAi(call) => call.request_unread,
            Self::Retrieval(call) => call.request_unread,
        }
    }

    /// The same of the response's body.
    #[must_use]
    pub const fn response_unread(&self) -> Option<Unread> {
        match self {
            Self::GenAi(call) => call.response_unread,
            Self::Retrieval(call) => call.response_unread,
        }
    }

    /// Whether a limit kept a body from being read to its end.
    pub(crate) fn is_cut(&self) -> bool {
        let cut = |unread| matches!(unread, Some(Unread::Limit | Unread::Memory));
        cut(self.request_unread()) || cut(self.response_unread())
    }
}

/// Why a body was not read to its end. What was found before counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// Its content coding, or its type, is none that is read.
    Coding,
    /// It is longer than [`Config::max_body`](crate::Config::max_body), once decoded.
    Limit,
    /// It is not what it says that it is.
    Malformed,
    /// Bytes of it were lost.
    Gap,
    /// To decode it would take more memory than the bodies of one connection may, together with the others.
    Memory,
}

/// The head of a request, as far as it tells which call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The authority, with its port if it has one.
    pub(crate) host: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) coding: Coding,
    pub(crate) start: Timestamp,
}

impl<'a> Request<'a> {
    /// The path, without authority and query.
    fn path(&self) -> &'a str {
        let until = |end| crate::scan::find_from(self.target.as_bytes(), 0, end).unwrap_or(self.target.len());
        let target = self.target.get(..until(b'?').min(until(b'#'))).unwrap_or(self.target);
        if target.starts_with('/') {
            return target;
        }
        let rest = target.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
    }

    /// The host without its port.
    fn host_name(&self) -> &'a str {
        let (name, port) = self.host.rsplit_once(':').unwrap_or((self.host, ""));
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { self.host }
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) coding: Coding,
}

/// What a request may be, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    /// Which API of its kind.
    api: u8,
    /// Who provides it.
    provider: &'a str,
    /// The head alone makes it sure.
    sure: bool,
}

/// A kind of payload.
struct Kind {
    kind: watch::KindOf,
    /// Whether the head of a request may be such a call.
    recognise: for<'a> fn(&Request<'_>, &'a [GenAiEndpoint]) -> Option<Call<'a>>,
    new: fn() -> Box<dyn Observer>,
}

/// All kinds, in the order in which they are asked: the one whose paths say most comes first.
static KINDS: [Kind; 2] = [
    Kind { kind: watch::KindOf::GenAi, recognise: gen_ai::recognise, new: gen_ai::new_observer },
    Kind { kind: watch::KindOf::Retrieval, recognise: retrieval::recognise, new: retrieval::new_observer },
];

/// Most exchanges of a connection that are observed at a time.
pub(crate) const MAX_OBSERVED: usize = 64;
/// Most heap bytes that the observers of a connection hold because of compressed bodies.
pub(crate) const MAX_HELD: usize = 16 * 1024 * 1024;
/// Most observers that are kept for use again.
const MAX_SPARE: usize = 4;

/// The observers of a connection.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    spare: Vec<Box<dyn Observer>>,
    out: usize,
    /// Heap bytes of all, those that are out included, when they were last looked at.
    held: usize,
}

/// What became of the question whether a request is to be observed.
#[derive(Debug)]
pub(crate) enum Observed {
    /// It is none of these calls.
    No,
    Yes(Box<dyn Observer>),
    /// It is one, but too many are observed already.
    TooMany,
}

impl Observers {
    /// Asked at the end of a request's head. Costs ordinary requests a look at the end of their path.
    #[inline]
    pub(crate) fn observe(&mut self, request: &Request<'_>, config: &Config, shared: &Shared) -> Observed {
        if request.method != "POST" || config.max_body == 0 {
            return Observed::No;
        }
        self.ask(request, config, shared.gen_ai_endpoints())
    }

    fn ask(&mut self, request: &Request<'_>, config: &Config, endpoints: &[GenAiEndpoint]) -> Observed {
        let known = KINDS.iter().find_map(|kind| Some((kind, (kind.recognise)(request, endpoints)?)));
        let Some((kind, call)) = known else { return Observed::No };
        if self.out >= MAX_OBSERVED {
            return Observed::TooMany;
        }
        let spare = self.spare.iter().position(|observer| observer.kind() == kind.kind);
        let mut observer = spare.map_or_else(kind.new, |at| self.spare.swap_remove(at));
        self.out = self.out.saturating_add(1);
        self.with(&mut *observer, |observer| observer.begin(call, request, config));
        Observed::Yes(observer)
    }

    /// An observer has found what it could.
    pub(crate) fn give_back(&mut self, mut observer: Box<dyn Observer>) {
        self.out = self.out.saturating_sub(1);
        // What it held may be gone since.
        self.with(&mut *observer, |_| {});
        if self.spare.len() < MAX_SPARE {
            self.spare.push(observer);
        } else {
            self.held = self.held.saturating_sub(observer.memory());
        }
    }

    /// An observer goes to those of the protocol that the connection goes on in.
    pub(crate) fn hand_over(&mut self, observer: &dyn Observer) {
        self.out = self.out.saturating_sub(1);
        self.held = self.held.saturating_sub(observer.memory());
    }

    /// One comes from there. What it was told of a response was not the one.
    pub(crate) fn adopt(&mut self, observer: &mut dyn Observer) {
        self.out = self.out.saturating_add(1);
        self.held = self.held.saturating_add(observer.memory());
        self.with(observer, |observer| observer.abandon());
    }

    /// Does something with an observer, and notes what it holds then.
    pub(crate) fn with(&mut self, observer: &mut dyn Observer, act: impl FnOnce(&mut dyn Observer)) {
        let before = observer.memory();
        let others = self.held.saturating_sub(before);
        observer.allow(MAX_HELD.saturating_sub(others));
        act(observer);
        self.held = others.saturating_add(observer.measure());
    }

    /// Whether any exchange is observed.
    #[inline]
    pub(crate) const fn observe_any(&self) -> bool {
        self.out > 0
    }

    /// Heap bytes of all observers.
    pub(crate) const fn memory(&self) -> usize {
        self.held
    }

    pub(crate) fn shrink(&mut self) {
        for observer in core::mem::take(&mut self.spare) {
            self.held = self.held.saturating_sub(observer.memory());
        }
    }
}

#[cfg(test)]
mod tests;
