//! Traces as trees, printed once they are over.

use std::{
    collections::{HashMap, VecDeque},
    io::Write,
};

use obtrace_export::{
    encode::terminal::{Clean, Elapsed, Outcome, Paint, Style, service},
    model::{SpanId, TraceId},
};
use rustc_hash::FxHashMap;

use super::{
    jsonl,
    line::{Ending, Peer, Seen},
};
use crate::traces::SpanRecord;

/// How long after its last span a trace whose root is here is printed.
const GRACE: u64 = 300_000_000;
/// How long after its last span a trace without a root is printed.
const QUIET: u64 = 5_000_000_000;
/// Most spans that wait; beyond it the oldest trace is printed as it is.
const MAX_WAITING: usize = 10_000;

/// The traces that are not printed yet.
#[derive(Debug)]
pub(super) struct Forest {
    /// How long after its last span a trace is printed: one whose root is here, and one without.
    waits: (u64, u64),
    traces: HashMap<TraceId, Trace>,
    /// The traces in the order of their first span.
    order: VecDeque<TraceId>,
    spans: usize,
}

#[derive(Debug)]
struct Trace {
    spans: Vec<SpanRecord>,
    last: u64,
    rooted: bool,
}

impl Default for Forest {
    fn default() -> Self {
        Self::with_waits(GRACE, QUIET)
    }
}

impl Forest {
    pub(super) fn with_waits(rooted: u64, unrooted: u64) -> Self {
        Self { waits: (rooted, unrooted), traces: HashMap::new(), order: VecDeque::new(), spans: 0 }
    }

    pub(super) fn add(&mut self, record: &SpanRecord, now: u64, color: bool, out: &mut Vec<u8>) {
        let id = record.span.trace_id;
        let trace = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Trace { spans: Vec::new(), last: now, rooted: false }
        });
        trace.last = now;
        trace.rooted |= record.span.parent_span_id.is_none();
        trace.spans.push(record.clone());
        self.spans += 1;
        while self.spans > MAX_WAITING && self.print_oldest(color, out) {}
    }

    /// Prints the traces that are over.
    pub(super) fn flush(&mut self, now: u64, color: bool, out: &mut Vec<u8>) {
        let mut kept = VecDeque::with_capacity(self.order.len());
        while let Some(id) = self.order.pop_front() {
            let Some(trace) = self.traces.get(&id) else { continue };
            let wait = if trace.rooted { self.waits.0 } else { self.waits.1 };
            if now.saturating_sub(trace.last) < wait {
                kept.push_back(id);
            } else {
                self.print(id, color, out);
            }
        }
        self.order = kept;
    }

    pub(super) fn finish(&mut self, color: bool, out: &mut Vec<u8>) {
        while self.print_oldest(color, out) {}
    }

    fn print_oldest(&mut self, color: bool, out: &mut Vec<u8>) -> bool {
        let oldest = self.order.pop_front();
        if let Some(id) = oldest {
            self.print(id, color, out);
        }
        oldest.is_some()
    }

    fn print(&mut self, id: TraceId, color: bool, out: &mut Vec<u8>) {
        let Some(mut trace) = self.traces.remove(&id) else { return };
        self.spans -= trace.spans.len();
        trace.spans.sort_by_key(|record| (record.span.start_unix_nano, std::cmp::Reverse(record.span.end_unix_nano)));
        Tree::new(&trace.spans, color).write(id, out);
    }
}

/// One trace, ready to be printed.
struct Tree<'a> {
    spans: &'a [SpanRecord],
    children: FxHashMap<SpanId, Vec<usize>>,
    roots: Vec<usize>,
    paint: Paint,
}

impl<'a> Tree<'a> {
    fn new(spans: &'a [SpanRecord], color: bool) -> Self {
        let known: FxHashMap<SpanId, usize> = spans.iter().enumerate().map(|(at, r)| (r.span.span_id, at)).collect();
        let mut children: FxHashMap<SpanId, Vec<usize>> = FxHashMap::default();
        let mut roots = Vec::new();
        for (at, record) in spans.iter().enumerate() {
            match record.span.parent_span_id.filter(|parent| known.get(parent).is_some_and(|&other| other != at)) {
                Some(parent) => children.entry(parent).or_default().push(at),
                None => roots.push(at),
            }
        }
        Self { spans, children, roots, paint: Paint::new(color) }
    }

    fn write(&self, id: TraceId, out: &mut Vec<u8>) {
        let start = self.spans.iter().map(|record| record.span.start_unix_nano).min().unwrap_or(0);
        let end = self.spans.iter().map(|record| record.span.end_unix_nano).max().unwrap_or(0);
        let head = format!("trace {id}");
        let count = self.spans.len();
        let plural = if count == 1 { "" } else { "s" };
        // Writing to memory does not fail.
        let _ = writeln!(
            out,
            "{}  {}, {count} span{plural}",
            self.paint.of(Style::Dim, head),
            Elapsed(end.saturating_sub(start))
        );
        let mut written = vec![false; count];
        let mut stack: Vec<(usize, String, bool)> = Vec::new();
        let push = |stack: &mut Vec<_>, of: &[usize], prefix: &str| {
            for (place, &at) in of.iter().enumerate().rev() {
                stack.push((at, prefix.to_owned(), place + 1 == of.len()));
            }
        };
        push(&mut stack, &self.roots, "");
        while let Some((at, prefix, last)) = stack.pop() {
            let Some(record) = self.spans.get(at) else { continue };
            if std::mem::replace(written.get_mut(at).unwrap_or(&mut false), true) {
                continue;
            }
            self.write_span(record, start, &prefix, last, out);
            if let Some(children) = self.children.get(&record.span.span_id) {
                push(&mut stack, children, &format!("{prefix}{}", if last { "   " } else { "│  " }));
            }
        }
        out.push(b'\n');
    }

    fn write_span(&self, record: &SpanRecord, start: u64, prefix: &str, last: bool, out: &mut Vec<u8>) {
        let span = &record.span;
        let paint = self.paint;
        let _ = writeln!(
            out,
            "{prefix}{} {} {} {} {}{} {}{} {}",
            if last { "└─" } else { "├─" },
            paint.of(Style::Cyan, service(&span.resource)),
            jsonl::kind(span.kind),
            paint.of(Style::Bold, Clean(&span.name)),
            paint.of(Outcome(span).style(), Ending(record)),
            paint.of(Style::Dim, Seen(record.completeness)),
            Elapsed(span.end_unix_nano.saturating_sub(span.start_unix_nano)),
            Peer(span),
            paint.of(Style::Dim, format_args!("+{}", Elapsed(span.start_unix_nano.saturating_sub(start)))),
        );
    }
}
