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

mod body;
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

pub use details::HttpDetails;
pub use head::{
    ContentLength, Fields, Head, Headers, RequestHead, ResponseHead, TransferEncoding, parse_request_head,
    parse_response_head,
};

pub(crate) use details::operation;
pub(crate) use detection::matches;
pub(crate) use parser::new_parser;
