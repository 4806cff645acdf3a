//! What a real OpenTelemetry Collector makes of each wire form: every form is accepted, and what the Collector's file exporter
//! wrote, read back, is what was sent. So is what it scrapes of a page for Prometheus.
//!
//! Runs when `OBTRACE_COLLECTOR` names the program, which `cargo xtask test --part export` builds; otherwise there is nothing to run.

mod certificates;
mod examples;
mod forms;
mod running;
mod scrape;
mod sdk;
mod telemetry;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use obtrace_export::{
    decode::{Limits, Telemetry, decode},
    encode::Format,
    model::{Item, LogRecord, Metric, Signal, Span, Value},
    pipeline::{Config, Exporter},
};

use self::{
    certificates::Certificates,
    forms::Form,
    running::{Collector, PATIENCE},
    scrape::Page,
    sdk::Sdk,
    telemetry::CASE,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let Some(program) = env::var_os("OBTRACE_COLLECTOR").map(PathBuf::from) else {
        println!("not run: OBTRACE_COLLECTOR does not name a Collector; `cargo xtask test --part export` builds one");
        return ExitCode::SUCCESS;
    };
    let folder = env::temp_dir().join(format!("obtrace-export-collector-{}", process::id()));
    let mut results = Vec::new();
    if let Err(error) = run(&program, &folder, &mut results) {
        results.push(("the rig".to_owned(), Err(error)));
    }
    let _ = fs::remove_dir_all(&folder);
    let mut failed = 0;
    for (name, result) in &results {
        match result {
            Ok(()) => println!("{name:<40} ok"),
            Err(error) => {
                failed += 1;
                println!("FAILED {name}: {error}");
            }
        }
    }
    println!("{} passed, {failed} failed", results.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}

/// Everything is sent first; the Collector writes the last of it when it ends.
fn run(program: &Path, folder: &Path, results: &mut Vec<(String, Outcome)>) -> Outcome {
    let certificates = Certificates::make(&folder.join("certificates"))?;
    let page = Page::serve()?;
    let collector = Collector::start(program, &folder.join("written"), &certificates, Some(page.address()))?;
    let sent: Vec<_> =
        forms::all().into_iter().map(|form| (form.to_string(), send_all(&form, &collector, &certificates))).collect();
    let sdk = Sdk { folder: &folder.join("own"), form: forms::all().pop().ok_or("no form")? };
    let sent_by_sdk = sdk.send(&collector, &certificates);
    let examples = examples::run(&collector, &folder.join("spool"));
    let scraped = page.wait();
    let written = collector.stop()?;
    results.push((scrape::NAME.to_owned(), scraped.and_then(|()| scrape::compare(&written))));
    results.push(("examples".to_owned(), examples.and_then(|()| examples::compare(&written))));
    results.push((sdk::NAME.to_owned(), sent_by_sdk.and_then(|()| sdk.compare(&written))));
    for (name, sent) in sent {
        let result = sent.and_then(|()| compare(&name, &written));
        results.push((name, result));
    }
    Ok(())
}

fn send_all(form: &Form, collector: &Collector, certificates: &Certificates) -> Outcome {
    let case = form.to_string();
    send(form, collector, certificates, telemetry::spans(&case))?;
    send(form, collector, certificates, telemetry::log_records(&case))?;
    send(form, collector, certificates, telemetry::metrics(&case))
}

fn send<T: Item>(form: &Form, collector: &Collector, certificates: &Certificates, items: Vec<T>) -> Outcome {
    let (exporter, worker) = Exporter::new(form.transport(T::SIGNAL, collector, certificates)?, Config::new());
    worker.spawn_thread()?;
    let count: u64 = items.iter().map(Item::count).sum();
    items.into_iter().try_for_each(|item| exporter.try_send(item)).map_err(|reason| reason.to_string())?;
    let stats = exporter.shutdown_blocking(PATIENCE);
    if (stats.accepted, stats.exported, stats.is_balanced()) != (count, count, true) {
        return Err(format!("{count} {} were sent, this became of them: {stats:?}", T::SIGNAL.items()).into());
    }
    Ok(())
}

/// What was written of a case is what was sent of it, in any order.
fn compare(case: &str, written: &running::Written) -> Outcome {
    let (mut spans, mut records, mut metrics) = (Vec::<Span>::new(), Vec::<LogRecord>::new(), Vec::<Metric>::new());
    for signal in Signal::ALL {
        for line in written.lines(signal) {
            match decode(signal, Format::Json, line.as_bytes(), &Limits::default())? {
                Telemetry::Traces(read) => spans.extend(read.into_iter().filter(|item| is_of(case, item))),
                Telemetry::Logs(read) => records.extend(read.into_iter().filter(|item| is_of(case, item))),
                Telemetry::Metrics(read) => metrics.extend(read.into_iter().filter(|item| is_of(case, item))),
                other => return Err(format!("unknown telemetry {other:?}").into()),
            }
        }
    }
    equal(&telemetry::spans(case), &spans)?;
    equal(&telemetry::log_records(case), &records)?;
    equal(&telemetry::metrics(case), &metrics)
}

fn is_of(case: &str, item: &impl Item) -> bool {
    matches!(item.resource().get(CASE), Some(Value::Str(of)) if of == case)
}

fn equal<T: Item>(sent: &[T], got: &[T]) -> Outcome {
    // With resource and scope, which `Debug` shows whole.
    let texts = |items: &[T]| {
        let mut texts: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
        texts.sort();
        texts
    };
    let (sent, got) = (texts(sent), texts(got));
    let lost = sent.iter().find(|text| got.binary_search(text).is_err());
    let foreign = got.iter().find(|text| sent.binary_search(text).is_err());
    if let (None, None, true) = (lost, foreign, sent.len() == got.len()) {
        return Ok(());
    }
    let (lost, foreign) = (lost.map_or("", String::as_str), foreign.map_or("", String::as_str));
    let same = lost.chars().zip(foreign.chars()).take_while(|(a, b)| a == b).count();
    // From a little before the first difference.
    let part = |text: &str| text.chars().skip(same.saturating_sub(60)).take(300).collect::<String>();
    let (counts, lost, foreign) = ((sent.len(), got.len()), part(lost), part(foreign));
    Err(format!("of {}: sent and got {counts:?}\n    not there: …{lost}…\n    not sent: …{foreign}…", T::SIGNAL).into())
}
