//! What a WebSocket session has beyond the common fields.

use alloc::borrow::Cow;

use crate::{Role, exchange::own};

/// What only a WebSocket session has. Its operation is `session`, its target the path of the upgrade request.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WebSocketDetails<'a> {
    /// `Host` of the upgrade request.
    pub host: Option<Cow<'a, str>>,
    /// The subprotocol that the server chose ([§1.9](https://www.rfc-editor.org/rfc/rfc6455#section-1.9)), if it is named
    /// like those that are registered.
    pub subprotocol: Option<Cow<'a, str>>,
    /// Messages may be compressed ([RFC 7692](https://www.rfc-editor.org/rfc/rfc7692)).
    pub permessage_deflate: bool,
    /// What the client sent.
    pub client: Traffic,
    /// What the server sent.
    pub server: Traffic,
    /// The status code of the first Close frame ([§7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)); 1005 if
    /// it had none. 1006: the connection ended without one. `None`: nobody knows.
    pub close_code: Option<u16>,
    /// Who sent the first Close frame.
    pub closed_by: Option<Role>,
}

impl WebSocketDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> WebSocketDetails<'static> {
        WebSocketDetails {
            host: self.host.map(own),
            subprotocol: self.subprotocol.map(own),
            permessage_deflate: self.permessage_deflate,
            client: self.client,
            server: self.server,
            close_code: self.close_code,
            closed_by: self.closed_by,
        }
    }
}

/// What one end sent during a session, as far as it was seen whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Frames of every kind.
    pub frames: u64,
    /// Text and binary messages, each in one frame or in several.
    pub messages: u64,
    /// Those of them that are text.
    pub text_messages: u64,
    /// Those of them that came in several frames.
    pub fragmented_messages: u64,
    /// Those of them that were compressed.
    pub compressed_messages: u64,
    /// Ping frames.
    pub pings: u64,
    /// Pong frames, asked for or not.
    pub pongs: u64,
    /// Payload of text and binary messages in bytes on the wire, compressed if they were.
    pub payload_bytes: u64,
}
