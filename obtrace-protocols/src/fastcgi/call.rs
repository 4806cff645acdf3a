//! A request with what is known of its answer.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt::Write;

use super::{
    head::Head,
    params::Params,
    record::{ApplicationRole, ProtocolStatus},
};
use crate::{Completeness, Message, Role, TraceContext, http::conceal::Kind, parser::Context};

/// A place in the call's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

/// What the parameters said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) method: Option<Span>,
    pub(super) uri: Option<Span>,
    /// `SCRIPT_NAME` or `DOCUMENT_URI`, of a server that gives no `REQUEST_URI`.
    pub(super) script: Option<Span>,
    pub(super) path_info: Option<Span>,
    pub(super) query: Option<Span>,
    pub(super) host: Option<Span>,
    pub(super) server_name: Option<Span>,
    pub(super) scheme: Option<Span>,
    pub(super) user_agent: Option<Span>,
    pub(super) content_type: Option<Span>,
    pub(super) remote: Option<Span>,
    pub(super) forwarded_for: Option<Span>,
    pub(super) is_https: bool,
    pub(super) is_http_1_0: bool,
    pub(super) trace_context: Option<TraceContext>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// It was announced.
    pub(super) is_open: bool,
    /// All parameters were read.
    pub(super) has_params: bool,
    /// All of its body was sent.
    pub(super) has_body: bool,
    /// The web server wants no answer any more.
    pub(super) is_aborted: bool,
    /// What the client sent after it may have been lost.
    pub(super) was_followed: bool,
    /// Its answer, or the front of it, may have been lost.
    pub(super) was_answered: bool,
}

/// See the module. Used again and again, with the memory of its text.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) request_id: u16,
    /// Counts those of the connection.
    pub(super) begun: u64,
    pub(super) request: Message,
    pub(super) response: Option<Message>,
    pub(super) completeness: Completeness,
    pub(super) role: ApplicationRole,
    pub(super) keeps_connection: bool,
    pub(super) progress: Progress,
    pub(super) asked: Asked,
    pub(super) params: Params,
    pub(super) head: Head,
    pub(super) response_type: Option<Span>,
    pub(super) stdin: u64,
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    pub(super) app_status: Option<u32>,
    pub(super) protocol_status: Option<ProtocolStatus>,
    pub(super) reason: Option<Span>,
    text: String,
}

impl Call {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        let mut text = core::mem::take(&mut self.text);
        let (mut params, mut head) = (core::mem::take(&mut self.params), core::mem::take(&mut self.head));
        text.clear();
        params.clear();
        head.clear();
        *self = Self { text, params, head, ..Self::default() };
    }

    pub(super) const fn capacity(&self) -> usize {
        self.text.capacity().saturating_add(self.params.capacity()).saturating_add(self.head.capacity())
    }

    pub(super) fn get(&self, span: Span) -> &str {
        self.text.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    /// Takes the next bytes of the parameters.
    pub(super) fn feed_params(&mut self, bytes: &[u8], most: usize) {
        let (asked, text) = (&mut self.asked, &mut self.text);
        self.params.feed(bytes, most, |name, value| asked.note(name, value, value.len() >= most, text));
    }

    /// Takes the next bytes of the output.
    pub(super) fn feed_output(&mut self, bytes: &[u8], most: usize) {
        let (kind, text) = (&mut self.response_type, &mut self.text);
        let behind = self.head.feed(bytes, |value| {
            if kind.is_none() {
                *kind = Some(keep(text, value.get(..most).unwrap_or(value)));
            }
        });
        self.stdout = self.stdout.saturating_add(behind as u64);
    }

    /// Announces the request, if it was not before.
    pub(super) fn open(&mut self, cx: &mut Context<'_>) {
        if !core::mem::replace(&mut self.progress.is_open, true) {
            let Message { start, tag, offset, .. } = self.request;
            self.id = cx.open_at(offset, start, tag, self.asked.trace_context);
        }
    }

    /// Counts a record that this side sent.
    pub(super) fn count(message: &mut Message, record: u64, cx: &Context<'_>, at: u64) {
        message.size = message.size.saturating_add(record);
        message.end = message.end.max(cx.mark_at(at).at);
    }

    /// Writes the reason of the failure down, as it is for this role. Called once, when the call is over.
    pub(super) fn settle(&mut self, role: Role) {
        let status = self.head.status();
        let from = self.text.len();
        let least = if role == Role::Client { 400 } else { 500 };
        match (self.protocol_status.and_then(ProtocolStatus::error), status) {
            (Some(error), _) => self.text.push_str(error),
            (None, Some(status)) if status >= least => {
                // Writing to a string cannot fail.
                let _ = write!(self.text, "{status}");
            }
            _ if self.progress.is_aborted => self.text.push_str("FCGI_ABORT_REQUEST"),
            _ => return,
        }
        self.reason = Some(since(&self.text, from));
    }
}

impl Asked {
    /// Notes a parameter, the first of its name. `is_cut`: there may be more of its value.
    fn note(&mut self, name: &[u8], value: &[u8], is_cut: bool, text: &mut String) {
        let (place, kind) = match name {
            b"REQUEST_METHOD" => (&mut self.method, Kind::Harmless),
            b"REQUEST_URI" => (&mut self.uri, Kind::Target),
            b"SCRIPT_NAME" | b"DOCUMENT_URI" => (&mut self.script, Kind::Path),
            b"PATH_INFO" => (&mut self.path_info, Kind::Path),
            b"QUERY_STRING" => (&mut self.query, Kind::Query),
            b"HTTP_HOST" => (&mut self.host, Kind::Authority),
            b"SERVER_NAME" => (&mut self.server_name, Kind::Harmless),
            b"REQUEST_SCHEME" => (&mut self.scheme, Kind::Scheme),
            b"HTTP_USER_AGENT" => (&mut self.user_agent, Kind::Agent),
            b"CONTENT_TYPE" => (&mut self.content_type, Kind::MediaType),
            b"REMOTE_ADDR" => (&mut self.remote, Kind::Addresses),
            b"HTTP_X_FORWARDED_FOR" => (&mut self.forwarded_for, Kind::Addresses),
            b"HTTPS" => {
                self.is_https = !value.is_empty() && !value.eq_ignore_ascii_case(b"off");
                return;
            }
            b"SERVER_PROTOCOL" => {
                self.is_http_1_0 = value == b"HTTP/1.0";
                return;
            }
            b"HTTP_TRACEPARENT" => {
                self.trace_context = self.trace_context.or_else(|| TraceContext::parse(value.trim_ascii()));
                return;
            }
            _ => return,
        };
        if place.is_none()
            && !value.is_empty()
            && let Some(value) = kind.known(value, is_cut)
        {
            let from = text.len();
            *place = Some(keep(text, value));
            kind.conceal(text, from, is_cut);
        }
    }
}

/// Appends bytes as text; what is not UTF-8 is replaced.
fn keep(out: &mut String, bytes: &[u8]) -> Span {
    let from = out.len();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    since(out, from)
}

fn since(text: &str, from: usize) -> Span {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { from: place(from), to: place(text.len()) }
}

/// Calls of which the memory is kept for later ones.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "they go back where they came from, boxed")]
pub(super) struct Spare(Vec<Box<Call>>);

impl Spare {
    /// Most calls that are kept.
    const MOST: usize = 8;
    /// Most bytes that such a call may hold.
    const MOST_BYTES: usize = 4096;

    pub(super) fn take(&mut self) -> Box<Call> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn give(&mut self, mut call: Box<Call>) {
        if self.0.len() < Self::MOST && call.capacity() <= Self::MOST_BYTES {
            call.clear();
            self.0.push(call);
        }
    }

    pub(super) fn memory(&self) -> usize {
        let calls = self.0.iter().map(|call| size_of::<Call>().saturating_add(call.capacity())).sum::<usize>();
        calls.saturating_add(self.0.capacity().saturating_mul(size_of::<usize>()))
    }
}
