//! The command line: `run`, `replay`, `check`, `config`, `completions`.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage, 77 this machine cannot.

mod arguments;
mod check;
mod config;
mod run;
mod terminal;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::{
    config::{Config, ConfigError},
    print::Format,
    replay,
};

use arguments::{Arguments, Command, ConfigFlags, Replay};
use obtrace_protocols::Role;

/// It did not work.
const FAILED: u8 = 1;
/// It was asked for in the wrong way.
const USAGE: u8 = 2;
/// This machine cannot: a kernel feature or a capability is missing.
const CANNOT: u8 = 77;

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output; a reader that has gone away is no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let code = match arguments.command {
        Command::Run(flags) => run::run(&flags),
        Command::Replay(flags) => replay_file(&flags),
        Command::Check(flags) => check::check(&flags),
        Command::Config(flags) => config::show(&flags),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "obtrace-agent", &mut script);
            write_out(&script)
        }
    };
    ExitCode::from(code)
}

/// Says what went wrong.
fn complain(error: impl Display) {
    let bold_red = terminal::paint("error:", "1;31", io::stderr().is_terminal());
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "{bold_red} {error}");
}

/// Says what may be of interest, on standard error.
fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes to standard output. A reader that has gone away is no failure.
fn write_out(bytes: &[u8]) -> u8 {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("cannot write to standard output: {error}"));
            FAILED
        }
        _ => 0,
    }
}

/// The configuration of the file, the environment and the flags.
fn load(file: Option<&PathBuf>, flags: Vec<(&'static str, String)>) -> Result<Config, ConfigError> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let named = ["OBTRACE_CONFIG", "OTEL_EBPF_CONFIG_PATH"].iter().find_map(std::env::var_os).map(PathBuf::from);
    let config = Config::load(file.or(named.as_ref()).map(PathBuf::as_path), environment, flags)?;
    for warning in config.warnings() {
        say(format_args!("{} {warning}", terminal::paint("warning:", "33", io::stderr().is_terminal())));
    }
    Ok(config)
}

/// Whether to colour what goes to standard output.
fn colored(choice: &str) -> bool {
    match choice {
        "always" => true,
        "never" => false,
        _ => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

fn replay_file(flags: &Replay) -> u8 {
    let config = match load(flags.config.as_ref(), flags.flags()) {
        Ok(config) => config,
        Err(error) => {
            complain(error);
            return USAGE;
        }
    };
    let built = match config.build() {
        Ok(built) => built,
        Err(error) => {
            complain(error);
            return USAGE;
        }
    };
    let perspective = if flags.perspective == "server" { Role::Server } else { Role::Client };
    let connections = &built.application.connections;
    let parsers = obtrace_protocols::Config::new()
        .with_max_buffered(connections.max_buffered)
        .with_raw_sql(connections.raw_sql)
        .with_datagram_timeout(connections.datagram_timeout);
    let settings = replay::Settings::new()
        .with_perspective(perspective)
        .with_parsers(parsers)
        .with_traces(built.application.traces);
    let format: Format = config.get("print").parse().unwrap_or_default();
    let options = replay::Options::new()
        .with_format(format, colored(config.get("color")))
        .with_progress(io::stderr().is_terminal())
        .with_settings(settings);
    let outcome = replay::run_file(&flags.file, &options, io::stdout().lock());
    outcome.tell(&mut io::stderr().lock()).unwrap_or(FAILED)
}

impl ConfigFlags {
    fn loaded(&self) -> Result<Config, ConfigError> {
        load(self.config.as_ref(), Vec::new())
    }
}
