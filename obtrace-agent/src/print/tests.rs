use std::sync::Arc;

use obtrace_export::model::{Attribute, Resource, Scope, Span, SpanId, SpanKind, Status, TraceId, Value};
use obtrace_protocols::Completeness;

use super::*;

fn record(trace: u8, span: u8, parent: Option<u8>, kind: SpanKind, name: &'static str, start: u64) -> SpanRecord {
    let resource = Arc::new(Resource::new(vec![Attribute::new("service.name", "front")]));
    let scope = Arc::new(Scope::new("test", "1"));
    let ids = (TraceId::from_bytes([trace; 16]), SpanId::from_bytes([span; 8]));
    let parent = parent.map(|parent| SpanId::from_bytes([parent; 8]));
    let mut span =
        Span::new(ids.0, ids.1, name, kind, resource, scope).with_times(start, start + 1_500_000).with_parent(parent);
    span.push("network.peer.address", "127.0.0.1".to_owned());
    span.push("network.peer.port", 8_000_i64);
    SpanRecord::new(span, "http", Completeness::Complete)
}

fn printed(format: Format, records: &[SpanRecord]) -> String {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, format, false);
    for record in records {
        printer.span(record, 0).unwrap();
    }
    printer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn formats_have_their_names_and_no_others() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().unwrap_err();
    assert_eq!(error.to_string(), "'xml' is not a print format; use text, tree, jsonl, otlp-json or none");
}

#[test]
fn text_is_one_line_a_span_without_control_characters() {
    let mut one = record(1, 1, None, SpanKind::Client, "GET /a\x1b[31m\n", 3_723_004_000_000);
    one.span.push("http.response.status_code", 503_i64);
    one.span.status = Status::Error { description: "".into() };
    one.completeness = Completeness::Gap;
    let text = printed(Format::Text, &[one]);
    assert_eq!(text, "01:02:03.004 front        client GET /a·[31m· 503 (gap) 1.50 ms → 127.0.0.1:8000\n");
}

#[test]
fn jsonl_is_the_contract() {
    let mut one = record(0xab, 0xcd, Some(0xef), SpanKind::Server, "GET /\"a\"", 7);
    one.span.push("list", Value::Array(vec![Value::Int(1), Value::Bool(true), Value::Double(0.5)].into()));
    let text = printed(Format::Jsonl, &[one]);
    let expected = concat!(
        r#"{"protocol":"http","kind":"server","name":"GET /\"a\"","start_unix_nano":7,"duration_ns":1500000,"status":"ok","#,
        r#""trace_id":"abababababababababababababababab","span_id":"cdcdcdcdcdcdcdcd","parent_span_id":"efefefefefefefef","#,
        r#""attributes":{"network.peer.address":"127.0.0.1","network.peer.port":8000,"list":[1,true,0.5]},"#,
        r#""resource":{"service.name":"front"},"completeness":"complete"}"#,
        "\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn jsonl_keeps_resources_apart_however_many_there_are() {
    let resource = |number: usize| Arc::new(Resource::new(vec![Attribute::new("n", number as i64)]));
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Format::Jsonl, false);
    for number in 0..3_000 {
        let mut one = record(1, 1, None, SpanKind::Client, "GET /", 0);
        one.span.resource = resource(number);
        printer.span(&one, 0).unwrap();
        printer.span(&one, 0).unwrap();
    }
    printer.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 6_000);
    for (line, number) in text.lines().zip((0..3_000).flat_map(|number| [number; 2])) {
        assert!(line.contains(&format!(r#""resource":{{"n":{number}}}"#)), "{number}: {line}");
    }
}

#[test]
fn jsonl_has_every_kind_of_value() {
    let mut one = record(1, 1, None, SpanKind::Client, "a", 0);
    one.span.attributes.clear();
    one.span.push("bytes", vec![0x0f_u8, 0xa0]);
    one.span.push("map", vec![Attribute::new("k", f64::NAN), Attribute::new("l", "\u{7}é")]);
    one.span.push("none", Vec::<Value>::new());
    one.span.push("big", i64::MIN);
    let line: serde_json::Value = serde_json::from_str(&printed(Format::Jsonl, &[one])).unwrap();
    let expected = r#"{"bytes":"0fa0","map":{"k":null,"l":"\u0007é"},"none":[],"big":-9223372036854775808}"#;
    assert_eq!(line["attributes"], serde_json::from_str::<serde_json::Value>(expected).unwrap());
}

#[test]
fn none_prints_nothing() {
    assert_eq!(printed(Format::None, &[record(1, 1, None, SpanKind::Client, "GET /", 0)]), "");
}

#[test]
fn a_tree_waits_for_its_root_and_shows_who_called_whom() {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Format::Tree, false);
    let second = 1_000_000_000;
    printer.span(&record(1, 3, Some(2), SpanKind::Client, "GET /stock", 300_000), 0).unwrap();
    printer.span(&record(1, 4, Some(2), SpanKind::Client, "SELECT items", 200_000), 0).unwrap();
    printer.span(&record(1, 2, Some(1), SpanKind::Server, "GET /", 100_000), 0).unwrap();
    printer.flush(2 * second).unwrap();
    printer.span(&record(1, 1, None, SpanKind::Client, "GET /", 0), 2 * second).unwrap();
    printer.flush(2 * second).unwrap();
    assert_eq!(printer.out.len(), 0, "the root may have siblings that are a little late");
    printer.flush(3 * second).unwrap();
    let text = String::from_utf8(out).unwrap();
    let expected = "\
trace 01010101010101010101010101010101  1.80 ms, 4 spans
└─ front client GET / ok 1.50 ms → 127.0.0.1:8000 +0.00 µs
   └─ front server GET / ok 1.50 ms ← 127.0.0.1:8000 +100 µs
      ├─ front client SELECT items ok 1.50 ms → 127.0.0.1:8000 +200 µs
      └─ front client GET /stock ok 1.50 ms → 127.0.0.1:8000 +300 µs

";
    assert_eq!(text, expected);
}

#[test]
fn a_tree_without_a_root_is_printed_after_a_quiet_time() {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Format::Tree, false);
    printer.span(&record(1, 3, Some(2), SpanKind::Client, "GET /stock", 0), 0).unwrap();
    printer.flush(4_999_999_999).unwrap();
    assert!(printer.out.is_empty());
    printer.flush(5_000_000_000).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("GET /stock"));
}

#[test]
fn spans_that_are_each_others_parents_end() {
    let text = printed(
        Format::Tree,
        &[
            record(1, 1, Some(2), SpanKind::Client, "a", 0),
            record(1, 2, Some(1), SpanKind::Client, "b", 0),
            record(1, 3, Some(3), SpanKind::Client, "c", 0),
        ],
    );
    assert!(text.contains(" c ok"));
}

#[test]
fn waiting_trees_are_bounded() {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Format::Tree, false);
    for number in 0..10_100_u32 {
        let mut one = record(1, 1, None, SpanKind::Client, "a", 0);
        let mut id = [1; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        one.span.trace_id = TraceId::from_bytes(id);
        printer.span(&one, 0).unwrap();
    }
    printer.write_out().unwrap();
    assert_eq!(String::from_utf8(out).unwrap().matches("trace ").count(), 100);
}

#[test]
fn otlp_json_is_one_request_a_line() {
    let records: Vec<_> = (1..=3).map(|span| record(1, span, None, SpanKind::Client, "GET /", 0)).collect();
    let text = printed(Format::OtlpJson, &records);
    assert_eq!(text.lines().count(), 1);
    let request: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len(), 3);
}
