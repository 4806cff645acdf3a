//! Where spans go.

use std::{
    io::{self, Write},
    sync::mpsc::{self, SyncSender},
    thread,
    time::{Duration, Instant},
};

use obtrace_export::{model::Span, pipeline::Exporter};

use crate::{
    metrics::Metrics,
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
                for record in item.iter().filter(|record| record.sampled) {
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

/// Counts every span in the metrics, and hands those of traces that are kept to the exporters, which count what they have no room for. What
/// nobody took is given back by `used`. Metrics are sent meanwhile, each time theirs has come, and what was counted last at the end.
pub(super) fn export(
    input: &Input<Vec<SpanRecord>>,
    exporters: &[Exporter<Span>],
    metrics: Option<&Metrics>,
    used: &SyncSender<Vec<SpanRecord>>,
) -> Result<(), BoxError> {
    let Some(metrics) = metrics else { return export_all(input, exporters, None, used) };
    let (running, ended) = mpsc::channel();
    thread::scope(|scope| {
        // A receiver that is slow to take them does not keep spans waiting.
        let sender = thread::Builder::new().name("metrics".to_owned());
        sender
            .spawn_scoped(scope, move || metrics.send_until(&ended))
            .map_err(|error| format!("metrics cannot be sent: no thread: {error}"))?;
        let exported = export_all(input, exporters, Some(metrics), used);
        drop(running);
        exported
    })
}

fn export_all(
    input: &Input<Vec<SpanRecord>>,
    exporters: &[Exporter<Span>],
    metrics: Option<&Metrics>,
    used: &SyncSender<Vec<SpanRecord>>,
) -> Result<(), BoxError> {
    loop {
        let item = match input.receive_within(FOREVER) {
            Received::Item(item) => item,
            Received::Nothing => continue,
            Received::Closed => return Ok(()),
        };
        if let Some(metrics) = metrics {
            metrics.record(&item);
        }
        match (item, exporters) {
            // If nobody needs them now they are dropped.
            (Item::Owned(records), []) => drop(used.try_send(records)),
            (item, [first, others @ ..]) => {
                item.into_inner().into_iter().for_each(|it| hand_over(it, first, others));
            }
            (_, []) => {}
        }
    }
}

/// Copies are made for the others only.
fn hand_over(record: SpanRecord, first: &Exporter<Span>, others: &[Exporter<Span>]) {
    if record.sampled {
        for exporter in others {
            let _ = exporter.try_send(record.span.clone());
        }
        let _ = first.try_send(record.span);
    }
}
