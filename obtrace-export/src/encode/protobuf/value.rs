//! Attributes and their values.

use super::scalar::{message, push_bytes, push_content, push_double, push_text, push_varint, varint_length};
use crate::{
    encode::MAX_DEPTH,
    model::{Attribute, Value},
};

/// Repeated `KeyValue` messages.
pub(super) fn push_attributes(out: &mut Vec<u8>, tag: u8, attributes: &[Attribute]) {
    for attribute in attributes {
        push_attribute(out, tag, attribute, 0);
    }
}

fn push_attribute(out: &mut Vec<u8>, tag: u8, attribute: &Attribute, depth: usize) {
    let key = attribute.key.as_bytes().len();
    // The usual ones: all lengths are known before, and each is one byte.
    match &attribute.value {
        Value::Str(text) if key != 0 && key + text.as_bytes().len() + 6 < 0x80 => {
            let (key, value) = (key as u8, text.as_bytes().len() as u8);
            out.extend_from_slice(&[tag, key + value + 6, 0x0a, key]);
            push_content(out, &attribute.key);
            out.extend_from_slice(&[0x12, value + 2, 0x0a, value]);
            push_content(out, text);
        }
        Value::Int(number) if key != 0 && key < 64 => {
            let number = number.cast_unsigned();
            let (key, value) = (key as u8, varint_length(number) as u8 + 1);
            out.extend_from_slice(&[tag, key + value + 4, 0x0a, key]);
            push_content(out, &attribute.key);
            out.extend_from_slice(&[0x12, value, 0x18]);
            push_varint(out, number);
        }
        value => message(out, tag, 1, |out| {
            push_text(out, 0x0a, &attribute.key);
            message(out, 0x12, 1, |out| push_any_value(out, value, depth));
        }),
    }
}

/// An `AnyValue` message; an empty one for no value.
pub(super) fn push_any_value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Empty => {}
        Value::Str(text) => push_bytes(out, 0x0a, text.as_bytes()),
        Value::Bool(truth) => out.extend_from_slice(&[0x10, u8::from(*truth)]),
        Value::Int(number) => {
            out.push(0x18);
            push_varint(out, number.cast_unsigned());
        }
        Value::Double(number) => push_double(out, 0x21, *number),
        Value::Array(_) | Value::Map(_) if depth >= MAX_DEPTH => {}
        Value::Array(values) => message(out, 0x2a, 1, |out| {
            for value in values {
                message(out, 0x0a, 1, |out| push_any_value(out, value, depth + 1));
            }
        }),
        Value::Map(entries) => message(out, 0x32, 1, |out| {
            for entry in entries {
                push_attribute(out, 0x0a, entry, depth + 1);
            }
        }),
        Value::Bytes(bytes) => push_bytes(out, 0x3a, bytes),
    }
}
