#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod connections;
pub mod enrich;
pub mod pipeline;
pub mod print;
pub mod replay;
pub mod traces;
