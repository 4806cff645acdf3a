//! A connection that began as HTTP/1 ([RFC 7540 §3.2](https://www.rfc-editor.org/rfc/rfc7540#section-3.2);
//! [RFC 9113 §3.1](https://www.rfc-editor.org/rfc/rfc9113#section-3.1) no longer has it, and servers still do).
//!
//! The request of HTTP/1, body included, is stream 1, and is over. `101` is an interim response to it: status, size and
//! times of the response are those of stream 1, and so is the version of the protocol.

use alloc::boxed::Box;

use super::Http2Parser;
use crate::{
    parser::{Context, Parser, Side, Upgrade},
    payload::Observer,
};

/// Reads what follows `101` of `Upgrade: h2c`: the request of HTTP/1 is stream 1, half closed by the client.
pub(crate) fn take_over(
    upgrade: &Upgrade<'_>,
    observer: Option<Box<dyn Observer>>,
    cx: &mut Context<'_>,
) -> Box<dyn Parser> {
    let mut parser = Http2Parser { role: Some(cx.role), last_client: 1, ..Http2Parser::default() };
    // One setting is 6 bytes, 8 characters.
    for characters in upgrade.settings.as_chunks::<8>().0 {
        let Some(setting) = base64url(characters) else { break };
        parser.settings(Side::Client, &setting);
    }
    if let Some(stream) = parser.streams.begin(1) {
        stream.exchange = upgrade.id;
        stream.client.begun = true;
        stream.client.ended = true;
        stream.client.message = upgrade.request;
        stream.client.body = upgrade.body;
        stream.gap = upgrade.gap;
        stream.asked.note_upgrade(upgrade);
        stream.look_at_request();
        // Nobody counted the messages of gRPC in it.
        stream.client.messages.lost = upgrade.body.is_some();
        let texts = stream.asked.capacity();
        parser.streams.grew(0, texts);
    }
    if let Some(observer) = observer {
        parser.streams.adopt_observer(1, observer);
    }
    Box::new(parser)
}

/// Six bytes in [base64url](https://www.rfc-editor.org/rfc/rfc4648#section-5).
fn base64url(characters: &[u8; 8]) -> Option<[u8; 6]> {
    let mut bits = 0_u64;
    for character in characters {
        let value = match character {
            b'A'..=b'Z' => character.wrapping_sub(b'A'),
            b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u64::from(value);
    }
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_curl() {
        assert_eq!(base64url(b"AAMAAABk"), Some([0, 3, 0, 0, 0, 100]));
        assert_eq!(base64url(b"AAEAAP__"), Some([0, 1, 0, 0, 0xff, 0xff]));
        assert_eq!(base64url(b"AAMAAAB="), None);
    }
}
