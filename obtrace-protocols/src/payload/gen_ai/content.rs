//! Contents, where they are asked for: messages in the form of the conventions' JSON schemas
//! ([input](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-input-messages.json),
//! [output](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-output-messages.json)).
//!
//! What is told is always whole JSON: a text that does not fit is cut, what comes after it is left out.

use alloc::string::String;
use core::fmt::Write as _;

use super::{GenAi, field::Field};
use crate::{
    parser::Side,
    payload::{json::Value, valid::is_container},
};

/// Bytes that are kept free for what ends a list, a message and a part.
const TAIL: usize = 256;
/// Longest role.
const MAX_ROLE: usize = 32;

/// A part of a message, as far as it was read, and the list that it goes to.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Most bytes of a list; 0: contents are not asked for.
    limit: usize,
    role: String,
    text: String,
    name: String,
    id: String,
    arguments: String,
    result_id: String,
    result: String,
    /// The result is JSON as it stands.
    raw_result: bool,
    /// A message was begun and not ended.
    open: bool,
    /// Messages of the list, and parts of the message.
    messages: usize,
    parts: usize,
    /// Nothing more fits.
    full: bool,
    /// The answer comes piece by piece.
    streams: bool,
    /// Of the answer that is being read.
    choice: u64,
    in_choice: bool,
}

impl Content {
    pub(super) fn begin(&mut self, limit: usize) {
        self.clear();
        self.limit = limit;
    }

    pub(super) fn response(&mut self, streams: bool) {
        self.clear();
        self.streams = streams;
    }

    pub(super) fn clear(&mut self) {
        self.forget_part();
        self.role.clear();
        self.open = false;
        self.messages = 0;
        self.parts = 0;
        self.full = false;
        self.streams = false;
        self.in_choice = false;
    }

    fn forget_part(&mut self) {
        for text in
            [&mut self.text, &mut self.name, &mut self.id, &mut self.arguments, &mut self.result_id, &mut self.result]
        {
            text.clear();
        }
        self.raw_result = false;
    }

    #[inline]
    pub(super) fn value(&mut self, call: &mut GenAi, side: Side, field: Field, value: Value<'_>) {
        if self.limit > 0 && !self.is_of_another(field, value) {
            self.keep(call, side, field, value);
        }
    }

    fn keep(&mut self, call: &mut GenAi, side: Side, field: Field, value: Value<'_>) {
        let list = match side {
            Side::Client => &mut call.input,
            Side::Server => &mut call.output,
        };
        match (field, value) {
            (Field::Message, Value::Begin) => self.begin_message(list),
            (Field::Message, Value::End) => self.end_message(list, "user", None),
            (Field::Prompt, Value::Text(text)) => {
                self.begin_message(list);
                self.keep_text(text);
                self.end_message(list, "user", None);
            }
            (Field::Item, Value::Begin) if side == Side::Client && !self.open => {
                self.begin_message(list);
                // It ends with the item.
                self.in_choice = true;
            }
            (Field::Item, Value::End) if side == Side::Client && self.in_choice => {
                self.in_choice = false;
                self.end_message(list, "user", None);
            }
            (Field::Choice, Value::Begin) => {
                self.in_choice = true;
                self.choice = 0;
                if !self.streams {
                    self.begin_message(list);
                }
            }
            (Field::Choice, Value::End) => {
                self.in_choice = false;
                if !self.streams {
                    let reason = call.finish.get(self.messages.saturating_sub(1));
                    self.end_message(list, "assistant", reason);
                }
            }
            (Field::ToolCall | Field::Item | Field::Part, Value::Begin) => self.next_part(list, field),
            (Field::ToolCall | Field::Item | Field::Part, Value::End) => {
                if !self.result_id.is_empty() && field != Field::ToolCall {
                    self.flush(list);
                }
            }
            (Field::System, Value::Text(text)) => system(&mut call.system, text, self.limit),
            (Field::Tools, Value::Raw(text)) if side == Side::Client && is_container(text) => {
                call.tools.clear();
                call.tools.push_str(text);
            }
            _ => self.part(field, value),
        }
    }

    /// Of a stream with several answers only the first is kept.
    fn is_of_another(&mut self, field: Field, value: Value<'_>) -> bool {
        if let (Field::ChoiceIndex, Value::Number(number)) = (field, value) {
            self.choice = number.parse().unwrap_or(0);
        }
        self.streams && self.in_choice && self.choice > 0 && field != Field::Choice
    }

    /// A value of the part that is being read.
    fn part(&mut self, field: Field, value: Value<'_>) {
        let limit = self.limit;
        let (Value::Text(text) | Value::Raw(text)) = value else { return };
        match field {
            Field::Role => put(&mut self.role, text, MAX_ROLE),
            Field::Text | Field::EventText => self.keep_text(text),
            Field::ToolName => put(&mut self.name, text, limit),
            Field::ToolId => put(&mut self.id, text, limit),
            // What a stream begins with.
            Field::Arguments if text == "{}" && self.streams => {}
            Field::Arguments => append(&mut self.arguments, text, limit),
            Field::ToolResultId => put(&mut self.result_id, text, limit),
            Field::ToolResult => {
                put(&mut self.result, text, limit);
                self.raw_result = matches!(value, Value::Raw(_));
            }
            _ => {}
        }
    }

    fn keep_text(&mut self, text: &str) {
        append(&mut self.text, text, self.limit);
    }

    /// Another part begins. In a stream the pieces of a text, and of a call's arguments, are parts.
    fn next_part(&mut self, list: &mut String, field: Field) {
        let goes_on = match field {
            Field::Part => self.name.is_empty() && self.result_id.is_empty() && self.streams,
            Field::ToolCall => self.streams && self.text.is_empty() && !self.name.is_empty(),
            _ => false,
        };
        if !goes_on {
            self.flush(list);
        }
    }

    /// What was asked is over.
    pub(super) fn close(&mut self, call: &mut GenAi) {
        if self.limit > 0 {
            self.end(&mut call.input, "user", None);
        }
    }

    /// The response is over.
    pub(super) fn over(&mut self, call: &mut GenAi) {
        if self.limit > 0 {
            self.end(&mut call.output, "assistant", call.finish.get(0));
        }
    }

    fn end(&mut self, list: &mut String, role: &str, reason: Option<&str>) {
        let has_part = !(self.text.is_empty() && self.name.is_empty() && self.result_id.is_empty());
        if self.open || has_part {
            self.end_message(list, role, reason);
        }
        if list.starts_with('[') && !list.ends_with(']') {
            list.push(']');
        }
    }

    fn begin_message(&mut self, list: &mut String) {
        self.role.clear();
        self.forget_part();
        self.open = false;
        self.open(list);
    }

    fn open(&mut self, list: &mut String) {
        self.full |= list.len().saturating_add(TAIL) > self.limit;
        if self.open || self.full {
            return;
        }
        list.push_str(if list.is_empty() { "[{\"parts\":[" } else { ",{\"parts\":[" });
        self.messages = self.messages.saturating_add(1);
        self.parts = 0;
        self.open = true;
    }

    fn end_message(&mut self, list: &mut String, role: &str, reason: Option<&str>) {
        self.flush(list);
        if !core::mem::take(&mut self.open) {
            return;
        }
        list.push_str("],\"role\":");
        quote(list, if self.role.is_empty() { role } else { &self.role }, MAX_ROLE);
        if let Some(reason) = reason {
            list.push_str(",\"finish_reason\":");
            quote(list, reason, 64);
        }
        list.push('}');
        self.role.clear();
    }

    /// Writes the part that was read.
    fn flush(&mut self, list: &mut String) {
        if !self.result_id.is_empty() {
            if self.result.is_empty() {
                core::mem::swap(&mut self.result, &mut self.text);
            }
            self.write(list, "tool_call_response", Part::Result);
        } else {
            if !self.text.is_empty() {
                self.write(list, "text", Part::Text);
            }
            if !self.name.is_empty() {
                self.write(list, "tool_call", Part::Call);
            }
        }
        self.forget_part();
    }

    fn write(&mut self, list: &mut String, kind: &str, part: Part) {
        self.open(list);
        let room = self.limit.saturating_sub(list.len()).saturating_sub(TAIL);
        // Names and ids have to fit: what is cut is the text.
        let names = self.name.len().saturating_add(self.id.len()).saturating_add(self.result_id.len());
        if self.full || names.saturating_mul(6) > room {
            self.full = true;
            return;
        }
        let room = room.saturating_sub(names.saturating_mul(6));
        list.push_str(if self.parts == 0 { "{\"type\":" } else { ",{\"type\":" });
        self.parts = self.parts.saturating_add(1);
        quote(list, kind, usize::MAX);
        match part {
            Part::Text => {
                list.push_str(",\"content\":");
                quote(list, &self.text, room);
            }
            Part::Call => {
                list.push_str(",\"name\":");
                quote(list, &self.name, usize::MAX);
                member(list, "id", &self.id);
                list.push_str(",\"arguments\":");
                json_or_text(list, &self.arguments, room);
            }
            Part::Result => {
                member(list, "id", &self.result_id);
                list.push_str(",\"result\":");
                match self.raw_result {
                    true => json_or_text(list, &self.result, room),
                    false => quote(list, &self.result, room),
                }
            }
        }
        list.push('}');
    }

    pub(super) fn memory(&self) -> usize {
        let own = [&self.role, &self.text, &self.name, &self.id, &self.arguments, &self.result_id, &self.result];
        own.iter().map(|text| text.capacity()).sum()
    }
}

#[derive(Clone, Copy)]
enum Part {
    Text,
    Call,
    Result,
}

fn member(list: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        list.push(',');
        quote(list, name, usize::MAX);
        list.push(':');
        quote(list, text, usize::MAX);
    }
}

/// Instructions beside the messages: a part each.
fn system(to: &mut String, text: &str, limit: usize) {
    let room = limit.saturating_sub(to.len()).saturating_sub(TAIL);
    if room == 0 {
        return;
    }
    if to.pop().is_none() {
        to.push('[');
    } else {
        to.push(',');
    }
    to.push_str("{\"type\":\"text\",\"content\":");
    quote(to, text, room);
    to.push_str("}]");
}

/// JSON as it stands if it is, and fits; else as a string.
fn json_or_text(list: &mut String, text: &str, room: usize) {
    if text.len() <= room && is_container(text) {
        list.push_str(text);
    } else {
        quote(list, text, room);
    }
}

/// Keeps a text, at most so many bytes of it.
fn put(to: &mut String, text: &str, limit: usize) {
    to.clear();
    append(to, text, limit);
}

fn append(to: &mut String, text: &str, limit: usize) {
    let room = limit.saturating_sub(to.len());
    to.push_str(up_to(text, room));
}

fn up_to(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// A JSON string, at most so many bytes long inside.
fn quote(to: &mut String, text: &str, room: usize) {
    to.push('"');
    let end = to.len().saturating_add(room);
    for one in text.chars() {
        if to.len().saturating_add(6) > end && room != usize::MAX {
            break;
        }
        match one {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            one if one < ' ' => _ = write!(to, "\\u{:04x}", u32::from(one)),
            one => to.push(one),
        }
    }
    to.push('"');
}
