//! What is told of an exchange that only Kafka has.

use alloc::borrow::Cow;

use super::{error::ErrorCode, request::Part};
use crate::exchange::own;

/// What only Kafka has. What neither the request nor the response says, and what was lost of them, is `None` or empty.
///
/// Names and ids of clients, groups, members and transactions are cut after 255 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct KafkaDetails<'a> {
    /// What was asked for, as a number: 0 is Produce, 1 is Fetch
    /// ([list](https://kafka.apache.org/protocol.html#protocol_api_keys)).
    pub api_key: i16,
    /// The version of the request and of the response.
    pub api_version: i16,
    /// What the response is known by.
    pub correlation_id: i32,
    /// `client.id` of the client's settings.
    pub client_id: Option<Cow<'a, str>>,
    /// The topics, 16 at most. Of an incremental fetch all topics of its session, if its beginning was seen.
    pub topics: Topics<'a>,
    /// How many topics there are.
    pub topic_count: u32,
    /// How many partitions of all topics. In a fetch session those beyond the 64th of a topic are not counted.
    pub partition_count: u32,
    /// The topic that the next three fields are about: of a fetch the first that records came of, else the first one.
    /// `None` also if only its id was sent, and nobody was seen asking for its name.
    pub topic: Option<Cow<'a, str>>,
    /// Its id, where the version has ids and not names (KIP-516).
    pub topic_id: Option<[u8; 16]>,
    /// The first partition of it.
    pub partition: Option<i32>,
    /// Of Produce: where the broker put the first record. Of Fetch: the first record that came, or where the consumer
    /// waits for one. Of OffsetCommit, OffsetFetch and TxnOffsetCommit: what is committed. Of ListOffsets: what was
    /// found.
    pub offset: Option<i64>,
    /// How many records were sent or fetched, all partitions together, as the heads of their batches say. `None` if
    /// some are compressed in the formats 0 and 1, which do not say it, if not all of it was seen, and if neither can have
    /// records.
    pub records: Option<u64>,
    /// Bytes of the records as they passed.
    pub record_bytes: u64,
    /// How many batches hold them (messages, in the formats 0 and 1).
    pub batches: u32,
    /// The consumer group.
    pub group: Option<Cow<'a, str>>,
    /// The member of the group; when it joins the one that the coordinator names.
    pub member: Option<Cow<'a, str>>,
    /// Generation of the group, or epoch of the member (KIP-848).
    pub generation: Option<i32>,
    /// `transactional.id` of the producer's settings.
    pub transactional_id: Option<Cow<'a, str>>,
    /// Of Produce: how many brokers have to have the records before it is answered, -1 for all in sync. With 0 there is
    /// no response.
    pub acks: Option<i16>,
    /// Of Fetch: the fetch session (KIP-227), 0 for none.
    pub session_id: Option<i32>,
    /// The broker that fetches, as a replica. `None` of a consumer.
    pub replica: Option<i32>,
    /// Of SaslHandshake: the mechanism, if it is a known one.
    pub sasl_mechanism: Option<Cow<'a, str>>,
    /// The first error in the response.
    pub error_code: Option<ErrorCode>,
    /// How many errors the response has: one of a request, or of a topic, partition, group or resource.
    pub errors: u32,
    /// How long the broker held the response back for a quota, in milliseconds.
    pub throttle_time_ms: Option<u32>,
}

impl KafkaDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> KafkaDetails<'static> {
        KafkaDetails {
            api_key: self.api_key,
            api_version: self.api_version,
            correlation_id: self.correlation_id,
            client_id: self.client_id.map(own),
            topics: self.topics.into_owned(),
            topic_count: self.topic_count,
            partition_count: self.partition_count,
            topic: self.topic.map(own),
            topic_id: self.topic_id,
            partition: self.partition,
            offset: self.offset,
            records: self.records,
            record_bytes: self.record_bytes,
            batches: self.batches,
            group: self.group.map(own),
            member: self.member.map(own),
            generation: self.generation,
            transactional_id: self.transactional_id.map(own),
            acks: self.acks,
            session_id: self.session_id,
            replica: self.replica,
            sasl_mechanism: self.sasl_mechanism.map(own),
            error_code: self.error_code,
            errors: self.errors,
            throttle_time_ms: self.throttle_time_ms,
        }
    }
}

/// The topics of an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics<'a> {
    text: Cow<'a, str>,
    parts: Cow<'a, [Part]>,
}

/// One topic of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic<'a> {
    /// Its name. `None` if only its id is known.
    pub name: Option<&'a str>,
    /// Its id, where that was sent.
    pub id: Option<[u8; 16]>,
    /// Its first partition; `None` if none was named.
    pub partition: Option<i32>,
    /// How many of its partitions.
    pub partitions: u32,
}

impl<'a> Topics<'a> {
    pub(super) fn new(text: &'a str, parts: &'a [Part]) -> Self {
        Self { text: Cow::Borrowed(text), parts: Cow::Borrowed(parts) }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Topic<'_>> {
        self.parts.iter().map(|part| Topic {
            name: part.name.get(&self.text),
            id: part.id(),
            partition: part.partition,
            partitions: part.partitions,
        })
    }

    fn into_owned(self) -> Topics<'static> {
        Topics { text: own(self.text), parts: Cow::Owned(self.parts.into_owned()) }
    }
}
