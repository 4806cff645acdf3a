//! Kafka's messages beside kafka-protocol.

use bytes::{Buf, Bytes};
use kafka_protocol::{
    messages::{FetchResponse, ProduceRequest, RequestHeader, ResponseHeader},
    protocol::Decodable,
};
use obtrace_protocols::kafka::message::{Value, read_request, read_response};

use crate::harness::{Goals, Group, Run};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const FETCH_VERSION: i16 = 16;
const BATCH: usize = 1300;

/// A batch of the format 2 with ten records that nobody reads.
fn batch() -> Vec<u8> {
    let mut out = vec![0; BATCH];
    let length = u32::try_from(BATCH - 12).expect("a short batch");
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[16] = 2;
    out[57..61].copy_from_slice(&10_u32.to_be_bytes());
    out
}

/// Puts the size in front.
fn framed(body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).expect("a short message");
    [&size.to_be_bytes(), body].concat()
}

/// Records with their compact length in front, and nothing tagged behind.
fn records() -> Vec<u8> {
    // 1301 in groups of seven bits.
    [&[0x95, 0x0a][..], &batch(), b"\0"].concat()
}

/// Two partitions of one topic.
fn produce() -> Vec<u8> {
    let head = b"\0\0\0\x09\0\0\x30\x39\0\x0dshop-checkout\0\0\xff\xff\0\0\x75\x30\x02\x07orders\x03";
    let partitions = [1_u32, 2].map(|partition| [&partition.to_be_bytes()[..], &records()].concat());
    framed(&[head, &partitions.concat()[..], b"\0\0"].concat())
}

/// The same two partitions of a topic that is told by its id.
fn fetched() -> Vec<u8> {
    let head =
        b"\0\0\x30\x39\0\0\0\0\0\0\0\0\0\0\0\x02\xe1\xa3\x64\x7b\x47\x99\x4e\x2e\xa3\xfd\x02\x3b\xc9\x2b\x8c\x98\x03";
    let partitions = [1_u32, 2].map(|partition| {
        let numbers = [&b"\0\0"[..], &[0; 24], b"\0\xff\xff\xff\xff"].concat();
        [&partition.to_be_bytes()[..], &numbers, &records()].concat()
    });
    framed(&[head, &partitions.concat()[..], b"\0\0"].concat())
}

/// What both know of a request of Produce.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Produced {
    version: i16,
    correlation: i32,
    client: usize,
    acks: i16,
    topics: usize,
    names: usize,
    partitions: i32,
    bytes: u64,
}

fn produced(bytes: &[u8]) -> Option<Produced> {
    let mut told = Produced::default();
    let header = read_request(bytes, |value| match value {
        Value::ClientId(name) => told.client = name.len(),
        Value::Acks(acks) => told.acks = acks,
        Value::Topic(name) => {
            told.topics += 1;
            told.names += name.len();
        }
        Value::Partition(number) => told.partitions += number,
        Value::Batch { size, .. } => told.bytes += size,
        _ => {}
    })
    .ok()?;
    assert_eq!(header.api_key, PRODUCE);
    Some(Produced { version: header.api_version, correlation: header.correlation_id, ..told })
}

fn peer_produced(mut bytes: Bytes) -> Option<Produced> {
    bytes.advance(4);
    let header = RequestHeader::decode(&mut bytes, 2).ok()?;
    let request = ProduceRequest::decode(&mut bytes, header.request_api_version).ok()?;
    let mut told = Produced {
        version: header.request_api_version,
        correlation: header.correlation_id,
        client: header.client_id.map_or(0, |name| name.len()),
        acks: request.acks,
        ..Produced::default()
    };
    for topic in &request.topic_data {
        told.topics += 1;
        told.names += topic.name.len();
        for partition in &topic.partition_data {
            told.partitions += partition.index;
            told.bytes += partition.records.as_ref().map_or(0, |records| records.len() as u64);
        }
    }
    Some(told)
}

/// What both know of a response to Fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fetched {
    correlation: i32,
    topics: u128,
    partitions: i32,
    errors: i16,
    bytes: u64,
}

fn fetched_by(bytes: &[u8]) -> Option<Fetched> {
    let mut told = Fetched::default();
    let correlation = read_response(bytes, FETCH, FETCH_VERSION, |value| match value {
        Value::TopicId(id) => told.topics ^= u128::from_be_bytes(id),
        Value::Partition(number) => told.partitions += number,
        Value::Error(code) => told.errors += code.get(),
        Value::Batch { size, .. } => told.bytes += size,
        _ => {}
    })
    .ok()?;
    Some(Fetched { correlation, ..told })
}

fn peer_fetched(mut bytes: Bytes) -> Option<Fetched> {
    bytes.advance(4);
    let header = ResponseHeader::decode(&mut bytes, 1).ok()?;
    let response = FetchResponse::decode(&mut bytes, FETCH_VERSION).ok()?;
    let mut told = Fetched { correlation: header.correlation_id, errors: response.error_code, ..Fetched::default() };
    for topic in &response.responses {
        told.topics ^= topic.topic_id.as_u128();
        for partition in &topic.partitions {
            told.partitions += partition.partition_index;
            told.errors += partition.error_code;
            told.bytes += partition.records.as_ref().map_or(0, |records| records.len() as u64);
        }
    }
    Some(told)
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let bytes = produce();
    let shared = Bytes::from(bytes.clone());
    let told = produced(&bytes).expect("a request");
    assert_eq!((told.client, told.partitions, told.bytes), (13, 3, 2 * BATCH as u64));
    assert_eq!(Some(told), peer_produced(shared.clone()));
    let outcome = Group::new("Kafka: Produce, version 9, 2 partitions", "request", 1)
        .add("obtrace-protocols", bytes.len(), || produced(&bytes))
        .add("kafka-protocol", bytes.len(), || peer_produced(shared.clone()))
        .run(run);
    goals.ratio("Kafka Produce: times kafka-protocol", outcome.nanos[1] / outcome.nanos[0], 1.5, 1.2);
    goals.no_allocations("Kafka Produce", outcome.allocations[0]);

    let bytes = fetched();
    let shared = Bytes::from(bytes.clone());
    let told = fetched_by(&bytes).expect("a response");
    assert_eq!((told.partitions, told.bytes), (3, 2 * BATCH as u64));
    assert_eq!(Some(told), peer_fetched(shared.clone()));
    let outcome = Group::new("Kafka: response to Fetch, version 16, 2 partitions", "response", 1)
        .add("obtrace-protocols", bytes.len(), || fetched_by(&bytes))
        .add("kafka-protocol", bytes.len(), || peer_fetched(shared.clone()))
        .run(run);
    goals.ratio("Kafka response to Fetch: times kafka-protocol", outcome.nanos[1] / outcome.nanos[0], 1.5, 1.2);
    goals.no_allocations("Kafka response to Fetch", outcome.allocations[0]);
}
