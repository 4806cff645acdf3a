//! How batches reach their receiver.

#[cfg(any(feature = "http", feature = "grpc"))]
mod body;
#[cfg_attr(
    not(any(feature = "http", feature = "grpc")),
    allow(dead_code, reason = "files and the console compress nothing")
)]
mod compression;
#[cfg(feature = "http")]
mod config;
#[cfg(any(feature = "http", feature = "grpc"))]
mod connection;
mod console;
#[cfg(feature = "http")]
pub mod env;
mod error;
#[cfg_attr(
    not(any(feature = "http", feature = "grpc")),
    allow(dead_code, reason = "files and the console say nothing")
)]
mod fields;
mod file;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod local;
mod payload;
#[cfg_attr(
    not(all(feature = "http", feature = "grpc")),
    allow(dead_code, reason = "each transport has replies of its own form")
)]
mod reply;
#[cfg(any(feature = "http", feature = "grpc"))]
mod secrets;
#[cfg(any(feature = "http", feature = "grpc"))]
mod tls;

pub use compression::Compression;
#[cfg(feature = "http")]
pub use config::HttpConfig;
pub use console::{Console, ConsoleForm};
pub use error::{ConfigError, SendError};
pub use file::{File, FileConfig};
#[cfg(feature = "grpc")]
pub use grpc::{Grpc, GrpcConfig};
#[cfg(feature = "http")]
pub use http::Http;
pub(crate) use payload::Payload;
pub use reply::Reply;
#[cfg(any(feature = "http", feature = "grpc"))]
pub use tls::Tls;

use crate::encode::Format;

/// At most so much of a reply's body is looked at and kept. A reply is a few bytes; a larger one is a mistake or an attack, and
/// the rest of it is not waited for.
///
/// A little more may be taken from the socket by then: over HTTP/2 as much again, which is all that a receiver may send ahead;
/// over HTTP/1.1 what hyper reads ahead, some hundreds of KiB on a fast connection, a buffer that reqwest offers no way to
/// make smaller.
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
    /// Lines of OTLP JSON in a file.
    File(File),
    /// Telemetry on the terminal.
    Console(Console),
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

impl From<File> for Transport {
    fn from(file: File) -> Self {
        Self::File(file)
    }
}

impl From<Console> for Transport {
    fn from(console: Console) -> Self {
        Self::Console(console)
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
            Self::File(_) | Self::Console(_) => Format::Json,
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
            Self::File(file) => file.path().display().to_string(),
            Self::Console(console) => console.name().to_owned(),
        }
    }

    /// Sends one request and waits for the answer, whatever it is.
    pub(crate) async fn send(&self, payload: Payload) -> Result<Reply, SendError> {
        match self {
            #[cfg(feature = "http")]
            Self::Http(http) => http.post(payload).await,
            #[cfg(feature = "grpc")]
            Self::Grpc(grpc) => grpc.post(payload).await,
            Self::File(file) => file.send(&payload),
            Self::Console(console) => console.send(&payload),
        }
    }
}
