//! One line a span, for people.

use std::{
    fmt::{self, Display},
    io::Write,
};

use obtrace_export::{
    encode::terminal::{Clean, Elapsed, Outcome, Paint, Style, TimeOfDay, service},
    model::{Span, SpanKind, Value},
};
use obtrace_protocols::Completeness;

use super::jsonl;
use crate::traces::SpanRecord;

/// Time of day (UTC), service, kind, name, status, duration, peer.
pub(super) fn write(out: &mut Vec<u8>, record: &SpanRecord, color: bool) {
    let span = &record.span;
    let paint = Paint::new(color);
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "{} {:<12} {:<6} {} {}{} {}{}",
        paint.of(Style::Dim, TimeOfDay(span.start_unix_nano)),
        paint.of(Style::Cyan, service(&span.resource)),
        jsonl::kind(span.kind),
        paint.of(Style::Bold, Clean(&span.name)),
        paint.of(Outcome(span).style(), Ending(record)),
        paint.of(Style::Dim, Seen(record.completeness)),
        Elapsed(span.end_unix_nano.saturating_sub(span.start_unix_nano)),
        Peer(span),
    );
}

/// How it ended; `-` where its answer never came and nothing else says it.
pub(super) struct Ending<'a>(pub(super) &'a SpanRecord);

impl Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = Outcome(&self.0.span);
        if self.0.completeness == Completeness::ResponseMissing && !outcome.has_code() {
            return f.write_str("-");
        }
        outcome.fmt(f)
    }
}

/// What was not seen of it.
pub(super) struct Seen(pub(super) Completeness);

impl Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Completeness::Complete { Ok(()) } else { write!(f, " ({})", self.0.name()) }
    }
}

/// The other end of the connection.
pub(super) struct Peer<'a>(pub(super) &'a Span);

impl Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |key| self.0.attributes.iter().find(|a| a.key == key).map(|a| &a.value);
        let Some(Value::Str(address)) = get("network.peer.address") else { return Ok(()) };
        let asks = matches!(self.0.kind, SpanKind::Client | SpanKind::Producer);
        let arrow = if asks { "→" } else { "←" };
        match get("network.peer.port") {
            Some(Value::Int(port)) if address.contains(':') => write!(f, " {arrow} [{}]:{port}", Clean(address)),
            Some(Value::Int(port)) => write!(f, " {arrow} {}:{port}", Clean(address)),
            _ => write!(f, " {arrow} {}", Clean(address)),
        }
    }
}
