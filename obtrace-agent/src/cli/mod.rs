//! The command line: `run`, `replay`, `receive`, `check`, `config`, `completions`.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage, 77 this machine cannot.

mod arguments;
mod check;
mod config;
#[cfg(feature = "receive")]
mod receive;
mod run;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use obtrace_cli::{Color, FAILED, Failure, USAGE, completions, warn};
use obtrace_protocols::Role;

use self::arguments::{Arguments, Command, ConfigFlags, Replay};
use crate::{
    config::{Config, ConfigError},
    print::Format,
    replay,
};

/// This machine cannot: a kernel feature or a capability is missing.
const CANNOT: u8 = 77;

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments: Arguments = match obtrace_cli::parse(arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let code = match arguments.command {
        Command::Run(flags) => run::run(&flags),
        Command::Replay(flags) => replay_file(&flags),
        #[cfg(feature = "receive")]
        Command::Receive(flags) => receive::receive(&flags),
        Command::Check(flags) => check::check(&flags),
        Command::Config(flags) => config::show(&flags),
        Command::Completions { shell } => ended(completions::<Arguments>(shell)),
    };
    ExitCode::from(code)
}

/// Says what went wrong.
fn complain(error: impl Display) {
    obtrace_cli::complain(error, Color::auto());
}

/// The exit code, when it was said what went wrong.
fn ended(result: Result<(), Failure>) -> u8 {
    result.map_or_else(
        |failure| {
            complain(&failure);
            failure.code()
        },
        |()| 0,
    )
}

/// Writes to standard output; the exit code.
fn write_out(bytes: &[u8]) -> u8 {
    ended(obtrace_cli::write_out(bytes))
}

/// The configuration of the file, the environment and the flags.
fn load(file: Option<&PathBuf>, flags: Vec<(&'static str, String)>) -> Result<Config, ConfigError> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let named = ["OBTRACE_CONFIG", "OTEL_EBPF_CONFIG_PATH"].iter().find_map(std::env::var_os).map(PathBuf::from);
    let config = Config::load(file.or(named.as_ref()).map(PathBuf::as_path), environment, flags)?;
    for warning in config.warnings() {
        warn(warning, Color::auto());
    }
    Ok(config)
}

/// Whether to colour what goes to standard output.
fn colored(choice: &str) -> bool {
    match choice {
        "always" => true,
        "never" => false,
        _ => Color::auto().stdout,
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
    let settings = replay::Settings::new()
        .with_perspective(perspective)
        .with_connections(&built.application.connections)
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
