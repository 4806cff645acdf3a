#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod application;
pub mod cli;
pub mod config;
pub mod connections;
pub mod discovery;
pub mod enrich;
pub mod kubernetes;
pub mod metrics;
pub mod pipeline;
mod ports;
pub mod print;
pub mod replay;
pub mod traces;
