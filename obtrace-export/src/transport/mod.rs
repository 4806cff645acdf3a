//! How batches reach their receiver.

mod config;
mod http;
mod payload;
mod reply;

pub use config::{ConfigError, HttpConfig};
pub use http::{Http, SendError};
pub(crate) use payload::Payload;
pub use reply::Reply;

use crate::encode::Format;

/// At most so much of a reply is read. A reply is a few bytes; a larger one is a mistake or an attack.
pub const MAX_REPLY: usize = 64 * 1024;

/// A way to a receiver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// OTLP over HTTP.
    Http(Http),
}

impl From<Http> for Transport {
    fn from(http: Http) -> Self {
        Self::Http(http)
    }
}

impl Transport {
    /// The wire form that it takes.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Http(http) => http.format(),
        }
    }

    /// Where it sends to, fit to be shown.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Http(http) => http.url(),
        }
    }

    /// Sends one request and waits for the answer, whatever it is.
    pub(crate) async fn send(&self, payload: Payload) -> Result<Reply, SendError> {
        match self {
            Self::Http(http) => http.post(payload).await,
        }
    }
}
