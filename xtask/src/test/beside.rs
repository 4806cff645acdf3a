//! Parts that run beside others, as programs of their own: the emulated guest takes one processor and counts instructions, not time; what only
//! compiles takes what is left of the processors while loaders and clusters wait.

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
    workspace::{Workspace, find_program},
};

/// Parts that run in their order, beside others.
pub(super) struct Group {
    /// What its output is called.
    name: &'static str,
    pub(super) parts: &'static [&'static str],
    /// Before this part they begin.
    pub(super) from: &'static str,
    /// Whether they get only what no other program wants of the processors. The others run beside parts that do not mind one
    /// processor less.
    idle: bool,
}

pub(super) const GROUPS: [Group; 2] = [
    // Each builds into a folder of its own: cargo would have the others wait.
    Group { name: "builds", parts: &["features", "image-programs", "api", "package"], from: "loaders", idle: true },
    Group { name: "guests", parts: &["guest", "guest-cost"], from: "kubernetes", idle: false },
];
/// All have ended before this part, which measures.
pub(super) const UNTIL: &str = "benches";

/// Whether a part runs beside others where all run.
pub(super) fn has(part: &str) -> bool {
    GROUPS.iter().any(|group| group.parts.contains(&part))
}

/// A group that runs.
pub(super) struct Beside {
    parts: &'static [&'static str],
    program: Running,
    log: PathBuf,
    began: Instant,
}

impl Beside {
    /// Starts it; what it prints waits in a file.
    pub(super) fn start(workspace: &Workspace, group: &Group) -> Result<Self, Error> {
        let program =
            env::current_exe().map_err(|error| Error::Cannot(format!("cannot find this program: {error}")))?;
        let log = workspace.target.join(format!("beside-{}.log", group.name));
        say::step(format_args!(
            "{} begin now, beside the next parts; what they say comes before {UNTIL}",
            group.parts.join(", ")
        ));
        let mut run = match find_program("chrt").filter(|_| group.idle) {
            Some(chrt) => Run::new(chrt).args(["--idle", "0"]).arg(program),
            None => Run::new(program),
        };
        run = run.arg("test");
        for part in group.parts {
            run = run.arg("--part").arg(part);
        }
        let name = format!("the {} beside", group.name);
        Ok(Self { parts: group.parts, program: run.start(&name, &log)?, log, began: Instant::now() })
    }

    /// Waits for its end, prints what it said, and reads the results in it.
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
        let mut results: Vec<Outcome> = self.parts.iter().filter_map(|name| outcome(name, &said)).collect();
        let is_told = results.len() == self.parts.len() && results.iter().any(|(_, report, _)| report.has_failed());
        if results.len() < self.parts.len() || (!status.success() && !is_told) {
            let mut report = Report::default();
            let advice = format!("{} ended with {}, without their results", self.program.name, describe(status));
            report.fail(self.parts[0], &advice);
            results = vec![(self.parts[0], report, self.began.elapsed())];
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
