//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2
//! ([documentation](https://www.postgresql.org/docs/current/protocol.html)).
//!
//! [`frontend`] and [`backend`] read single messages without a copy; a [`Connection`](crate::Connection) pairs them.
//!
//! # What is an exchange
//!
//! - A simple query, however many statements it holds: from the first byte of Query to the last of ReadyForQuery.
//! - Each Execute: from the first byte of the first Parse, Bind or Describe since the Execute or the Sync before it, to
//!   the end of its own CommandComplete, PortalSuspended, EmptyQueryResponse or ErrorResponse. The last one before a
//!   Sync ends with ReadyForQuery, since the commit, and what it may fail with, belongs to it. What an error makes the
//!   server skip fails with `pipeline_aborted`.
//! - A function call.
//! - What runs nothing (a batch that only prepares, the start of a session) only if the server refused it:
//!   operation of the statement, `SYNC` or `CONNECT`.
//!
//! Requests for encryption and for cancellation, Terminate, notices, notifications and settings are none.
//!
//! The response begins with the first backend message that belongs to the request. Text comes with its literals
//! replaced; parameter values, rows, copied data, passwords and keys are passed over. Of a statement that was prepared
//! before the connection was observed the operation is that of its CommandComplete.
//!
//! # Gaps
//!
//! Messages are found again where several in a row have the structure that their tags say. A hole in what the server
//! sent touches the answer that was due; on a connection that was seen pipelining it touches all that were. A request
//! that was lost as a whole is no exchange.
//!
//! # Limits
//!
//! 512 names of statements and as many of portals, 64 KiB of text for them; the one not used for longest goes first.
//! Statements are cut at [`Config::max_text`](crate::Config::max_text). As many requests wait as
//! [`Config::max_pending`](crate::Config::max_pending) says. A startup packet has 10,000 bytes, any other message 1 GiB, as
//! servers have it.

pub mod backend;
mod chain;
mod client;
mod details;
mod frame;
pub mod frontend;
mod loss;
mod parser;
mod queue;
mod server;
mod statements;

use alloc::boxed::Box;

pub use details::{PostgresDetails, Request};

use crate::{Config, detect::Verdict, parser::Parser};

pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    chain::matches(client, server)
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::new(parser::PostgresParser::new())
}

#[cfg(test)]
mod tests;
