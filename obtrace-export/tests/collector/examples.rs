//! The examples, as people run them: to the Collector, and from one to the other.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use obtrace_export::model::Signal;

use super::{
    Outcome,
    running::{Collector, Door, Written},
};

/// Cargo builds examples beside the folder of the tests.
fn example(name: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = env::current_exe()?.with_file_name("..").join("examples").join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("no {}; `cargo build --examples` makes it", path.display()).into())
    }
}

/// Runs an example to its end and gives what it printed.
fn output(command: &mut Command) -> Result<String, Box<dyn std::error::Error>> {
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    if output.status.success() {
        return Ok(said);
    }
    Err(format!("{command:?}: {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

fn has(said: &str, expected: &str) -> Outcome {
    if said.contains(expected) { Ok(()) } else { Err(format!("no {expected:?} in {said:?}").into()) }
}

/// `spool` is a folder of the caller's: one of the examples has a spool in the folder for temporary files.
pub(crate) fn run(collector: &Collector, spool: &Path) -> Outcome {
    fs::create_dir_all(spool)?;
    let grpc = collector.endpoint(Door::Plain, true);
    let mut send = Command::new(example("send_three_spans")?);
    let said = output(send.env("OTEL_EXPORTER_OTLP_ENDPOINT", grpc).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"))?;
    has(&said, "3 of 3 spans were delivered")?;
    let http = collector.endpoint(Door::Plain, false);
    has(
        &output(Command::new(example("opentelemetry_sdk_exporter")?).arg(http).env("TMPDIR", spool))?,
        "1 of 1 spans were delivered",
    )?;
    to_receiver(spool)
}

/// `receive_otlp` shows what the others send, and ends after that.
fn to_receiver(spool: &Path) -> Outcome {
    let mut receive = Command::new(example("receive_otlp")?);
    let mut receive = receive.args(["127.0.0.1:0", "4"]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(receive.stdout.take().ok_or("no output of it")?).lines();
    let first = lines.next().ok_or("it says nothing")??;
    let url = first.strip_prefix("receiving at ").ok_or("it says no address")?;
    let sent = output(Command::new(example("send_three_spans")?).env("OTEL_EXPORTER_OTLP_ENDPOINT", url))
        .and_then(|_| output(Command::new(example("opentelemetry_sdk_exporter")?).arg(url).env("TMPDIR", spool)));
    if let Err(error) = sent {
        let _ = receive.kill();
        let _ = receive.wait();
        return Err(error);
    }
    let said: Vec<String> = lines.collect::<Result<_, _>>()?;
    let (status, said) = (receive.wait()?, said.join("\n"));
    for expected in ["checkout     server   POST /orders 201", "order taken", "orders{kind=book} 1", "4 requests"] {
        has(&said, expected)?;
    }
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
}

/// What both sent to the Collector.
pub(crate) fn compare(written: &Written) -> Outcome {
    let text = |signal| written.lines(signal).collect::<String>();
    has(&text(Signal::Traces), "INSERT orders")?;
    has(&text(Signal::Traces), "cart.items")?;
    has(&text(Signal::Logs), "order taken")?;
    has(&text(Signal::Metrics), "{order}")
}
