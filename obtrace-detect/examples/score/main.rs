//! How good the detection is, on containers of which it is known what runs in them.
//!
//! ```text
//! cargo run --release --example score -- [--verbose] [FOLDER...]
//! ```
//!
//! Without folders: the repository's own cases. Exits with 1 if a verdict is harmful, or if the goals are missed with
//! the catalogue: 98 % acceptable, 90 % of the SDK languages found.

mod cases;

use std::{env, hint::black_box, path::PathBuf, process::ExitCode, time::Instant};

use cases::{Case, Outcome, Score};
use obtrace_detect::{Detector, Evidence};

fn main() -> ExitCode {
    let mut verbose = false;
    let mut folders = Vec::new();
    for argument in env::args_os().skip(1) {
        if argument == "--verbose" { verbose = true } else { folders.push(PathBuf::from(argument)) }
    }
    if folders.is_empty() {
        folders.push(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/cases"));
    }
    match run(&folders, verbose) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("score: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folders: &[PathBuf], verbose: bool) -> std::io::Result<bool> {
    println!("{:<34} {:>6} {:>7} {:>11} {:>8} {:>10}", "", "cases", "exact", "acceptable", "harmful", "SDK found");
    let mut reached = true;
    let mut times = Vec::new();
    for catalogue in [true, false] {
        let detector = Detector::new().with_catalogue(catalogue);
        println!("{}", if catalogue { "with the catalogue" } else { "without the catalogue" });
        let mut total = Score::default();
        for folder in folders {
            for (name, cases) in cases::read(folder)? {
                times.extend(cases.iter().map(|case| nanoseconds(case, &detector)));
                let score = score_of(&cases, &detector, verbose);
                print_row(&name, &score);
                total.add(&score);
            }
        }
        print_row("total", &total);
        reached &= total.harmful == 0 && (total.reaches_goals() || !catalogue);
        // Beside the total: with the catalogue it is asked what it says itself.
        let images = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/catalogue.tsv");
        let own = score_of(&cases::of_catalogue(&images)?, &detector, verbose);
        print_row("the catalogue's own images", &own);
        reached &= own.exact == own.cases || !catalogue;
    }
    times.sort_unstable();
    let time = |part: usize| times.get(times.len() * part / 1000).copied().unwrap_or(0) as f64 / 1000.0;
    println!("one detection: median {:.1} µs, 99 of 100 within {:.1} µs", time(500), time(990));
    Ok(reached)
}

fn score_of(cases: &[Case], detector: &Detector, verbose: bool) -> Score {
    let mut score = Score::default();
    for case in cases {
        let (outcome, verdict) = case.judge(detector);
        score.count(case, outcome);
        if verbose && outcome != Outcome::Exact && outcome != Outcome::Acceptable {
            println!("    {outcome:?}: {} is {}\n      {}\n      {verdict}", case.id, case.truth(), case.why);
        }
    }
    score
}

/// How long a detection takes; the best of a few times, since the machine does other things as well.
fn nanoseconds(case: &Case, detector: &Detector) -> u128 {
    const ROUNDS: u32 = 20;
    let round = |evidence: &Evidence<'_>| {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(detector.detect(black_box(evidence)));
        }
        start.elapsed().as_nanos() / u128::from(ROUNDS)
    };
    case.with_evidence(|evidence| (0..5).map(|_| round(evidence)).min().unwrap_or(0))
}

fn print_row(name: &str, score: &Score) {
    let percent = |part: usize, whole: usize| format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64);
    let Score { cases, exact, acceptable, harmful, sdk, sdk_found } = *score;
    let (exact, acceptable, sdk) = (percent(exact, cases), percent(acceptable, cases), percent(sdk_found, sdk));
    println!("  {name:<32} {cases:>6} {exact:>7} {acceptable:>11} {harmful:>8} {sdk:>10}");
}
