#![no_main]

#[path = "../spool.rs"]
mod spool;

libfuzzer_sys::fuzz_target!(|data: &[u8]| spool::run(data));
