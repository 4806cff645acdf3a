//! The secrets that go through every protocol in the canaries of obtrace-protocols, on the agent's path: nothing that is
//! printed, sent or shown as metrics holds a part of one.

use std::{collections::BTreeMap, path::Path, time::Instant};

use obtrace_agent::{
    print::{Format, Printer},
    replay::Settings,
    traces::SpanRecord,
};
use obtrace_export::{
    encode::{Encoder, Format as Encoding},
    model::Span,
    prometheus::{self, Form},
    span_metrics::{self, SpanMetrics},
};
use obtrace_protocols::{Config, Role};

use crate::{
    build::{ETHERNET, MILLI, Talk, address, ethernet, udp},
    conversation::{Play, Speaker, Transport, Vector, files},
    leak::leak,
    replay_with,
};

fn frames(vector: &Vector, size: usize) -> Vec<(u64, Vec<u8>)> {
    let plays = vector.plays(Path::new(""));
    let bytes = plays.iter().filter_map(|play| match play {
        Play::Bytes { from, bytes, .. } => Some((*from == Speaker::Client, bytes)),
        _ => None,
    });
    let mut talk = Talk::new();
    if vector.transport == Transport::Datagram {
        let (client, server) = (talk.client, address("10.0.0.2:53"));
        let datagram = |(number, (from_client, data)): (usize, (bool, &Vec<u8>))| {
            let (from, to) = if from_client { (client, server) } else { (server, client) };
            (talk.time + number as u64 * MILLI, ethernet(&udp(from, to, number as u16, data)))
        };
        return bytes.enumerate().map(datagram).collect();
    }
    talk = talk.open();
    for (from_client, data) in bytes {
        data.chunks(size).for_each(|part| talk.say(from_client, 0, part));
    }
    talk.close().frames
}

/// Everything that is made of spans on their way out.
fn outputs(records: &[SpanRecord]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for format in Format::ALL {
        let mut text = Vec::new();
        let mut printer = Printer::new(&mut text, format, false);
        records.iter().for_each(|record| printer.span(record, record.span.end_unix_nano).unwrap());
        printer.finish().unwrap();
        drop(printer);
        out.push((format.to_string(), text));
    }
    let spans: Vec<Span> = records.iter().map(|record| record.span.clone()).collect();
    for format in [Encoding::Json, Encoding::Protobuf] {
        let mut body = Vec::new();
        Encoder::new().encode(format, &spans, &mut body);
        out.push((format.content_type().to_owned(), body));
    }
    let (mut metrics, mut page, now) =
        (SpanMetrics::new(span_metrics::Config::default()), String::new(), Instant::now());
    spans.iter().for_each(|span| metrics.record(span, now));
    let metrics = metrics.collect(1, now);
    prometheus::encode(&metrics, Form::default(), &prometheus::Options::new(), &mut page);
    out.push(("metrics".to_owned(), page.into_bytes()));
    out.push(("debug".to_owned(), format!("{records:?}").into_bytes()));
    out
}

/// The ids of a span, written down and as they are: chance may put any digits and letters into them.
fn ids(record: &SpanRecord) -> [Vec<u8>; 4] {
    let (trace, span) = (record.span.trace_id, record.span.span_id);
    [trace.to_string().into_bytes(), span.to_string().into_bytes(), trace.to_bytes().to_vec(), span.to_bytes().to_vec()]
}

/// The bytes with each place that is `part` written over, so that nothing new comes to stand side by side.
fn without(bytes: &[u8], part: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(place) = out.get(at..).and_then(|rest| rest.windows(part.len()).position(|window| window == part)) {
        at += place;
        out[at..at + part.len()].fill(b'-');
        at += part.len();
    }
    out
}

#[test]
fn no_secret_leaves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../obtrace-protocols/tests/canary/conversations");
    let (mut spans, mut leaks, mut written) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for (path, file) in files(&folder) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for vector in &file.vector {
            for (perspective, size) in [(Role::Client, 1000), (Role::Server, 1000), (Role::Client, 7)] {
                let parsers = Config::new().with_heuristic_sql(name == "sql");
                let settings = Settings::new().with_perspective(perspective).with_parsers(parsers);
                let records = replay_with(settings, ETHERNET, &frames(vector, size)).spans;
                spans += records.len();
                let ids: Vec<_> = records.iter().flat_map(ids).collect();
                let leaked = outputs(&records).into_iter().filter_map(|(what, bytes)| {
                    // Of the format that prints nothing there is nothing.
                    *written.entry(what.clone()).or_default() += bytes.len() + usize::from(what == "none");
                    let bytes = ids.iter().fold(bytes, |bytes, id| without(&bytes, id));
                    let leaked = leak(&String::from_utf8_lossy(&bytes))?;
                    Some(format!("{name}, {}, {what}: {leaked}", vector.name))
                });
                leaks.extend(leaked);
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(spans >= 3 * 240, "{spans}");
    assert!(written.values().all(|bytes| *bytes > 0), "{written:?}");
}
