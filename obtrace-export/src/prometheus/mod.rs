//! Metrics for Prometheus to fetch: [`encode`] writes a page, [`Server`] answers with one.
//!
//! The page is written here and not by `prometheus-client`, which has no form but OpenMetrics, does not escape help texts, and
//! takes labels only as types.
//!
//! ```no_run
//! use std::{sync::{Arc, Mutex}, time::{Instant, SystemTime, UNIX_EPOCH}};
//! use obtrace_export::{prometheus::{Server, Settings}, span_metrics::{Config, SpanMetrics}};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = Arc::new(Mutex::new(SpanMetrics::new(Config::new())));
//! let server = Server::bind("127.0.0.1:9464".parse()?, Settings::new())?;
//! let source = move || {
//!     let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
//!     metrics.lock().map(|mut metrics| metrics.collect(now, Instant::now())).unwrap_or_default()
//! };
//! server.serve(source, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod histogram;
mod join;
mod labels;
mod name;
mod options;
mod page;
mod server;

pub use self::{
    address::{AddressError, address},
    options::{Form, Options},
    page::encode,
    server::{BindError, Counters, Counts, Server, Settings},
};
