//! HTTP/1.0 and HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)).
//!
//! Heads are read once, line by line, whatever their length; bodies are walked over. Pipelined requests are paired
//! with their responses in order; interim responses (1xx) belong to the final one. After `101 Switching Protocols` a
//! parser of the new protocol goes on with the connection, if it is one that this crate knows; of others, and of what
//! passes a tunnel, nothing is read.
//!
//! After lost bytes the next start line is looked for. A response that came when it cannot be known which request it
//! answers is dropped, and those requests say [`Completeness::Gap`](crate::Completeness::Gap): no answer is better
//! than a wrong one.
//!
//! Sections: messages §2, request targets §3.2, framing of bodies §6, chunks §7.1, connections §9; upgrades are
//! [RFC 9110 §7.8](https://www.rfc-editor.org/rfc/rfc9110#section-7.8).
//!
//! Limits: a line of a head that is longer than half of [`Config::max_buffered`](crate::Config::max_buffered) is walked
//! over, texts are cut at [`Config::max_text`](crate::Config::max_text), a chunk's size with its extensions is a line of
//! 2 KiB, as is a field of a trailer, and a method has 32 bytes. As many requests wait as
//! [`Config::max_pending`](crate::Config::max_pending) says.

mod body;
pub(crate) mod conceal;
mod details;
mod detection;
mod head;
mod matching;
mod parser;
mod resync;
mod scan;
mod slot;
mod texts;
mod upgrade;

pub use conceal::is_credential;
pub use details::HttpDetails;
pub use head::{
    ContentLength, Fields, Head, Headers, RequestHead, ResponseHead, TransferEncoding, parse_request_head,
    parse_response_head,
};

pub(crate) use details::operation;
pub(crate) use detection::matches;
pub(crate) use parser::new_parser;
