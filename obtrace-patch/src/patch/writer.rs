//! Writing operations.

use super::{Op, Patch, Span};
use crate::json::{push_number, push_string};

/// The size of a usual patch, so that it is written without moving.
const USUAL_BYTES: usize = 4096;
const USUAL_OPERATIONS: usize = 24;

/// A step of a JSON pointer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// A member whose name needs no escape.
    Name(&'a str),
    /// A member; escaped when written.
    Key(&'a str),
    /// An element.
    At(usize),
    /// The place after the last element.
    End,
}

/// A patch that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    patch: Patch,
    prefix: &'static str,
}

impl Writer {
    /// All paths will begin with `prefix`.
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self { patch: Patch::default(), prefix }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patch.is_empty()
    }

    pub(crate) fn finish(mut self) -> Patch {
        if !self.patch.is_empty() {
            self.patch.json.push(b']');
        }
        self.patch
    }

    pub(crate) fn add(&mut self, path: &[Step<'_>], value: impl FnOnce(&mut Vec<u8>)) {
        self.operation(Op::Add, path, Some(value));
    }

    pub(crate) fn replace(&mut self, path: &[Step<'_>], value: impl FnOnce(&mut Vec<u8>)) {
        self.operation(Op::Replace, path, Some(value));
    }

    /// Refuses the patch unless the string is there.
    pub(crate) fn test(&mut self, path: &[Step<'_>], text: &str) {
        self.operation(Op::Test, path, Some(|out: &mut Vec<u8>| push_string(out, text)));
    }

    pub(crate) fn remove(&mut self, path: &[Step<'_>]) {
        self.operation(Op::Remove, path, None::<fn(&mut Vec<u8>)>);
    }

    fn operation(&mut self, op: Op, path: &[Step<'_>], value: Option<impl FnOnce(&mut Vec<u8>)>) {
        let Patch { json, spans } = &mut self.patch;
        if spans.is_empty() {
            json.reserve_exact(USUAL_BYTES);
            spans.reserve_exact(USUAL_OPERATIONS);
        }
        json.extend_from_slice(if spans.is_empty() { b"[{\"op\":\"" } else { b",{\"op\":\"" });
        json.extend_from_slice(op.as_str().as_bytes());
        json.extend_from_slice(b"\",\"path\":\"");
        let start = json.len();
        json.extend_from_slice(self.prefix.as_bytes());
        for step in path {
            push_step(json, *step);
        }
        let path = start..json.len();
        json.push(b'"');
        let mut written = 0..0;
        if let Some(value) = value {
            json.extend_from_slice(b",\"value\":");
            let start = json.len();
            value(json);
            written = start..json.len();
        }
        json.push(b'}');
        spans.push(Span { op, path, value: written });
    }
}

/// Appends a step of a pointer, escaped as RFC 6901 wants it. The names are this crate's own: nothing in them needs to
/// be escaped for JSON.
fn push_step(json: &mut Vec<u8>, step: Step<'_>) {
    json.push(b'/');
    match step {
        Step::At(index) => push_number(json, index),
        Step::End => json.push(b'-'),
        Step::Name(name) => json.extend_from_slice(name.as_bytes()),
        Step::Key(name) => {
            for byte in name.bytes() {
                match byte {
                    b'~' => json.extend_from_slice(b"~0"),
                    b'/' => json.extend_from_slice(b"~1"),
                    _ => json.push(byte),
                }
            }
        }
    }
}
