//! FastCGI ([specification](https://fastcgi-archives.github.io/FastCGI_Specification.html), version 1): what a web server
//! says to PHP-FPM and the like. An exchange is an HTTP request that an application is asked to answer.
//!
//! Records of several requests may be mixed on a connection (§3.3); they are told apart by their numbers. A request
//! begins with `FCGI_BEGIN_REQUEST` and is over with `FCGI_END_REQUEST` (§5.1, §5.5). Of its parameters those are read
//! that say what was asked for, a `traceparent` among them, of the output the fields in front of the body. Bodies and
//! what is written as errors are counted and not read. Management records (§4) are no exchanges.
//!
//! Numbers are used again as soon as a request is over. Behind a loss a request is therefore only found where one
//! begins, and an answer only where one that is known begins or ends; what was asked before requests were lost, and
//! is answered after, says [`Completeness::Gap`](crate::Completeness::Gap). One case cannot be told: where the answer to
//! the last request that is known and all of a later one with its number are lost, and no byte of either side shows the
//! second loss, the answer to the later one is taken for the former's.
//!
//! Limits: names of parameters 64 bytes, values [`Config::max_text`](crate::Config::max_text), of a line in front of
//! a body 512 bytes, of all these lines 64 KiB.

mod call;
mod details;
mod head;
pub mod params;
mod parser;
pub mod record;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;

pub use details::FastCgiDetails;
pub use record::{ApplicationRole, ProtocolStatus};

pub(crate) use parser::new_parser;
pub(crate) use record::matches;
