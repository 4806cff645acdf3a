//! Captures through the same parsers, traces and printers as live traffic: no root, no kernel.
//!
//! ```text
//! capture file → packet (link, IP, fragments) → TCP order → protocols::Connection → traces → printer
//! ```
//!
//! Times are those of the capture; of a packet that it holds twice, the first. Checksums are not verified. The
//! *perspective* says whose spans are told: those of the clients or those of the servers, one span an exchange.
//!
//! [`Replay`] takes packets and gives spans; [`run`] does that for a file.

mod capture;
mod driver;
mod flow;
mod packet;
mod run;
mod spans;
mod summary;

pub use capture::{CaptureError, CaptureReader, Packet};
pub use driver::{Replay, Settings};
pub use run::{Options, Outcome, ReplayError, run, run_file};
pub use summary::{Skipped, Summary};
