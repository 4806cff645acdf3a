//! The command line: what needs no cluster (`detect`, `preview`, `crd`, `completions`), and in `cluster` what does.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage.

mod arguments;
#[cfg(feature = "controller")]
mod cluster;
mod detect;
#[cfg(feature = "controller")]
mod duration;
#[cfg(feature = "controller")]
mod operator;
mod preview;

use std::{ffi::OsString, process::ExitCode};

use obtrace_cli::{Color, Failure, completions, write_out};

use self::arguments::{Arguments, ColorChoice, Command};
use crate::crd;

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments: Arguments = match obtrace_cli::parse(arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let color = match arguments.color {
        ColorChoice::Auto => Color::auto(),
        ColorChoice::Always => Color::always(),
        ColorChoice::Never => Color::never(),
    };
    let result = match arguments.command {
        Command::Detect(flags) => detect::run(&flags, color),
        Command::Preview(flags) => preview::run(&flags, color),
        #[cfg(feature = "controller")]
        Command::Install(flags) => cluster::run(cluster::install(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Upgrade(flags) => cluster::run(cluster::upgrade(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Uninstall(flags) => cluster::run(cluster::uninstall(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Allow(flags) => cluster::run(cluster::allow(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Status(flags) => cluster::run(cluster::status(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Workloads(flags) => cluster::run(cluster::workloads(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Doctor(flags) => cluster::run(cluster::doctor(&flags, color)),
        #[cfg(feature = "controller")]
        Command::Operator(flags) => operator::run(&flags, color),
        #[cfg(feature = "controller")]
        Command::Deploy { folder } => cluster::deploy(&folder),
        Command::Crd => crd::definition_yaml().map_err(Failure::failed).and_then(|yaml| write_out(yaml.as_bytes())),
        Command::Completions { shell } => completions::<Arguments>(shell),
    };
    obtrace_cli::end_in(result, color)
}
