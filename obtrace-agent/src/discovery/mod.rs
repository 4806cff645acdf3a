//! Which processes are observed.

mod glob;

use std::{fs, ops::RangeInclusive, path::PathBuf, sync::mpsc, time::Duration};

use obtrace_probes::{Error, Filter, Process};

use crate::{
    kubernetes::Cluster,
    pipeline::{BoxError, Stop},
};

pub use glob::{EmptyGlob, Glob};

/// Which processes are observed: all that are visible if nothing is asked for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Selection {
    /// These, and the processes they start.
    pub pids: Vec<u32>,
    /// Those whose program is one of these, and the processes they start.
    pub programs: Vec<Glob>,
    /// Those that listen on one of these TCP ports or call one, and the processes they start from then on. Only where
    /// nothing else is asked for: then the kernel chooses them, when they begin to.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Never those whose program is one of these.
    pub exclude: Vec<Glob>,
}

impl Selection {
    /// Every process that is visible.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no process is treated unlike another.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.asks_for_nothing() && self.exclude.is_empty()
    }

    const fn asks_for_nothing(&self) -> bool {
        self.pids.is_empty() && self.programs.is_empty() && self.ports.is_empty()
    }

    /// Whether the kernel chooses the processes, by their ports.
    const fn is_by_port(&self) -> bool {
        self.pids.is_empty() && self.programs.is_empty() && !self.ports.is_empty()
    }

    /// Whether a process is asked for by itself. `program` is the path of what it runs, `None` if that cannot be seen.
    #[must_use]
    pub fn wants(&self, pid: u32, program: Option<&str>) -> bool {
        let named = self.pids.contains(&pid);
        let all = self.asks_for_nothing();
        let matches = |globs: &[Glob]| program.is_some_and(|program| globs.iter().any(|glob| glob.matches(program)));
        named || ((all || matches(&self.programs)) && !matches(&self.exclude))
    }

    /// Whether a process that is observed because its parent was should be left alone.
    fn excludes(&self, pid: u32, program: Option<&str>) -> bool {
        !self.pids.contains(&pid)
            && program.is_some_and(|program| self.exclude.iter().any(|glob| glob.matches(program)))
    }
}

/// A process runs another program now: should it be observed?
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    /// Its number in the agent's PID namespace.
    pub(crate) pid: u32,
    /// Whether it is observed now.
    pub(crate) traced: bool,
}

/// Most questions that wait.
pub(crate) const QUEUE: usize = 256;

/// The path of the program that a process runs.
fn program(pid: u32) -> Option<String> {
    let path: PathBuf = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let path = path.to_string_lossy().into_owned();
    Some(path.strip_suffix(" (deleted)").map_or(path.clone(), str::to_owned))
}

/// What is asked for, within what this agent is there for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) selection: &'a Selection,
    /// Where only the processes of some Pods are.
    pub(crate) cluster: Option<&'a Cluster>,
}

impl Choice<'_> {
    /// Whether the cluster leaves a process to somebody else.
    fn is_foreign(self, pid: u32) -> bool {
        let Some(cluster) = self.cluster else { return false };
        // One that is gone is nobody's.
        !fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|cgroup| cluster.observes(&cgroup))
    }

    fn wants(self, pid: u32) -> bool {
        pid != std::process::id() && self.selection.wants(pid, program(pid).as_deref()) && !self.is_foreign(pid)
    }

    fn excludes(self, pid: u32) -> bool {
        let named = !self.selection.exclude.is_empty() && self.selection.excludes(pid, program(pid).as_deref());
        named || self.is_foreign(pid)
    }

    fn excludes_nothing(self) -> bool {
        self.selection.exclude.is_empty() && self.cluster.is_none()
    }
}

/// Sets the filter for the processes that are there. All that are visible, and how many of them are observed.
pub(crate) fn begin(filter: &Filter, choice: Choice<'_>) -> Result<(Vec<Process>, usize), Error> {
    if choice.selection.is_everything() && choice.cluster.is_none() {
        let processes = filter.allow_all()?;
        let count = processes.len();
        return Ok((processes, count));
    }
    let processes = filter.processes()?;
    if choice.selection.is_by_port() {
        choose_by_port(filter, choice)?;
        return Ok((processes, filter.current()?.len()));
    }
    let wanted: Vec<u32> =
        processes.iter().map(|process| process.local_tgid).filter(|pid| choice.wants(*pid)).collect();
    let count = filter.allow(&wanted)?;
    Ok((processes, count))
}

/// Lets the kernel choose processes by their ports, but for those that are left alone.
fn choose_by_port(filter: &Filter, choice: Choice<'_>) -> Result<(), Error> {
    filter.allow_ports(&choice.selection.ports)?;
    if choice.excludes_nothing() {
        return Ok(());
    }
    let chosen = filter.current()?.into_iter().map(|process| process.local_tgid);
    let excluded: Vec<u32> = chosen.filter(|pid| choice.excludes(*pid)).collect();
    filter.block(&excluded).map(drop)
}

/// Keeps the filter right: answers questions about processes that run another program now, and looks for those that
/// no event told of, at once when the cluster has changed.
pub(crate) fn run(
    filter: &Filter,
    choice: Choice<'_>,
    interval: Duration,
    questions: &mpsc::Receiver<Question>,
    stop: &Stop,
) -> Result<(), BoxError> {
    /// How soon a question is answered.
    const LOOK: Duration = Duration::from_millis(50);
    let mut since_scan = Duration::ZERO;
    let mut generation = 0;
    while !stop.wait(LOOK) {
        let (mut allow, mut block) = (Vec::new(), Vec::new());
        for question in questions.try_iter() {
            if question.traced && !choice.excludes_nothing() && choice.excludes(question.pid) {
                block.push(question.pid);
            } else if !question.traced && choice.wants(question.pid) {
                allow.push(question.pid);
            }
        }
        since_scan += LOOK;
        let now = choice.cluster.map_or(0, Cluster::generation);
        if since_scan >= interval || now != generation {
            (since_scan, generation) = (Duration::ZERO, now);
            if choice.selection.is_by_port() {
                // A listening socket may have come by inheritance or over another socket.
                choose_by_port(filter, choice)?;
            } else {
                scan(filter, choice, &mut allow, &mut block)?;
            }
        }
        if !allow.is_empty() {
            filter.allow(&allow)?;
        }
        if !block.is_empty() {
            filter.block(&block)?;
        }
    }
    Ok(())
}

fn scan(filter: &Filter, choice: Choice<'_>, allow: &mut Vec<u32>, block: &mut Vec<u32>) -> Result<(), Error> {
    let traced = filter.current()?;
    let is_traced = |process: &Process| traced.iter().any(|other| other.tgid == process.tgid);
    for process in filter.processes()?.iter().filter(|process| process.local_tgid != std::process::id()) {
        let (pid, traced) = (process.local_tgid, is_traced(process));
        if traced && choice.excludes_nothing() {
            continue;
        }
        if traced && choice.excludes(pid) {
            block.push(pid);
        } else if !traced && choice.wants(pid) {
            allow.push(pid);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
    }

    #[test]
    fn everything_unless_something_is_asked_for() {
        let all = Selection::new();
        assert!(all.is_everything() && all.wants(1, None) && all.wants(1, Some("/bin/x")));
    }

    #[test]
    fn a_process_is_asked_for_by_number_or_by_program() {
        let some = Selection { pids: vec![7], programs: globs(&["node"]), ..Selection::new() };
        assert!(some.wants(7, None) && some.wants(8, Some("/usr/bin/node")));
        assert!(!some.wants(8, Some("/usr/bin/nginx")) && !some.wants(8, None));
    }

    #[test]
    fn with_ports_the_kernel_chooses_unless_processes_are_named() {
        let some = Selection { ports: vec![80..=80], exclude: globs(&["ssh*"]), ..Selection::new() };
        assert!(some.is_by_port() && !some.is_everything());
        assert!(!some.wants(8, Some("/usr/bin/node")) && some.excludes(8, Some("/usr/sbin/sshd")));
        let named = Selection { programs: globs(&["node"]), ..some };
        assert!(!named.is_by_port() && named.wants(8, Some("/usr/bin/node")) && !named.wants(8, Some("/bin/sh")));
    }

    #[test]
    fn what_is_excluded_is_left_alone_unless_it_is_named_by_number() {
        let some = Selection { pids: vec![7], programs: globs(&["*"]), exclude: globs(&["ssh*"]), ..Selection::new() };
        assert!(!some.wants(8, Some("/usr/sbin/sshd")) && some.excludes(8, Some("/usr/sbin/sshd")));
        assert!(some.wants(7, Some("/usr/sbin/sshd")) && !some.excludes(7, Some("/usr/sbin/sshd")));
        assert!(some.wants(8, Some("/usr/sbin/nginx")));
    }
}
