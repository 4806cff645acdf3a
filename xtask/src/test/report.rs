//! What passed, failed and was skipped, and the table at the end.

use std::{
    process::ExitStatus,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use super::Outcome;
use crate::{
    command::{Run, describe},
    error::Error,
    interrupt,
    say::{self, Tone, coloured},
};

/// The result of one part.
#[derive(Default)]
pub(super) struct Report {
    passed: u64,
    failures: Vec<String>,
    skipped: Vec<String>,
    only_alone: Vec<String>,
}

impl Report {
    /// What another run of this program told of a part.
    pub(super) fn told(passed: u64, failures: Vec<String>, skipped: Vec<String>) -> Self {
        Self { passed, failures, skipped, only_alone: Vec::new() }
    }

    /// Whether something is wrong.
    pub(super) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// How many passed, failed and were skipped.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (u64, usize, usize) {
        (self.passed, self.failures.len(), self.skipped.len())
    }

    /// `what` was checked and is right.
    pub(super) fn pass(&mut self) {
        self.passed += 1;
    }

    /// `what` is wrong.
    pub(super) fn fail(&mut self, what: &str, reason: &str) {
        let text = format!("{what}: {reason}");
        println!("{}", coloured(Tone::Bad, &format!("  FAILED {text}")));
        self.failures.push(text);
    }

    /// `what` was not run.
    pub(super) fn skip(&mut self, what: &str, reason: &str) {
        say::skipped(what, reason);
        self.skipped.push(format!("{what}: {reason}"));
    }

    /// Runs a command that is one check.
    pub(super) fn check(&mut self, what: &str, run: Run) -> Result<(), Error> {
        say::step(what);
        match run.status() {
            Ok(()) => self.pass(),
            Err(Error::Failed { command, status }) => self.fail(what, &format!("`{command}`: {status}")),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Runs commands that are one check each, two at a time: for those that take one processor and measure no time. What one
    /// printed is shown when it has ended: all of it if it failed, else the lines that begin with `summary`.
    pub(super) fn check_in_pairs(&mut self, checks: Vec<(String, Run)>, summary: &str) -> Result<(), Error> {
        in_pairs(checks, |what, line, status, said| {
            if status.success() {
                said.lines().filter(|text| text.starts_with(summary)).for_each(|text| println!("{text}"));
                self.pass();
            } else {
                print!("{said}");
                self.fail(what, &format!("`{line}`: {}", describe(status)));
            }
        })
    }

    /// As [`Report::run_tests`], two programs at a time: for those that mostly wait.
    pub(super) fn run_tests_in_pairs(&mut self, programs: Vec<(String, Run)>) -> Result<(), Error> {
        in_pairs(programs, |what, line, status, said| {
            print!("{said}");
            let mut counts = Counts::default();
            said.lines().for_each(|text| counts.read(text));
            self.tell(what, line, status, counts);
        })
    }

    /// Runs a command that is many checks and says on lines of its own how they went: cargo's test runner, or
    /// `N passed, N failed[, N skipped]` with `SKIPPED what: reason` lines from our own.
    pub(super) fn run_tests(&mut self, what: &str, run: Run) -> Result<(), Error> {
        say::step(what);
        let line = run.line();
        let mut counts = Counts::default();
        let status = run.lines(|text| counts.read(text))?;
        self.tell(what, &line, status, counts);
        Ok(())
    }

    /// Takes over what a program said of its checks.
    fn tell(&mut self, what: &str, line: &str, status: ExitStatus, counts: Counts) {
        self.passed += counts.passed;
        self.skipped.extend(counts.skipped);
        self.only_alone.extend(counts.only_alone);
        if status.code() == Some(77) {
            self.skip(what, counts.last.trim());
        } else if !status.success() {
            let details: String = counts.details.iter().map(|line| format!("\n      {line}")).collect();
            self.fail(what, &format!("`{line}`: {}, {} failed{details}", describe(status), counts.failed));
        } else if counts.passed == 0 {
            self.fail(what, &format!("`{line}` ran no test"));
        }
    }

    fn tone(&self) -> (Tone, &'static str) {
        match (self.failures.is_empty(), self.skipped.is_empty(), self.passed) {
            (false, ..) => (Tone::Bad, "FAILED"),
            (true, false, 0) => (Tone::Doubtful, "skipped"),
            (true, ..) => (Tone::Good, "ok"),
        }
    }
}

/// Runs programs two at a time; `told` gets each with its command line, its status and what it printed, when it has ended.
fn in_pairs(programs: Vec<(String, Run)>, mut told: impl FnMut(&str, &str, ExitStatus, &str)) -> Result<(), Error> {
    let waiting = Mutex::new(programs.into_iter());
    let (done, ended) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (waiting, done) = (&waiting, done.clone());
            scope.spawn(move || {
                // Interrupted: what has not begun is left.
                let next = || waiting.lock().ok().filter(|_| interrupt::check().is_ok())?.next();
                while let Some((what, run)) = next() {
                    let line = run.line();
                    if done.send((what, line, run.gather())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        for (what, line, result) in ended {
            let (status, said) = result?;
            say::step(&what);
            told(&what, &line, status, &said);
        }
        interrupt::check()
    })
}

/// The most lines about failed cases that the table at the end repeats for a program.
const MAX_DETAILS: usize = 24;

/// What the lines of a test runner say.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: Vec<String>,
    /// Cases that failed beside others and passed with the machine to themselves.
    only_alone: Vec<String>,
    /// What failed and why, in the runner's words.
    details: Vec<String>,
    last: String,
}

impl Counts {
    fn read(&mut self, line: &str) {
        let goes_on = line.starts_with("    ") && self.details.last().is_some_and(|detail| self.last == *detail);
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        let failed = line.starts_with("FAILED ") || line.split_whitespace().nth(1) == Some("FAILED");
        if (failed || goes_on) && self.details.len() < MAX_DETAILS {
            self.details.push(line.to_owned());
        }
        if let Some(what) = line.strip_prefix("SKIPPED ") {
            self.skipped.push(what.to_owned());
        } else if let Some(what) = line.strip_prefix("ONLY ALONE ") {
            self.only_alone.push(what.trim_end_matches(": beside others:").to_owned());
        } else if let Some((test, reason)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
        {
            self.skipped.push(format!("{test}: {}", reason.trim_start_matches([',', ' '])));
        } else if let Some(summary) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
            self.add(summary.1, ';');
        } else if line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(" passed, ") {
            self.add(line, ',');
        }
        line.clone_into(&mut self.last);
    }

    fn add(&mut self, summary: &str, separator: char) {
        for item in summary.split(separator) {
            let mut words = item.split_whitespace();
            match (words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) {
                (Some(count), Some("passed")) => self.passed += count,
                (Some(count), Some("failed")) => self.failed += count,
                _ => {}
            }
        }
    }
}

/// One line with the time a part took.
pub(super) fn minutes(name: &str, elapsed: Duration) {
    say::step(format_args!("{name} took {:.1} minutes", elapsed.as_secs_f64() / 60.0));
}

/// The table of all parts, what was skipped and what failed, and the totals. An error if anything failed.
pub(super) fn conclude(results: &[Outcome]) -> Result<(), Error> {
    println!("\n{:<16} {:>8} {:>7} {:>7} {:>8}", "part", "passed", "failed", "skipped", "minutes");
    for (name, report, elapsed) in results {
        let (tone, word) = report.tone();
        println!(
            "{name:<16} {:>8} {:>7} {:>7} {:>8.1}  {}",
            report.passed,
            report.failures.len(),
            report.skipped.len(),
            elapsed.as_secs_f64() / 60.0,
            coloured(tone, word)
        );
    }
    for (name, report, _) in results {
        for what in &report.skipped {
            println!("skipped: {name}: {what}");
        }
    }
    for (name, report, _) in results {
        for what in &report.only_alone {
            println!("only alone: {name}: {what}");
        }
    }
    for (name, report, _) in results {
        for what in &report.failures {
            println!("failed: {name}: {what}");
        }
    }
    let passed: u64 = results.iter().map(|(_, report, _)| report.passed).sum();
    let failed: usize = results.iter().map(|(_, report, _)| report.failures.len()).sum();
    let skipped: usize = results.iter().map(|(_, report, _)| report.skipped.len()).sum();
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { Ok(()) } else { Err(Error::Wrong(format!("{failed} checks failed"))) }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    fn counts(lines: &[&str]) -> Counts {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn cargo_test_output_is_counted() {
        let counts = counts(&[
            "test stream::tests::overlap ... ok",
            "test slow ... ignored, needs root",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ]);
        assert_eq!((counts.passed, counts.failed), (15, 2));
        assert_eq!(counts.skipped, ["slow: needs root"]);
    }

    #[test]
    fn rig_output_is_counted() {
        let counts = counts(&["SKIPPED puma: no ruby here", "31 passed, 1 failed, 1 skipped"]);
        assert_eq!((counts.passed, counts.failed), (31, 1));
        assert_eq!(counts.skipped, ["puma: no ruby here"]);
    }

    #[test]
    fn what_failed_is_kept_for_the_end() {
        let counts = counts(&[
            "ruby/pg                  ok        1.7 s",
            "ruby/grape               FAILED    2.0 s",
            "    ruby/grape: 1 of spans, not 2",
            "    ruby/grape: and no log",
            "ruby/dalli               FAILED    2.0 s",
            "    ruby/dalli: late",
            "    indented, of something else",
            " -> ruby/dalli once more, alone",
            "ONLY ALONE ruby/dalli: beside others:",
            "2 passed, 1 failed, 0 skipped",
        ]);
        assert_eq!(counts.details[1..3], ["ruby/grape: 1 of spans, not 2", "ruby/grape: and no log"]);
        assert_eq!(counts.only_alone, ["ruby/dalli"]);
        assert_eq!((counts.details.len(), counts.failed), (6, 1));
    }
}
