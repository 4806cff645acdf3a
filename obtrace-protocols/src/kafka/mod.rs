//! Kafka's protocol, of every version that brokers ever had up to Kafka 4.1
//! ([protocol guide](https://kafka.apache.org/protocol.html)).
//!
//! Every request is an exchange with its response, however many topics and partitions it names; which response it is
//! the correlation id tells. A produce request with `acks=0` has none and is over with its last byte. What is read of
//! which message stands in a table; of kinds and versions that came later the header is read, and nothing else.
//!
//! - Headers of requests in the versions 0 to 2 and of responses in 0 and 1; compact values and tagged fields
//!   ([KIP-482](https://cwiki.apache.org/confluence/x/OhMyBw)); the answer to an unknown version of ApiVersions
//!   ([KIP-511](https://cwiki.apache.org/confluence/x/qRJ4Bw)).
//! - Topics by id ([KIP-516](https://cwiki.apache.org/confluence/x/khEyBw)): names are learnt from the answers to
//!   Metadata, DescribeTopicPartitions, CreateTopics and DeleteTopics on any connection that shares a
//!   [`Shared`](crate::Shared). A name that nobody asked for is left out.
//! - Incremental fetches ([KIP-227](https://cwiki.apache.org/confluence/x/oQhFB)): what a session reads is remembered
//!   from its first request on, four sessions a connection, 16 topics each.
//! - Records are counted by the heads of their batches (format 2), or one a message (formats 0 and 1). They are never
//!   decompressed and never kept: the kernel need not even copy them.
//! - Authentication: the mechanism is told, its bytes are passed over, with a header (SaslAuthenticate) and without
//!   ([KIP-43](https://cwiki.apache.org/confluence/x/lAxAAw), after a SaslHandshake of version 0).
//!
//! # Limits
//!
//! Of a message at most 267 bytes are waited for at once, whatever its size. Names are cut after 255 bytes, 16 topics
//! of an exchange are kept and all are counted. Requests that wait are bounded by
//! [`Config::max_pending`](crate::Config::max_pending).
//!
//! # Gaps
//!
//! What is lost inside a message costs the exchange of this message its
//! [`Completeness`](crate::Completeness::Gap), no more: its size tells where the next one begins. Where a size was lost,
//! the next message is found by a header that goes on from those before. As brokers answer in order, the requests before
//! the next one that is answered are known to have lost their responses. A response whose request was not seen is none.
//!
//! A response behind a loss is known by its correlation id, by what its request makes of the bytes, and by where it ends.
//! Ids below 256 look like other numbers in messages: they are believed only where a chunk begins.

mod client;
mod details;
mod detect;
mod error;
pub mod message;
mod parser;
mod pending;
mod records;
mod request;
mod response;
mod schema;
mod server;
mod session;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
mod walk;

use alloc::boxed::Box;

pub use details::{KafkaDetails, Topic, Topics};
pub(crate) use detect::matches;
pub use error::ErrorCode;

use crate::{Config, parser::Parser};

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<parser::KafkaParser>::default()
}
