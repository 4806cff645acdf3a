//! Parts that run beside others, as a program of their own: the emulated guest takes one processor and counts instructions, not time, and a
//! cluster mostly waits.

use std::{
    env, fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{Outcome, report::Report};
use crate::{
    command::{Run, Running, describe},
    error::Error,
    interrupt, say,
    workspace::Workspace,
};

/// These run beside …
pub(super) const PARTS: [&str; 2] = ["guest", "guest-cost"];
/// … this part and those between it and them.
pub(super) const FROM: &str = "kubernetes";

/// What runs beside.
pub(super) struct Beside {
    program: Running,
    log: PathBuf,
    began: Instant,
}

impl Beside {
    /// Starts them; what they print waits in a file.
    pub(super) fn start(workspace: &Workspace) -> Result<Self, Error> {
        let program =
            env::current_exe().map_err(|error| Error::Cannot(format!("cannot find this program: {error}")))?;
        let log = workspace.target.join("beside.log");
        say::step(format_args!(
            "{} begin now, beside the next parts; what they say comes after those",
            PARTS.join(" and ")
        ));
        let mut run = Run::new(program).arg("test");
        for part in PARTS {
            run = run.arg("--part").arg(part);
        }
        Ok(Self { program: run.start("the parts beside", &log)?, log, began: Instant::now() })
    }

    /// Waits for their end, prints what they said, and reads the results in it.
    pub(super) fn wait(mut self) -> Result<Vec<Outcome>, Error> {
        let status = loop {
            interrupt::check()?;
            match self.program.ended() {
                Some(status) => break status,
                None => thread::sleep(Duration::from_millis(100)),
            }
        };
        let said = fs::read_to_string(&self.log).map_err(Error::file("read", &self.log))?;
        println!("{said}");
        let mut results: Vec<Outcome> = PARTS.iter().filter_map(|name| outcome(name, &said)).collect();
        let is_told = results.len() == PARTS.len() && results.iter().any(|(_, report, _)| report.has_failed());
        if results.len() < PARTS.len() || (!status.success() && !is_told) {
            let mut report = Report::default();
            report.fail(PARTS[0], &format!("the parts beside ended with {}, without their results", describe(status)));
            results = vec![(PARTS[0], report, self.began.elapsed())];
        }
        Ok(results)
    }
}

/// The result of a part, as the closing table and the lines behind it have it.
fn outcome(name: &'static str, said: &str) -> Option<Outcome> {
    let row = said.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then_some(())?;
        let numbers: Vec<f64> = words.take(4).map_while(|word| word.parse().ok()).collect();
        (numbers.len() == 4).then_some(numbers)
    });
    let numbers = row?;
    let of = |kind: &str| {
        let prefix = format!("{kind}: {name}: ");
        said.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect::<Vec<_>>()
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of checks")]
    let report = Report::told(numbers[0] as u64, of("failed"), of("skipped"));
    Some((name, report, Duration::from_secs_f64(numbers[3] * 60.0)))
}

#[cfg(test)]
mod tests {
    use super::outcome;

    const SAID: &str = "\
==> guest: both back ends
guest is said here, too
part               passed  failed skipped  minutes
guest                   4       0       1      5.8  ok
guest-cost              9       2       0      4.6  FAILED
skipped: guest: spans on 6.12: no kernel
failed: guest-cost: idle: 0.2 %, not 0.1
failed: guest-cost: maps: 9 MB

13 passed, 2 failed, 1 skipped
";

    #[test]
    fn results_are_read_from_the_table() {
        let (name, report, took) = outcome("guest-cost", SAID).unwrap();
        assert_eq!((name, report.counts(), took.as_secs()), ("guest-cost", (9, 2, 0), 276));
        assert_eq!(outcome("guest", SAID).unwrap().1.counts(), (4, 0, 1));
        assert!(outcome("replay", SAID).is_none());
    }
}
