//! What the machine is said to allow agrees with what it does.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use obtrace_probes::{Backend, Options, Probes, capability};

#[test]
fn the_report_agrees_with_loading() {
    let report = capability::report();
    for (name, backend) in [("tracepoint_backend", Backend::Tracepoint), ("fentry_backend", Backend::Fentry)] {
        let feature = report.get(name).unwrap();
        assert_eq!(feature.available, Probes::load(&Options::new().with_backend(backend)).is_ok(), "{feature:?}");
    }
    for feature in &report.features {
        println!("{:20} {:5} {} {}", feature.name, feature.available, feature.why, feature.mend);
        assert_eq!(feature.available, feature.mend.is_empty(), "{feature:?}");
    }
}
