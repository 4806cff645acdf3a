#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod output;

use std::{ffi::OsString, fmt, process::ExitCode};

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

pub use self::output::{Color, complain, paint, say, warn, write_out};

/// It did not work.
pub const FAILED: u8 = 1;
/// It was asked for in the wrong way.
pub const USAGE: u8 = 2;

/// Why a command ends with another code than 0.
///
/// ```
/// use obtrace_cli::Failure;
///
/// let failure = Failure::usage("name a file");
/// assert_eq!((failure.code(), failure.to_string()), (2, "name a file".to_owned()));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure with a code of its own.
    #[must_use]
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code }
    }

    /// It did not work.
    #[must_use]
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(FAILED, message)
    }

    /// It was asked for in the wrong way.
    #[must_use]
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(USAGE, message)
    }

    /// The exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }
}

/// The message, without `error:`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Reads the arguments of a program, its own name first. Where there is nothing to be done but to answer (help, version,
/// a wrong flag) it has answered, and the error is the exit code.
///
/// ```
/// use clap::Parser;
///
/// #[derive(Debug, Parser)]
/// struct Arguments {
///     #[arg(long)]
///     count: u8,
/// }
///
/// let arguments: Arguments = obtrace_cli::parse(["program", "--count", "3"]).unwrap();
/// assert_eq!(arguments.count, 3);
/// assert_eq!(obtrace_cli::parse::<Arguments>(["program", "--count", "many"]).unwrap_err(), 2.into());
/// ```
///
/// # Errors
/// The exit code: 0 after help and version, [`USAGE`] after a wrong argument, [`FAILED`] if help cannot be written.
pub fn parse<A: Parser>(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<A, ExitCode> {
    A::try_parse_from(arguments).map_err(|error| {
        let asked_for = !error.use_stderr();
        match error.print() {
            Err(failed) if asked_for => end(output::unwritten(&failed)),
            // Nobody is left to be told.
            _ if asked_for => ExitCode::SUCCESS,
            _ => USAGE.into(),
        }
    })
}

/// Writes the completion script for a shell to standard output.
///
/// # Errors
/// It cannot be written.
pub fn completions<A: CommandFactory>(shell: Shell) -> Result<(), Failure> {
    let mut command = A::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    write_out(&script)
}

/// Tells why it failed, if it did; the exit code.
#[must_use]
pub fn end(result: Result<(), Failure>) -> ExitCode {
    end_in(result, Color::auto())
}

/// As [`end`], with colours as they were asked for.
#[must_use]
pub fn end_in(result: Result<(), Failure>, color: Color) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure, color);
            failure.code().into()
        }
    }
}
