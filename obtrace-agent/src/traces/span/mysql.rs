//! MySQL and MariaDB ([conventions](https://opentelemetry.io/docs/specs/semconv/db/mysql/)).

use obtrace_export::model::{Span, Text};
use obtrace_protocols::mysql::MySqlDetails;

use super::{
    Input,
    database::{named, push_statement},
    push_count, push_text,
};

pub(super) fn describe(input: &Input<'_>, details: &MySqlDetails<'_>, span: &mut Span) {
    let exchange = input.exchange;
    span.name = if details.summary.is_empty() {
        named(&exchange.operation, &exchange.target)
    } else {
        Text::copied(&details.summary)
    };
    // One that was joined has not said which it is.
    span.push(key!("db.system.name"), if details.mariadb == Some(true) { "mariadb" } else { "mysql" });
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
    if let Some(code) = &exchange.error {
        push_text(span, key!("db.response.status_code"), code);
    }
    input.push_server(span);
    input.push_client(span);
}
