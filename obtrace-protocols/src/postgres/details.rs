//! What only PostgreSQL exchanges have.

use alloc::borrow::Cow;

use super::backend::{Severity, TransactionStatus};
use crate::exchange::own;

/// Which request of the protocol an exchange began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Request {
    /// A simple query.
    #[default]
    Query,
    /// Execute: one run of a portal, with the Parse, Bind and Describe before it.
    Execute,
    /// A function call.
    FunctionCall,
    /// A batch that runs nothing (Parse, Describe, Close, or only Sync). Reported only when it failed.
    Prepare,
    /// The start of the session. Reported only when it failed.
    Startup,
}

/// What only PostgreSQL has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PostgresDetails<'a> {
    /// Which request it was.
    pub request: Request,
    /// The text of the statement with its literals replaced ([`sanitize`](crate::sql::sanitize)), or as it is with
    /// [`Config::raw_sql`](crate::Config::raw_sql). At most [`Config::max_text`](crate::Config::max_text) bytes of
    /// it were read. Empty: not known (it was prepared before the connection was observed).
    pub statement: Cow<'a, str>,
    /// The statement is longer than what was read of it.
    pub statement_cut: bool,
    /// The `db.query.summary` ([`summary`](crate::sql::summary)).
    pub summary: Cow<'a, str>,
    /// Name of the prepared statement; empty for the unnamed one and for simple queries.
    pub statement_name: Cow<'a, str>,
    /// Name of the portal; empty for the unnamed one and for simple queries.
    pub portal: Cow<'a, str>,
    /// Database of the session, from its startup; empty if that was not seen.
    pub database: Cow<'a, str>,
    /// User of the session, likewise.
    pub user: Cow<'a, str>,
    /// SQLSTATE of the error.
    pub sqlstate: Option<Cow<'a, str>>,
    /// How bad the error is.
    pub severity: Option<Severity>,
    /// The error's message; only with [`Config::error_text`](crate::Config::error_text), as it may hold data.
    pub error_message: Option<Cow<'a, str>>,
    /// The tag of the last command that completed, `INSERT 0 1`. Empty if none did.
    pub command_tag: Cow<'a, str>,
    /// Rows that came back.
    pub returned_rows: u64,
    /// Rows by the tags of the commands: selected, inserted, updated, copied. `None` if no tag had a number.
    pub affected_rows: Option<u64>,
    /// Bytes of copied data that the client sent.
    pub copied_in: u64,
    /// Bytes of copied data that the server sent.
    pub copied_out: u64,
    /// Statements in a simple query.
    pub batch_size: u32,
    /// The row limit of Execute was reached; another Execute of the portal gets the next rows.
    pub suspended: bool,
    /// Where the session is after it, if a ReadyForQuery ended it.
    pub transaction: Option<TransactionStatus>,
}

impl PostgresDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> PostgresDetails<'static> {
        PostgresDetails {
            request: self.request,
            statement: own(self.statement),
            statement_cut: self.statement_cut,
            summary: own(self.summary),
            statement_name: own(self.statement_name),
            portal: own(self.portal),
            database: own(self.database),
            user: own(self.user),
            sqlstate: self.sqlstate.map(own),
            severity: self.severity,
            error_message: self.error_message.map(own),
            command_tag: own(self.command_tag),
            returned_rows: self.returned_rows,
            affected_rows: self.affected_rows,
            copied_in: self.copied_in,
            copied_out: self.copied_out,
            batch_size: self.batch_size,
            suspended: self.suspended,
            transaction: self.transaction,
        }
    }
}
