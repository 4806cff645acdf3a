//! The servers: the webhook over TLS, and health and metrics over plain HTTP.
//!
//! All three are served by one bounded front: [`Limits`] says how many connections, how large bodies, how long anything may take. Whoever goes
//! past a bound is closed or told so, and counted; the Pod of a review is allowed wherever an answer can be given at all.

mod accept;
mod body;
mod connection;
mod front;
pub mod health;
mod limits;
pub mod metrics;
mod pool;
mod registry;
pub mod self_review;
pub mod webhook;

use std::io;

pub use self::limits::Limits;

/// Why a server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener gives no connections any more. What is passing (no descriptors left, a client gone before it was accepted) is waited out
    /// and does not end up here.
    #[error("cannot accept connections: {0}")]
    Accept(#[source] io::Error),
}
