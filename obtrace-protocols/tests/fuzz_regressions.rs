//! Runs what fuzzing once found (`fuzz/regressions/<target>/`) and some hundred changed conversations through the fuzz
//! targets' checks, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use obtrace_protocols::Protocol;

#[path = "../../fuzz/checks.rs"]
mod checks;

/// The targets that `checks.rs` has the checks of, by their files.
fn targets() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let mut targets: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    targets.retain(|path| fs::read_to_string(path).unwrap().contains("checks::run("));
    targets.sort();
    assert!(targets.len() >= 18, "{targets:?}");
    targets.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// gRPC is what HTTP/2 carries.
#[test]
fn every_protocol_has_a_target() {
    let targets = targets();
    let has_one = |protocol: &Protocol| *protocol == Protocol::Grpc || targets.iter().any(|it| it == protocol.name());
    let without: Vec<_> = Protocol::ALL.iter().filter(|protocol| !has_one(protocol)).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn kept_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions");
    for target in targets() {
        let Ok(files) = fs::read_dir(folder.join(&target)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            checks::run(&target, &fs::read(path).unwrap());
        }
    }
}

/// Turns of a conversation (side, length, bytes), changed at random places.
#[test]
fn mutated_conversations() {
    let targets = targets();
    let texts: [&[u8]; 16] = [
        b"GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        b"$1\r\nb\r\n+OK\r\n:1\r\n",
        b"\x82\x08\0\x01\0\0\x02a/\x01\x32\x09\0\x03a/b\0\x02\0x\xc0\0",
        b"\x90\x04\0\x01\0\x01\x40\x02\0\x02\x30\x07\0\x03a/b\0x\xd0\0",
        b"\x81\x85\x01\x02\x03\x04hello\x01\x81aaaab\x80\x80bbbb\x88\x80cccc",
        b"\x09\0\0\0\x03select 1\x05\0\0\0\x19\x07\0\0\0\x01\0\0\0\x0e",
        b"\x07\0\0\x01\0\x01\0\x0a\0\0\0\x09\0\0\x02\xff\x7a\x04#42S02",
        b"\x33\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x1e\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0",
        b"\x26\0\0\0\x02\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0",
        b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0\x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0",
        b"\x01\x06\0\x01\0\x0d\0\0Status: 204\n\n\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\0\x1a\0\x0c\0\0\0\0\0\0\0\x04shop\0\x02g1\0\0\0\x03\0\x02m1",
        b"\0\0\0\x06\0\0\0\0\0\x1b",
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
        for target in &targets {
            checks::run(target, &data);
            checks::run(target, &data[1..]);
        }
    }
}
