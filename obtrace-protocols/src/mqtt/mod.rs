//! MQTT [3.1.1](https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html) and
//! [5.0](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html) over TCP; 3.1 is read by the way. Sections are
//! those of version 5.
//!
//! Control packets (§2.1) that ask are exchanges with those that answer them: CONNECT with CONNACK, whatever AUTH
//! packets pass between (§4.12); PUBLISH with its last acknowledgement, PUBACK or PUBCOMP, of QoS 0 alone (§4.3);
//! SUBSCRIBE and UNSUBSCRIBE with all their filters; PINGREQ; DISCONNECT alone; AUTH that comes later. Both ends publish:
//! a message that the server delivers is an exchange that the server asks with, see
//! [`MqttDetails::sender`] and [`Opened::sender`](crate::Opened::sender). Packet identifiers of the two ends are apart
//! (§2.2.1). A PUBLISH that is sent again on the same connection is still the same exchange.
//!
//! Payloads are skipped. User names, passwords, the payload of a will, authentication data and reason strings are never
//! kept; of the properties (§2.2.2) only topic aliases, the assigned client identifier and a `traceparent` among the user
//! properties are read. Topic aliases (§3.3.2.3.4) stand for their topics: the first 256 of each side, 16 KiB of topics.
//!
//! **Losses.** A loss inside a payload is none. Behind others a packet is looked for: just behind the loss one with a
//! name or an identifier is enough, unless what follows it is none (packets of two bytes are passed over until one is found); elsewhere two that follow each other, by rules that are stricter than a packet in its place is read with; a list of
//! filters is looked for there only up to 512 bytes, and a packet that ends beyond half of
//! [`Config::max_buffered`](crate::Config::max_buffered) not at all. Aliases are
//! forgotten. What was asked is still answered by its identifier, unless bytes of both sides were lost in between: then the
//! identifier may be another message's, and the exchange says [`Gap`](crate::Completeness::Gap).
//!
//! **Limits.** Where CONNECT was not seen, the version is what the first packet shows that differs between versions; before
//! that properties are not read and payloads have no size. Fields of a packet beyond half of
//! [`Config::max_buffered`](crate::Config::max_buffered) are not read
//! ([`Truncated`](crate::Completeness::Truncated)). As many packets wait as
//! [`Config::max_pending`](crate::Config::max_pending) says, and 16 pings; the oldest is then told without its answer.
//! MQTT over WebSocket is a WebSocket session.

mod details;
mod fields;
pub mod packet;
mod parser;
mod reason;
mod session;
mod slot;
mod strict;
mod table;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

pub use details::MqttDetails;
pub(crate) use parser::new_parser;
pub(crate) use strict::matches;
