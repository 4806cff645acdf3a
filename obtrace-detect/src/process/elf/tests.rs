use std::{fs, iter::once, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::Executable;

/// An ELF file for amd64 with these sections, and nothing that is loaded.
fn file(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const HEADER: usize = 64;
    let names: Vec<u8> = once("")
        .chain(sections.iter().map(|(name, _)| *name))
        .chain(once(".shstrtab"))
        .flat_map(|name| name.bytes().chain(once(0)))
        .collect();
    let mut bytes = vec![0; HEADER];
    let mut headers = vec![0; HEADER];
    let mut name_at = 1;
    for (name, content) in sections.iter().copied().chain(once((".shstrtab", names.as_slice()))) {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&u32::try_from(name_at).unwrap().to_le_bytes());
        header[4..8].copy_from_slice(&1_u32.to_le_bytes());
        header[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        headers.extend(header);
        bytes.extend(content);
        name_at += name.len() + 1;
    }
    let table_at = bytes.len() as u64;
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..20].copy_from_slice(&[2, 0, 62, 0]);
    bytes[20] = 1;
    bytes[40..48].copy_from_slice(&table_at.to_le_bytes());
    bytes[52] = 64;
    bytes[58] = 64;
    bytes[60] = u8::try_from(sections.len() + 2).unwrap();
    bytes[62] = u8::try_from(sections.len() + 1).unwrap();
    bytes.extend(headers);
    bytes
}

fn varint(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes
}

/// Build information as Go 1.18 and later write it.
fn build_info(version: &str, modules: &str) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    bytes.extend(varint(version.len()));
    bytes.extend(version.bytes());
    bytes.extend(varint(modules.len() + 32));
    bytes.extend([b'<'; 16].iter().chain(modules.as_bytes()).chain(&[b'>'; 16]));
    bytes
}

#[test]
fn this_test_is_a_rust_program() {
    let path = std::env::current_exe().unwrap();
    let read = Executable::from_file(&fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(read.architecture, Some(std::env::consts::ARCH));
    assert!(read.comments.iter().any(|comment| comment.starts_with("rustc version ")), "{:?}", read.comments);
    assert!(read.sections.iter().any(|section| section == ".text"));
    assert!(read.needed.iter().any(|library| library.starts_with("libc.")), "{:?}", read.needed);
    assert!(read.interpreter.as_deref().is_some_and(|path| path.starts_with("/lib")));
    assert!(read.bytes_read > 1000 && read.bytes_read <= Executable::LIMIT, "{}", read.bytes_read);
    assert_eq!(Executable::from_bytes(&fs::read(path).unwrap()), Some(read));
}

#[test]
fn build_information_of_go() {
    let modules = "path\texample.com/shop\nmod\texample.com/shop\t(devel)\t\n\
                   dep\tgithub.com/gin-gonic/gin\tv1.12.0\th1:x=\n=>\tgithub.com/fork/gin\tv0.0.1\th1:y=\nbuild\t-ldflags=-s\n";
    let read =
        Executable::from_bytes(&file(&[(".text", b""), (".go.buildinfo", &build_info("go1.26.0", modules))])).unwrap();
    let go = read.go.unwrap();
    assert_eq!((go.version.as_ref(), go.path.as_deref()), ("go1.26.0", Some("example.com/shop")));
    let expected = [("example.com/shop", "(devel)"), ("github.com/gin-gonic/gin", "v1.12.0")];
    assert!(
        go.modules.iter().map(|(path, version)| (path.as_ref(), version.as_ref())).eq(expected),
        "{:?}",
        go.modules
    );
}

#[test]
fn more_modules_than_are_read_are_cut() {
    let line = |number: usize| std::format!("dep\texample.com/module/number{number:05}\tv1.0.0\th1:{:044}=\n", 0);
    let modules: String = (0..3000).map(line).collect();
    let read = Executable::from_bytes(&file(&[(".go.buildinfo", &build_info("go1.26.0", &modules))])).unwrap();
    assert!(read.bytes_read <= Executable::LIMIT, "{}", read.bytes_read);
    let count = read.go.unwrap().modules.len();
    assert!((300..=512).contains(&count), "{count}");
}

#[test]
fn strings_and_symbols_of_rust() {
    let strings = b"xx/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/str/mod.rs\
                    /registry/src/index-1949cf8c6b5b557f/axum-0.8.9/src/serve.rs/axum-core-0.5.6/src/body.rs/home/axum-user/x";
    let mut symbols = vec![b'a'; 20 << 10];
    for (at, name) in [
        (5 << 10, "\0_ZN4axum5serve17h0123456789abcdefE\0"),
        (10 << 10, "\0_RNvNtCs1_10actix_http4body\0_RNvCs2_6rocket6ignite\0"),
    ] {
        symbols[at + 100..at + 100 + name.len()].copy_from_slice(name.as_bytes());
    }
    let comment = (".comment", b"rustc version 1.95.0 (59807616e 2026-04-14)\0GCC: 12\0GCC: 12\0".as_slice());
    let read = Executable::from_bytes(&file(&[comment, (".rodata", strings), (".strtab", &symbols)])).unwrap();
    assert_eq!(read.comments, ["rustc version 1.95.0 (59807616e 2026-04-14)", "GCC: 12"]);
    assert_eq!(read.strings, ["/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860", "axum-0.8.9"]);
    assert_eq!(read.symbols, ["_ZN4axum5serve17h0123456789abcdefE", "_RNvCs2_6rocket6ignite"]);
    // A program of another compiler is not searched.
    let read = Executable::from_bytes(&file(&[(".comment", b"GCC: 12\0"), (".rodata", strings)])).unwrap();
    assert!(read.strings.is_empty());
}

#[test]
fn what_is_no_program() {
    for bytes in [b"".as_slice(), b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01\x01", &[0; 4096]] {
        assert_eq!(Executable::from_bytes(bytes), None);
    }
}

#[test]
fn absurd_counts_and_sizes_are_left_out() {
    let mut bytes = file(&[(".comment", b"GCC: 12\0")]);
    bytes[60..62].copy_from_slice(&u16::MAX.to_le_bytes());
    bytes[56..58].copy_from_slice(&u16::MAX.to_le_bytes());
    let read = Executable::from_bytes(&bytes).unwrap();
    assert!(read.sections.is_empty() && read.comments.is_empty());
    let mut bytes = file(&[(".comment", b"GCC: 12\0")]);
    bytes[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Executable::from_bytes(&bytes).unwrap().sections.is_empty());
}

proptest! {
    /// Whatever stands in a file: no panic, and no more read than may be.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let mut bytes = bytes;
        prop_assert!(Executable::from_bytes(&bytes).is_none_or(|read| read.bytes_read <= Executable::LIMIT));
        for class in 1..=2 {
            for order in 1..=2 {
                if let Some(head) = bytes.get_mut(..7) {
                    head.copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
                }
                prop_assert!(Executable::from_bytes(&bytes).is_none_or(|read| read.bytes_read <= Executable::LIMIT));
            }
        }
    }

    /// A real program, some of its bytes changed where the headers are, and cut somewhere.
    #[test]
    fn a_damaged_program(changes in prop::collection::vec((0_usize..4096, any::<u8>()), 1..16), from_end in any::<bool>(), cut in 0_usize..4096) {
        let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        for (at, byte) in changes {
            let at = if from_end { bytes.len() - 1 - at } else { at };
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        prop_assert!(Executable::from_bytes(&bytes).is_none_or(|read| read.bytes_read <= Executable::LIMIT));
    }

    /// Every length and every flag of Go's build information.
    #[test]
    fn any_build_information(bytes in prop::collection::vec(any::<u8>(), 0..512), flags in any::<u8>()) {
        let mut info = b"\xff Go buildinf:\x08".to_vec();
        info.push(flags);
        info.extend(bytes);
        let read = Executable::from_bytes(&file(&[(".go.buildinfo", &info)]));
        prop_assert!(read.is_some_and(|read| read.bytes_read <= Executable::LIMIT));
    }
}
