#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod batch;
#[cfg(feature = "gzip")]
pub mod compress;
pub mod decode;
pub mod encode;
pub mod model;
#[cfg(feature = "opentelemetry_sdk_0_33")]
pub mod opentelemetry_sdk_0_33;
#[cfg(feature = "pipeline")]
pub mod pipeline;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "receive")]
pub mod receive;
pub mod resource;
pub mod retry;
pub mod span_metrics;
#[cfg(feature = "pipeline")]
pub mod spool;
pub mod stats;
mod text;
#[cfg(feature = "pipeline")]
pub mod transport;
