//! MongoDB: the [wire protocol](https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/), of `OP_MSG` all
//! of it, of the older messages what drivers still send and what they sent.
//!
//! Every command is an exchange. Answers name what they answer, so that none is ever given to another request, in
//! whatever order they come and whatever was lost between them. A write that asks for no answer (`w: 0`) is over when
//! it was sent; a cursor that is read to its end by one `getMore` (`exhaustAllowed`) when its last batch came; of a
//! `hello` that is answered again and again the first answer counts.
//!
//! Of a command its name, its collection, its database and how many documents it has are read; of an answer whether and
//! how it failed, and how many documents it returned or changed. Filters, documents, credentials and all other values
//! are passed over by their lengths and never leave the parser, also when they are larger than what may be buffered.
//!
//! Compressed messages are unpacked: Snappy always, zlib and Zstandard with the features `deflate` and `zstd`. Of a longer
//! one the front is read, as much as half of [`Config::max_buffered`](crate::Config::max_buffered) holds and 64 KiB
//! unpacked; what would have been counted behind it is not told, and the exchange is
//! [`Truncated`](crate::Completeness::Truncated). What cannot be unpacked is still paired.
//!
//! Limits: names of elements 255 bytes, of collections and databases 255, of commands and errors 64; documents in
//! documents 4 deep; a message 64 MiB, more than any server takes.
//!
//! Sources besides: [BSON](https://bsonspec.org/spec.html), [`OP_MSG`](https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md),
//! [compression](https://github.com/mongodb/specifications/blob/master/source/compression/OP_COMPRESSED.md).

pub mod bson;
mod call;
mod command;
mod compression;
mod details;
mod error;
mod parser;
mod table;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
mod walk;
mod wire;

pub use compression::Compressor;
pub use details::MongoDbDetails;
pub use wire::Opcode;

pub(crate) use parser::new_parser;
pub(crate) use wire::{is_message, matches};
