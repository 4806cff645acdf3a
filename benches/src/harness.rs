//! Contenders of a group take turns, in batches of about a millisecond: whatever disturbs the machine disturbs all of them
//! alike. The clock is the time that the thread ran: what others did with the processor meanwhile does not count. The minimum
//! is what the code costs, the median shows how disturbed the run was. Only ratios are judged.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
}

/// What a group found.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Best time of one iteration of each contender, in nanoseconds.
    pub(crate) nanos: Vec<f64>,
    /// Heap allocations of one iteration of each contender.
    pub(crate) allocations: Vec<f64>,
}

/// Contenders for one task.
pub(crate) struct Group<'a> {
    title: String,
    unit: &'static str,
    units: f64,
    contenders: Vec<Contender<'a>>,
}

struct Contender<'a> {
    name: &'static str,
    bytes: usize,
    /// So many iterations: the nanoseconds that they took.
    run: Box<dyn FnMut(u64) -> f64 + 'a>,
    /// Its allocations are those of this process.
    is_here: bool,
}

impl<'a> Group<'a> {
    /// A group whose iterations hold `units` of what the result is told per.
    pub(crate) fn new(title: impl Into<String>, unit: &'static str, units: usize) -> Self {
        Self { title: title.into(), unit, units: units as f64, contenders: Vec::new() }
    }

    /// Adds a contender that reads or writes `bytes` bytes in one iteration.
    pub(crate) fn add<T>(mut self, name: &'static str, bytes: usize, mut iteration: impl FnMut() -> T + 'a) -> Self {
        let run = move |iterations| {
            let start = thread_nanos();
            for _ in 0..iterations {
                black_box(iteration());
            }
            thread_nanos() - start
        };
        self.contenders.push(Contender { name, bytes, run: Box::new(run), is_here: true });
        self
    }

    /// Adds one of another process, which tells how many nanoseconds its thread ran for so many iterations. Its allocations
    /// are not counted.
    pub(crate) fn add_elsewhere(mut self, name: &'static str, bytes: usize, run: impl FnMut(u64) -> f64 + 'a) -> Self {
        self.contenders.push(Contender { name, bytes, run: Box::new(run), is_here: false });
        self
    }

    /// Runs and prints the table.
    pub(crate) fn run(mut self, run: Run) -> Outcome {
        let prepared: Vec<(u64, f64)> = self.contenders.iter_mut().map(prepare).collect();
        let mut times = vec![Vec::with_capacity(run.rounds); self.contenders.len()];
        for _ in 0..run.rounds {
            for ((contender, (iterations, _)), times) in self.contenders.iter_mut().zip(&prepared).zip(&mut times) {
                times.push((contender.run)(*iterations) / *iterations as f64);
            }
        }
        println!("\n### {} ({} rounds)\n", self.title, run.rounds);
        let unit = self.unit;
        println!("| contender | min ns/{unit} | median ns/{unit} | GB/s | allocations/{unit} | B/{unit} |");
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
        let mut outcome = Outcome { nanos: Vec::new(), allocations: Vec::new() };
        for ((contender, (_, allocations)), times) in self.contenders.iter().zip(prepared).zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let (min, median) = (times[0], times[times.len() / 2]);
            let counted = format!("{:.2}", allocations / self.units);
            println!(
                "| {} | {:.1} | {:.1} | {:.2} | {} | {:.0} |",
                contender.name,
                min / self.units,
                median / self.units,
                contender.bytes as f64 / min,
                if contender.is_here { &counted } else { "–" },
                contender.bytes as f64 / self.units,
            );
            outcome.nanos.push(min);
            outcome.allocations.push(allocations);
        }
        outcome
    }
}

/// Nanoseconds that the thread has run.
fn thread_nanos() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Warms a contender up; gives how many iterations take about a millisecond, and its allocations.
fn prepare(contender: &mut Contender<'_>) -> (u64, f64) {
    const COUNTED: u64 = 4;
    (contender.run)(2);
    let counted = allocation_counter::measure(|| {
        (contender.run)(COUNTED);
    });
    let mut iterations = 1;
    loop {
        let took = (contender.run)(iterations);
        if took > 800_000.0 || iterations >= 1 << 24 {
            return (iterations, counted.count_total as f64 / COUNTED as f64);
        }
        iterations *= if took < 50_000.0 { 8 } else { 2 };
    }
}

/// Figures that were promised, and whether they came out.
#[derive(Debug, Default)]
pub(crate) struct Goals {
    results: Vec<Goal>,
}

#[derive(Debug)]
struct Goal {
    what: String,
    actual: f64,
    /// Why it was not measured.
    skipped: Option<&'static str>,
    goal: Bound,
    /// What fails the run if it is missed. Far from what is reached, so that a busy machine does not decide.
    held: Option<Bound>,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_met(self, actual: f64) -> bool {
        match self {
            Self::AtLeast(bound) => actual >= bound,
            Self::AtMost(bound) => actual <= bound,
        }
    }

    /// Missed by so little that another run may meet it.
    fn is_near(self, actual: f64) -> bool {
        match self {
            Self::AtLeast(bound) => actual >= bound * 0.9,
            Self::AtMost(bound) => actual <= bound * 1.1,
        }
    }
}

impl Goals {
    /// So many times a peer's speed, `goal` or more; less than `held` fails the run.
    pub(crate) fn ratio(&mut self, what: impl Into<String>, actual: f64, goal: f64, held: f64) {
        self.push(what.into(), actual, Bound::AtLeast(goal), Some(Bound::AtLeast(held)));
    }

    /// What could not be measured here, and why. It is neither met nor missed.
    pub(crate) fn skip(&mut self, what: impl Into<String>, goal: f64, why: &'static str) {
        let goal = Bound::AtLeast(goal);
        self.results.push(Goal { what: what.into(), actual: f64::NAN, skipped: Some(why), goal, held: None });
    }

    fn push(&mut self, what: String, actual: f64, goal: Bound, held: Option<Bound>) {
        self.results.push(Goal { what, actual, skipped: None, goal, held });
    }

    /// Work in a time, `goal` or more. Only told: it depends on the machine.
    pub(crate) fn rate(&mut self, what: impl Into<String>, actual: f64, goal: f64) {
        self.push(what.into(), actual, Bound::AtLeast(goal), None);
    }

    /// Work that takes a time, `goal` or less. Only told: it depends on the machine.
    pub(crate) fn time(&mut self, what: impl Into<String>, actual: f64, goal: f64) {
        self.push(what.into(), actual, Bound::AtMost(goal), None);
    }

    /// Allocations, of which there are at most so many.
    pub(crate) fn allocations(&mut self, what: impl Into<String>, actual: f64, goal: f64) {
        let most = Bound::AtMost(goal);
        self.push(format!("{}: allocations", what.into()), actual, most, Some(most));
    }

    /// Bytes, of which there are at most so many.
    pub(crate) fn size(&mut self, what: impl Into<String>, actual: f64, goal: f64) {
        let most = Bound::AtMost(goal);
        self.push(what.into(), actual, most, Some(most));
    }

    /// So many times the time that an eighth of the input takes: not much more than eight, as the larger one and what is
    /// made of it leave the nearest cache. What grows with the square takes 64 times, and fails the run.
    pub(crate) fn growth(&mut self, what: impl Into<String>, actual: f64) {
        let held = Some(Bound::AtMost(40.0));
        self.push(what.into(), actual, Bound::AtMost(12.0), held);
    }

    /// Allocations, of which there must be none.
    pub(crate) fn no_allocations(&mut self, what: impl Into<String>, actual: f64) {
        let none = Bound::AtMost(0.0);
        self.push(format!("{}: allocations", what.into()), actual, none, Some(none));
    }

    /// Keeps the better of two runs' results.
    pub(crate) fn best(self, other: Self) -> Self {
        let better = |goal: Goal, other: Goal| match goal.goal {
            Bound::AtLeast(_) => Goal { actual: goal.actual.max(other.actual), ..goal },
            Bound::AtMost(_) => Goal { actual: goal.actual.min(other.actual), ..goal },
        };
        Self { results: self.results.into_iter().zip(other.results).map(|(a, b)| better(a, b)).collect() }
    }

    /// Whether nothing that is held is missed.
    pub(crate) fn are_held(&self) -> bool {
        self.results.iter().all(|goal| goal.held.is_none_or(|held| held.is_met(goal.actual)))
    }

    /// Prints the table.
    pub(crate) fn report(&self) {
        println!("\n### Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |");
        for Goal { what, actual, skipped, goal, held } in &self.results {
            let (sign, bound) = match goal {
                Bound::AtLeast(bound) => ('≥', bound),
                Bound::AtMost(bound) => ('≤', bound),
            };
            if let Some(why) = skipped {
                println!("| {what} | – | {sign} {bound} | skipped: {why} |");
                continue;
            }
            let verdict = match (goal.is_met(*actual), held) {
                (true, _) => "met",
                (false, Some(held)) if !held.is_met(*actual) => "MISSED: the run fails",
                (false, _) if goal.is_near(*actual) => "near",
                (false, _) => "missed",
            };
            println!("| {what} | {actual:.2} | {sign} {bound} | {verdict} |");
        }
    }
}
