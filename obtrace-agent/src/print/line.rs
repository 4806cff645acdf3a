//! One line a span, for people.

use std::{
    fmt::{self, Display},
    io::Write,
};

use obtrace_export::model::{Resource, Span, SpanKind, Status, Value};
use obtrace_protocols::Completeness;

use super::jsonl;
use crate::traces::SpanRecord;

pub(super) const RESET: &str = "\x1b[0m";
pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const CYAN: &str = "\x1b[36m";

/// Time of day (UTC), service, kind, name, status, duration, peer.
pub(super) fn write(out: &mut Vec<u8>, record: &SpanRecord, color: bool) {
    let span = &record.span;
    let paint = Paint(color);
    // Writing to memory does not fail.
    let _ = writeln!(
        out,
        "{} {:<12} {:<6} {} {}{} {}{}",
        paint.of(DIM, &TimeOfDay(span.start_unix_nano)),
        paint.of(CYAN, &Clean(service(&span.resource))),
        jsonl::kind(span.kind),
        paint.of(BOLD, &Clean(&span.name)),
        paint.of(outcome_color(span), &Outcome(record)),
        paint.of(DIM, &Seen(record.completeness)),
        Duration(span.end_unix_nano.saturating_sub(span.start_unix_nano)),
        Peer(span),
    );
}

/// Whether and how to colour.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn of<'a, T: Display>(self, code: &'static str, text: &'a T) -> Painted<'a, T> {
        Painted { code: if self.0 { code } else { "" }, text }
    }
}

pub(super) struct Painted<'a, T> {
    code: &'static str,
    text: &'a T,
}

impl<T: Display> Display for Painted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            return self.text.fmt(f);
        }
        f.write_str(self.code)?;
        self.text.fmt(f)?;
        f.write_str(RESET)
    }
}

/// Text from outside: control characters must not reach a terminal.
pub(super) struct Clean<'a>(pub(super) &'a str);

impl Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(char::is_control) {
            let clean: String = self.0.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
            f.pad(&clean)
        } else {
            f.pad(self.0)
        }
    }
}

/// The service that telemetry is about.
pub(super) fn service(resource: &Resource) -> &str {
    match resource.get("service.name") {
        Some(Value::Str(name)) => name,
        _ => "unknown",
    }
}

/// The time of day in UTC, to the millisecond.
pub(super) struct TimeOfDay(pub(super) u64);

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000 % 86_400_000;
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// A duration with three or four digits and a unit.
pub(super) struct Duration(pub(super) u64);

impl Display for Duration {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000_000 => (nanos / 1e3, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// How it ended: the protocol's status code, else which error, else `error` or `ok`.
pub(super) struct Outcome<'a>(pub(super) &'a SpanRecord);

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |key| self.0.span.attributes.iter().find(|a| a.key == key).map(|a| &a.value);
        let keys = ["http.response.status_code", "db.response.status_code", "dns.response_code", "error.type"];
        match keys.into_iter().find_map(get) {
            Some(Value::Int(code)) => write!(f, "{code}"),
            Some(Value::Str(code)) => Clean(code).fmt(f),
            _ if self.0.completeness == Completeness::ResponseMissing => f.write_str("-"),
            _ if matches!(self.0.span.status, Status::Error { .. }) => f.write_str("error"),
            _ => f.write_str("ok"),
        }
    }
}

pub(super) fn outcome_color(span: &Span) -> &'static str {
    if matches!(span.status, Status::Error { .. }) { RED } else { GREEN }
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
