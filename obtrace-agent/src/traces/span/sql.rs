//! Statements on a protocol that is not known ([conventions](https://opentelemetry.io/docs/specs/semconv/db/sql/)).

use obtrace_export::model::{Span, Text};
use obtrace_protocols::sql::SqlDetails;

use super::{Input, database::push_statement, push_count, push_text};

pub(super) fn describe(input: &Input<'_>, details: &SqlDetails<'_>, span: &mut Span) {
    span.name = Text::copied(&details.summary);
    span.push(key!("db.system.name"), "other_sql");
    push_text(span, key!("db.operation.name"), &input.exchange.operation);
    push_text(span, key!("db.collection.name"), &input.exchange.target);
    push_text(span, key!("db.query.summary"), &details.summary);
    push_statement(input, span, &details.statement);
    if details.batch_size > 1 {
        push_count(span, key!("db.operation.batch.size"), details.batch_size.into());
    }
    input.push_server(span);
    input.push_client(span);
}
