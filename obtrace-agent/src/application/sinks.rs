//! Where spans go.

use std::{
    io::{self, Write},
    sync::mpsc::SyncSender,
    time::{Duration, Instant},
};

use obtrace_export::pipeline::Exporter;

use crate::{
    pipeline::{BoxError, Input, Item, Received, Stop},
    print::{Format, Printer},
    traces::SpanRecord,
};

/// How often the printer looks whether a tree is over.
const LOOK: Duration = Duration::from_millis(200);

/// Until something comes.
const FOREVER: Duration = Duration::from_secs(3_600);

/// Prints every span and gives it back by `used`. A reader that has gone away is as good a reason to end as any: `stop` is
/// set, and what still comes is dropped.
pub(super) fn print(
    input: &Input<Vec<SpanRecord>>,
    out: impl Write,
    (format, color): (Format, bool),
    stop: &Stop,
    used: &SyncSender<Vec<SpanRecord>>,
) -> Result<(), BoxError> {
    let mut printer = Printer::new(out, format, color);
    match print_all(input, &mut printer, format, used) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            stop.set();
            while !matches!(input.receive_within(FOREVER), Received::Closed) {}
            Ok(())
        }
        Err(error) => Err(format!("standard output cannot be written: {error}; is its disk full?").into()),
        Ok(()) => Ok(()),
    }
}

fn print_all(
    input: &Input<Vec<SpanRecord>>,
    printer: &mut Printer<impl Write>,
    format: Format,
    used: &SyncSender<Vec<SpanRecord>>,
) -> io::Result<()> {
    let begin = Instant::now();
    let now = || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    loop {
        let received = if format == Format::Tree { input.receive_within(LOOK) } else { input.receive_within(FOREVER) };
        match received {
            Received::Item(item) => {
                for record in item.iter() {
                    printer.span(record, now())?;
                }
                printer.flush(now())?;
                if let Item::Owned(records) = item {
                    // If nobody needs them now they are dropped.
                    let _ = used.try_send(records);
                }
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
