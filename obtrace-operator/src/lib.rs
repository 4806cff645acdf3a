#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "admission")]
pub mod admission;
#[cfg(feature = "controller")]
pub mod certificates;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "crd")]
pub mod crd;
#[cfg(feature = "admission")]
pub mod index;
#[cfg(feature = "controller")]
pub mod leader;
pub mod install;
#[cfg(feature = "cli")]
pub mod manifests;
#[cfg(feature = "controller")]
pub mod operator;
#[cfg(feature = "crd")]
pub mod selector;
#[cfg(feature = "controller")]
pub mod server;
#[cfg(feature = "controller")]
pub mod telemetry;
#[cfg(feature = "controller")]
pub mod watch;
