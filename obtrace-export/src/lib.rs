// The page names modules and has an example of all features.
#![cfg_attr(all(feature = "http", feature = "receive"), doc = include_str!("../README.md"))]
#![cfg_attr(not(all(feature = "http", feature = "receive")), doc = "OpenTelemetry export without the SDK.")]
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
