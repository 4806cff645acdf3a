//! Runs the golden vectors: every `testdata/<protocol>/*.toml`, whatever the protocol. A new folder is found, and a
//! protocol of which no vector tells is a failure.
//!
//! The format is described in `tests/conversation`.
//!
//! Each vector is run whole (steps as written), byte by byte, in random splits, with what one side says in a row as one
//! chunk, and as the mirrored role (the same bytes seen from the peer's socket): these must give the same exchanges in
//! every field. Then each step with bytes is
//! replaced by a gap, told (`handle_gap`) and untold (the bytes never come, the hole times out): nothing may panic,
//! every exchange must have been announced, and with `gaps = "strict"` the exchanges that have no byte in the lost
//! step must come out just as without the loss. `"told"` asks that only of gaps that are told. `"lenient"` is for
//! conversations in which later messages depend on earlier ones (prepared statements, pipelining). Last, the vector is
//! played as a connection that was joined: nothing may be told otherwise. Cuts and flips: see [`damage`].

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../conversation/mod.rs"]
mod conversation;
mod damage;
mod expected;
mod gaps;
mod play;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    thread,
};
