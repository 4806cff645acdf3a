#![no_main]

#[path = "../receive.rs"]
mod receive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| receive::run("receive", data));
