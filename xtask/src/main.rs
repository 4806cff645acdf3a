//! `cargo xtask`: what building, testing and showing the project needs beyond cargo.

fn main() {}
