//! The webhook as API servers and others meet it: real sockets, real TLS.
#![cfg(feature = "controller")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod answers;
mod hostile;
mod memory;
mod pages;
mod rotation;
mod slow;
mod stop;
mod support;
mod traces;
