//! Telemetry of every kind comes back from both wire forms as it was, and OpenTelemetry's own types read the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod telemetry;

use std::{
    env,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use obtrace_export::{
    decode::{Limits, Telemetry, decode},
    encode::{Encoder, Format},
    model::{Item, Signal},
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use prost::Message;
use serde::de::DeserializeOwned;

use self::telemetry::{log, metric, span};

/// In an order of their own: groups of one resource come together when they are written.
fn sorted<T: Debug>(items: &[T]) -> Vec<String> {
    let mut items: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    items.sort();
    items
}

/// The items in one form, behind what was there before.
fn encoded<T: Item>(format: Format, items: &[T]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(), b"kept".to_vec());
    // The second use of an encoder gives the same as the first.
    for _ in 0..2 {
        out.truncate(4);
        encoder.encode(format, items, &mut out);
    }
    assert!(out.starts_with(b"kept"));
    out.split_off(4)
}

fn content(telemetry: &Telemetry) -> Vec<String> {
    match telemetry {
        Telemetry::Traces(spans) => sorted(spans),
        Telemetry::Logs(records) => sorted(records),
        Telemetry::Metrics(metrics) => sorted(metrics),
        other => panic!("{other:?}"),
    }
}

fn check<T: Item, Peer: Message + Default + PartialEq + DeserializeOwned + Debug>(items: &[T]) {
    for format in [Format::Json, Format::Protobuf] {
        let body = encoded(format, items);
        let back = decode(T::SIGNAL, format, &body, &Limits::default()).unwrap();
        assert_eq!(content(&back), sorted(items), "{format:?}");
    }
    let body = encoded(Format::Protobuf, items);
    let peer = Peer::decode(&body[..]).unwrap();
    let theirs = peer.encode_to_vec();
    // They write the value of a point where its other form would stand, we in the order of the numbers.
    assert!(theirs == body || T::SIGNAL == Signal::Metrics, "prost writes other bytes of {peer:?}");
    assert_eq!(theirs.len(), body.len(), "no default is written, every length is as short as it can be: {peer:?}");
    let back = decode(T::SIGNAL, Format::Protobuf, &theirs, &Limits::default()).unwrap();
    assert_eq!(content(&back), sorted(items));
    let json = encoded(Format::Json, items);
    // They do not read the word for it in a metric.
    if !json.windows(8).any(|word| word == b"Infinity") {
        assert_eq!(serde_json::from_slice::<Peer>(&json).unwrap(), peer, "both forms mean the same");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_come_back(spans in prop::collection::vec(span(), 0..5)) {
        check::<_, ExportTraceServiceRequest>(&spans);
    }

    #[test]
    fn log_records_come_back(records in prop::collection::vec(log(), 0..5)) {
        check::<_, ExportLogsServiceRequest>(&records);
    }

    #[test]
    fn metrics_come_back(metrics in prop::collection::vec(metric(), 0..5)) {
        check::<_, ExportMetricsServiceRequest>(&metrics);
    }
}

/// The same telemetry each time, in both forms.
#[test]
fn bodies_for_other_readers() {
    const BODIES: usize = 60;
    // Nothing to write for: the readers have a run of their own.
    let Some(folder) = env::var_os("OBTRACE_BODIES").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).unwrap();
    let mut runner = TestRunner::deterministic();
    for number in 0..BODIES {
        write(&folder, number, &some(span(), &mut runner));
        write(&folder, number, &some(log(), &mut runner));
        write(&folder, number, &some(metric(), &mut runner));
    }
}

fn some<S: Strategy>(item: S, runner: &mut TestRunner) -> Vec<S::Value> {
    prop::collection::vec(item, 1..6).new_tree(runner).unwrap().current()
}

fn write<T: Item>(folder: &Path, number: usize, items: &[T]) {
    for (format, ending) in [(Format::Json, "json"), (Format::Protobuf, "pb")] {
        let name = format!("{}-{number:02}.{ending}", T::SIGNAL.name());
        fs::write(folder.join(name), encoded(format, items)).unwrap();
    }
}
