//! `cargo xtask test`: everything that CI runs, part by part, with the minutes that each took.

mod bpf;
mod code;
mod crates;
mod report;
mod rigs;

use std::time::{Duration, Instant};

use self::report::Report;
use crate::{error::Error, say, workspace::Workspace};

/// Options of `test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this part (may be given more than once); `--list` names them.
    #[arg(long = "part", value_name = "NAME", value_parser = names())]
    parts: Vec<String>,
    /// Name the parts and end.
    #[arg(long)]
    list: bool,
}

/// A part of the tests.
struct Part {
    name: &'static str,
    about: &'static str,
    root: bool,
    /// Why it runs only when it is named: what is known to fail in it.
    open: Option<&'static str>,
    run: fn(&Workspace, &mut Report) -> Result<(), Error>,
}

/// The parts in the order in which they run: what fails fast comes first.
const PARTS: &[Part] = &[
    Part { name: "format", about: "rustfmt on every crate", root: false, open: None, run: code::format },
    Part { name: "lint", about: "clippy with warnings as errors", root: false, open: None, run: code::lint },
    Part { name: "docs", about: "rustdoc with warnings as errors", root: false, open: None, run: code::docs },
    Part { name: "features", about: "each feature of each crate alone", root: false, open: None, run: code::features },
    Part {
        name: "no-std",
        about: "obtrace-protocols linked into a program without std",
        root: false,
        open: None,
        run: code::no_std,
    },
    Part { name: "unit", about: "unit, integration and documentation tests", root: false, open: None, run: code::unit },
    Part { name: "bpf", about: "shipped BPF objects equal a fresh build", root: false, open: None, run: bpf::run },
    Part { name: "fuzz", about: "a few seconds of each fuzz target", root: false, open: None, run: crates::fuzz },
    Part {
        name: "replay",
        about: "captures of real servers and clients, replayed",
        root: true,
        open: None,
        run: rigs::replay,
    },
    Part {
        name: "live",
        about: "the agent beside real servers and clients, and before receivers that misbehave",
        root: true,
        open: None,
        run: rigs::live,
    },
    Part {
        name: "container",
        about: "the same in a container with four capabilities",
        root: true,
        open: None,
        run: rigs::container,
    },
    Part {
        name: "failures",
        about: "what the agent says and leaves when it cannot work",
        root: true,
        open: None,
        run: rigs::failures,
    },
    Part {
        name: "overload",
        about: "every byte is captured or counted while the reader is too slow",
        root: true,
        open: None,
        run: rigs::overload,
    },
    Part {
        name: "scale",
        about: "what each of 200,000 sockets costs, and what is beyond the bound",
        root: true,
        open: None,
        run: rigs::scale,
    },
    Part {
        name: "churn",
        about: "1,000 connections and 20 processes a second leave nothing behind",
        root: true,
        open: None,
        run: rigs::churn,
    },
    Part {
        name: "guest",
        about: "both back ends on other kernels, in an emulated guest",
        root: false,
        open: None,
        run: rigs::guest,
    },
    Part {
        name: "guest-cost",
        about: "instructions a request of an application in C, memory and overload, in the guest",
        root: false,
        open: None,
        run: rigs::guest_cost,
    },
    Part {
        name: "guest-goals",
        about: "the same beside an application in Go, too, without leave for what is known to be short",
        root: false,
        open: Some("the agent takes 18,000 instructions a request, not 8,000"),
        run: rigs::guest_goals,
    },
    Part {
        name: "benches",
        about: "allocations and ratios of the benchmarks",
        root: false,
        open: None,
        run: crates::benches,
    },
    Part {
        name: "deny",
        about: "banned crates, licences and sources of dependencies",
        root: false,
        open: None,
        run: crates::deny,
    },
    Part {
        name: "api",
        about: "public API equals the committed listings",
        root: false,
        open: None,
        run: crates::public_api,
    },
    Part {
        name: "package",
        about: "cargo package of every published crate",
        root: false,
        open: None,
        run: crates::package,
    },
];

fn names() -> clap::builder::PossibleValuesParser {
    PARTS.iter().map(|part| part.name).collect::<Vec<_>>().into()
}

/// Runs `cargo xtask test`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    if options.list {
        for part in PARTS {
            println!("{:<10} {}{}", part.name, part.about, if part.root { " (needs root)" } else { "" });
        }
        return Ok(());
    }
    let chosen = |part: &&Part| options.parts.is_empty() || options.parts.iter().any(|name| name == part.name);
    let mut results = Vec::new();
    for part in PARTS.iter().filter(chosen) {
        say::headline(format_args!("{}: {}", part.name, part.about));
        let start = Instant::now();
        let mut report = Report::default();
        if let Some(reason) = part.open.filter(|_| options.parts.is_empty()) {
            let reason = format!("{reason}; `--part {}` runs it all the same", part.name);
            report.skip(part.name, &reason);
            results.push((part.name, report, start.elapsed()));
            continue;
        }
        match (part.run)(workspace, &mut report) {
            Ok(()) => {}
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(Error::Cannot(reason)) => report.skip(part.name, &reason),
            Err(error) => report.fail(part.name, &error.to_string()),
        }
        report::minutes(part.name, start.elapsed());
        results.push((part.name, report, start.elapsed()));
    }
    report::conclude(&results)
}

/// What a part did, and how long it took.
type Outcome = (&'static str, Report, Duration);
