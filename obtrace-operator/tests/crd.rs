//! The checked-in definition of the custom resource equals what the types give.

use std::{env, fs, path::Path};

use obtrace_operator::crd;

#[test]
fn the_checked_in_definition_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crd/obtraceinstrumentation.yaml");
    let made = crd::definition_yaml().unwrap();
    if env::var_os("OBTRACE_CRD_WRITE").is_some_and(|value| value == "1") {
        fs::write(&path, &made).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == made,
        "deploy/crd/obtraceinstrumentation.yaml differs; if that is meant: OBTRACE_CRD_WRITE=1 cargo test -p obtrace-operator --test crd"
    );
}
