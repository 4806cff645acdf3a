//! What others export, on the terminal: the forms of [`Format`] for spans, log records and metrics.

mod jsonl;
mod otlp;

use std::io::{self, Write};

use obtrace_export::{
    encode::line,
    receive::{Request, Telemetry},
};
use obtrace_protocols::Completeness;

use super::{Format, tree::Forest};
use crate::traces::SpanRecord;

/// How long after its last span a trace is printed as a tree: its spans come from several programs, each of which sends
/// every 2 s or so.
const QUIET: u64 = 2_000_000_000;

/// Writes requests to `W` in one of the forms.
#[derive(Debug)]
pub(crate) struct Printer<W> {
    out: W,
    format: Format,
    color: bool,
    buffer: Vec<u8>,
    forest: Forest,
    bodies: otlp::Bodies,
}

impl<W: Write> Printer<W> {
    /// A printer; `color` is for people.
    pub(crate) fn new(out: W, format: Format, color: bool) -> Self {
        let (forest, bodies) = (Forest::with_waits(QUIET, QUIET), otlp::Bodies::default());
        Self { out, format, color, buffer: Vec::new(), forest, bodies }
    }

    /// Prints what a request carries. `now` is the time in nanoseconds of any clock that only goes forward.
    ///
    /// # Errors
    /// What the output said.
    pub(crate) fn request(&mut self, request: &Request, now: u64) -> io::Result<()> {
        match self.format {
            Format::Text => self.text(&request.telemetry, false, now),
            Format::Tree => self.text(&request.telemetry, true, now),
            Format::Jsonl => jsonl::write(&mut self.buffer, &request.telemetry),
            Format::OtlpJson => self.bodies.write(&mut self.buffer, request),
            Format::None => {}
        }
        self.write_out()
    }

    /// Prints the trees that are over.
    ///
    /// # Errors
    /// What the output said.
    pub(crate) fn tick(&mut self, now: u64) -> io::Result<()> {
        self.forest.flush(now, self.color, &mut self.buffer);
        self.write_out()
    }

    /// Prints what waits: nothing more will come.
    ///
    /// # Errors
    /// What the output said.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.forest.finish(self.color, &mut self.buffer);
        self.write_out()
    }

    /// A line an item; spans in trees if that is asked for.
    fn text(&mut self, telemetry: &Telemetry, trees: bool, now: u64) {
        let (out, color) = (&mut self.buffer, self.color);
        match telemetry {
            Telemetry::Traces(spans) => {
                for span in spans {
                    if trees {
                        let record = SpanRecord::new(span.clone(), "", Completeness::Complete);
                        self.forest.add(&record, now, color, out);
                    } else {
                        line::push_span(out, span, color);
                    }
                }
            }
            Telemetry::Logs(records) => records.iter().for_each(|record| line::push_log_record(out, record, color)),
            Telemetry::Metrics(metrics) => metrics.iter().for_each(|metric| line::push_metric(out, metric, color)),
            _ => {}
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        // A large request is no reason to keep as much.
        self.buffer.shrink_to(super::BLOCK);
        result
    }
}

#[cfg(test)]
mod tests;
