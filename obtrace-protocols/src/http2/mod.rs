//! HTTP/2 ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113)) with its header compression
//! ([RFC 7541](https://www.rfc-editor.org/rfc/rfc7541)), and gRPC on top of it
//! ([gRPC over HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)).
//!
//! A stream is an exchange. It ends when both sides have ended it (END_STREAM of the later one, trailers included), or
//! when one resets it. A connection begins with the client's preface, or as HTTP/1 with `Upgrade: h2c`: then stream 1
//! answers the request of HTTP/1, and the two are one exchange. An interim response (1xx) belongs to the final one. What the server pushes is an exchange whose
//! request is the PUSH_PROMISE. An exchange whose content type is `application/grpc` says [`Protocol::Grpc`]: its
//! status comes from `grpc-status`; where that was not sent, from the reset (a CANCEL after `grpc-timeout` is
//! `DEADLINE_EXCEEDED`) or the HTTP status.
//!
//! On a connection that was there before, fields that refer to what was put in the header table earlier are not known:
//! they are left out, [`unresolved`](Http2Details::unresolved) says so, and the exchange says [`Completeness::Gap`]. It
//! is the same after lost header blocks. Nothing is ever guessed, and what is sent anew is known again. A call whose
//! content type is not known is found by its bodies, messages from end to end with trailers behind them, or by all else
//! on the connection being gRPC.
//!
//! Lost bytes inside a body cost nothing, but for the message of gRPC whose beginning they hold. Behind others the next
//! frame is looked for that is known by itself: one with a header block, or of an open stream. Streams that may have ended
//! among what was lost are told after 30 s in which nothing was heard of them. A stream that is reset says
//! [`Completeness::Gap`] only if frames of it may have passed unread: if its request passed before the loss, or before a
//! response showed that what was found behind it are frames.
//!
//! Limits: a header block of more than [`Config::max_buffered`] bytes is not read; texts are cut at
//! [`Config::max_text`]; beyond [`Config::max_pending`] open streams the one with the lowest number is told as it is.
//! For the header tables see [`hpack`].
//!
//! [`Completeness::Gap`]: crate::Completeness::Gap
//! [`Config::max_buffered`]: crate::Config::max_buffered
//! [`Config::max_pending`]: crate::Config::max_pending
//! [`Config::max_text`]: crate::Config::max_text
//! [`Protocol::Grpc`]: crate::Protocol::Grpc

mod codes;
mod details;
mod detection;
mod fields;
mod frame;
mod grpc;
pub mod hpack;
mod observing;
mod parser;
mod resync;
mod stream;
mod streams;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

pub use codes::{ErrorCode, GrpcStatus};
pub use details::{GrpcDetails, Http2Details, Reset};

pub(crate) use detection::{begins, matches};
pub(crate) use parser::{new_parser, take_over};
