//! Where spans go.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use obtrace_export::pipeline::Exporter;

use crate::{
    pipeline::{BoxError, Input, Received},
    print::{Format, Printer},
    traces::SpanRecord,
};

/// How often the printer looks whether a tree is over.
const LOOK: Duration = Duration::from_millis(200);

/// Prints every span. A reader that has gone away ends the agent without an error.
pub(super) fn print(
    input: &Input<Vec<SpanRecord>>,
    out: impl Write,
    format: Format,
    color: bool,
) -> Result<(), BoxError> {
    let mut printer = Printer::new(out, format, color);
    match print_all(input, &mut printer, format) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Box::new(Hangup)),
        Err(error) => Err(format!("standard output cannot be written: {error}; is its disk full?").into()),
        Ok(()) => Ok(()),
    }
}

/// Whoever read standard output has ended.
#[derive(Debug, thiserror::Error)]
#[error("{HANGUP}")]
pub(super) struct Hangup;

/// How a failure of the pipeline is known to be a [`Hangup`].
pub(super) const HANGUP: &str = "whoever read standard output has ended";

fn print_all(input: &Input<Vec<SpanRecord>>, printer: &mut Printer<impl Write>, format: Format) -> io::Result<()> {
    let begin = Instant::now();
    let now = || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    loop {
        let received = if format == Format::Tree {
            input.receive_within(LOOK)
        } else {
            input.receive_within(Duration::from_secs(3_600))
        };
        match received {
            Received::Item(item) => {
                for record in item.iter() {
                    printer.span(record, now())?;
                }
                printer.flush(now())?;
            }
            Received::Nothing => printer.flush(now())?,
            Received::Closed => return printer.finish(),
        }
    }
}

/// Hands every span to the exporter, which counts those it has no room for.
pub(super) fn export(input: Input<Vec<SpanRecord>>, exporter: &Exporter) -> Result<(), BoxError> {
    for item in input {
        for record in item.into_inner() {
            let _ = exporter.try_send(record.span);
        }
    }
    Ok(())
}
