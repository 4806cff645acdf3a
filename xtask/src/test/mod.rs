//! `cargo xtask test`: everything that CI runs, part by part, with the minutes that each took.

mod beside;
mod bpf;
mod code;
mod crates;
mod disk;
mod fuzz;
mod report;
mod rigs;

use std::time::{Duration, Instant};

use self::{beside::Beside, report::Report};
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
        about: "obtrace-detect and obtrace-protocols linked into a program without std",
        root: false,
        open: None,
        run: code::no_std,
    },
    Part { name: "unit", about: "unit, integration and documentation tests", root: false, open: None, run: code::unit },
    Part {
        name: "score",
        about: "verdicts on real-world images, commands and processes, counted",
        root: false,
        open: None,
        run: crates::score,
    },
    Part { name: "bpf", about: "shipped BPF objects equal a fresh build", root: false, open: None, run: bpf::run },
    Part {
        name: "fuzz",
        about: "a fixed number of inputs for each fuzz target, kept findings first",
        root: false,
        open: None,
        run: fuzz::run,
    },
    Part {
        name: "detect-live",
        about: "what is said of processes of every language while they run",
        root: false,
        open: None,
        run: rigs::detect,
    },
    Part {
        name: "export",
        about: "what a real OpenTelemetry Collector receives in every form, and what it gives back",
        root: false,
        open: None,
        run: rigs::export,
    },
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
        name: "loaders",
        about: "the program that copies loaders and starts programs with them",
        root: true,
        open: None,
        run: rigs::loaders_installer,
    },
    Part {
        name: "loaders-languages",
        about: "the loaders of all languages on their real runtimes, as a Pod would have them",
        root: true,
        open: None,
        run: rigs::loaders_languages,
    },
    Part {
        name: "loaders-together",
        about: "one trace through the loaders of all six languages",
        root: true,
        open: None,
        run: rigs::loaders_together,
    },
    Part {
        name: "image",
        about: "the agent's image: the same bytes twice, and what a patched Pod runs in it",
        root: true,
        open: None,
        run: rigs::agent_image,
    },
    Part {
        name: "image-programs",
        about: "the images of the operator and of the eBPF agent: what is in them, and that they start",
        root: true,
        open: None,
        run: rigs::program_images,
    },
    Part {
        name: "kubernetes",
        about: "what a real API server says of the definition and of patched Pods; certificates and leaders there",
        root: false,
        open: None,
        run: rigs::kubernetes,
    },
    Part {
        name: "node",
        about: "Pods of three languages on a real node, injected from the agent's image",
        root: true,
        open: None,
        run: rigs::node,
    },
    Part {
        name: "cluster",
        about: "the operator and the agent on a cluster of two real nodes, from install to uninstall",
        root: true,
        open: None,
        run: rigs::cluster,
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
            println!("{:<16} {}{}", part.name, part.about, if part.root { " (needs root)" } else { "" });
        }
        return Ok(());
    }
    if options.parts.is_empty() {
        disk::check(workspace)?;
    }
    let chosen = |part: &&Part| options.parts.is_empty() || options.parts.iter().any(|name| name == part.name);
    let mut results = Vec::new();
    let mut running = Vec::new();
    for part in PARTS.iter().filter(chosen) {
        if options.parts.is_empty() {
            for group in beside::GROUPS.iter().filter(|group| group.from == part.name) {
                running.push(Beside::start(workspace, group)?);
            }
            if part.name == beside::UNTIL {
                for group in running.drain(..) {
                    results.extend(group.wait()?);
                }
            }
            if beside::has(part.name) {
                continue;
            }
        }
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
