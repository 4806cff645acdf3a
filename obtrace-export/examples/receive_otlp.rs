//! Receives OTLP over HTTP, JSON or protobuf, and shows it: a line a span, a log record, a data point.
//!
//! ```sh
//! cargo run --example receive_otlp --features receive -- 127.0.0.1:4318
//! ```
//!
//! It runs until it is ended; with a number behind the address, until so many requests were taken.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal as _, Write as _},
    sync::mpsc,
    time::Duration,
};

use obtrace_export::{
    decode::Telemetry,
    encode::line::{push_log_record, push_metric, push_span},
    receive::{Limits, Receiver},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4318".to_owned());
    let requests = arguments.next().map_or(Ok(usize::MAX), |number| number.parse())?;

    // The limits bound what a sender can cause; see the crate's documentation.
    let receiver = Receiver::bind(address.as_str(), Limits::default())?;
    let (sender, received) = mpsc::sync_channel(16);
    let running = receiver.spawn_thread(move |request| drop(sender.send(request.telemetry)))?;
    println!("receiving at http://{}", running.local_address());

    let color = io::stdout().is_terminal();
    for telemetry in received.iter().take(requests) {
        let mut lines = Vec::new();
        match telemetry {
            Telemetry::Traces(spans) => spans.iter().for_each(|span| push_span(&mut lines, span, color)),
            Telemetry::Logs(records) => records.iter().for_each(|record| push_log_record(&mut lines, record, color)),
            Telemetry::Metrics(metrics) => metrics.iter().for_each(|metric| push_metric(&mut lines, metric, color)),
            _ => {}
        }
        io::stdout().write_all(&lines)?;
    }
    let counts = running.stop(Duration::from_secs(1));
    println!("{} requests were taken", counts.requests);
    Ok(())
}
