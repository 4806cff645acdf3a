//! Wire forms, written straight from the [model](crate::model) to bytes.

mod group;
pub mod json;
pub mod text;
