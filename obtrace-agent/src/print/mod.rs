//! Spans on the terminal: one line a span, trees of traces, JSON lines, OTLP JSON lines.
//!
//! What is written holds the lines and nothing else, so that another program can read it.

mod jsonl;
mod line;
#[cfg(feature = "receive")]
pub(crate) mod received;
mod tree;

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
};

use obtrace_export::{encode::json::TraceEncoder, model::Span};

use crate::traces::SpanRecord;

/// In which form spans are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One line a span, for people.
    #[default]
    Text,
    /// Each trace as a tree once it is over, for people.
    Tree,
    /// One JSON object a line: the stable contract of `--print jsonl`.
    Jsonl,
    /// One OTLP `ExportTraceServiceRequest` a line, in OTLP's JSON.
    OtlpJson,
    /// Nothing.
    None,
}

impl Format {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 5] = [Self::Text, Self::Tree, Self::Jsonl, Self::OtlpJson, Self::None];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Tree => "tree",
            Self::Jsonl => "jsonl",
            Self::OtlpJson => "otlp-json",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a print format; use text, tree, jsonl, otlp-json or none")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// How many bytes are gathered before they are written.
const BLOCK: usize = 32 * 1024;

/// Most spans of one OTLP request.
const REQUEST: usize = 500;

/// Writes spans to `W` in one of the formats.
///
/// Lines are gathered until [`Printer::flush`] or until there are 32 KiB of them: flush after each batch.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    format: Format,
    color: bool,
    buffer: Vec<u8>,
    lines: jsonl::Lines,
    forest: tree::Forest,
    /// Spans of the next OTLP request.
    waiting: Vec<Span>,
    encoder: TraceEncoder,
}

impl<W: Write> Printer<W> {
    /// A printer; `color` is for [`Format::Text`] and [`Format::Tree`] on a terminal.
    pub fn new(out: W, format: Format, color: bool) -> Self {
        Self {
            out,
            format,
            color,
            buffer: Vec::new(),
            lines: jsonl::Lines::default(),
            forest: tree::Forest::default(),
            waiting: Vec::new(),
            encoder: TraceEncoder::new(),
        }
    }

    /// Prints a span. `now` is the time in nanoseconds of any clock that only goes forward; trees wait by it.
    ///
    /// # Errors
    /// What the output said when lines were written to it.
    pub fn span(&mut self, record: &SpanRecord, now: u64) -> io::Result<()> {
        match self.format {
            Format::Text => line::write(&mut self.buffer, record, self.color),
            Format::Tree => self.forest.add(record, now, self.color, &mut self.buffer),
            Format::Jsonl => self.lines.write(&mut self.buffer, record),
            Format::OtlpJson => {
                self.waiting.push(record.span.clone());
                if self.waiting.len() >= REQUEST {
                    self.encode();
                }
            }
            Format::None => return Ok(()),
        }
        if self.buffer.len() >= BLOCK { self.write_out() } else { Ok(()) }
    }

    /// Writes what was gathered, and the trees that are over.
    ///
    /// # Errors
    /// What the output said.
    pub fn flush(&mut self, now: u64) -> io::Result<()> {
        self.forest.flush(now, self.color, &mut self.buffer);
        self.encode();
        self.write_out()?;
        self.out.flush()
    }

    /// Writes everything that waits: no more spans will come.
    ///
    /// # Errors
    /// What the output said.
    pub fn finish(&mut self) -> io::Result<()> {
        self.forest.finish(self.color, &mut self.buffer);
        self.encode();
        self.write_out()?;
        self.out.flush()
    }

    fn encode(&mut self) {
        if !self.waiting.is_empty() {
            self.encoder.encode(&self.waiting, &mut self.buffer);
            self.buffer.push(b'\n');
            self.waiting.clear();
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.buffer);
        self.buffer.clear();
        result
    }
}

#[cfg(test)]
mod tests;
