//! A DNS response beside simple-dns: CNAME and four addresses, names compressed.

use obtrace_protocols::dns::message::{Message, Name, RecordData};
use simple_dns::{Packet, rdata::RData};

use crate::harness::{Goals, Group, Run};

fn response() -> Vec<u8> {
    let mut out = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 5, 0, 0, 0, 0];
    out.extend_from_slice(b"\x03www\x07example\x03com\0\0\x01\0\x01");
    // The question's name stands at 12, `example.com` in it at 16.
    out.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x07\x04edge\xc0\x10");
    let alias = u8::try_from(out.len() - 7).expect("a short message");
    for last in 1..=4 {
        out.extend_from_slice(&[0xc0, alias, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    }
    out
}

/// What both are asked for: everything that a span says of a response, and every record read to its data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answer {
    id: u16,
    rcode: u16,
    questions: u32,
    kind: u16,
    question_length: usize,
    owner_lengths: usize,
    alias_length: usize,
    ttls: u32,
    addresses: u32,
}

fn length(name: &Name<'_>) -> usize {
    name.labels().map(|label| label.len() + 1).sum()
}

fn ours(bytes: &[u8]) -> Option<Answer> {
    let message = Message::new(bytes).ok()?;
    let mut answer = Answer { id: message.id(), rcode: message.header_rcode().number(), ..Answer::default() };
    for question in message.questions() {
        let question = question.ok()?;
        answer.questions += 1;
        answer.kind = question.kind.number();
        answer.question_length = length(&question.name);
    }
    for record in message.answers() {
        let record = record.ok()?;
        answer.owner_lengths += length(&record.name);
        answer.ttls += record.ttl;
        match record.data() {
            RecordData::A(address) => answer.addresses ^= u32::from(address),
            RecordData::Name(name) => answer.alias_length += length(&name),
            _ => {}
        }
    }
    Some(answer)
}

fn peer(bytes: &[u8]) -> Option<Answer> {
    let length = |name: &simple_dns::Name<'_>| name.as_bytes().map(|label| label.len() + 1).sum::<usize>();
    let packet = Packet::parse(bytes).ok()?;
    let mut answer = Answer { id: packet.id(), rcode: packet.rcode() as u16, ..Answer::default() };
    for question in &packet.questions {
        answer.questions += 1;
        answer.kind = question.qtype.into();
        answer.question_length = length(&question.qname);
    }
    for record in &packet.answers {
        answer.owner_lengths += length(&record.name);
        answer.ttls += record.ttl;
        match &record.rdata {
            RData::A(address) => answer.addresses ^= address.address,
            RData::CNAME(name) => answer.alias_length += length(&name.0),
            _ => {}
        }
    }
    Some(answer)
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let bytes = response();
    assert_eq!(ours(&bytes), peer(&bytes));
    assert_eq!(ours(&bytes).map(|answer| (answer.kind, answer.ttls, answer.alias_length)), Some((1, 540, 17)));
    let outcome = Group::new("DNS response: CNAME and 4 addresses", "message", 1)
        .add("obtrace-protocols", bytes.len(), || ours(&bytes))
        .add("simple-dns", bytes.len(), || peer(&bytes))
        .run(run);
    goals.ratio("DNS: times simple-dns", outcome.nanos[1] / outcome.nanos[0], 4.0, 2.5);
    goals.no_allocations("DNS", outcome.allocations[0]);
}
