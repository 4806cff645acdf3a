//! Databases.

use obtrace_export::model::{Span, Text};
use obtrace_protocols::{mongodb::MongoDbDetails, postgres::PostgresDetails, redis::RedisDetails};

use super::{Input, push_count, push_text};
use crate::traces::QueryText;

pub(super) fn mongodb(input: &Input<'_>, details: &MongoDbDetails<'_>, span: &mut Span) {
    let exchange = input.exchange;
    let target = if exchange.target.is_empty() { &details.database } else { &exchange.target };
    span.name = named(&exchange.operation, target);
    span.push(key!("db.system.name"), "mongodb");
    push_text(span, key!("db.namespace"), &details.database);
    push_text(span, key!("db.operation.name"), &exchange.operation);
    push_text(span, key!("db.collection.name"), &exchange.target);
    if let Some(size) = details.batch_size.filter(|&size| size > 1) {
        push_count(span, key!("db.operation.batch.size"), size.into());
    }
    if let Some(documents) = details.returned_documents.filter(|&documents| documents > 0) {
        push_count(span, key!("db.response.returned_rows"), documents);
    }
    if let Some(code) = details.code {
        span.push(key!("db.response.status_code"), code.to_string());
    }
    input.push_server(span);
    input.push_client(span);
}

pub(super) fn postgres(input: &Input<'_>, details: &PostgresDetails<'_>, span: &mut Span) {
    let exchange = input.exchange;
    span.name = if details.summary.is_empty() {
        named(&exchange.operation, &exchange.target)
    } else {
        Text::copied(&details.summary)
    };
    span.push(key!("db.system.name"), "postgresql");
    push_text(span, key!("db.namespace"), &details.database);
    push_text(span, key!("db.operation.name"), &exchange.operation);
    push_text(span, key!("db.collection.name"), &exchange.target);
    push_text(span, key!("db.query.summary"), &details.summary);
    push_statement(input, span, &details.statement);
    if details.batch_size > 1 {
        push_count(span, key!("db.operation.batch.size"), details.batch_size.into());
    }
    if details.returned_rows > 0 {
        push_count(span, key!("db.response.returned_rows"), details.returned_rows);
    }
    if let Some(state) = &details.sqlstate {
        push_text(span, key!("db.response.status_code"), state);
    }
    input.push_server(span);
    input.push_client(span);
}

pub(super) fn redis(input: &Input<'_>, details: &RedisDetails<'_>, span: &mut Span) {
    span.name = named(&input.exchange.operation, "");
    span.push(key!("db.system.name"), "redis");
    if let Some(database) = details.database {
        span.push(key!("db.namespace"), database.to_string());
    }
    push_text(span, key!("db.operation.name"), &input.exchange.operation);
    push_statement(input, span, &details.statement);
    if let Some(prefix) = &details.error_prefix {
        push_text(span, key!("db.response.status_code"), prefix);
    }
    input.push_server(span);
    input.push_client(span);
}

/// The statement as the parser gave it: with its literals replaced unless it was told to keep them.
pub(super) fn push_statement(input: &Input<'_>, span: &mut Span, statement: &str) {
    if input.settings.query_text != QueryText::Off {
        push_text(span, key!("db.query.text"), statement);
    }
}

pub(super) fn named(operation: &str, target: &str) -> Text {
    if target.is_empty() { Text::copied(operation) } else { Text::concat(&[operation, " ", target]) }
}
