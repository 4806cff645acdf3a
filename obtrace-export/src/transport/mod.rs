//! How batches reach their receiver.

mod config;
mod http;
mod reply;

pub use config::{ConfigError, HttpConfig};
pub use http::{Http, SendError};
pub use reply::Reply;

/// At most so much of a reply is read. A reply is a few bytes; a larger one is a mistake or an attack.
pub const MAX_REPLY: usize = 64 * 1024;
