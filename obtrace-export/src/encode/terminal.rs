//! What lines for people are made of: text from outside without what a terminal would obey, times, durations, colours.
//! The lines of [`line`](super::line) are made of it; a program that prints others beside them looks the same with it.

use std::fmt::{self, Display};

use crate::model::{Resource, Span, Status, Value};

/// A colour or a weight, by its number in ECMA-48 (SGR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// 1
    Bold,
    /// 2
    Dim,
    /// 31
    Red,
    /// 32
    Green,
    /// 36
    Cyan,
}

impl Style {
    const fn start(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Cyan => "\x1b[36m",
        }
    }
}

/// Whether to colour.
///
/// ```
/// use obtrace_export::encode::terminal::{Clean, Paint, Style};
///
/// assert_eq!(Paint::new(false).of(Style::Red, Clean("a\x1b[2J")).to_string(), "a·[2J");
/// assert_eq!(Paint::new(true).of(Style::Red, "no").to_string(), "\x1b[31mno\x1b[0m");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint(bool);

impl Paint {
    /// With colours or without.
    #[must_use]
    pub const fn new(color: bool) -> Self {
        Self(color)
    }

    /// Something in a style.
    pub const fn of<T: Display>(self, style: Style, text: T) -> Painted<T> {
        Painted { style: if self.0 { Some(style) } else { None }, text }
    }
}

/// See [`Paint::of`]. A width is that of the text alone.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(style) = self.style else { return self.text.fmt(f) };
        f.write_str(style.start())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

/// Text from outside: control characters and those that turn the direction of writing stand as `·`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a text and no more")]
pub struct Clean<'a>(pub &'a str);

fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(is_obeyed) {
            let clean: String = self.0.chars().map(|c| if is_obeyed(c) { '·' } else { c }).collect();
            f.pad(&clean)
        } else {
            f.pad(self.0)
        }
    }
}

/// The time of day in UTC, to the millisecond, of nanoseconds since the epoch.
///
/// ```
/// use obtrace_export::encode::terminal::TimeOfDay;
/// assert_eq!(TimeOfDay(45_296_789_000_000).to_string(), "12:34:56.789");
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a number and no more")]
pub struct TimeOfDay(pub u64);

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000 % 86_400_000;
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// Nanoseconds with three or four digits and a unit.
///
/// ```
/// use obtrace_export::encode::terminal::Elapsed;
/// assert_eq!([7, 27_800, 2_590_000, 70_600_000_000].map(|nanos| Elapsed(nanos).to_string()), ["0.01 µs", "27.8 µs", "2.59 ms", "70.6 s"]);
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a number and no more")]
pub struct Elapsed(pub u64);

impl Display for Elapsed {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000_000 => (nanos / 1e3, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// How a span ended: the protocol's status code, else which error it was, else `error` or `ok`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a span and no more")]
pub struct Outcome<'a>(pub &'a Span);

impl Outcome<'_> {
    /// What says how it ended, if the protocol says it.
    fn code(&self) -> Option<&Value> {
        let get = |key| self.0.attributes.iter().find(|a| a.key == key).map(|a| &a.value);
        let keys = ["http.response.status_code", "db.response.status_code", "dns.response_code", "error.type"];
        keys.into_iter().find_map(get).filter(|code| matches!(code, Value::Int(_) | Value::Str(_)))
    }

    /// Whether the protocol says how it ended.
    #[must_use]
    pub fn has_code(&self) -> bool {
        self.code().is_some()
    }

    fn is_error(&self) -> bool {
        matches!(self.0.status, Status::Error { .. })
    }

    /// Red for an error, else green.
    #[must_use]
    pub fn style(&self) -> Style {
        if self.is_error() { Style::Red } else { Style::Green }
    }
}

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(Value::Int(code)) => write!(f, "{code}"),
            Some(Value::Str(code)) => Clean(code).fmt(f),
            _ if self.is_error() => f.write_str("error"),
            _ => f.write_str("ok"),
        }
    }
}

/// The service that telemetry is about; `unknown` where it does not say.
#[must_use]
pub fn service(resource: &Resource) -> Clean<'_> {
    match resource.get("service.name") {
        Some(Value::Str(name)) => Clean(name),
        _ => Clean("unknown"),
    }
}
