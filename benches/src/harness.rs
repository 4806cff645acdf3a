//! Contenders of a group take turns, in batches of about a millisecond: whatever disturbs the machine disturbs all of them
//! alike. The minimum is what the code costs, the median shows how disturbed the run was. Only ratios are judged.

use std::{hint::black_box, time::Instant};

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
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Group<'a> {
    /// A group whose iterations hold `units` of what the result is told per.
    pub(crate) fn new(title: impl Into<String>, unit: &'static str, units: usize) -> Self {
        Self { title: title.into(), unit, units: units as f64, contenders: Vec::new() }
    }

    /// Adds a contender that reads or writes `bytes` bytes in one iteration.
    pub(crate) fn add<T>(mut self, name: &'static str, bytes: usize, mut iteration: impl FnMut() -> T + 'a) -> Self {
        let run = Box::new(move || {
            black_box(iteration());
        });
        self.contenders.push(Contender { name, bytes, run });
        self
    }

    /// Runs and prints the table.
    pub(crate) fn run(mut self, run: Run) -> Outcome {
        let prepared: Vec<(u64, f64)> = self.contenders.iter_mut().map(prepare).collect();
        let mut times = vec![Vec::with_capacity(run.rounds); self.contenders.len()];
        for _ in 0..run.rounds {
            for ((contender, (iterations, _)), times) in self.contenders.iter_mut().zip(&prepared).zip(&mut times) {
                let start = Instant::now();
                for _ in 0..*iterations {
                    (contender.run)();
                }
                times.push(start.elapsed().as_nanos() as f64 / *iterations as f64);
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
            println!(
                "| {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
                contender.name,
                min / self.units,
                median / self.units,
                contender.bytes as f64 / min,
                allocations / self.units,
                contender.bytes as f64 / self.units,
            );
            outcome.nanos.push(min);
            outcome.allocations.push(allocations);
        }
        outcome
    }
}

/// Warms a contender up; gives how many iterations take about a millisecond, and its allocations.
fn prepare(contender: &mut Contender<'_>) -> (u64, f64) {
    const COUNTED: u64 = 4;
    (contender.run)();
    (contender.run)();
    let counted = allocation_counter::measure(|| {
        for _ in 0..COUNTED {
            (contender.run)();
        }
    });
    let mut iterations = 1;
    loop {
        let start = Instant::now();
        for _ in 0..iterations {
            (contender.run)();
        }
        let took = start.elapsed().as_micros();
        if took > 800 || iterations >= 1 << 24 {
            return (iterations, counted.count_total as f64 / COUNTED as f64);
        }
        iterations *= if took < 50 { 8 } else { 2 };
    }
}

/// Figures that were promised, and whether they came out.
#[derive(Debug, Default)]
pub(crate) struct Goals {
    results: Vec<(String, f64, f64, bool)>,
}

impl Goals {
    /// `actual` must be `at_least` this.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, actual: f64, at_least: f64) {
        self.results.push((what.into(), actual, at_least, true));
    }

    /// `actual` must be `at_most` this.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, actual: f64, at_most: f64) {
        self.results.push((what.into(), actual, at_most, false));
    }

    /// Keeps the better of two runs' results.
    pub(crate) fn best(self, other: Self) -> Self {
        let better = |(what, a, goal, least): (String, f64, f64, bool), (_, b, ..): (String, f64, f64, bool)| {
            (what, if least { a.max(b) } else { a.min(b) }, goal, least)
        };
        Self { results: self.results.into_iter().zip(other.results).map(|(a, b)| better(a, b)).collect() }
    }

    /// Prints the table; gives whether every figure is within a fifth of its goal (allocations: exactly). The machines that
    /// judge are small and shared.
    pub(crate) fn report(&self) -> bool {
        println!("\n### Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |");
        let mut all = true;
        for (what, actual, goal, least) in &self.results {
            let (met, tolerable) =
                if *least { (actual >= goal, *actual >= goal * 0.8) } else { (actual <= goal, *actual <= goal * 1.25) };
            let sign = if *least { '≥' } else { '≤' };
            let verdict = if met {
                "met"
            } else if tolerable {
                "nearly"
            } else {
                "missed"
            };
            println!("| {what} | {actual:.2} | {sign} {goal} | {verdict} |");
            all &= tolerable;
        }
        all
    }
}
