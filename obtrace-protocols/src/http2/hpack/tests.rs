use alloc::{
    collections::VecDeque,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

type Told = Vec<(Option<String>, Option<String>)>;

fn told(decoder: &mut Decoder, block: &[u8]) -> Result<Told, Error> {
    let mut out = vec![];
    let mut fields = decoder.decode(block);
    while let Some(field) = fields.next()? {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        out.push((field.name.map(text), field.value.map(text)));
    }
    Ok(out)
}

/// `name: value` lines.
fn lines(told: &Told) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_string());
    told.iter().map(|(name, value)| [text(name), text(value)].join(": ")).collect()
}

/// [RFC 7541 Appendix C](https://www.rfc-editor.org/rfc/rfc7541#appendix-C): blocks, their fields, the size of the
/// table behind each.
#[test]
fn examples_of_the_appendix() {
    let requests: &[(&str, &[&str], usize)] = &[
        (
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
            57,
        ),
        (
            "8286 84be 5808 6e6f 2d63 6163 6865",
            &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
            110,
        ),
        (
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            &[
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value",
            ],
            164,
        ),
    ];
    let with_huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    let mut plain = Decoder::new();
    let mut coded = Decoder::new();
    for ((block, fields, size), huffman) in requests.iter().zip(with_huffman) {
        for (decoder, block) in [(&mut plain, *block), (&mut coded, huffman)] {
            assert_eq!(lines(&told(decoder, &hex(block)).unwrap()), *fields);
            assert_eq!(decoder.table.size(), *size);
        }
    }
}

#[test]
fn responses_of_the_appendix_evict() {
    let mut decoder = Decoder::new();
    // The examples' table has 256 bytes.
    told(&mut decoder, &[0x3f, 0xe1, 0x01]).unwrap();
    let blocks = [
        (
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            4,
            222,
        ),
        ("4883 640e ffc1 c0bf", 4, 222),
        (
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            6,
            215,
        ),
    ];
    let mut last = vec![];
    for (block, count, size) in blocks {
        last = lines(&told(&mut decoder, &hex(block)).unwrap());
        assert_eq!((last.len(), decoder.table.size()), (count, size));
    }
    assert_eq!(
        last,
        [
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            "location: https://www.example.com",
            "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
        ]
    );
    assert_eq!(decoder.table.count(), 3);
}

#[test]
fn what_was_put_in_before_is_unknown_until_it_is_replaced() {
    let mut decoder = Decoder::new();
    decoder.forget();
    // An entry that was not seen, a name of one, what is in the static table.
    let block = [0xbe, 0x0f, 0x2f, 1, b'v', 0x82];
    assert_eq!(lines(&told(&mut decoder, &block).unwrap()), ["?: ?", "?: v", ":method: GET"]);
    assert!(decoder.has_unknown());
    // A new one is the newest; the one before it is still unknown.
    told(&mut decoder, &[0x40, 1, b'a', 1, b'b']).unwrap();
    assert_eq!(lines(&told(&mut decoder, &[0xbe, 0xbf]).unwrap()), ["a: b", "?: ?"]);
    // A name that was not seen with a value that was.
    told(&mut decoder, &[0x7f, 0x00, 1, b'c']).unwrap();
    assert_eq!(lines(&told(&mut decoder, &[0xbe, 0xbf]).unwrap()), ["?: c", "a: b"]);
    // Once the table must be full of what was seen, an index that is too large is a mistake.
    let long = vec![b'x'; 100];
    for _ in 0..33 {
        told(&mut decoder, &[&[0x40, 1, b'n', 100][..], &long].concat()).unwrap();
    }
    assert!(!decoder.has_unknown());
    assert_eq!(told(&mut decoder, &[0xff, 0x80, 0x02]), Err(Error::Index));
    assert!(decoder.has_unknown(), "what comes behind a mistake is not known");
    // So is a table that the encoder emptied.
    assert_eq!(told(&mut decoder, &[0x20, 0x3f, 0xe1, 0x1f, 0x82]).map(|told| told.len()), Ok(1));
    assert!(!decoder.has_unknown());
}

#[test]
fn what_is_wrong_is_said() {
    let read = |block: &[u8]| told(&mut Decoder::new(), block);
    assert_eq!(read(&[0x80]), Err(Error::Index), "index 0");
    assert_eq!(read(&[0xbe]), Err(Error::Index));
    assert_eq!(read(&[0x7f]), Err(Error::Truncated));
    assert_eq!(read(&[0x40, 1]), Err(Error::Truncated));
    assert_eq!(read(&[0x40, 1, b'a', 0x81, 0xff]), Err(Error::Huffman));
    assert_eq!(read(&[0x40, 0x81, 0x00, 0]), Err(Error::Huffman));
    assert_eq!(read(&[0x00, 0x81, 0xff, 0]), Err(Error::Huffman));
    assert_eq!(read(&[0x3f, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(Error::Integer));
    assert_eq!(read(&[0x3f, 0xe2, 0x1f]), Err(Error::TableSize), "4097");
    assert_eq!(read(&[]), Ok(vec![]));
}

#[test]
fn an_entry_that_does_not_fit_empties_the_table() {
    let mut decoder = Decoder::new();
    told(&mut decoder, &[0x40, 1, b'a', 1, b'b']).unwrap();
    let large = [&[0x40, 1, b'n', 0x7f, 0x81, 0x20][..], &[b'x'; 4224]].concat();
    let fields = told(&mut decoder, &large).unwrap();
    assert_eq!(fields[0].1.as_ref().map(String::len), Some(4224), "it is told all the same");
    assert_eq!(decoder.table.count(), 0);
    assert_eq!(told(&mut decoder, &[0xbe]), Err(Error::Index));
}

#[test]
fn fields_that_nobody_asks_for_are_read_all_the_same() {
    let mut decoder = Decoder::new();
    drop(decoder.decode(&[0x40, 1, b'a', 1, b'b', 0x40, 1, b'c', 1, b'd']));
    assert_eq!(lines(&told(&mut decoder, &[0xbe, 0xbf]).unwrap()), ["c: d", "a: b"]);
}

#[test]
fn a_listener_keeps_no_secret() {
    let mut decoder = Decoder::listening();
    let block = [
        &[0x40, 13][..],
        b"authorization",
        &[6],
        b"s3cret",
        &[0x60, 6],
        b"s3cret",
        &[0x44, 2],
        b"/p",
        &[0x10, 5],
        b"token",
        &[6],
        b"s3cret",
    ]
    .concat();
    let mut fields = decoder.decode(&block);
    assert_eq!(fields.next_known(), Ok(Some((Name::Path, Some(&b"/p"[..])))));
    assert_eq!(fields.next_known(), Ok(None));
    drop(fields);
    assert_eq!(decoder.table.size(), 32 + 13 + 6 + 32 + 6 + 6 + 32 + 5 + 2, "it counts as with the encoder");
    let held: Vec<u8> = decoder.table.texts_mut().clone();
    assert!(!held.windows(6).any(|part| part == b"s3cret"));
    let mut fields = decoder.decode(&[0xbe, 0xbf, 0xc0]);
    assert_eq!(fields.next_known(), Ok(Some((Name::Path, Some(&b"/p"[..])))));
    assert_eq!(fields.next_known(), Ok(None));
}

#[test]
fn a_large_table_is_held_in_part() {
    let mut decoder = Decoder::new();
    decoder.set_limit(1 << 30);
    told(&mut decoder, &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x03]).unwrap();
    let entry = [&[0x40, 1, b'n', 0x7f, 0xd0, 0x0e][..], &[b'x'; 1999]].concat();
    for _ in 0..100 {
        told(&mut decoder, &entry).unwrap();
    }
    assert!(decoder.memory() < 256 * 1024, "{}", decoder.memory());
    assert!(lines(&told(&mut decoder, &[0xbe]).unwrap())[0].starts_with("n: xxx"));
    assert_eq!(lines(&told(&mut decoder, &[0xff, 0x22]).unwrap()), ["?: ?"]);
    decoder.shrink();
    assert!(decoder.memory() < 80 * 1024, "{}", decoder.memory());
}

/// An encoder that does anything the specification allows.
#[derive(Default)]
struct Encoder {
    /// Newest first.
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    max: usize,
}

impl Encoder {
    fn put_integer(out: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
        let mask = (1 << prefix) - 1;
        if value < mask {
            out.push(first | value as u8);
            return;
        }
        out.push(first | mask as u8);
        let mut left = value - mask;
        while left >= 128 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }

    fn put_string(out: &mut Vec<u8>, text: &[u8]) {
        Self::put_integer(out, 0, 7, text.len());
        out.extend_from_slice(text);
    }

    fn size(&self) -> usize {
        self.table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
    }

    fn field(&mut self, out: &mut Vec<u8>, choice: u8, name: &[u8], value: &[u8]) {
        let place = self.table.iter().position(|entry| entry.0 == name && entry.1 == value);
        if let Some(place) = place.filter(|_| !choice.is_multiple_of(4)) {
            return Self::put_integer(out, 0x80, 7, place + 62);
        }
        let named = self.table.iter().position(|entry| entry.0 == name).filter(|_| !choice.is_multiple_of(3));
        let index = named.map_or(0, |place| place + 62);
        let (first, prefix) = [(0x40, 6), (0x40, 6), (0x00, 4), (0x10, 4)][usize::from(choice / 8 % 4)];
        Self::put_integer(out, first, prefix, index);
        if index == 0 {
            Self::put_string(out, name);
        }
        Self::put_string(out, value);
        if first == 0x40 {
            self.table.push_front((name.to_vec(), value.to_vec()));
            while self.size() > self.max {
                self.table.pop_back();
            }
        }
    }

    fn resize(&mut self, out: &mut Vec<u8>, max: usize) {
        Self::put_integer(out, 0x20, 5, max);
        self.max = max;
        while self.size() > self.max {
            self.table.pop_back();
        }
    }
}

proptest! {
    /// A decoder from the beginning knows every field; one that joins later knows the same or nothing, and in the end
    /// the same.
    #[test]
    fn a_decoder_that_joins_never_guesses(
        blocks in proptest::collection::vec(
            (proptest::option::of(0..600_usize), proptest::collection::vec((any::<u8>(), 0..6_u8, 0..8_u8), 1..6)), 1..40),
        first in 0..10_usize,
    ) {
        let mut encoder = Encoder { max: 4096, ..Encoder::default() };
        let (mut whole, mut joined) = (Decoder::new(), Decoder::new());
        joined.forget();
        for (number, (max, fields)) in blocks.iter().enumerate() {
            let (mut block, mut expected) = (vec![], vec![]);
            if let Some(max) = max {
                encoder.resize(&mut block, *max);
            }
            for (choice, name, value) in fields {
                let name = ["a", ":path", "x-long-name", "grpc-status", "traceparent", "cookie"][usize::from(*name)];
                let value = "0123456789".repeat(usize::from(*value)) + name;
                encoder.field(&mut block, *choice, name.as_bytes(), value.as_bytes());
                expected.push((Some(name.to_string()), Some(value)));
            }
            prop_assert_eq!(told(&mut whole, &block), Ok(expected.clone()));
            prop_assert!(whole.table.size() == encoder.size());
            if number < first {
                continue;
            }
            let unsure = joined.has_unknown();
            let found = told(&mut joined, &block);
            prop_assert!(found.is_ok(), "{:?}", found);
            for (found, known) in found.unwrap().iter().zip(&expected) {
                prop_assert!(found.0.is_none() || found.0 == known.0);
                prop_assert!(found.1.is_none() || found.1 == known.1);
                prop_assert!(unsure || found == known);
            }
        }
    }

    #[test]
    fn anything_is_read_in_bounds(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..10)) {
        let mut decoder = Decoder::new();
        for block in &blocks {
            let _ = told(&mut decoder, block);
            prop_assert!(decoder.table.size() <= DEFAULT_TABLE_SIZE);
        }
    }
}
