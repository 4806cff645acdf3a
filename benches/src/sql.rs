//! A statement's summary and its text without literals beside sqlparser, which reads the whole grammar for it: what it
//! does and to which tables, and the statement as it prints it with `?` for every value. Text is chosen that it prints as
//! it stands.

use std::ops::ControlFlow;

use obtrace_protocols::sql::{Dialect, Digest};
use sqlparser::{
    ast::{Expr, Statement, Value, visit_expressions_mut, visit_relations},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::harness::{Goals, Group, Run};

const STATEMENTS: [&str; 4] = [
    "SELECT o.id, o.total, u.email FROM orders AS o JOIN users AS u ON u.id = o.user_id WHERE o.status = 'paid' AND o.at > 7 LIMIT 10",
    "INSERT INTO events (id, kind, body) VALUES (42, 'click', '{\"x\":1}')",
    "UPDATE accounts SET balance = balance - 12.5, note = 'it''s' WHERE id = 7 AND owner = 'alice'",
    "DELETE FROM sessions WHERE expires < 1795402448 OR token IN ('a', 'b', 'c')",
];

fn ours<'a>(digest: &'a mut Digest, sql: &str) -> (&'a str, &'a str) {
    digest.read(sql.as_bytes(), Dialect::Postgres);
    (digest.summary(), digest.text())
}

fn peers(sql: &str) -> (String, String) {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("a statement");
    let statement = &mut statements[0];
    let mut summary = match statement {
        Statement::Query(_) => "SELECT",
        Statement::Insert(_) => "INSERT",
        Statement::Update(_) => "UPDATE",
        Statement::Delete(_) => "DELETE",
        other => panic!("{other}"),
    }
    .to_owned();
    let _ = visit_relations(statement, |relation| {
        summary.push(' ');
        summary += &relation.to_string();
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions_mut(statement, |expression| {
        if let Expr::Value(value) = expression {
            value.value = Value::Placeholder("?".to_owned());
        }
        ControlFlow::<()>::Continue(())
    });
    (summary, statement.to_string())
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let mut digest = Digest::new();
    for sql in STATEMENTS {
        let (summary, mut text) = peers(sql);
        // A list of values is one value here.
        while text.contains("?, ?") {
            text = text.replace("?, ?", "?");
        }
        assert_eq!(ours(&mut digest, sql), (&*summary, &*text), "{sql}");
    }
    let bytes = STATEMENTS.iter().map(|sql| sql.len()).sum();
    let outcome = Group::new("SQL: summary and text without literals", "statement", STATEMENTS.len())
        .add("obtrace-protocols", bytes, || STATEMENTS.map(|sql| ours(&mut digest, sql).1.len()))
        .add("sqlparser", bytes, || STATEMENTS.map(|sql| peers(sql).1.len()))
        .run(run);
    goals.ratio("SQL: times sqlparser", outcome.nanos[1] / outcome.nanos[0], 1.0, 0.7);
    goals.no_allocations("SQL", outcome.allocations[0]);
}
