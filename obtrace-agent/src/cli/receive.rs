//! `receive`: prints what others export.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use obtrace_cli::say;
use obtrace_export::receive::{Counts, Limits, Receiver};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{FAILED, arguments::Receive, colored, complain};
use crate::print::{Format, received::Printer};

/// How often it is looked which trees are over.
const TICK: Duration = Duration::from_millis(200);

/// How long requests that have begun are waited for at the end.
const LAST: Duration = Duration::from_secs(2);

/// How long the end may take in all, where whoever reads standard output has stopped reading.
const PATIENCE: Duration = Duration::from_secs(4);

/// Why it ends.
enum End {
    /// It was told to.
    Told,
    /// What it prints cannot be written.
    Output(io::Error),
}

pub(super) fn receive(flags: &Receive) -> u8 {
    // From here on a signal is kept until somebody can act on it.
    let signals = match Signals::new([SIGTERM, SIGINT]) {
        Ok(signals) => signals,
        Err(error) => return failed(format_args!("signals cannot be handled: {error}")),
    };
    let receiver = match Receiver::bind(&flags.listen.addresses[..], Limits::default()) {
        Ok(receiver) => receiver,
        Err(error) => return failed(format_args!("cannot listen on {}: {}", flags.listen.given, reason(&error))),
    };
    // The parser of the command line knows the names.
    let format: Format = flags.print.parse().unwrap_or_default();
    let printer = Printer::new(io::stdout(), format, colored(flags.color.as_deref().unwrap_or_default()));
    match print(receiver, printer, signals) {
        Ok((counts, end)) => {
            say(Summary(counts));
            match end {
                // A reader that has gone away is no failure.
                End::Output(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    failed(format_args!("cannot write to standard output: {error}"))
                }
                _ => 0,
            }
        }
        Err(error) => failed(format_args!("the receiver cannot start: {error}")),
    }
}

fn print(receiver: Receiver, printer: Printer<io::Stdout>, signals: Signals) -> io::Result<(Counts, End)> {
    let began = Instant::now();
    let now = move || u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let (over, end) = mpsc::channel();
    let printer = Arc::new(Mutex::new(printer));
    let (shared, broken) = (Arc::clone(&printer), over.clone());
    let running = receiver.spawn_thread(move |request| {
        if let Err(error) = lock(&shared).request(&request, now()) {
            // Nobody waits any more if it is ending already.
            let _ = broken.send(End::Output(error));
        }
    })?;
    tell_where(running.local_address());
    end_on_signal(signals, over)?;
    let mut why = loop {
        match end.recv_timeout(TICK) {
            Ok(end) => break end,
            Err(mpsc::RecvTimeoutError::Disconnected) => break End::Told,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Err(error) = lock(&printer).tick(now()) {
                    break End::Output(error);
                }
            }
        }
    };
    let counts = running.stop(LAST);
    if let (End::Told, Err(error)) = (&why, lock(&printer).finish()) {
        why = End::Output(error);
    }
    Ok((counts, why))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell_where(address: SocketAddr) {
    say(format_args!("receiving OTLP at http://{address}/v1/… and http://{address}/otlp/v1/…; Ctrl-C ends it"));
    if !address.ip().is_loopback() {
        say("others on the network can send to this address: there is no TLS and no password");
    }
}

/// The first signal ends it in good order, in time; the second at once.
fn end_on_signal(mut signals: Signals, over: mpsc::Sender<End>) -> io::Result<()> {
    let (told, first) = mpsc::channel();
    let wait = move || {
        let mut received = signals.forever();
        if received.next().is_some() {
            let _ = over.send(End::Told);
            let _ = told.send(());
        }
        if received.next().is_some() {
            std::process::exit(FAILED.into());
        }
    };
    let give_up = move || {
        if first.recv().is_ok() {
            thread::sleep(PATIENCE);
            std::process::exit(failed("nobody reads standard output: what was not printed yet is lost").into());
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    thread::Builder::new().name("end".to_owned()).spawn(give_up).map(drop)
}

fn failed(what: impl std::fmt::Display) -> u8 {
    complain(what);
    FAILED
}

/// What the system says, and what to do about it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{error}; another program has this port: give --listen another one, or port 0 for any that is free")
        }
        io::ErrorKind::PermissionDenied => format!("{error}; ports below 1024 need root or CAP_NET_BIND_SERVICE"),
        io::ErrorKind::AddrNotAvailable => format!("{error}; this machine has no such address"),
        _ => error.to_string(),
    }
}

/// What was received, in one line.
struct Summary(Counts);

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { requests, spans, logs, metrics, refused, .. } = self.0;
        write!(
            f,
            "requests {requests}, spans {spans}, log records {logs}, metrics {metrics}, refused requests {refused}"
        )
    }
}
