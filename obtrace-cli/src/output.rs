//! Standard streams and their colours.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use crate::Failure;

/// Where colours are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Color {
    /// On standard output.
    pub stdout: bool,
    /// On standard error.
    pub stderr: bool,
}

impl Color {
    /// Where a stream is a terminal, unless [`NO_COLOR`](https://no-color.org) is set.
    #[must_use]
    pub fn auto() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { stdout: wanted && io::stdout().is_terminal(), stderr: wanted && io::stderr().is_terminal() }
    }

    /// Everywhere.
    #[must_use]
    pub const fn always() -> Self {
        Self { stdout: true, stderr: true }
    }

    /// Nowhere.
    #[must_use]
    pub const fn never() -> Self {
        Self { stdout: false, stderr: false }
    }
}

/// The text in a colour (an SGR code), or as it is.
///
/// ```
/// assert_eq!(obtrace_cli::paint("yes", "32", true), "\x1b[32myes\x1b[0m");
/// assert_eq!(obtrace_cli::paint("yes", "32", false), "yes");
/// ```
#[must_use]
pub fn paint(text: &str, code: &str, color: bool) -> String {
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Says what may be of interest, on standard error.
pub fn say(text: impl Display) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what deserves attention, on standard error.
pub fn warn(text: impl Display, color: Color) {
    say(format_args!("{} {text}", paint("warning:", "33", color.stderr)));
}

/// Says what went wrong, on standard error.
pub fn complain(error: impl Display, color: Color) {
    say(format_args!("{} {error}", paint("error:", "1;31", color.stderr)));
}

/// Writes to standard output. A reader that has gone away is no failure.
///
/// # Errors
/// It cannot be written: the disk is full, say.
pub fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_else(|error| unwritten(&error))
}

/// What it means that standard output could not be written.
pub(crate) fn unwritten(error: &io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::failed(format_args!("cannot write to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_that_left_is_no_failure() {
        assert_eq!(unwritten(&io::ErrorKind::BrokenPipe.into()), Ok(()));
        let failure = unwritten(&io::ErrorKind::StorageFull.into()).unwrap_err();
        assert_eq!((failure.code(), failure.to_string().contains("no storage space")), (1, true), "{failure}");
    }
}
