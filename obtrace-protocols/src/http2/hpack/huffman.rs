//! The Huffman code of [RFC 7541 Appendix B](https://www.rfc-editor.org/rfc/rfc7541#appendix-B), read up to twelve bits
//! and two symbols at a time.
//!
//! The code is canonical: the lengths alone say all of it. One table answers for each twelve bits which one or two
//! symbols they begin with; what is longer is rare and found by its length.

use alloc::vec::Vec;

/// Bits of the code of each byte; the last is that of the end of the string, which no string holds.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
const LONGEST: usize = 30;
/// Bits that the table looks at.
const WIDTH: u32 = 12;

/// Lengths that are longer than the table looks, as far as there are codes of them.
const LONG: [u8; 14] = [13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30];

/// The codes of one length, as if they had 32 bits.
#[derive(Clone, Copy)]
struct Class {
    first: u32,
    /// Behind the last one.
    end: u64,
    /// Place of the first one's symbol among all, by length.
    place: usize,
}

struct Code {
    /// For each twelve bits: the symbols in the low 16 bits, how many bits they take (5 bits; 0: a longer code), how
    /// many bits of output they are (5 bits), how many bits the first one takes (4 bits).
    pairs: [u32; 1 << WIDTH],
    by_length: [u16; SYMBOLS],
    long: [Class; LONG.len()],
}

static CODE: Code = build();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler: what is wrong does not compile"
)]
const fn build() -> Code {
    let mut by_length = [0_u16; SYMBOLS];
    let mut first = [0_u32; LONGEST + 1];
    let mut count = [0_u32; LONGEST + 1];
    let mut places = [0_usize; LONGEST + 1];
    let (mut length, mut code, mut place) = (1, 0_u32, 0);
    while length <= LONGEST {
        code <<= 1;
        first[length] = code;
        places[length] = place;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                by_length[place] = symbol as u16;
                place += 1;
                code += 1;
            }
            symbol += 1;
        }
        count[length] = code - first[length];
        length += 1;
    }
    assert!(place == SYMBOLS && code == 1 << LONGEST, "the code is complete");
    let mut long = [Class { first: 0, end: 0, place: 0 }; LONG.len()];
    let mut class = 0;
    while class < LONG.len() {
        let length = LONG[class] as usize;
        let shift = 32 - LONG[class] as u32;
        long[class] = Class {
            first: first[length] << shift,
            end: ((first[length] as u64) + (count[length] as u64)) << shift,
            place: places[length],
        };
        class += 1;
    }
    Code { pairs: pairs(&by_length, &first, &count, &places), by_length, long }
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler: what is wrong does not compile"
)]
const fn pairs(
    by_length: &[u16; SYMBOLS],
    first: &[u32; LONGEST + 1],
    count: &[u32; LONGEST + 1],
    places: &[usize; LONGEST + 1],
) -> [u32; 1 << WIDTH] {
    // The symbol that each twelve bits begin with, and its length above it.
    let mut single = [0_u32; 1 << WIDTH];
    let mut length = 5;
    while length <= WIDTH as usize {
        let mut nth = 0;
        while nth < count[length] {
            let symbol = by_length[places[length] + nth as usize] as u32;
            let free = WIDTH as usize - length;
            let mut rest = 0;
            while rest < 1 << free {
                single[(((first[length] + nth) as usize) << free) + rest] = symbol | (length as u32) << 16;
                rest += 1;
            }
            nth += 1;
        }
        length += 1;
    }
    let mut pairs = [0_u32; 1 << WIDTH];
    let mut bits = 0;
    while bits < 1 << WIDTH {
        let one = single[bits];
        let length = one >> 16;
        if length > 0 {
            let two = single[(bits << length) & ((1 << WIDTH) - 1)];
            let both = length + (two >> 16);
            pairs[bits] = if two > 0 && both <= WIDTH {
                one & 0xff | (two & 0xff) << 8 | both << 16 | 16 << 21 | length << 26
            } else {
                one & 0xff | length << 16 | 8 << 21 | length << 26
            };
        }
        bits += 1;
    }
    pairs
}

/// What one look into the table gives.
#[derive(Clone, Copy)]
struct Pair(u32);

impl Pair {
    /// For the first bits of a window.
    #[inline]
    fn at(window: u64) -> Self {
        Self(CODE.pairs.get((window >> (64 - WIDTH)) as usize).copied().unwrap_or(0))
    }

    const fn is_long(self) -> bool {
        self.0 == 0
    }

    const fn symbols(self) -> u64 {
        (self.0 & 0xffff) as u64
    }

    const fn bits(self) -> u32 {
        self.0 >> 16 & 31
    }

    const fn output_bits(self) -> u32 {
        self.0 >> 21 & 31
    }

    const fn first_bits(self) -> u32 {
        self.0 >> 26 & 15
    }
}

/// The symbol of a long code and its bits. The window holds at least 30 bits, or ones behind the last.
fn long(window: u64) -> Option<(u8, u32)> {
    let top = (window >> 32) as u32;
    let class = CODE.long.iter().filter(|class| u64::from(top) >= class.end).count();
    let bits = u32::from(*LONG.get(class)?);
    let class = CODE.long.get(class)?;
    let nth = top.checked_sub(class.first)?.wrapping_shr(32_u32.saturating_sub(bits));
    let symbol = *CODE.by_length.get(class.place.saturating_add(nth as usize))?;
    (symbol != END_OF_STRING).then_some(())?;
    Some((symbol as u8, bits))
}

/// Bytes that a string of so many bytes has at most when it is decoded: no code is shorter than 5 bits.
const fn most(encoded: usize) -> usize {
    encoded.saturating_mul(8).div_ceil(5)
}

/// Bits that were read and not used, first one highest.
#[derive(Default)]
struct Window {
    bits: u64,
    have: u32,
}

impl Window {
    #[inline]
    fn take(&mut self, bits: u32) {
        self.bits = self.bits.wrapping_shl(bits);
        self.have = self.have.wrapping_sub(bits);
    }
}

/// Decodes a string and puts it behind what is in `out`. What is no such code, holds the end of the string as a symbol
/// or ends in anything but up to 7 ones is refused
/// ([RFC 7541 §5.2](https://www.rfc-editor.org/rfc/rfc7541#section-5.2)); `out` is as it was then.
///
/// ```
/// use obtrace_protocols::http2::hpack::decode_huffman;
/// let mut out = Vec::new();
/// assert!(decode_huffman(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], &mut out));
/// assert_eq!(out, b"no-cache");
/// assert!(!decode_huffman(&[0xff, 0xff], &mut out));
/// ```
#[must_use]
pub fn decode_huffman(encoded: &[u8], out: &mut Vec<u8>) -> bool {
    let begin = out.len();
    // A whole word is written each time.
    out.resize(begin.saturating_add(most(encoded.len())).saturating_add(8), 0);
    let end = decode_into(encoded, out.get_mut(begin..).unwrap_or_default());
    out.truncate(begin.saturating_add(end.unwrap_or(0)));
    end.is_some()
}

/// How many bytes it gave.
fn decode_into(encoded: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut window = Window::default();
    let mut rest = encoded;
    let mut at = 0_usize;
    while let Some(word) = rest.first_chunk::<8>() {
        window.bits |= u64::from_be_bytes(*word).wrapping_shr(window.have);
        rest = rest.get((63_u32.wrapping_sub(window.have) >> 3) as usize..)?;
        window.have |= 56;
        if Pair::at(window.bits).is_long() {
            let (symbol, bits) = long(window.bits)?;
            *out.get_mut(at)? = symbol;
            at = at.wrapping_add(1);
            window.take(bits);
            continue;
        }
        let (mut symbols, mut length) = (0_u64, 0_u32);
        // Four looks are 48 bits at most.
        for _ in 0..4 {
            let pair = Pair::at(window.bits);
            symbols |= pair.symbols().wrapping_shl(length);
            length = length.wrapping_add(pair.output_bits());
            window.take(pair.bits());
        }
        *out.get_mut(at..)?.first_chunk_mut::<8>()? = symbols.to_le_bytes();
        at = at.wrapping_add(length as usize / 8);
    }
    finish(window, rest, out, at)
}

/// The last bytes, fewer than 8.
fn finish(mut window: Window, rest: &[u8], out: &mut [u8], mut at: usize) -> Option<usize> {
    let mut rest = rest.iter();
    loop {
        while window.have <= 56
            && let Some(&byte) = rest.next()
        {
            window.bits |= u64::from(byte).wrapping_shl(56_u32.wrapping_sub(window.have));
            window.have = window.have.wrapping_add(8);
        }
        // Bits below those that are there are zero after reading a word; behind the last byte they count as ones.
        let bits = window.bits | u64::MAX.checked_shr(window.have).unwrap_or(0);
        let pair = Pair::at(bits);
        let (symbols, taken, given) = if pair.is_long() {
            match long(bits) {
                Some((symbol, taken)) => (u64::from(symbol), taken, 1),
                None => (0, u32::MAX, 0),
            }
        } else if pair.bits() <= window.have {
            (pair.symbols(), pair.bits(), pair.output_bits() as usize / 8)
        } else {
            (pair.symbols(), pair.first_bits(), 1)
        };
        if taken > window.have {
            let is_padding = window.have < 8 && bits == u64::MAX;
            return is_padding.then_some(at);
        }
        *out.get_mut(at..)?.first_chunk_mut::<2>()? = (symbols as u16).to_le_bytes();
        at = at.wrapping_add(given);
        window.take(taken);
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    /// By the definition: bit by bit.
    fn plainly(encoded: &[u8]) -> Option<Vec<u8>> {
        let codes = codes();
        let (mut out, mut code, mut length) = (vec![], 0_u32, 0_u8);
        for bit in encoded.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1))) {
            (code, length) = (code << 1 | bit, length + 1);
            if let Some(symbol) = codes.iter().position(|known| *known == (code, length)) {
                out.push(u8::try_from(symbol).ok()?);
                (code, length) = (0, 0);
            }
            if length > 30 {
                return None;
            }
        }
        (length < 8 && code == (1 << length) - 1).then_some(out)
    }

    fn codes() -> Vec<(u32, u8)> {
        let mut codes = vec![(0, 0); SYMBOLS];
        let mut order: Vec<usize> = (0..SYMBOLS).collect();
        order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
        let (mut code, mut last) = (0_u32, 0);
        for symbol in order {
            code <<= LENGTHS[symbol] - last;
            last = LENGTHS[symbol];
            codes[symbol] = (code, last);
            code += 1;
        }
        codes
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let codes = codes();
        let (mut out, mut bits, mut have) = (vec![], 0_u64, 0_u32);
        for byte in text {
            let (code, length) = codes[usize::from(*byte)];
            bits = bits << length | u64::from(code);
            have += u32::from(length);
            while have >= 8 {
                have -= 8;
                out.push((bits >> have) as u8);
            }
        }
        if have > 0 {
            out.push((bits << (8 - have)) as u8 | (0xff >> have));
        }
        out
    }

    fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let is_code = decode_huffman(encoded, &mut out);
        assert_eq!(&out[..6], b"before");
        assert!(is_code || out.len() == 6, "nothing is left of what is refused");
        is_code.then(|| out.split_off(6))
    }

    #[test]
    fn codes_of_the_appendix() {
        let codes = codes();
        for (symbol, code) in [
            (b'0' as usize, (0, 5)),
            (b'%' as usize, (0x15, 6)),
            (b'X' as usize, (0xfc, 8)),
            (b'{' as usize, (0x7ffe, 15)),
            (0, (0x1ff8, 13)),
            (249, (0xffffffe, 28)),
            (22, (0x3ffffffe, 30)),
            (256, (0x3fffffff, 30)),
        ] {
            assert_eq!(codes[symbol], code, "{symbol}");
        }
    }

    #[test]
    fn strings_of_the_examples() {
        for (encoded, text) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], &b"www.example.com"[..]),
            (b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", b"custom-key"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                b"Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (b"", b""),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        assert_eq!(decode(b"\x1f").as_deref(), Some(&b"a"[..]), "00011, padded");
        assert_eq!(decode(b"\x1e"), None, "padded with a zero");
        assert_eq!(decode(b"\xff"), None, "a byte of padding");
        assert_eq!(decode(b"\x1f\xff"), None);
        assert_eq!(decode(b"\xff\xff\xff\xff"), None, "the end of the string");
        assert_eq!(decode(&[0xff; 64]), None);
    }

    #[test]
    fn every_pair_of_bytes() {
        for one in 0..=255 {
            for two in 0..=255 {
                let text = [one, two, b'-', two, one, one, two, two, one, b'.', two];
                assert_eq!(decode(&encode(&text)).as_deref(), Some(&text[..]));
                assert_eq!(decode(&encode(&text[..2])).as_deref(), Some(&text[..2]));
            }
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }

        #[test]
        fn anything_is_read_by_the_definition(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                proptest::collection::vec(prop_oneof![Just(0xff), Just(0xfe), Just(0x7f), any::<u8>()], 0..40),
            ]
        ) {
            prop_assert_eq!(decode(&bytes), plainly(&bytes));
        }
    }
}
