//! Progress on the terminal: colours only where there is one, and `NO_COLOR` is honoured.

use std::{
    fmt::Display,
    io::{IsTerminal, Write as _, stderr, stdout},
};

const BOLD: &str = "1";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Headline of a part of the work.
pub(crate) fn headline(text: impl Display) {
    line(BOLD, "==>", &text);
}

/// One step that is being done.
pub(crate) fn step(text: impl Display) {
    line(GREEN, " ->", &text);
}

/// Something the user should know, though the work goes on.
pub(crate) fn note(text: impl Display) {
    line(YELLOW, "  !", &text);
}

/// A check that did not run, and why. Always one line.
pub(crate) fn skipped(what: impl Display, reason: impl Display) {
    line(YELLOW, "  SKIPPED", &format_args!("{what}: {}", reason.to_string().replace('\n', " ")));
}

/// Why the task ended, on stderr.
pub(crate) fn failure(error: &dyn Display) {
    let mut out = stderr().lock();
    let painted = paint(out.is_terminal(), RED, "error:");
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(out, "{painted} {error}");
}

/// `text` in `colour` if stdout shows colours.
pub(crate) fn coloured(outcome: Tone, text: &str) -> String {
    let code = match outcome {
        Tone::Good => GREEN,
        Tone::Bad => RED,
        Tone::Doubtful => YELLOW,
    };
    paint(stdout().is_terminal(), code, text)
}

/// What a colour stands for.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// It passed.
    Good,
    /// It failed.
    Bad,
    /// It was not run.
    Doubtful,
}

fn line(code: &str, sign: &str, text: &dyn Display) {
    let mut out = stdout().lock();
    let painted = paint(out.is_terminal(), code, sign);
    // `cargo xtask … | head` closes the pipe: no reason to stop the work.
    let _ = writeln!(out, "{painted} {text}");
    let _ = out.flush();
}

fn paint(terminal: bool, code: &str, text: &str) -> String {
    if terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
