//! File formats, and files that are not right.

use obtrace_agent::{
    print::Format,
    replay::{CaptureError, CaptureReader, Options, Outcome, ReplayError, run, run_file},
};

use crate::build::{ETHERNET, START, Talk, redis};

#[derive(Clone, Copy, Debug)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| self.u32(*word)).collect()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let total = body.len() as u32 + 12;
        [&self.words(&[kind, total])[..], &body, &self.u32(total)].concat()
    }

    fn section(self) -> Vec<u8> {
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat())
    }

    fn interface(self, link_type: u16, snap: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [&self.u16(link_type)[..], &[0, 0], &self.u32(snap)].concat();
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, units: u64, length: u32, bytes: &[u8]) -> Vec<u8> {
        let head = [interface, (units >> 32) as u32, units as u32, bytes.len() as u32, length];
        self.block(6, &[&self.words(&head)[..], bytes].concat())
    }
}

fn pcap(order: Order, magic: u32, nanos_per_unit: u64, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    file.extend(order.words(&[0, 0, 65_535, u32::from(ETHERNET)]));
    for (time, frame) in frames {
        let length = frame.len() as u32;
        let fraction = (time % 1_000_000_000 / nanos_per_unit) as u32;
        file.extend(order.words(&[(time / 1_000_000_000) as u32, fraction, length, length]));
        if magic == 0xa1b2_cd34 {
            file.extend([0; 8]);
        }
        file.extend(frame);
    }
    file
}

type Seen = (u64, u16, u32, Vec<u8>);

fn packets(file: &[u8]) -> (Vec<Seen>, Option<CaptureError>) {
    let mut reader = match CaptureReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut seen = Vec::new();
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) => seen.push((packet.time, packet.link_type, packet.length, packet.bytes.to_vec())),
            Ok(None) => return (seen, None),
            Err(error) => return (seen, Some(error)),
        }
    }
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    let frames = Talk::new().open().script(&redis(1)).frames;
    for big in [false, true] {
        for (magic, nanos) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1), (0xa1b2_cd34, 1_000)] {
            let (seen, error) = packets(&pcap(Order { big }, magic, nanos, &frames));
            assert!(error.is_none());
            let expected = frames.iter().map(|(time, frame)| (*time, ETHERNET, frame.len() as u32, frame.clone()));
            assert_eq!(seen, expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn pcapng_with_several_sections_interfaces_and_resolutions() {
    let mut file = Vec::new();
    for big in [false, true] {
        let order = Order { big };
        let offset = if big { (-3_i64).to_be_bytes() } else { (-3_i64).to_le_bytes() };
        file.extend(order.section());
        file.extend(order.block(0x0bad, b"a block that nobody knows"));
        file.extend(order.interface(1, 0, &[(2, b"eth0"), (9, &[9])]));
        file.extend(order.interface(101, 4, &[(9, &[0x80 | 10]), (14, &offset), (0, b"")]));
        file.extend(order.interface(113, 0, &[(9, &[12])]));
        file.extend(order.interface(276, 0, &[]));
        file.extend(order.enhanced(0, 1_500_000_000, 3, b"abc"));
        file.extend(order.enhanced(1, 5 << 10 | 512, 9, b"abcd"));
        file.extend(order.enhanced(2, 7_000_000_000_000, 5, b"abcde"));
        file.extend(order.enhanced(3, 8_000_000, 1, b"z"));
        // The obsolete packet block, with its 16-bit interface and drop count.
        let head = [&order.u16(3)[..], &order.u16(0), &order.words(&[0, 9_000_000, 2, 2])].concat();
        file.extend(order.block(2, &[&head[..], b"yz"].concat()));
        // A simple packet: first interface, no time; cut by no snap length.
        file.extend(order.block(3, &[&order.u32(5)[..], b"vwxyz"].concat()));
    }
    let (seen, error) = packets(&file);
    assert!(error.is_none(), "{error:?}");
    let second = 1_000_000_000;
    let section = [
        (1_500_000_000, 1, 3, b"abc".to_vec()),
        (2_500_000_000, 101, 9, b"abcd".to_vec()),
        (7 * second, 113, 5, b"abcde".to_vec()),
        (8 * second, 276, 1, b"z".to_vec()),
        (9 * second, 276, 2, b"yz".to_vec()),
        (9 * second, 1, 5, b"vwxyz".to_vec()),
    ];
    assert_eq!(seen, [section.clone(), section].concat());
}

#[test]
fn a_simple_packet_is_cut_by_the_snap_length_of_its_interface() {
    let order = Order { big: false };
    let file =
        [order.section(), order.interface(1, 4, &[]), order.block(3, &[&order.u32(9)[..], b"abcd"].concat())].concat();
    assert_eq!(packets(&file).0, [(0, 1, 9, b"abcd".to_vec())]);
}

#[test]
fn times_of_odd_resolutions() {
    let order = Order { big: false };
    // Units of 10^-127 s, 2^-127 s, 1 s, 2^0 s: nothing overflows.
    for (resolution, units, expected) in [
        (127, u64::MAX, 0),
        (0xff, u64::MAX, 0),
        (0, 17, 17_000_000_000),
        (0x80, 17, 17_000_000_000),
        (0, u64::MAX, u64::MAX),
    ] {
        let interface = order.interface(1, 0, &[(9, &[resolution])]);
        let file = [order.section(), interface, order.enhanced(0, units, 1, b"x")].concat();
        assert_eq!(packets(&file).0[0].0, expected, "resolution {resolution}");
    }
}

fn jsonl(file: &[u8]) -> (Outcome, String, u8, String) {
    let mut out = Vec::new();
    let outcome = run(file, None, &Options::new().with_format(Format::Jsonl, false), &mut out);
    let mut told = Vec::new();
    let code = outcome.tell(&mut told).unwrap();
    (outcome, String::from_utf8(out).unwrap(), code, String::from_utf8(told).unwrap())
}

#[test]
fn an_empty_capture_is_fine_and_an_empty_file_is_not() {
    let order = Order { big: false };
    for file in [pcap(order, 0xa1b2_c3d4, 1_000, &[]), order.section()] {
        let (_, out, code, told) = jsonl(&file);
        assert_eq!((&*out, code), ("", 0));
        assert_eq!(told, "packets 0, streams 0, exchanges 0, gaps 0, unknown 0\n");
    }
    let (_, out, code, told) = jsonl(b"");
    assert_eq!((&*out, code), ("", 1));
    assert!(told.contains("error: the capture is empty: not even a file header"), "{told}");
}

#[test]
fn what_is_no_capture_is_refused_with_one_message() {
    for (file, words) in [
        (&b"GIF89a..."[..], "not a capture: it begins with [47, 49, 46, 38]"),
        (&[0x1f, 0x8b, 8, 0, 0], "this is gzip: decompress it first"),
        (&[0x28, 0xb5, 0x2f, 0xfd, 0], "this is zstd"),
        (&[1, 2], "cut off inside the file header, after byte 2"),
        (&[0xd4, 0xc3, 0xb2, 0xa1, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "pcap version 3.4"),
        (&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4], "a section without byte order"),
    ] {
        let (_, out, code, told) = jsonl(file);
        assert_eq!((&*out, code), ("", 1));
        assert!(told.contains(words), "{told}");
        assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
    }
}

#[test]
fn of_a_truncated_file_all_before_the_cut_is_printed() {
    let frames = Talk::new().open().script(&redis(3)).frames;
    let order = Order { big: false };
    let file = pcap(order, 0xa1b2_c3d4, 1_000, &frames);
    let whole = jsonl(&file);
    assert_eq!((whole.1.lines().count(), whole.2), (6, 0));
    let last = frames.last().unwrap().1.len();
    for cut in [1, last, last + 1, last + 15] {
        let (outcome, out, code, told) = jsonl(&file[..file.len() - cut]);
        assert_eq!(out.lines().count(), 6, "the last is the answer to a request that was seen");
        assert_eq!(out.matches("response_missing").count(), 1);
        assert_eq!((code, outcome.summary.packets), (1, frames.len() as u64 - 1));
        assert!(told.starts_with("packets "), "{told}");
        assert!(told.lines().last().unwrap().starts_with("error: the capture is cut off inside a packet"), "{told}");
    }
    let (_, _, code, _) = jsonl(&file[..file.len() - last - 16]);
    assert_eq!(code, 0, "cut between two packets it is only shorter");
}

#[test]
fn a_damaged_record_ends_the_reading() {
    let frames = Talk::new().open().script(&redis(1)).frames;
    let order = Order { big: false };
    let mut file = pcap(order, 0xa1b2_c3d4, 1_000, &frames);
    let end = file.len() as u64;
    file.extend(order.words(&[0, 0, u32::MAX, u32::MAX]));
    let (outcome, out, code, told) = jsonl(&file);
    assert_eq!((out.lines().count(), code), (2, 1));
    assert!(matches!(outcome.error, Some(ReplayError::Capture(CaptureError::Damaged { at, .. })) if at == end));
    assert!(told.contains("a packet of more than 16 MiB"), "{told}");

    let bad = [order.section(), order.enhanced(0, 0, 1, b"x")].concat();
    assert!(matches!(packets(&bad).1, Some(CaptureError::Damaged { .. })), "no such interface");
    let mut bad = [order.section(), order.interface(1, 0, &[])].concat();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert!(matches!(packets(&bad).1, Some(CaptureError::Damaged { .. })), "two lengths that differ");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let path = std::path::Path::new("/nonexistent/x.pcap");
    let outcome = run_file(path, &Options::new(), std::io::sink());
    let mut told = Vec::new();
    assert_eq!(outcome.tell(&mut told).unwrap(), 1);
    assert!(String::from_utf8(told).unwrap().starts_with("error: opening /nonexistent/x.pcap failed: No such file"));
    let outcome = run_file(std::path::Path::new("/"), &Options::new(), std::io::sink());
    assert!(outcome.error.unwrap().to_string().contains("directory"));
}

#[test]
fn a_file_that_is_no_capture_is_named() {
    let path = std::env::temp_dir().join(format!("obtrace-replay-{}.pcap", std::process::id()));
    std::fs::write(&path, b"this is not a capture").unwrap();
    let outcome = run_file(&path, &Options::new(), std::io::sink());
    std::fs::remove_file(&path).unwrap();
    let mut told = Vec::new();
    assert_eq!(outcome.tell(&mut told).unwrap(), 1);
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with(&format!("error: {}: not a capture", path.display())), "{told}");
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn a_reader_that_has_enough_is_no_error_and_a_full_disk_is() {
    struct Fails(std::io::ErrorKind);
    impl std::io::Write for Fails {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let frames = Talk::new().open().script(&redis(3)).frames;
    let file = pcap(Order { big: false }, 0xa1b2_c3d4, 1_000, &frames);
    let options = Options::new();
    assert!(run(&file[..], None, &options, Fails(std::io::ErrorKind::BrokenPipe)).error.is_none());
    let outcome = run(&file[..], None, &options, Fails(std::io::ErrorKind::StorageFull));
    assert!(matches!(outcome.error, Some(ReplayError::Write(_))));
}

#[test]
fn times_are_those_of_the_capture() {
    let frames = Talk::new().open().script(&redis(1)).frames;
    let (_, out, ..) = jsonl(&pcap(Order { big: false }, 0xa1b2_3c4d, 1, &frames));
    let first = out.lines().next().unwrap();
    assert!(first.contains(&format!("\"start_unix_nano\":{}", START + 400_000)), "{first}");
    assert!(first.contains("\"duration_ns\":100000"), "{first}");
}
