//! Runs what fuzzing once found (`fuzz/regressions/receive/`), the recorded bodies and telemetry of every kind through the fuzz
//! target's checks, without a fuzzer.
#![cfg(feature = "gzip")]

use std::{fs, path::Path};

use obtrace_export::{
    encode::{Encoder, Format},
    model::{Item, Signal},
};
use proptest::{prelude::*, sample::Index};

#[path = "../../fuzz/receive.rs"]
mod receive;
mod telemetry;

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

/// Both forms, whole and with a byte changed.
fn play<T: Item>(items: &[T], (at, byte): (Index, u8)) {
    let signal = match T::SIGNAL {
        Signal::Traces => 0,
        Signal::Logs => 1,
        _ => 2,
    };
    for (format, bit) in [(Format::Json, 0), (Format::Protobuf, 4)] {
        let mut body = vec![signal | bit];
        Encoder::new().encode(format, items, &mut body);
        receive::run("receive", &body);
        let at = at.index(body.len());
        if at > 0 {
            body[at] = byte;
            receive::run("receive", &body);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn telemetry_of_every_kind(
        spans in prop::collection::vec(telemetry::span(), 1..3), records in prop::collection::vec(telemetry::log(), 1..3),
        metrics in prop::collection::vec(telemetry::metric(), 1..3), change in any::<(Index, u8)>(),
    ) {
        play(&spans, change);
        play(&records, change);
        play(&metrics, change);
    }
}
