//! How batches reach their receiver.

#[cfg(any(feature = "http", feature = "grpc"))]
mod body;
mod compression;
#[cfg(feature = "http")]
mod config;
#[cfg(any(feature = "http", feature = "grpc"))]
mod connection;
#[cfg(feature = "http")]
pub mod env;
mod error;
#[cfg(any(feature = "http", feature = "grpc"))]
mod fields;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod payload;
mod reply;
#[cfg(any(feature = "http", feature = "grpc"))]
mod tls;

pub use compression::Compression;
#[cfg(feature = "http")]
pub use config::HttpConfig;
pub use error::{ConfigError, SendError};
#[cfg(feature = "grpc")]
pub use grpc::{Grpc, GrpcConfig};
#[cfg(feature = "http")]
pub use http::Http;
pub(crate) use payload::Payload;
pub use reply::Reply;
#[cfg(any(feature = "http", feature = "grpc"))]
pub use tls::Tls;

use crate::encode::Format;

/// At most so much of a reply is read. A reply is a few bytes; a larger one is a mistake or an attack.
pub const MAX_REPLY: usize = 64 * 1024;

/// A way to a receiver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// OTLP over HTTP.
    #[cfg(feature = "http")]
    Http(Http),
    /// OTLP over gRPC.
    #[cfg(feature = "grpc")]
    Grpc(Grpc),
}

#[cfg(feature = "http")]
impl From<Http> for Transport {
    fn from(http: Http) -> Self {
        Self::Http(http)
    }
}

#[cfg(feature = "grpc")]
impl From<Grpc> for Transport {
    fn from(grpc: Grpc) -> Self {
        Self::Grpc(grpc)
    }
}

impl Transport {
    /// The wire form that it takes.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            #[cfg(feature = "http")]
            Self::Http(http) => http.format(),
            #[cfg(feature = "grpc")]
            Self::Grpc(_) => Format::Protobuf,
        }
    }

    /// Where it sends to, fit to be shown.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            #[cfg(feature = "http")]
            Self::Http(http) => http.url(),
            #[cfg(feature = "grpc")]
            Self::Grpc(grpc) => grpc.url(),
        }
    }

    /// Sends one request and waits for the answer, whatever it is.
    pub(crate) async fn send(&self, payload: Payload) -> Result<Reply, SendError> {
        match self {
            #[cfg(feature = "http")]
            Self::Http(http) => http.post(payload).await,
            #[cfg(feature = "grpc")]
            Self::Grpc(grpc) => grpc.post(payload).await,
        }
    }
}
