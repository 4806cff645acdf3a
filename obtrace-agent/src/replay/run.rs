//! A capture file from end to end.

use std::{
    cell::RefCell,
    fmt,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{CaptureError, CaptureReader, Replay, Settings, Summary};
use crate::{
    print::{Format, Printer},
    traces::SpanRecord,
};

/// How a capture is replayed and printed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// In which form spans are printed.
    pub format: Format,
    /// Whether in colour.
    pub color: bool,
    /// Whether to tell on stderr how far it is, when it takes longer than two seconds.
    pub progress: bool,
    /// Bounds and perspective.
    pub settings: Settings,
}

impl Options {
    /// Text without colour, of the clients' side.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Options::format`] and [`Options::color`].
    #[must_use]
    pub fn with_format(mut self, format: Format, color: bool) -> Self {
        (self.format, self.color) = (format, color);
        self
    }

    /// Sets [`Options::progress`].
    #[must_use]
    pub fn with_progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Sets [`Options::settings`].
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file could not be opened.
    #[error("opening {path} failed: {source}; {mend}", path = .path.display(), mend = mend(.source))]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a capture, or not to its end.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Its path; `standard input` for that.
        path: PathBuf,
        /// What is wrong with it.
        source: CaptureError,
    },
    /// What has no name is not a capture, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The spans could not be written.
    #[error("writing spans failed: {0}")]
    Write(io::Error),
}

/// What to do about a file that could not be opened.
fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path (`-` is standard input)",
        io::ErrorKind::PermissionDenied => "let its owner or root pass it in: sudo cat FILE | obtrace-agent replay -",
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "name a file that can be read (`-` is standard input)",
    }
}

/// What a replay came to. Spans of all packets before an error were printed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// What was in the capture, as far as it was read.
    pub summary: Summary,
    /// What ended it early. A reader of the spans that has read enough (a closed pipe) is no error.
    pub error: Option<ReplayError>,
}

impl Outcome {
    /// Tells it as the command does: the summary if anything was read, then the error. The exit code: 0, or 1 if the
    /// capture could not be read to its end.
    ///
    /// # Errors
    ///
    /// What `to` said.
    pub fn tell(&self, to: &mut impl Write) -> io::Result<u8> {
        // A summary of nothing would only stand before the message that counts.
        if self.error.is_none() || self.summary.packets > 0 {
            writeln!(to, "{}", self.summary)?;
        }
        let Some(error) = &self.error else { return Ok(0) };
        writeln!(to, "error: {error}")?;
        Ok(1)
    }

    /// Names the file in what was said of it.
    fn of_file(mut self, path: &Path) -> Self {
        self.error = self.error.map(|error| match error {
            ReplayError::Capture(source) => ReplayError::File { path: path.to_owned(), source },
            other => other,
        });
        self
    }
}

/// Replays a file; `-` is standard input.
pub fn run_file(path: &Path, options: &Options, out: impl Write) -> Outcome {
    if path.as_os_str() == "-" {
        return run(io::stdin().lock(), None, options, out).of_file(Path::new("standard input"));
    }
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((file, metadata.len()))
    };
    match open() {
        Ok((file, size)) => run(file, Some(size), options, out).of_file(path),
        Err(source) => {
            let error = ReplayError::Open { path: path.to_owned(), source };
            Outcome { error: Some(error), ..Outcome::default() }
        }
    }
}

/// Replays a capture of this many bytes, if that is known. Prints spans to `out`.
pub fn run(capture: impl Read, size: Option<u64>, options: &Options, out: impl Write) -> Outcome {
    let mut reader = match CaptureReader::new(capture) {
        Ok(reader) => reader,
        Err(error) => return Outcome { error: Some(error.into()), ..Outcome::default() },
    };
    let printer = RefCell::new(Printer::new(out, options.format, options.color));
    let failure = RefCell::new(None);
    let check = |result: io::Result<()>| {
        if let Err(error) = result {
            failure.borrow_mut().get_or_insert(error);
        }
    };
    let print = |record: &SpanRecord, now| check(printer.borrow_mut().span(record, now));
    let mut replay = Replay::new(options.settings.clone(), print);
    let mut clock = Clock::new(options.progress, size);
    let mut reads = 0;
    let mut error = None;
    while failure.borrow().is_none() {
        match reader.next_packet() {
            Ok(Some(packet)) => {
                replay.packet(&packet);
                // Time passes where the file is read: to ask for it at each packet costs as much as some packets do.
                let before = std::mem::replace(&mut reads, reader.reads());
                if before != reads && clock.is_due(reader.position(), replay.summary()) {
                    check(printer.borrow_mut().flush(replay.now()));
                }
            }
            Ok(None) => break,
            Err(damage) => {
                error = Some(ReplayError::Capture(damage));
                break;
            }
        }
    }
    clock.clear();
    let summary = replay.finish();
    check(printer.borrow_mut().finish());
    let failure = failure.take().filter(|failure| failure.kind() != io::ErrorKind::BrokenPipe);
    Outcome { summary, error: failure.map(ReplayError::Write).or(error) }
}

/// What is done now and then: flushing, so that a capture that is still being written is followed, and telling how
/// far it is.
#[derive(Debug)]
struct Clock {
    start: Instant,
    last: Instant,
    size: Option<u64>,
    progress: bool,
    told: bool,
}

impl Clock {
    const PERIOD: Duration = Duration::from_millis(500);
    /// Nothing is told of what is over sooner.
    const QUIET: Duration = Duration::from_secs(2);

    fn new(progress: bool, size: Option<u64>) -> Self {
        let now = Instant::now();
        Self { start: now, last: now, size, progress, told: false }
    }

    fn is_due(&mut self, position: u64, summary: &Summary) -> bool {
        let now = Instant::now();
        if now.duration_since(self.last) < Self::PERIOD {
            return false;
        }
        self.last = now;
        if self.progress && now.duration_since(self.start) >= Self::QUIET {
            self.told = true;
            // Nobody is to be told that telling failed.
            let _ = write!(io::stderr(), "\r{}", Progress { position, size: self.size, summary });
        }
        true
    }

    fn clear(&self) {
        if self.told {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

struct Progress<'a> {
    position: u64,
    size: Option<u64>,
    summary: &'a Summary,
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        if let Some(size) = self.size.filter(|size| *size > 0) {
            write!(f, "{:3} % of {} MiB", (u128::from(self.position) * 100 / u128::from(size)).min(100), size / MIB)?;
        } else {
            write!(f, "{} MiB", self.position / MIB)?;
        }
        write!(f, ", packets {}, exchanges {}\x1b[K", self.summary.packets, self.summary.exchanges)
    }
}
