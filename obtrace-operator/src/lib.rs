#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "admission")]
pub mod admission;
#[cfg(any(feature = "cli", feature = "controller"))]
mod bounds;
#[cfg(feature = "controller")]
pub mod certificates;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "crd")]
pub mod crd;
#[cfg(feature = "controller")]
pub mod discovery;
#[cfg(feature = "admission")]
pub mod index;
#[cfg(feature = "controller")]
pub mod install;
#[cfg(feature = "controller")]
pub mod leader;
#[cfg(feature = "cli")]
pub mod manifests;
#[cfg(feature = "controller")]
pub mod operator;
#[cfg(feature = "controller")]
pub mod registry;
#[cfg(feature = "controller")]
pub mod restart;
#[cfg(feature = "crd")]
pub mod selector;
#[cfg(feature = "controller")]
pub mod server;
#[cfg(feature = "controller")]
pub mod telemetry;
#[cfg(feature = "controller")]
pub mod watch;
