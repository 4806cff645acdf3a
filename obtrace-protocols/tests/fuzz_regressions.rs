//! Runs what fuzzing once found (`fuzz/regressions/<target>/`) and some hundred changed conversations through the fuzz
//! targets' checks, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

#[path = "../../fuzz/checks.rs"]
mod checks;

const TARGETS: [&str; 8] = ["assembler", "connection", "detect", "dns", "http", "payload", "postgres", "redis"];

#[test]
fn kept_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions");
    for target in TARGETS {
        let Ok(files) = fs::read_dir(folder.join(target)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            checks::run(target, &fs::read(path).unwrap());
        }
    }
}

/// Turns of a conversation (side, length, bytes), changed at random places.
#[test]
fn mutated_conversations() {
    let texts: [&[u8]; 5] = [
        b"GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        b"$1\r\nb\r\n+OK\r\n:1\r\n",
        b"Q\0\0\0\x0dselect 1\0C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below
    };
    for _ in 0..400 {
        let mut data = vec![random(256) as u8];
        for _ in 0..1 + random(6) {
            let text = texts[random(texts.len())];
            data.extend_from_slice(&[random(2) as u8, text.len() as u8]);
            data.extend_from_slice(text);
        }
        for _ in 0..random(4) {
            let at = random(data.len());
            data[at] = random(256) as u8;
        }
        for target in TARGETS {
            checks::run(target, &data);
            checks::run(target, &data[1..]);
        }
    }
}
