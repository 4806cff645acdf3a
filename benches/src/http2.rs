//! HTTP/2's header blocks beside loona-hpack.

use obtrace_protocols::http2::hpack::Decoder;

use crate::harness::{Goals, Group, Run};

/// The requests of RFC 7541 C.4, Huffman coded, in the order in which a connection has them.
const REQUESTS: [&[u8]; 3] = [
    b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
    b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
    b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
];

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn ours(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut out = Vec::new();
    let mut fields = decoder.decode(block);
    while let Some(field) = fields.next().expect("a block") {
        out.push((field.name.expect("a name").to_vec(), field.value.expect("a value").to_vec()));
    }
    out
}

/// What must be looked at to know all fields.
fn sums(decoder: &mut Decoder, block: &[u8]) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut fields = decoder.decode(block);
    while let Ok(Some(field)) = fields.next() {
        count += 1;
        bytes += field.name.map_or(0, <[u8]>::len) + field.value.map_or(0, <[u8]>::len);
    }
    (count, bytes)
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let (mut decoder, mut peer) = (Decoder::new(), loona_hpack::Decoder::new());
    for block in REQUESTS {
        assert_eq!(ours(&mut decoder, block), peer.decode(block).expect("a block"));
    }
    // The table is full: what it evicts gives place to what comes.
    for block in REQUESTS.repeat(200) {
        sums(&mut decoder, block);
    }
    // The index of an entry is the same again when the three have come once more.
    let bytes = REQUESTS.iter().map(|block| block.len()).sum();
    let outcome = Group::new("HPACK: the requests of RFC 7541 C.4", "block", REQUESTS.len())
        .add("obtrace-protocols", bytes, || REQUESTS.map(|block| sums(&mut decoder, block)))
        .add("loona-hpack", bytes, || REQUESTS.map(|block| peer.decode(block).map(|fields| fields.len()).ok()))
        .run(run);
    goals.ratio("HPACK: times loona-hpack", outcome.nanos[1] / outcome.nanos[0], 50.0, 25.0);
    goals.no_allocations("HPACK", outcome.allocations[0]);
}
