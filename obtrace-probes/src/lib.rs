#![doc = include_str!("../README.md")]

mod btf;
pub mod capability;
mod error;
pub mod event;
mod filter;
mod losses;
mod made;
mod object;
mod probes;
mod program;
mod reader;
mod record;
mod sys;
mod verdict;

pub use error::Error;
pub use event::Event;
pub use filter::{Filter, Process};
pub use losses::{Loss, LossCounters, Losses, Reason};
pub use probes::{Backend, Options, Probes};
pub use reader::Reader;
pub use record::Malformed;
pub use sys::release_memory;
pub use verdict::{Verdict, Verdicts};
