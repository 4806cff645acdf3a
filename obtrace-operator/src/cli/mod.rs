//! The command line: `detect`, `preview`, `crd`, `completions`.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage.

mod arguments;
mod detect;
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
        Command::Crd => crd::definition_yaml().map_err(Failure::failed).and_then(|yaml| write_out(yaml.as_bytes())),
        Command::Completions { shell } => completions::<Arguments>(shell),
    };
    obtrace_cli::end_in(result, color)
}
