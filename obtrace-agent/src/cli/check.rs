//! `check`: what this machine allows.

use std::{fmt::Write, io, time::Duration};

use obtrace_cli::{Color, paint};
use obtrace_probes::capability::{self, Report};
use serde_json::json;

use super::{CANNOT, FAILED, arguments::Check, complain, write_out};
use crate::{
    application::{Agent, Outlets, Settings},
    print::Format,
};

pub(super) fn check(flags: &Check) -> u8 {
    if let Some(seconds) = flags.live {
        return live(Duration::from_secs(seconds.into()));
    }
    let report = capability::report();
    let is = |name| report.get(name).is_some_and(|feature| feature.available);
    let works = is("tracepoint_backend") || is("fentry_backend");
    let text = if flags.json { as_json(&report, works) } else { as_text(&report, works) };
    let code = write_out(text.as_bytes());
    if works { code } else { CANNOT }
}

fn as_json(report: &Report, works: bool) -> String {
    let features: Vec<_> = report
        .features
        .iter()
        .map(|f| json!({ "name": f.name, "works": f.available, "why": f.why, "mend": f.mend }))
        .collect();
    format!("{:#}\n", json!({ "works": works, "features": features }))
}

fn as_text(report: &Report, works: bool) -> String {
    let color = Color::auto().stdout;
    let mut text = String::new();
    for feature in &report.features {
        let answer = if feature.available { paint("yes", "32", color) } else { paint("no ", "31", color) };
        // Writing to memory does not fail.
        let _ = writeln!(text, "{answer}  {:<20} {}", feature.name, feature.why.lines().next().unwrap_or_default());
        if !feature.available && !feature.mend.is_empty() {
            let _ = writeln!(text, "     {:<20} to mend it: {}", "", feature.mend);
        }
    }
    let verdict = if works { "spans can be had on this machine" } else { "spans cannot be had on this machine" };
    let _ = writeln!(text, "{verdict}");
    text
}

/// Attaches for a while and tells what was captured and what was lost.
fn live(time: Duration) -> u8 {
    let mut settings = Settings::new();
    settings.format = Format::None;
    let result = Agent::start(settings, Outlets::new(), io::sink()).and_then(|agent| {
        let _ = agent.wait_within(time);
        agent.stop()
    });
    match result {
        Ok(summary) => write_out(format!("{summary}\n").as_bytes()),
        Err(error) => {
            let code = if error.is_unsupported() { CANNOT } else { FAILED };
            complain(&error);
            code
        }
    }
}
