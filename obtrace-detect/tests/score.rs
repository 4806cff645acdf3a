//! The detector on containers of which it is known what runs in them.

#[path = "../examples/score/cases.rs"]
mod cases;

use std::path::Path;

use cases::{Outcome, Score};
use obtrace_detect::Detector;

fn score(detector: &Detector) -> (Score, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    let mut score = Score::default();
    let mut wrong = Vec::new();
    for case in cases::read(&folder).expect("the cases can be read").into_values().flatten() {
        let (outcome, verdict) = case.judge(detector);
        score.count(&case, outcome);
        if matches!(outcome, Outcome::Harmful | Outcome::Missed) {
            wrong.push(format!("{outcome:?}: {} is {}, {}: {verdict}", case.id, case.truth(), case.why));
        }
    }
    (score, wrong)
}

#[test]
fn the_goals_are_reached_with_the_catalogue() {
    let (score, wrong) = score(&Detector::new());
    assert!(score.cases >= 300, "{score:?}");
    assert!(score.reaches_goals(), "{score:?}\n{}", wrong.join("\n"));
}

#[test]
fn the_rules_alone_harm_nobody() {
    let (score, wrong) = score(&Detector::new().with_catalogue(false));
    assert_eq!(score.harmful, 0, "{score:?}\n{}", wrong.join("\n"));
    // What the catalogue is for; below this the rules have lost something.
    assert!(score.sdk_found * 100 >= score.sdk * 75, "{score:?}\n{}", wrong.join("\n"));
}

#[test]
fn sums_are_those_of_the_parts() {
    let (all, _) = score(&Detector::new());
    let mut twice = all;
    twice.add(&all);
    assert_eq!((twice.cases, twice.exact, twice.sdk), (2 * all.cases, 2 * all.exact, 2 * all.sdk));
}

#[test]
fn the_catalogue_says_what_it_says() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/catalogue.tsv");
    let images = cases::of_catalogue(&images).expect("the catalogue can be read");
    assert!(images.len() >= 300, "{}", images.len());
    for case in images {
        let (outcome, verdict) = case.judge(&Detector::new());
        assert_eq!(outcome, Outcome::Exact, "{} is {}: {verdict}", case.id, case.truth());
    }
}
