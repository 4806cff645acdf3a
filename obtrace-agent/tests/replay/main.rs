//! Replay of captures: every file format, link layer and habit of TCP, from packets built here.
#![expect(clippy::unwrap_used, reason = "helper functions of tests may panic like the tests")]

mod build;
mod canary;
#[path = "../../../obtrace-protocols/tests/conversation/mod.rs"]
mod conversation;
mod datagrams;
mod files;
#[path = "../../../obtrace-protocols/tests/conversation/leak.rs"]
mod leak;
mod links;
mod order;
mod property;
mod settings;
mod streams;

use obtrace_agent::{
    replay::{Packet, Replay, Settings, Summary},
    traces::SpanRecord,
};
use obtrace_export::model::Value;

/// What a test looks at: spans in the order they came, and the counts.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) spans: Vec<SpanRecord>,
    pub(crate) summary: Summary,
}

impl Result {
    /// Of each span its protocol, the first word of its name, and how complete it is.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |span: &SpanRecord| {
            let name = span.span.name.split(' ').next().unwrap_or_default();
            format!("{} {name} {}", span.protocol, span.completeness.name())
        };
        self.spans.iter().map(line).collect()
    }

    pub(crate) fn text(&self, span: usize, attribute: &str) -> Option<String> {
        let found = self.spans[span].span.attributes.iter().find(|known| known.key == attribute)?;
        match &found.value {
            Value::Str(text) => Some(text.to_string()),
            other => Some(format!("{other:?}")),
        }
    }
}

/// Replays frames with their times.
pub(crate) fn replay_with(settings: Settings, link_type: u16, frames: &[(u64, Vec<u8>)]) -> Result {
    let mut spans = Vec::new();
    let mut replay = Replay::new(settings, |record: &SpanRecord, _| spans.push(record.clone()));
    for (time, frame) in frames {
        replay.packet(&Packet::new(*time, link_type, frame));
    }
    let summary = replay.finish();
    Result { spans, summary }
}

pub(crate) fn replay(frames: &[(u64, Vec<u8>)]) -> Result {
    replay_with(Settings::new(), build::ETHERNET, frames)
}
