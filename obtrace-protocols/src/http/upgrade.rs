//! To which protocols a connection is given over after `101 Switching Protocols`
//! ([RFC 9110 §7.8](https://www.rfc-editor.org/rfc/rfc9110#section-7.8)).

use alloc::vec::Vec;

use super::parser::HttpParser;
use crate::{
    Protocol, http2,
    parser::{Context, Successor, TakeOver},
    websocket,
};

/// The names that `Upgrade` of the response may have, in lower case, and what reads the connection then. After any
/// other nothing is read.
static SUCCESSORS: [(&str, Protocol, TakeOver); 2] =
    [("h2c", Protocol::Http2, http2::take_over), ("websocket", Protocol::WebSocket, websocket::take_over)];

/// What is read of a handshake besides what every exchange has. Empty for nearly all connections.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// `HTTP2-Settings` of the newest request.
    pub(super) settings: Vec<u8>,
    /// `Sec-WebSocket-Extensions` and `Sec-WebSocket-Protocol` of the newest response.
    pub(super) extensions: Vec<u8>,
    pub(super) subprotocol: Vec<u8>,
}

impl Handshake {
    pub(super) fn begin_request(&mut self) {
        self.settings.clear();
    }

    pub(super) fn begin_response(&mut self) {
        self.extensions.clear();
        self.subprotocol.clear();
    }

    pub(super) const fn memory(&self) -> usize {
        let response = self.extensions.capacity().saturating_add(self.subprotocol.capacity());
        self.settings.capacity().saturating_add(response)
    }
}

impl HttpParser {
    /// What takes the connection over by the exchange that was begun last.
    pub(super) fn take_over(&mut self, cx: &mut Context<'_>) -> Option<Successor> {
        let (name, _) = self.queue.newest_upgrade()?;
        let (_, protocol, take_over) = SUCCESSORS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        // Its stream 1 answers the request.
        let answers = *protocol == Protocol::Http2;
        let observer = if answers { self.queue.take_newest_observer() } else { None };
        let (_, mut upgrade) = self.queue.newest_upgrade()?;
        upgrade.trace_context = self.client.fields.trace_context;
        upgrade.settings = &self.handshake.settings;
        upgrade.extensions = &self.handshake.extensions;
        upgrade.subprotocol = &self.handshake.subprotocol;
        let parser = take_over(&upgrade, observer, cx);
        if answers {
            self.queue.hand_over_newest();
        }
        Some(Successor { protocol: *protocol, parser })
    }
}
