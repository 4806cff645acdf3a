//! The client/server protocol of MySQL and MariaDB
//! ([MySQL](https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html),
//! [MariaDB](https://mariadb.com/kb/en/clientserver-protocol/)), version 10 of the handshake.
//!
//! [`packet`] and [`handshake`] read single packets without a copy; a [`Connection`](crate::Connection) pairs them.
//!
//! # What is an exchange
//!
//! Each command that the server answers, from its first byte to the last of its answer: however many statements a
//! query holds and results it gives, with what the client sends for LOAD DATA LOCAL INFILE and to authenticate.
//! What only prepares (COM_STMT_PREPARE, COM_STMT_RESET, COM_SET_OPTION, the start of a session) is one only if the
//! server refused it; one that refuses instead of greeting, as it has too many connections, answers a request of no
//! bytes. COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA and COM_QUIT have no answer and are none; the stream of
//! events that COM_BINLOG_DUMP and its like ask for is not read.
//!
//! Text comes with its literals replaced. Parameter values, rows, files and everything that authenticates are passed
//! over; of the query attributes of MySQL 8 only `traceparent` is read. A statement that was prepared before the
//! connection was observed is told without its text, as are those beyond the 512 used last and those beyond 64 KiB of
//! text.
//!
//! The compressed protocol is undone with the feature `deflate`. Without it, and where zstd was agreed on, a command in
//! compressed bytes is told as `COMMAND` and [`Truncated`](crate::Completeness::Truncated), ending with the last byte
//! before the next one. Offsets and sizes of such a session are those of the packets inside, an offset that of the
//! compressed packet it begins in.
//!
//! # Gaps
//!
//! A client waits for each answer: an answer begins with the first byte behind its command, and what is missing of the
//! one before was lost. Commands are found again by the structure of their packets. Where a client was seen not to
//! wait, a loss touches all that is under way, and what is asked until a second of silence. Behind a loss, and where a
//! connection was joined, the first answer is told once the next command or a second of silence shows that it was the
//! last under way. A command that was lost as a whole is no exchange. Of a client that asks for more than [`Config::max_pending`] answers without one, all that wait
//! are told as missing theirs, and it goes on as behind a loss.

mod attributes;
mod client;
mod compression;
mod details;
pub mod handshake;
pub mod packet;
mod parser;
mod queue;
mod server;
mod shape;
mod statements;

use alloc::boxed::Box;

pub use details::{MySqlDetails, Request};

use crate::{Config, detect::Verdict, parser::Parser};

pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    shape::matches(client, server)
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::new(parser::MySqlParser::new())
}

#[cfg(test)]
mod tests;
