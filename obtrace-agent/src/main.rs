//! The `obtrace-agent` program.

fn main() {}
