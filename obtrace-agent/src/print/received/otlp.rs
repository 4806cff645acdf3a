//! One request a line, as it came: OTLP JSON as it is, protobuf as the same in JSON.

use obtrace_export::{
    encode::{
        json::{LogEncoder, MetricEncoder, TraceEncoder},
        text::{push_decimal_u64, push_string},
    },
    receive::{Format, Request, Telemetry},
};

/// Headers that are shown. Others may hold what is nobody's business.
const SHOWN: [&str; 7] =
    ["content-type", "content-encoding", "user-agent", "x-obtrace-source", "traceparent", "tracestate", "baggage"];

/// Headers that hold credentials: only whether there was one is told.
const CREDENTIALS: [&str; 2] = ["x-api-key", "authorization"];

#[derive(Debug, Default)]
pub(super) struct Bodies {
    traces: TraceEncoder,
    logs: LogEncoder,
    metrics: MetricEncoder,
}

impl Bodies {
    pub(super) fn write(&mut self, out: &mut Vec<u8>, request: &Request) {
        out.extend_from_slice(b"{\"path\":");
        push_string(out, &request.path);
        out.extend_from_slice(b",\"headers\":");
        let mut before = b'{';
        for name in SHOWN {
            if let Some(value) = request.header(name) {
                out.push(std::mem::replace(&mut before, b','));
                push_string(out, name);
                out.push(b':');
                push_string(out, value);
            }
        }
        if before == b'{' {
            out.push(before);
        }
        let key = CREDENTIALS.iter().any(|name| request.header(name).is_some_and(|value| !value.is_empty()));
        out.extend_from_slice(if key { b"},\"api_key\":true,\"items\":" } else { b"},\"api_key\":false,\"items\":" });
        push_decimal_u64(out, request.telemetry.items() as u64);
        out.extend_from_slice(b",\"body\":");
        match (request.format, &request.telemetry) {
            (Format::Json, _) => push_compact(out, &request.body),
            (_, Telemetry::Traces(spans)) => self.traces.encode(spans, out),
            (_, Telemetry::Logs(records)) => self.logs.encode(records, out),
            (_, Telemetry::Metrics(metrics)) => self.metrics.encode(metrics, out),
            _ => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Valid JSON on one line: without the space between its tokens.
fn push_compact(out: &mut Vec<u8>, json: &[u8]) {
    let (mut inside, mut escaped) = (false, false);
    for &byte in json {
        if inside || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
}
