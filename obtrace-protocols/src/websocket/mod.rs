//! WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)) behind an HTTP/1.1 upgrade, with
//! `permessage-deflate` ([RFC 7692](https://www.rfc-editor.org/rfc/rfc7692)) as far as frames show it.
//!
//! The upgrade request is an exchange of HTTP. The session behind it is one exchange of its own: it begins with the last
//! byte of the `101` response, carries the trace context of the upgrade request, and ends with the second Close frame
//! (§5.5.1, §7.1.2) or with the connection. A session may last for days: its exchange is announced at the upgrade and
//! told at its end, not in between, and what is held for it is a few hundred bytes however much passes; counts are of
//! 64 bits. The announcement is [`Tentative`](crate::Stage::Tentative) until the exchange comes: what a thread does
//! while a session is open is not done for it. Its request is everything that the client sent, its response everything that the server sent.
//!
//! Of each side frames, messages (§5.4), pings, pongs and bytes are counted; of the payload nothing is read but the
//! status code of a Close frame (§7.4). Payloads are skipped, whether masked (§5.3) or compressed, so that neither their
//! loss nor their length costs anything.
//!
//! **Losses.** A loss inside a payload is none. Behind a loss of frame headers (§5.2) the next frame is where three
//! valid headers follow each other, each where the one before says, within half of
//! [`Config::max_buffered`](crate::Config::max_buffered); frames that are longer than that are not found again. The
//! session is then [`Gap`](crate::Completeness::Gap), its counts are of what was found, and a Close frame may be missing.
//!
//! **Limits.** A session that began before the connection was observed is not recognised: frames have no signature.
//! What does not keep to the framing is not read any further; the session is then
//! [`Truncated`](crate::Completeness::Truncated), as is one of which not both Close frames were seen. The text of a Close frame may hold anything and is not kept.

mod details;
pub mod frame;
mod half;
mod session;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

pub use details::{Traffic, WebSocketDetails};
pub(crate) use session::take_over;
