//! OTLP protobuf ([OTLP 1.x](https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding), opentelemetry-proto 1.9),
//! written in one pass: fields in the order of their numbers, defaults left out, lengths as short as they can be. That is
//! byte for byte what protobuf's own writers make of the same message.
//!
//! [`Encoder`](super::Encoder) writes whole requests; what is here writes single messages, without a tag and a length.

mod log;
mod metric;
mod scalar;
mod span;
mod value;

use self::scalar::{close, message, open, push_bytes, push_text, push_varint_field, varint_length};
pub use self::{log::push_log_record, metric::push_metric, span::push_span};
use super::group::Grouping;
use crate::model::{EntityRef, Item, Resource, Scope};

/// About how many bytes an item takes, to leave the right room for the lengths of groups.
const ITEM: usize = 256;

/// Appends a request with these items. The requests of all signals have the same numbers down to the items.
pub(super) fn encode<T: Item>(
    grouping: &mut Grouping,
    items: &[T],
    out: &mut Vec<u8>,
    push: impl Fn(&mut Vec<u8>, &T),
) {
    grouping.assign(items);
    let width = varint_length((items.len() * ITEM / grouping.groups().len().max(1)) as u64);
    let mut resource = None;
    let mut groups = grouping.groups().iter().peekable();
    while let Some(&group) = groups.next() {
        let mut members = grouping.members(group, items);
        let Some(first) = members.next() else { continue };
        if group.opens_resource {
            resource = Some(open(out, 0x0a, width));
            message(out, 0x0a, 2, |out| push_resource(out, first.resource()));
        }
        message(out, 0x12, width, |out| {
            message(out, 0x0a, 1, |out| push_scope(out, first.scope()));
            message(out, 0x12, 2, |out| push(out, first));
            for member in members {
                message(out, 0x12, 2, |out| push(out, member));
            }
            push_text(out, 0x1a, &first.scope().schema_url);
        });
        if groups.peek().is_none_or(|next| next.opens_resource) {
            push_text(out, 0x1a, &first.resource().schema_url);
            if let Some(resource) = resource.take() {
                close(out, resource);
            }
        }
    }
}

fn push_resource(out: &mut Vec<u8>, resource: &Resource) {
    value::push_attributes(out, 0x0a, &resource.attributes);
    push_varint_field(out, 0x10, resource.dropped_attributes_count.into());
    for entity in &resource.entities {
        message(out, 0x1a, 1, |out| push_entity(out, entity));
    }
}

fn push_entity(out: &mut Vec<u8>, entity: &EntityRef) {
    push_text(out, 0x0a, &entity.schema_url);
    push_text(out, 0x12, &entity.kind);
    for key in &entity.id_keys {
        push_bytes(out, 0x1a, key.as_bytes());
    }
    for key in &entity.description_keys {
        push_bytes(out, 0x22, key.as_bytes());
    }
}

fn push_scope(out: &mut Vec<u8>, scope: &Scope) {
    push_text(out, 0x0a, &scope.name);
    push_text(out, 0x12, &scope.version);
    value::push_attributes(out, 0x1a, &scope.attributes);
    push_varint_field(out, 0x20, scope.dropped_attributes_count.into());
}
