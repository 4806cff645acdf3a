//! The layout of the records in the objects' BTF is the one that this library reads, for each architecture.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeMap, fs};

type Members = Vec<(String, u32)>;
type Expected = (&'static str, u32, &'static [(&'static str, u32)]);

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn name(strings: &[u8], at: u32) -> String {
    let rest = &strings[at as usize..];
    String::from_utf8(rest[..rest.iter().position(|b| *b == 0).unwrap()].to_vec()).unwrap()
}

/// Size and members (name, offset in bytes) of every structure, by the format of linux/btf.h.
fn structures(btf: &[u8]) -> BTreeMap<String, (u32, Members)> {
    assert_eq!(btf[..2], 0xeb9fu16.to_ne_bytes());
    let header = word(btf, 4) as usize;
    let (types, strings) = (header + word(btf, 8) as usize, &btf[header + word(btf, 16) as usize..]);
    let (mut at, end) = (types, types + word(btf, 12) as usize);
    let mut found = BTreeMap::new();
    while at < end {
        let (called, info, size) = (word(btf, at), word(btf, at + 4), word(btf, at + 8));
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        at += 12;
        if kind == 4 {
            let member =
                |i: usize| (name(strings, word(btf, at + 12 * i)), (word(btf, at + 12 * i + 8) & 0xff_ffff) / 8);
            found.insert(name(strings, called), (size, (0..count).map(member).collect()));
        }
        at += match kind {
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * count,
            6 | 13 => 8 * count,
            _ => 0,
        };
    }
    found
}

/// The `.BTF` section of a 64-bit ELF file.
fn section(elf: &[u8]) -> &[u8] {
    let long = |at: usize| u64::from_ne_bytes(elf[at..at + 8].try_into().unwrap()) as usize;
    let short = |at: usize| usize::from(u16::from_ne_bytes(elf[at..at + 2].try_into().unwrap()));
    let (table, size, count, names) = (long(40), short(58), short(60), short(62));
    let names = long(table + names * size + 24);
    (0..count)
        .map(|i| table + i * size)
        .find(|at| name(&elf[names..], word(elf, *at)) == ".BTF")
        .map(|at| &elf[long(at + 24)..long(at + 24) + long(at + 32)])
        .unwrap()
}

#[test]
fn records_have_the_layout_that_is_read() {
    let expected: [Expected; 9] = [
        (
            "event_head",
            32,
            &[("op", 0), ("flags", 1), ("pad", 2), ("size", 4), ("time", 8), ("socket", 16), ("tgid", 24), ("tid", 28)],
        ),
        ("event_address", 24, &[("family", 0), ("port", 2), ("pad", 4), ("ip", 8)]),
        (
            "event_open",
            120,
            &[
                ("head", 0),
                ("local", 32),
                ("remote", 56),
                ("inode", 80),
                ("peer_key", 88),
                ("own_key", 96),
                ("netns", 104),
                ("transport", 108),
                ("role", 109),
                ("pad", 110),
                ("start", 112),
            ],
        ),
        ("event_data", 48, &[("head", 0), ("sequence", 32), ("length", 36), ("skipped", 40)]),
        ("event_datagram", 64, &[("head", 0), ("remote", 32), ("length", 56), ("pad", 60)]),
        ("event_close", 64, &[("head", 0), ("skipped", 32), ("end", 48), ("records", 56)]),
        (
            "event_connect_failed",
            80,
            &[
                ("head", 0),
                ("remote", 32),
                ("started", 56),
                ("netns", 64),
                ("error", 68),
                ("transport", 72),
                ("pad", 76),
            ],
        ),
        (
            "event_process",
            64,
            &[("head", 0), ("child_tgid", 32), ("child_tid", 36), ("local_tgid", 40), ("pad", 44), ("name", 48)],
        ),
        ("ended", 192, &[("ready", 0), ("open", 8), ("close", 128)]),
    ];
    for object in ["x86_64/syscall", "x86_64/fentry", "aarch64/syscall", "aarch64/fentry"] {
        let elf = fs::read(format!("{}/bpf/object/{object}.bpf.o", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let found = structures(section(&elf));
        for (structure, size, members) in expected {
            let (found_size, found_members) = &found[structure];
            let found_members: Vec<_> = found_members.iter().map(|(n, o)| (n.as_str(), *o)).collect();
            assert_eq!((*found_size, &found_members[..]), (size, members), "{structure} in {object}");
        }
        let state = &found["socket_state"];
        assert!(state.0 <= 128, "the state of a socket is documented to be at most 128 bytes: {}", state.0);
    }
}
