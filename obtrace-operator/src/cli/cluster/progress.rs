//! What is told of work that takes its time: one line that changes on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use obtrace_cli::{Color, paint, say};

/// How often the same is said again where lines stay.
const AGAIN: Duration = Duration::from_secs(15);

/// What is told on standard error.
pub(super) struct Progress {
    color: Color,
    terminal: bool,
    /// What was said last of what is being waited for, and when.
    last: Option<(String, Instant)>,
}

impl Progress {
    pub(super) fn new(color: Color) -> Self {
        Self { color, terminal: io::stderr().is_terminal(), last: None }
    }

    /// Something is done.
    pub(super) fn done(&mut self, what: &str, how: &str) {
        self.clear();
        let code = match how {
            "unchanged" => "2",
            "deleted" => "33",
            _ => "32",
        };
        say(format_args!("{what} {}", paint(how, code, self.color.stderr)));
    }

    /// Something is waited for, and this is how far it is.
    pub(super) fn waiting(&mut self, text: &str) {
        if self.terminal {
            // Nobody is left to be told if this fails.
            let _ = write!(io::stderr(), "\r\x1b[K{} {text}", paint("…", "36", self.color.stderr));
            self.last = Some((text.to_owned(), Instant::now()));
        } else if self.last.as_ref().is_none_or(|(last, when)| last != text || when.elapsed() >= AGAIN) {
            say(text);
            self.last = Some((text.to_owned(), Instant::now()));
        }
    }

    /// Takes the line that changes away.
    fn clear(&mut self) {
        if self.last.take().is_some() && self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
