//! What a detection costs in allocations: it runs on the way of every Pod.

#[allow(dead_code, reason = "the score is the other test's")]
#[path = "../examples/score/cases.rs"]
mod cases;

use std::{hint::black_box, path::Path};

use obtrace_detect::{EnvVar, Evidence, detect};

/// The reasons, which grow once at most.
const MAX_ALLOCATIONS: u64 = 2;

fn allocations(evidence: &Evidence<'_>) -> u64 {
    let info = allocation_counter::measure(|| {
        black_box(detect(black_box(evidence)));
    });
    info.count_total
}

#[test]
fn a_container_costs_two_allocations_at_most() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    let mut seen = 0;
    let pods = cases::read(&folder).unwrap().into_iter().filter(|(name, _)| name != "processes");
    for case in pods.flat_map(|(_, cases)| cases) {
        let count = case.with_evidence(allocations);
        assert!(count <= MAX_ALLOCATIONS, "{}: {count}: {}", case.id, case.why);
        seen += 1;
    }
    assert!(seen >= 300, "{seen} cases");
}

#[test]
fn a_script_and_many_variables_cost_no_more() {
    let env: Vec<_> = (0..500).map(|index| EnvVar::new(format!("VARIABLE_{index}"), "x".repeat(100))).collect();
    let script = "set -e; export A=1; cd /srv && ./migrate; exec env B=2 tini -- bundle exec puma -C config/puma.rb";
    let command = ["bash".into(), "-ec".into(), script.into()];
    let evidence = Evidence::new().with_image("registry.example/shop/web:7").with_command(&command).with_env(&env);
    assert_eq!(detect(&evidence).language.as_str(), "ruby");
    assert!(allocations(&evidence) <= MAX_ALLOCATIONS, "{}", allocations(&evidence));
}
