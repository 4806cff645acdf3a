use obtrace_export::{
    decode::{self, decode},
    receive::{Format as WireForm, Limits, Receiver, Request, Signal},
};

use super::*;

/// A request as the receiver gives it.
fn request(path: &str, headers: &str, body: &str) -> Request {
    use std::io::Read as _;
    let (sender, received) = std::sync::mpsc::channel();
    let running = Receiver::bind(("127.0.0.1", 0), Limits::default())
        .and_then(|receiver| receiver.spawn_thread(move |request| sender.send(request).unwrap()))
        .unwrap();
    let mut stream = std::net::TcpStream::connect(running.local_address()).unwrap();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n");
    stream.write_all(format!("{head}{headers}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
    received.recv().unwrap()
}

fn printed(format: Format, requests: &[Request]) -> String {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, format, false);
    for request in requests {
        printer.request(request, 0).unwrap();
    }
    printer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

const RESOURCE: &str = r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;

fn traces() -> Request {
    let span = |own: u8, parent: &str, name: &str, rest: &str| {
        let ids = format!(r#""traceId":"{}","spanId":"{}"{parent}"#, "ab".repeat(16), format!("{own:02x}").repeat(8));
        format!(
            r#"{{{ids},"name":"{name}","startTimeUnixNano":"3723004000000","endTimeUnixNano":"3723005500000"{rest}}}"#
        )
    };
    let parent = format!(r#","parentSpanId":"{}""#, "01".repeat(8));
    let spans = [
        span(1, "", "GET /a\\u001b[31m", r#","kind":2,"status":{"code":2,"message":"no"}"#),
        span(2, &parent, "work", r#","attributes":[{"key":"n","value":{"intValue":"7"}}]"#),
    ];
    let body = format!(
        r#"{{"resourceSpans":[{{{RESOURCE},"scopeSpans":[{{"scope":{{"name":"s"}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    );
    request("/v1/traces", "", &body)
}

fn logs() -> Request {
    let records = [
        format!(r#"{{"timeUnixNano":"3723004000000","severityNumber":17,"body":{{"stringValue":"disk\nfull"}},"traceId":"{}","spanId":"{}"}}"#, "ab".repeat(16), "01".repeat(8)),
        r#"{"observedTimeUnixNano":"1","severityText":"note","body":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}}"#.to_owned(),
    ];
    request(
        "/v1/logs",
        "",
        &format!(r#"{{"resourceLogs":[{{{RESOURCE},"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(",")),
    )
}

fn metrics() -> Request {
    let head = r#""timeUnixNano":"3723004000000""#;
    let metrics = [
        format!(
            r#"{{"name":"requests","unit":"1","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{{{head},"asInt":"3","attributes":[{{"key":"m","value":{{"stringValue":"GET"}}}}]}},{{{head},"asDouble":0.5}}]}}}}"#
        ),
        format!(r#"{{"name":"temperature","gauge":{{"dataPoints":[{{{head}}}]}}}}"#),
        format!(
            r#"{{"name":"duration","unit":"s","histogram":{{"aggregationTemporality":1,"dataPoints":[{{{head},"count":"2","sum":1.5,"bucketCounts":["1","1"],"explicitBounds":[1]}}]}}}}"#
        ),
        format!(
            r#"{{"name":"size","exponentialHistogram":{{"dataPoints":[{{{head},"count":1,"scale":-1,"max":4,"positive":{{"offset":1,"bucketCounts":[1]}}}}]}}}}"#
        ),
        format!(
            r#"{{"name":"old","summary":{{"dataPoints":[{{{head},"count":4,"sum":8,"quantileValues":[{{"quantile":0.5,"value":2}}]}}]}}}}"#
        ),
        r#"{"name":"empty"}"#.to_owned(),
    ];
    request(
        "/v1/metrics",
        "",
        &format!(r#"{{"resourceMetrics":[{{{RESOURCE},"scopeMetrics":[{{"metrics":[{}]}}]}}]}}"#, metrics.join(",")),
    )
}

#[test]
fn text_is_one_line_an_item_without_control_characters() {
    let expected = "\
01:02:03.004 shop         server   GET /a·[31m error 1.50 ms abababababababab/0101010101010101
01:02:03.004 shop         internal work ok 1.50 ms abababababababab/0202020202020202
01:02:03.004 shop         log      ERROR disk·full abababababababab/0101010101010101
00:00:00.000 shop         log      note {\"a\":true}
01:02:03.004 shop         metric   requests{m=GET} 3 1
01:02:03.004 shop         metric   requests 0.5 1
01:02:03.004 shop         metric   temperature -
01:02:03.004 shop         metric   duration count 2 sum 1.5 s
01:02:03.004 shop         metric   size count 1 max 4
01:02:03.004 shop         metric   old count 4 sum 8 q0.5 2
00:00:00.000 shop         metric   empty no data
";
    assert_eq!(printed(Format::Text, &[traces(), logs(), metrics()]), expected);
    assert_eq!(printed(Format::None, &[traces(), logs(), metrics()]), "");
}

#[test]
fn jsonl_is_one_object_an_item_with_the_names_of_run() {
    let text = printed(Format::Jsonl, &[traces(), logs(), metrics()]);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2 + 2 + 6);
    let expected = serde_json::json!({
        "signal": "span", "kind": "internal", "name": "work", "start_unix_nano": 3_723_004_000_000_u64, "duration_ns": 1_500_000,
        "status": "ok", "trace_id": "ab".repeat(16), "span_id": "02".repeat(8), "parent_span_id": "01".repeat(8),
        "attributes": { "n": 7 }, "scope": "s", "resource": { "service.name": "shop" },
    });
    assert_eq!(lines[1], expected);
    assert_eq!((&lines[0]["status"], &lines[0]["status_description"]), (&"error".into(), &"no".into()));
    let expected = serde_json::json!({
        "signal": "log", "time_unix_nano": 3_723_004_000_000_u64, "severity": "ERROR", "severity_number": 17, "body": "disk\nfull",
        "trace_id": "ab".repeat(16), "span_id": "01".repeat(8), "attributes": {}, "resource": { "service.name": "shop" },
    });
    assert_eq!(lines[2], expected);
    let expected = serde_json::json!({
        "signal": "metric", "name": "requests", "unit": "1", "type": "sum", "temporality": "cumulative", "monotonic": true,
        "points": [
            { "attributes": { "m": "GET" }, "time_unix_nano": 3_723_004_000_000_u64, "value": 3 },
            { "attributes": {}, "time_unix_nano": 3_723_004_000_000_u64, "value": 0.5 },
        ],
        "resource": { "service.name": "shop" },
    });
    assert_eq!(lines[4], expected);
    let kinds: Vec<_> = lines[4..].iter().map(|line| line["type"].as_str()).collect();
    let all = ["sum", "gauge", "histogram", "exponential_histogram", "summary"].map(Some);
    assert_eq!(kinds, [&all[..], &[None]].concat());
    assert_eq!(lines[6]["points"][0]["bucket_counts"], serde_json::json!([1, 1]));
    assert_eq!(lines[7]["points"][0]["positive"], serde_json::json!({ "offset": 1, "counts": [1] }));
    assert_eq!(lines[8]["points"][0]["quantiles"], serde_json::json!([{ "quantile": 0.5, "value": 2.0 }]));
}

#[test]
fn otlp_json_is_one_request_a_line_and_never_the_key() {
    let body = "{ \"resourceLogs\" :\n [ { \"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"a \\\" b\\\\\"}}, {}]}]} ] }";
    let headers =
        "X-API-Key: canary\r\nAuthorization: Bearer canary\r\nCookie: canary\r\nX-Obtrace-Source: zero-agent-ruby\r\n";
    let text = printed(Format::OtlpJson, &[request("/otlp/v1/logs", headers, body), request("/v1/logs", "", "{}")]);
    let expected = concat!(
        r#"{"path":"/otlp/v1/logs","headers":{"content-type":"application/json","x-obtrace-source":"zero-agent-ruby"},"#,
        r#""api_key":true,"items":2,"body":{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a \" b\\"}},{}]}]}]}}"#,
        "\n",
        r#"{"path":"/v1/logs","headers":{"content-type":"application/json"},"api_key":false,"items":0,"body":{}}"#,
        "\n",
    );
    assert_eq!(text, expected);
}

#[test]
fn protobuf_is_shown_as_otlp_json_of_the_same_meaning() {
    for mut request in [traces(), logs(), metrics()] {
        // The form is all that tells it from a request that came in protobuf.
        request.format = WireForm::Protobuf;
        let line: serde_json::Value = serde_json::from_str(&printed(Format::OtlpJson, &[request.clone()])).unwrap();
        let body = line["body"].to_string();
        let again = decode(request.signal, WireForm::Json, body.as_bytes(), &decode::Limits::default()).unwrap();
        assert_eq!(again, request.telemetry);
    }
    assert_eq!(traces().signal, Signal::Traces);
}

#[test]
fn a_tree_is_printed_when_its_trace_was_quiet_for_two_seconds() {
    let second = 1_000_000_000;
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Format::Tree, false);
    printer.request(&traces(), 0).unwrap();
    printer.tick(second).unwrap();
    printer.request(&logs(), second).unwrap();
    printer.tick(2 * second - 1).unwrap();
    assert_eq!(String::from_utf8_lossy(printer.out).lines().count(), 2, "only the log records");
    printer.tick(2 * second).unwrap();
    let text = String::from_utf8(out).unwrap();
    let tree = text.lines().skip(2).collect::<Vec<_>>().join("\n");
    let expected = "\
trace abababababababababababababababab  1.50 ms, 2 spans
└─ shop server GET /a·[31m error 1.50 ms +0.00 µs
   └─ shop internal work ok 1.50 ms +0.00 µs
";
    assert_eq!(tree, expected);
}
