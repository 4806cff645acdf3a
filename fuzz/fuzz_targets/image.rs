#![no_main]

#[path = "../injection.rs"]
mod injection;

libfuzzer_sys::fuzz_target!(|data: &[u8]| injection::run("image", data));
