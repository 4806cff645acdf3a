//! A capture file from end to end.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{CaptureError, CaptureReader, Replay, Settings, Summary};
use crate::print::{Format, Printer};

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
    #[error("opening {path} failed: {source}", path = .path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a capture, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The spans could not be written.
    #[error("writing spans failed: {0}")]
    Write(io::Error),
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
    /// Tells it as the command does: the summary, then the error. The exit code: 0, or 1 if the capture could not be
    /// read to its end.
    ///
    /// # Errors
    ///
    /// What `to` said.
    pub fn tell(&self, to: &mut impl Write) -> io::Result<u8> {
        if !matches!(self.error, Some(ReplayError::Open { .. })) {
            writeln!(to, "{}", self.summary)?;
        }
        let Some(error) = &self.error else { return Ok(0) };
        writeln!(to, "error: {error}")?;
        Ok(1)
    }
}

/// Replays a file; `-` is standard input.
pub fn run_file(path: &Path, options: &Options, out: impl Write) -> Outcome {
    if path.as_os_str() == "-" {
        return run(io::stdin().lock(), None, options, out);
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
        Ok((file, size)) => run(file, Some(size), options, out),
        Err(source) => {
            let error = ReplayError::Open { path: path.to_owned(), source };
            Outcome { error: Some(error), ..Outcome::default() }
        }
    }
}

/// Replays a capture of this many bytes, if that is known. Prints spans to `out`.
pub fn run(capture: impl Read, size: Option<u64>, options: &Options, out: impl Write) -> Outcome {
    let mut printer = Printer::new(out, options.format, options.color);
    let mut failed = None;
    let mut print = |result: io::Result<()>| {
        if let Err(error) = result {
            failed.get_or_insert(error);
        }
        failed.is_some()
    };
    let mut reader = match CaptureReader::new(capture) {
        Ok(reader) => reader,
        Err(error) => return Outcome { error: Some(error.into()), ..Outcome::default() },
    };
    let mut waiting = Vec::new();
    let mut replay = Replay::new(options.settings.clone(), |record: &crate::traces::SpanRecord, now| {
        waiting.push((record.clone(), now));
    });
    let mut progress = Progress::new(options.progress, size);
    let mut error = None;
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) => replay.packet(&packet),
            Ok(None) => break,
            Err(damage) => {
                error = Some(ReplayError::Capture(damage));
                break;
            }
        }
        progress.tell(reader.position(), replay.summary());
    }
    let summary = replay.finish();
    let _ = (&mut print, &mut printer, &mut waiting, &mut failed);
    Outcome { summary, error }
}
