use alloc::vec::Vec;

use super::*;

#[allow(dead_code, reason = "what is used depends on the codings that are built in")]
const TEXT: &[u8] =
    b"{\"model\":\"m\",\"input\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";

/// What comes out of pieces, at most so many bytes.
fn decoded(coding: Coding, pieces: &[&[u8]], most: usize) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder::default();
    let mut out = Vec::new();
    // A second body finds the decoder as the first one did.
    for _ in 0..2 {
        out.clear();
        decoder.begin(coding);
        for piece in pieces {
            decoder.decode(piece, usize::MAX, &mut |plain| {
                out.extend_from_slice(plain);
                out.len() < most
            })?;
            assert!(decoder.memory() < 10 << 20, "{}", decoder.memory());
            if out.len() >= most {
                break;
            }
        }
        decoder.end();
    }
    Ok(out)
}

#[allow(dead_code, reason = "what is used depends on the codings that are built in")]
fn in_any_split(coding: Coding, coded: &[u8], wanted: &[u8]) {
    assert_eq!(decoded(coding, &[coded], usize::MAX).unwrap(), wanted);
    for size in 1..coded.len().min(40) {
        let pieces: Vec<&[u8]> = coded.chunks(size).collect();
        assert_eq!(decoded(coding, &pieces, usize::MAX).unwrap(), wanted, "in pieces of {size}");
    }
}

#[test]
fn names() {
    for (value, coding) in [
        ("", Coding::Identity),
        ("Identity", Coding::Identity),
        ("GZIP", Coding::Gzip),
        ("x-gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
        ("gzip, br", Coding::Other),
        ("compress", Coding::Other),
    ] {
        assert_eq!(Coding::parse(value.as_bytes()), coding, "{value}");
    }
    assert_eq!(decoded(Coding::Identity, &[b"ab", b"c"], usize::MAX).unwrap(), b"abc");
    assert_eq!(decoded(Coding::Other, &[b"abc"], usize::MAX), Err(Failure::Unknown));
}

#[cfg(feature = "deflate")]
mod deflate {
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    use super::*;

    fn gzip(flags: u8, more: &[u8], text: &[u8]) -> Vec<u8> {
        let head = [0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
        [&head, more, &compress_to_vec(text, 6), &[0; 8]].concat()
    }

    #[test]
    fn gzip_in_any_split() {
        in_any_split(Coding::Gzip, &gzip(0, b"", TEXT), TEXT);
        let more = b"\x03\0abcname\0comment\0\x12\x34";
        in_any_split(Coding::Gzip, &gzip(0x1e, more, TEXT), TEXT);
        in_any_split(Coding::Gzip, &gzip(4, b"\0\0", TEXT), TEXT);
        let two = [gzip(0, b"", TEXT), gzip(8, b"n\0", b"second")].concat();
        in_any_split(Coding::Gzip, &two, &[TEXT, b"second"].concat());
        let long: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        assert_eq!(decoded(Coding::Gzip, &[&gzip(0, b"", &long)], usize::MAX).unwrap(), long);
    }

    #[test]
    fn deflate_with_and_without_its_header() {
        in_any_split(Coding::Deflate, &compress_to_vec_zlib(TEXT, 6), TEXT);
        in_any_split(Coding::Deflate, &compress_to_vec(TEXT, 6), TEXT);
        let behind = [&compress_to_vec(TEXT, 6)[..], b"what follows"].concat();
        assert_eq!(decoded(Coding::Deflate, &[&behind], usize::MAX).unwrap(), TEXT);
    }

    #[test]
    fn what_nobody_wants_is_not_decoded() {
        let bomb = gzip(0, b"", &alloc::vec![b'x'; 50 << 20]);
        assert!(bomb.len() < 60_000);
        let out = decoded(Coding::Gzip, &[&bomb], 100_000).unwrap();
        assert!((100_000..140_000).contains(&out.len()), "{}", out.len());
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        assert_eq!(decoded(Coding::Gzip, &[TEXT], usize::MAX), Err(Failure::Corrupt));
        let mut broken = gzip(0, b"", TEXT);
        broken[10] = 0xff;
        assert_eq!(decoded(Coding::Gzip, &[&broken], usize::MAX), Err(Failure::Corrupt));
    }
}

/// The most that may be held is no more than that, and what is held is known. `beside`: what there has to be room for, too.
#[cfg(any(feature = "brotli", feature = "zstd"))]
fn in_little_room(coding: Coding, coded: &[u8], needed: core::ops::Range<usize>, beside: usize) {
    for size in [1, 7, coded.len()] {
        let decoded = |room| {
            let mut decoder = Decoder::default();
            decoder.begin(coding);
            let told = coded.chunks(size).try_for_each(|piece| decoder.decode(piece, room, &mut |_| true));
            (told, decoder.memory())
        };
        let (told, held) = decoded(usize::MAX);
        assert!(told.is_ok() && needed.contains(&held), "{held}");
        assert_eq!(decoded(needed.end.saturating_add(beside)), (Ok(()), held));
        assert_eq!(decoded(needed.start).0, Err(Failure::Memory));
        assert_eq!(decoded(0).0, Err(Failure::Memory));
    }
}

#[cfg(feature = "brotli")]
#[test]
fn brotli_in_little_room() {
    // A block as it is, which says that it has 4 MiB.
    in_little_room(Coding::Brotli, b"\xcb\xff\xff\x9fhello", 4 << 20..(4 << 20) + 65536, 3 << 20);
    in_little_room(Coding::Brotli, b"\x0b\x02\x80hello", 4096..65536, 65536);
}

/// The head of a block with as many prefix codes as there can be of each kind, each of one symbol (RFC 7932, section 9.2).
#[cfg(feature = "brotli")]
fn many_codes() -> Vec<u8> {
    let mut bits = Vec::new();
    let mut put = |value: u32, length: u32| bits.extend((0..length).map(|at| (value >> at & 1) as u8));
    let (many, simple) = ((0x7f << 4 | 7 << 1 | 1, 11), (1, 4));
    // The window, not the last block, its length, compressed, one type of literals, many of commands.
    for (value, length) in [(0, 1), (0, 1), (0, 2), (0xffff, 16), (0, 1), (0, 1), many] {
        put(value, length);
    }
    // Codes of their types and lengths, the first length, one type of distances, how these are written, a mode.
    for (value, length) in [simple, (0, 9), simple, (0, 5), (0, 2), (0, 1), (3, 2), (15, 4), (0, 2)] {
        put(value, length);
    }
    // Literals, then distances, and where which is used.
    for (value, length) in [many, (0, 1), simple, (0, 8), (0, 1)].repeat(2) {
        put(value, length);
    }
    // The command goes on in 24 bits more.
    for (symbol, length) in [(0, 8), (504, 10), (0, 10)] {
        (0..256).for_each(|_| {
            put(simple.0, simple.1);
            put(symbol, length);
        });
    }
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)).collect()
}

#[cfg(feature = "brotli")]
#[test]
fn many_codes_in_little_room() {
    let coded = many_codes();
    for room in (64..6000).step_by(300).map(|room| room << 10) {
        let mut decoder = Decoder::default();
        decoder.begin(Coding::Brotli);
        let told = coded.chunks(64).try_for_each(|piece| {
            let told = decoder.decode(piece, room, &mut |_| true);
            assert!(decoder.memory() <= room, "{} of {room}", decoder.memory());
            told
        });
        match told {
            Ok(()) => assert!(room > 1 << 20),
            Err(failure) => assert!(failure == Failure::Memory && room < 3 << 20, "{failure:?} in {room}"),
        }
        assert_eq!(decoder.memory() > 1 << 20, told.is_ok(), "{} of {room}", decoder.memory());
    }
}

#[cfg(feature = "brotli")]
#[test]
fn brotli_in_any_split() {
    // One block as it is, by RFC 7932, section 9.2, and the window of 16 bits.
    in_any_split(Coding::Brotli, b"\x0b\x02\x80hello\x03", b"hello");
    assert_eq!(decoded(Coding::Brotli, &[&[0xff; 20]], usize::MAX), Err(Failure::Corrupt));
    // A window of 16 MiB, and the large ones.
    assert_eq!(decoded(Coding::Brotli, &[b"\x0f\x02\x80hello\x03"], usize::MAX), Err(Failure::Corrupt));
    assert_eq!(decoded(Coding::Brotli, &[b"\x11\x02\x80hello\x03"], usize::MAX), Err(Failure::Corrupt));
}

#[cfg(feature = "zstd")]
mod zstd {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    #[test]
    fn zstd_in_any_split() {
        let coded = compress_to_vec(TEXT, CompressionLevel::Fastest);
        in_any_split(Coding::Zstd, &coded, TEXT);
        in_any_split(Coding::Zstd, &[&coded[..], &coded].concat(), &[TEXT, TEXT].concat());
        let long: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let coded = compress_to_vec(&long[..], CompressionLevel::Fastest);
        assert_eq!(decoded(Coding::Zstd, &[&coded], usize::MAX).unwrap(), long);
    }

    #[test]
    fn what_nobody_wants_is_not_decoded() {
        // Blocks of four bytes that stand for 128 KiB each, in a window of 1 MiB.
        let block = [0x02, 0x00, 0x10, b'x'];
        let bomb = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50][..], &block.repeat(10_000)].concat();
        let out = decoded(Coding::Zstd, &[&bomb], 100_000).unwrap();
        assert!((100_000..140_000).contains(&out.len()), "{}", out.len());
    }

    #[test]
    fn zstd_in_little_room() {
        // As above, in a window of 8 MiB that is full.
        let block = [0x02, 0x00, 0x10, b'x'];
        let large = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68][..], &block.repeat(100)].concat();
        in_little_room(Coding::Zstd, &large, 8 << 20..9 << 20, 0);
        // What a window could hold is not taken before it does, nor for the frame behind another one.
        let little = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68][..], &block, &[0x03, 0x00, 0x10, b'x']].concat();
        in_little_room(Coding::Zstd, &little.repeat(3), 256 << 10..700 << 10, 0);
        // What a compressed block may take is in its head: so many literals, and sequences.
        let literals = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 0x2d, 0x00, 0x00, 0xfd, 0xff, 0x0f, b'x', 0x00];
        in_little_room(Coding::Zstd, &literals, 128 << 10..900 << 10, 0);
    }

    #[test]
    fn what_is_no_zstd_is_told() {
        assert_eq!(decoded(Coding::Zstd, &[TEXT], usize::MAX), Err(Failure::Corrupt));
        // A window of 16 MiB, and a block larger than blocks are.
        assert_eq!(decoded(Coding::Zstd, &[b"\x28\xb5\x2f\xfd\x00\x70\0\0\0"], usize::MAX), Err(Failure::Corrupt));
        assert_eq!(
            decoded(Coding::Zstd, &[b"\x28\xb5\x2f\xfd\x00\x50\xff\xff\xf9\0"], usize::MAX),
            Err(Failure::Corrupt)
        );
    }
}
