//! A receiver of OTLP over HTTP (feature `receive`): what tests and people look at who have no backend.
//!
//! It takes `POST`s of JSON and protobuf, compressed with gzip (and zstd, with that feature) or not, at
//! `/v1/{traces,logs,metrics}` and `/otlp/v1/{traces,logs,metrics}`, and gives each request, decoded into the
//! [`model`](crate::model), to a function. A request is taken whole or refused whole, with the status that the
//! [OTLP specification](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response) has for it and a `Status` message
//! in the request's own content type. Whoever sends may be hostile: see [`Limits`]. There is no TLS and no
//! authentication: listen on loopback.
//!
//! ```
//! use std::{io::{Read, Write}, net::TcpStream, sync::mpsc, time::Duration};
//! use obtrace_export::receive::{Limits, Receiver, Telemetry};
//!
//! let (sender, received) = mpsc::channel();
//! let receiver = Receiver::bind(("127.0.0.1", 0), Limits::default())?;
//! let running = receiver.spawn_thread(move |request| drop(sender.send(request.telemetry)))?;
//!
//! let mut client = TcpStream::connect(running.local_address())?;
//! client.write_all(b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
//!     Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
//! assert_eq!(received.recv().unwrap(), Telemetry::Logs(vec![]));
//! assert_eq!(running.stop(Duration::from_secs(1)).requests, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod body;
mod limits;
mod reply;
mod server;

use std::net::SocketAddr;

pub use self::{
    limits::Limits,
    server::{Counts, Receiver, Running},
};
pub use crate::{decode::Telemetry, encode::Format, model::Signal};

/// A request that was taken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The path, without a query.
    pub path: String,
    /// Names in lower case, and values; the sender's credentials are among them.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub signal: Signal,
    /// The form of the body.
    pub format: Format,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// What was decoded from it.
    pub telemetry: Telemetry,
}

impl Request {
    /// The first value of a header; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}
