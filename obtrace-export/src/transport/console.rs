//! Telemetry on the terminal, for people and for other programs.

use std::{
    env, fmt,
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    decode::{Limits, Telemetry, decode},
    encode::{
        Format,
        line::{push_log_record, push_metric, push_span},
    },
    model::Signal,
};

use super::{Payload, Reply, SendError, local};

/// In which form telemetry is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsoleForm {
    /// One line a span, a log record, a data point, for people: see [`encode::line`](crate::encode::line).
    #[default]
    Lines,
    /// One request a line, in OTLP JSON, as a [`File`](super::File) has it.
    Json,
}

/// Shows requests instead of sending them. Lines are coloured on a terminal only, and not if `NO_COLOR` is set.
///
/// ```
/// use obtrace_export::{model::Span, pipeline::{Config, Exporter}, transport::{Console, ConsoleForm}};
///
/// let (exporter, worker) = Exporter::<Span>::new(Console::stderr(ConsoleForm::Lines), Config::new());
/// # drop((exporter, worker));
/// ```
#[derive(Clone)]
pub struct Console {
    form: ConsoleForm,
    color: bool,
    name: &'static str,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl Console {
    /// Shows them on standard output.
    #[must_use]
    pub fn stdout(form: ConsoleForm) -> Self {
        let out = io::stdout();
        Self { form, color: wants_color(out.is_terminal()), name: "standard output", out: Arc::new(Mutex::new(out)) }
    }

    /// Shows them on standard error.
    #[must_use]
    pub fn stderr(form: ConsoleForm) -> Self {
        let out = io::stderr();
        Self { form, color: wants_color(out.is_terminal()), name: "standard error", out: Arc::new(Mutex::new(out)) }
    }

    /// Writes them to anything, without colours.
    #[must_use]
    pub fn new(form: ConsoleForm, out: impl Write + Send + 'static) -> Self {
        Self { form, color: false, name: "a writer", out: Arc::new(Mutex::new(out)) }
    }

    /// Whether lines are coloured.
    #[must_use]
    pub fn with_color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// What it writes to, in words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Shows a request.
    pub(super) fn send(&self, payload: &Payload) -> Result<Reply, SendError> {
        local::write(payload, self.name, |json| self.show(json))
    }

    fn show(&self, json: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(json.len() + 1);
        match self.form {
            ConsoleForm::Lines => self.push_lines(&mut text, json)?,
            ConsoleForm::Json => {
                text.extend_from_slice(json);
                text.push(b'\n');
            }
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&text).and_then(|()| out.flush())
    }

    /// The body is read back: what is shown is what a receiver would see.
    fn push_lines(&self, text: &mut Vec<u8>, json: &[u8]) -> io::Result<()> {
        // Our own encoder made it, and so the first name is that of the signal.
        let signal = match json {
            _ if json.starts_with(br#"{"resourceSpans""#) => Signal::Traces,
            _ if json.starts_with(br#"{"resourceLogs""#) => Signal::Logs,
            _ => Signal::Metrics,
        };
        let limits = Limits::new().with_items(usize::MAX);
        let telemetry = decode(signal, Format::Json, json, &limits)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        match telemetry {
            Telemetry::Traces(spans) => spans.iter().for_each(|span| push_span(text, span, self.color)),
            Telemetry::Logs(records) => records.iter().for_each(|record| push_log_record(text, record, self.color)),
            Telemetry::Metrics(metrics) => metrics.iter().for_each(|metric| push_metric(text, metric, self.color)),
        }
        Ok(())
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { form, color, name, .. } = self;
        f.debug_struct("Console").field("form", form).field("color", color).field("name", name).finish_non_exhaustive()
    }
}

/// [NO_COLOR](https://no-color.org): set and not empty.
fn wants_color(is_terminal: bool) -> bool {
    is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Sent(mpsc::Sender<u8>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            bytes.iter().for_each(|byte| self.0.send(*byte).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(form: ConsoleForm, color: bool, json: &str) -> String {
        let (sender, bytes) = mpsc::channel();
        Console::new(form, Sent(sender)).with_color(color).show(json.as_bytes()).unwrap();
        String::from_utf8(bytes.iter().collect()).unwrap()
    }

    const LOG: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"up\u001b[2J"}}]}]}]}"#;

    #[test]
    fn a_line_an_item_or_a_line_a_request() {
        let line = "00:00:00.000 unknown      log      INFO up·[2J\n";
        assert_eq!(shown(ConsoleForm::Lines, false, LOG), line);
        assert_eq!(shown(ConsoleForm::Json, true, LOG), format!("{LOG}\n"));
    }

    #[test]
    fn colours_are_the_only_control_characters() {
        let text = shown(ConsoleForm::Lines, true, LOG);
        let plain = text.replace("\x1b[2m", "").replace("\x1b[36m", "").replace("\x1b[32m", "").replace("\x1b[1m", "");
        assert_eq!(plain.replace("\x1b[0m", ""), "00:00:00.000 unknown      log      INFO up·[2J\n");
    }
}
