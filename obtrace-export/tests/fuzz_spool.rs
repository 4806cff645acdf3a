//! Runs what fuzzing once found (`fuzz/regressions/spool/`), and some changes of a real spool, through the fuzz target's
//! checks, without a fuzzer.
#![cfg(all(feature = "pipeline", unix))]

use std::{fs, path::Path};

use proptest::prelude::*;

#[path = "../../fuzz/spool.rs"]
mod spool;

#[test]
fn kept_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions/spool");
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files {
        let path = file.unwrap().path();
        println!("{}", path.display());
        spool::run(&fs::read(path).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_becomes_of_the_files(choice in 0_u8..4, changes in prop::collection::vec(any::<u8>(), 0..60)) {
        spool::run(&[&[choice], &changes[..]].concat());
    }
}
