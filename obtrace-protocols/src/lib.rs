#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

extern crate alloc;

mod alike;
mod announced;
mod connection;
mod credential;
mod detect;
pub mod dns;
mod escape;
mod exchange;
pub mod fastcgi;
pub mod http;
pub mod http2;
pub mod kafka;
pub mod mongodb;
pub mod mqtt;
pub mod mysql;
mod pairing;
mod parser;
pub mod payload;
pub mod postgres;
mod protocol;
pub mod reader;
pub mod redis;
mod scan;
pub mod sql;
pub mod stream;
pub mod websocket;

pub use connection::{Config, Connection, Interest, Shared, State};
pub use detect::{Detection, detect};
pub use exchange::{Completeness, Direction, Exchange, Message, Opened, Role, Stage, Tag, Timestamp, TraceContext};
pub use protocol::{Details, Protocol};
