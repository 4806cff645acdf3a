//! Runs what fuzzing once found (`fuzz/regressions/receive/`) and the recorded bodies through the fuzz target's checks,
//! without a fuzzer.
#![cfg(feature = "gzip")]

use std::{fs, path::Path};

#[path = "../../fuzz/receive.rs"]
mod receive;

#[test]
fn kept_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions/receive");
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files {
        let path = file.unwrap().path();
        println!("{}", path.display());
        receive::run("receive", &fs::read(path).unwrap());
    }
}

/// Whole, and with every fourth byte in turn changed, taken away or doubled.
#[test]
fn recorded_bodies_and_what_becomes_of_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/receive");
    let mut seen = 0;
    for (choice, signal) in (0_u8..).zip(["traces", "logs", "metrics"]) {
        for (choice, name) in [(choice, format!("node-{signal}.json")), (choice | 4, format!("python-{signal}.pb"))] {
            let body = fs::read(folder.join(name)).unwrap();
            let play = |choice: u8, body: &[u8]| receive::run("receive", &[&[choice], body].concat());
            for bits in [0, 8, 16, 32] {
                play(choice | bits, &body);
            }
            for at in (0..body.len()).step_by(4) {
                let mut changed = body.clone();
                changed[at] = changed[at].wrapping_add(1);
                play(choice, &changed);
                changed[at] = 0;
                play(choice, &changed);
                changed.remove(at);
                play(choice, &changed);
                let doubled = [&body[..at], &body[at / 2..]].concat();
                play(choice, &doubled);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}
