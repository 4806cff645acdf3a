use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::schema;
use crate::{
    Completeness, Config, Connection, Details, Direction, Exchange, Role, Shared, Tag, Timestamp, kafka::KafkaDetails,
};

/// What the classes of Kafka write: see the file.
const VERSIONS: &str = include_str!("../../testdata/kafka/versions.txt");
const ID: [u8; 16] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x07, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0];

struct Sample {
    key: i16,
    version: i16,
    name: &'static str,
    request: Vec<u8>,
    response: Vec<u8>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn samples() -> Vec<Sample> {
    let lines = VERSIONS.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let words: Vec<&'static str> = line.split(' ').collect();
        let &[key, version, name, request, response] = &words[..] else { panic!("{line}") };
        let (key, version) = (key.parse().unwrap(), version.parse().unwrap());
        Sample { key, version, name, request: unhex(request), response: unhex(response) }
    });
    samples.collect()
}

/// A connection and how far it is.
struct Talk {
    connection: Connection,
    ends: [u64; 2],
    now: u64,
    told: Vec<Exchange<'static>>,
    opened: usize,
}

impl Talk {
    fn new(config: Config, shared: &Shared) -> Self {
        let connection = Connection::new(config.with_role(Some(Role::Client)), shared);
        Self { connection, ends: [0; 2], now: 0, told: Vec::new(), opened: 0 }
    }

    fn say(&mut self, is_client: bool, bytes: &[u8], piece: usize) {
        self.now += 1000;
        for part in bytes.chunks(piece) {
            let direction = if is_client { Direction::Sent } else { Direction::Received };
            let end = &mut self.ends[usize::from(is_client)];
            self.connection.handle_data(direction, *end, part, Timestamp::from_nanos(self.now), Tag::new(self.now));
            *end += part.len() as u64;
            self.drain();
        }
    }

    fn lose(&mut self, is_client: bool, length: usize) {
        self.now += 1000;
        let direction = if is_client { Direction::Sent } else { Direction::Received };
        let end = &mut self.ends[usize::from(is_client)];
        self.connection.handle_gap(direction, *end, length as u64, Timestamp::from_nanos(self.now));
        *end += length as u64;
        self.drain();
    }

    fn drain(&mut self) {
        while self.connection.poll_opened().is_some() {
            self.opened += 1;
        }
        while let Some(exchange) = self.connection.poll_exchange() {
            self.told.push(exchange.into_owned());
        }
    }

    fn close(mut self) -> Vec<Exchange<'static>> {
        self.now += 1000;
        self.connection.handle_close(Timestamp::from_nanos(self.now));
        self.drain();
        assert_eq!(self.opened, self.told.len());
        self.told
    }
}

fn details<'a>(exchange: &'a Exchange<'static>) -> &'a KafkaDetails<'static> {
    let Details::Kafka(details) = &exchange.details else { panic!("{exchange:?}") };
    details
}

fn play(sample: &Sample, piece: usize) -> Exchange<'static> {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(true, &sample.request, piece);
    talk.say(false, &sample.response, piece);
    assert_eq!(talk.told.len(), 1, "{} {}", sample.name, sample.version);
    talk.close().remove(0)
}

#[test]
fn every_version_of_every_message_is_read_to_its_end() {
    let samples = samples();
    assert!(samples.len() > 330, "{}", samples.len());
    for sample in &samples {
        let exchange = play(sample, usize::MAX);
        let what = format!("{} {}: {exchange:#?}", sample.name, sample.version);
        assert_eq!(exchange.completeness, Completeness::Complete, "{what}");
        assert_eq!(exchange.operation, sample.name, "{what}");
        assert_eq!(exchange.request.size, sample.request.len() as u64, "{what}");
        assert_eq!(exchange.response.unwrap().size, sample.response.len() as u64, "{what}");
        let told = details(&exchange);
        assert_eq!((told.api_key, told.api_version), (sample.key, sample.version), "{what}");
        assert_eq!(told.client_id.as_deref(), schema::has_client_id(sample.key, sample.version).then_some("client-a"));
        // What has its errors deep within, and what only brokers say to each other.
        let has_error = match sample.key {
            27 | 58 | 61 | 83..=87 | 90 => false,
            35 => sample.version >= 3,
            43 => sample.version >= 1,
            _ => true,
        };
        assert_eq!(exchange.error.as_deref(), has_error.then_some("UNKNOWN_TOPIC_OR_PARTITION"), "{what}");
        assert_eq!(exchange, play(sample, 1), "byte by byte");
        for piece in [2, 3, 7, 64] {
            assert_eq!(exchange, play(sample, piece), "pieces of {piece}");
        }
    }
}

#[test]
fn what_a_message_says_is_told_in_every_version() {
    for sample in samples() {
        let exchange = play(&sample, usize::MAX);
        let told = details(&exchange);
        let what = format!("{} {}: {told:#?}", sample.name, sample.version);
        let by_id = match sample.key {
            0 | 1 => sample.version >= 13,
            8 | 9 => sample.version >= 10,
            78 | 79 => true,
            _ => false,
        };
        if matches!(sample.key, 0..=3 | 8 | 9 | 19..=21 | 23 | 24 | 28 | 37 | 47 | 61 | 75 | 78 | 79) {
            assert_eq!(told.topic.as_deref(), (!by_id).then_some("topic-a"), "{what}");
            assert_eq!(told.topics.iter().next().and_then(|topic| topic.name), told.topic.as_deref(), "{what}");
        }
        if by_id {
            assert_eq!(told.topic_id, Some(ID), "{what}");
        }
        if matches!(sample.key, 0..=2 | 8 | 9 | 21 | 23 | 24 | 28 | 47 | 61 | 79) {
            assert_eq!(told.partition, Some(7), "{what}");
        }
        let has_group = matches!(sample.key, 8 | 9 | 11..=14 | 25 | 28 | 42 | 47 | 68 | 76 | 78 | 79 | 88);
        if has_group || matches!(sample.key, 15 | 69 | 77 | 89) {
            let name = if sample.key == 42 { told.group.as_deref() } else { Some("group-a") };
            assert_eq!(told.group.as_deref(), name, "{what}");
            assert!(told.group.is_some(), "{what}");
        }
        if matches!(sample.key, 11 | 12 | 14 | 68 | 76 | 88) {
            assert_eq!((told.member.as_deref(), told.generation), (Some("member-a"), Some(5)), "{what}");
        }
        if matches!(sample.key, 22 | 24..=26 | 28) || (sample.key == 0 && sample.version >= 3) {
            assert_eq!(told.transactional_id.as_deref(), Some("txn-a"), "{what}");
        }
        if matches!(sample.key, 0 | 1 | 78) {
            assert_eq!((told.records, told.batches), (Some(3), 1), "{what}");
        }
        let offset = match sample.key {
            0 | 2 | 8 | 9 | 28 if sample.key != 2 || sample.version > 0 => Some(42),
            1 => Some(42),
            21 => Some(42),
            _ => told.offset,
        };
        assert_eq!(told.offset, offset, "{what}");
        assert_eq!(told.sasl_mechanism.as_deref(), (sample.key == 17).then_some("PLAIN"), "{what}");
    }
}

/// Requests that are sent before their responses come, and these.
#[derive(Clone, Debug)]
struct Batch {
    client: Vec<u8>,
    server: Vec<u8>,
}

/// Samples by their numbers, with correlation ids that count up. Not from 0: numbers as small as the counts and
/// partitions in the messages, together with a size as small, would make a response of a place behind a loss that is none.
fn batches(picked: &[Vec<usize>]) -> Vec<Batch> {
    let samples = samples();
    let mut correlation = 100_000_u32;
    let batches = picked.iter().map(|picked| {
        let mut batch = Batch { client: Vec::new(), server: Vec::new() };
        for number in picked {
            let sample = &samples[number % samples.len()];
            let (mut request, mut response) = (sample.request.clone(), sample.response.clone());
            request[8..12].copy_from_slice(&correlation.to_be_bytes());
            response[4..8].copy_from_slice(&correlation.to_be_bytes());
            batch.client.extend(request);
            batch.server.extend(response);
            correlation += 1;
        }
        batch
    });
    batches.collect()
}

/// Up to so many requests at once.
fn conversation(depth: usize) -> impl Strategy<Value = Vec<Batch>> {
    let picked = prop::collection::vec(prop::collection::vec(any::<usize>(), 1..=depth), 1..8);
    picked.prop_map(|picked| batches(&picked))
}

/// Bytes of one side, from and until an offset of its stream.
#[derive(Clone, Copy, Debug)]
struct Lost {
    is_client: bool,
    from: usize,
    until: usize,
}

/// A loss that begins in the batch `first` or behind it.
fn lost(batches: &[Batch], is_client: bool, first: usize, from: prop::sample::Index, length: usize) -> Lost {
    let bytes = |batch: &Batch| if is_client { batch.client.len() } else { batch.server.len() };
    let total = batches.iter().map(bytes).sum::<usize>();
    let before = batches.iter().take(first).map(bytes).sum::<usize>();
    let from = before + from.index(total - before);
    Lost { is_client, from, until: (from + length).min(total) }
}

/// Plays in pieces of these sizes, one after the other, from the batch `first` on.
fn play_batches(first: usize, batches: &[Batch], sizes: &[usize], lost: Option<Lost>) -> Vec<Exchange<'static>> {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    if first > 0 {
        talk.connection.join();
    }
    let mut sizes = sizes.iter().cycle();
    let mut seen = [0_usize; 2];
    for (number, batch) in batches.iter().enumerate() {
        for (is_client, bytes) in [(true, &batch.client), (false, &batch.server)] {
            let start = seen[usize::from(is_client)];
            seen[usize::from(is_client)] += bytes.len();
            if number < first {
                talk.ends[usize::from(is_client)] += bytes.len() as u64;
                continue;
            }
            let mut at = 0;
            while at < bytes.len() {
                let mut size = (*sizes.next().unwrap()).min(bytes.len() - at);
                match lost.filter(|lost| lost.is_client == is_client) {
                    Some(Lost { from, until, .. }) if (from..until).contains(&(start + at)) => {
                        size = (until - start - at).min(bytes.len() - at);
                        talk.lose(is_client, size);
                    }
                    Some(Lost { from, .. }) if (start + at..start + at + size).contains(&from) => {
                        size = from - start - at;
                        talk.say(is_client, &bytes[at..at + size], usize::MAX);
                    }
                    _ => talk.say(is_client, &bytes[at..at + size], usize::MAX),
                }
                at += size;
            }
        }
    }
    talk.close()
}

fn touches(exchange: &Exchange<'_>, lost: Lost) -> bool {
    let message = if lost.is_client { Some(exchange.request) } else { exchange.response };
    message.is_some_and(|it| (it.offset as usize) < lost.until && lost.from < (it.offset + it.size) as usize)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(batches in conversation(6), sizes in prop::collection::vec(1..200_usize, 1..20)) {
        let strip = |mut told: Vec<Exchange<'static>>| {
            for exchange in &mut told {
                // Each call has a time and a tag of its own.
                for message in [Some(&mut exchange.request), exchange.response.as_mut()].into_iter().flatten() {
                    (message.start, message.end, message.tag) = Default::default();
                }
            }
            told
        };
        let whole = strip(play_batches(0, &batches, &[usize::MAX], None));
        prop_assert!(whole.iter().all(|it| it.completeness == Completeness::Complete && it.response.is_some()));
        prop_assert_eq!(&whole, &strip(play_batches(0, &batches, &sizes, None)));
        prop_assert_eq!(&whole, &strip(play_batches(0, &batches, &[1], None)));
    }

    /// Also of pipelines, whose responses their correlation ids tell apart.
    #[test]
    fn a_loss_costs_only_what_it_touches(
        batches in conversation(1),
        is_client in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_usize,
    ) {
        let whole = play_batches(0, &batches, &[usize::MAX], None);
        // By the first request the protocol is found. What is left of one is none: the protocol is found later then.
        let is_client = is_client && batches.len() > 1;
        let lost = lost(&batches, is_client, usize::from(is_client), from, length);
        let seen = play_batches(0, &batches, &[usize::MAX], Some(lost));
        // The one request without a client id (version 0 of the header) is not looked for behind a loss.
        let is_named = |it: &&Exchange<'static>| details(it).client_id.is_some();
        for kept in whole.iter().skip(1).filter(is_named).filter(|it| !touches(it, lost)) {
            let place = |it: &Exchange<'_>| (it.request.offset, it.response.map(|it| it.offset));
            let same = seen.iter().find(|it| place(it) == place(kept));
            prop_assert_eq!(same.map(|it| it.completeness), Some(Completeness::Complete), "{:?} {:#?}", lost, kept);
        }
    }

    /// Wherever it is joined and whatever is lost, no response is given to a request that it does not belong to.
    #[test]
    fn no_response_is_given_to_another_request(
        batches in conversation(8),
        first in 0..4_usize,
        is_client in any::<bool>(),
        from in any::<prop::sample::Index>(),
        length in 1..400_usize,
        sizes in prop::collection::vec(1..300_usize, 1..20),
    ) {
        let whole = play_batches(0, &batches, &[usize::MAX], None);
        let lost = lost(&batches, is_client, 0, from, length);
        for exchange in play_batches(first, &batches, &sizes, Some(lost)) {
            let (Some(response), Completeness::Complete) = (exchange.response, exchange.completeness) else { continue };
            let right = whole.iter().find(|it| it.request.offset == exchange.request.offset);
            prop_assert_eq!(right.and_then(|it| it.response).map(|it| it.offset), Some(response.offset), "{:?}", lost);
        }
    }
}

/// Writes messages as Kafka does.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn request(key: i16, version: i16, correlation: i32) -> Self {
        Self::default().i32(0).i16(key).i16(version).i32(correlation).text("shop")
    }

    fn response(correlation: i32) -> Self {
        Self::default().i32(0).i32(correlation)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn i8(self, value: i8) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn i16(self, value: i16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn i64(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.i16(text.len() as i16).bytes(text.as_bytes())
    }

    fn done(mut self) -> Vec<u8> {
        let size = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&size.to_be_bytes());
        self.0
    }
}

/// A record batch of the format 2 with records that nobody can read.
fn record_batch(offset: i64, records: i32, bytes: usize) -> Vec<u8> {
    let batch = Writer::default().i64(offset).i32((49 + bytes) as i32).i32(0).i8(2).i32(0).i16(0).i32(records - 1);
    batch.i64(0).i64(0).i64(-1).i16(-1).i32(-1).i32(records).bytes(&vec![0xa5; bytes]).0
}

/// Fetch of version 11: session, epoch, topics with their partitions and offsets, topics that are forgotten.
fn fetch(correlation: i32, session: (i32, i32), topics: &[(&str, &[i32])], forgotten: &[(&str, &[i32])]) -> Vec<u8> {
    let mut writer = Writer::request(1, 11, correlation).i32(-1).i32(500).i32(1).i32(1 << 20).i8(0);
    writer = writer.i32(session.0).i32(session.1).i32(topics.len() as i32);
    for (topic, partitions) in topics {
        writer = writer.text(topic).i32(partitions.len() as i32);
        for partition in *partitions {
            writer = writer.i32(*partition).i32(-1).i64(100).i64(-1).i32(1 << 20);
        }
    }
    writer = writer.i32(forgotten.len() as i32);
    for (topic, partitions) in forgotten {
        writer = partitions.iter().fold(writer.text(topic).i32(partitions.len() as i32), |it, one| it.i32(*one));
    }
    writer.text("").done()
}

fn fetched(correlation: i32, session: i32, topics: &[(&str, i32, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::response(correlation).i32(0).i16(0).i32(session).i32(topics.len() as i32);
    for (topic, partition, records) in topics {
        writer = writer.text(topic).i32(1).i32(*partition).i16(0).i64(200).i64(200).i64(0).i32(-1).i32(-1);
        writer = writer.i32(records.len() as i32).bytes(records);
    }
    writer.done()
}

/// Topics with how many partitions.
fn topics_of(exchange: &Exchange<'static>) -> String {
    let topics = details(exchange).topics.iter();
    let named: Vec<_> = topics.map(|topic| format!("{} {}", topic.name.unwrap_or("?"), topic.partitions)).collect();
    named.join(", ")
}

#[test]
fn a_fetch_session_remembers_what_it_reads() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(true, &fetch(1, (0, 0), &[("orders", &[0, 1]), ("payments", &[3])], &[]), 17);
    talk.say(false, &fetched(1, 77, &[]), 11);
    talk.say(true, &fetch(2, (77, 1), &[], &[]), 5);
    talk.say(false, &fetched(2, 77, &[("payments", 3, &record_batch(40, 7, 30))]), 9);
    talk.say(true, &fetch(3, (77, 2), &[("payments", &[3, 4])], &[("orders", &[0])]), 7);
    talk.say(false, &fetched(3, 77, &[]), 7);
    talk.say(true, &fetch(4, (77, 3), &[], &[("orders", &[1])]), 7);
    talk.say(false, &fetched(4, 77, &[]), 7);
    talk.say(true, &fetch(5, (99, 3), &[], &[]), 7);
    talk.say(false, &fetched(5, 99, &[]), 7);
    let told = talk.close();
    assert_eq!(topics_of(&told[0]), "orders 2, payments 1");
    assert_eq!(topics_of(&told[1]), "orders 2, payments 1");
    assert_eq!(topics_of(&told[2]), "orders 1, payments 2");
    assert_eq!(topics_of(&told[3]), "payments 2");
    assert_eq!(topics_of(&told[4]), "");
    let first = |number: usize| {
        let told = details(&told[number]);
        (told.topic.as_deref(), told.partition, told.offset, told.records)
    };
    assert_eq!(first(0), (Some("orders"), Some(0), Some(100), Some(0)));
    // Records tell which topic is told first. The fetch may begin within a batch.
    assert_eq!(first(1), (Some("payments"), Some(3), Some(40), Some(7)));
    assert_eq!(first(2), (Some("orders"), Some(1), None, Some(0)));
    assert_eq!(first(4), (None, None, None, Some(0)));
}

/// Produce of version 3 with one partition.
fn produce(correlation: i32, acks: i16, records: &[u8]) -> Vec<u8> {
    let writer = Writer::request(0, 3, correlation).i16(-1).i16(acks).i32(1000).i32(1).text("orders").i32(1).i32(5);
    writer.i32(records.len() as i32).bytes(records).done()
}

fn produced(correlation: i32, error: i16) -> Vec<u8> {
    Writer::response(correlation).i32(1).text("orders").i32(1).i32(5).i16(error).i64(42).i64(-1).i32(0).done()
}

#[test]
fn records_are_counted_and_what_needs_no_response_gets_none() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let batches = [record_batch(0, 3, 100), record_batch(3, 4, 200)].concat();
    talk.say(true, &produce(1, 0, &batches), 13);
    assert_eq!(talk.told.len(), 1);
    talk.say(true, &produce(2, 1, &batches), 13);
    talk.say(false, &produced(2, 0), 13);
    talk.say(true, &produce(3, 1, &batches), usize::MAX);
    talk.say(false, &produced(3, 10), usize::MAX);
    let told = talk.close();
    assert_eq!((told[0].response, told[0].completeness), (None, Completeness::Complete));
    let records: Vec<_> = told.iter().map(|it| (details(it).records, details(it).offset)).collect();
    assert_eq!(records, [(Some(7), None), (Some(7), Some(42)), (Some(7), Some(42))]);
    assert_eq!(told[2].error.as_deref(), Some("MESSAGE_TOO_LARGE"));
}

/// ControlledShutdown of version 0 is the one request without a client id: which one the others have is not known.
#[test]
fn a_request_behind_a_loss_is_found_where_no_client_id_is_known() {
    let shut_down = Writer::default().i32(0).i16(7).i16(0).i32(1).i32(9).done();
    let produced_records = produce(4, 1, &record_batch(0, 1, 2000));
    for is_seen_in_part in [false, true] {
        let mut talk = Talk::new(Config::new(), &Shared::default());
        talk.say(true, &shut_down, usize::MAX);
        talk.say(false, &Writer::response(1).i16(0).i32(0).done(), usize::MAX);
        talk.lose(true, 1);
        // A header that goes on from the first, and nothing that it can be the header of.
        let torn = Writer::default().i32(60).i16(2).i16(0).i32(3).text("shop").bytes(&[0xa5; 60]).0;
        talk.say(true, &[&produce(2, 1, &record_batch(0, 1, 9))[1..], &torn].concat(), usize::MAX);
        let (front, rest) = produced_records.split_at(if is_seen_in_part { 100 } else { 1000 });
        talk.say(true, front, usize::MAX);
        talk.say(true, rest, usize::MAX);
        talk.say(false, &produced(4, 0), usize::MAX);
        let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
        assert_eq!(told, [(1, Completeness::Complete), (4, Completeness::Complete)], "{is_seen_in_part}");
    }
}

/// Responses in any order, and one to a request that nobody saw.
#[test]
fn correlation_ids_tell_whose_response_it_is() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    for correlation in [7, 3, 900_000, i32::MIN] {
        talk.say(true, &produce(correlation, 1, &record_batch(0, 1, 9)), usize::MAX);
    }
    for correlation in [900_000, i32::MIN, 3, 4, 7] {
        talk.say(false, &produced(correlation, 0), 3);
    }
    let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    assert_eq!(told, [900_000, i32::MIN, 3, 7].map(|correlation| (correlation, Completeness::Complete)));
}

/// The Java client's authentication has the largest ids, and behind it they do not count up.
#[test]
fn a_response_behind_a_loss_is_found_where_ids_do_not_count_up() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let asked = [i32::MAX - 7, 2, 3, 0];
    for correlation in asked {
        talk.say(true, &produce(correlation, 1, &record_batch(0, 1, 9)), usize::MAX);
    }
    talk.lose(false, 45);
    for correlation in [3, 0] {
        talk.say(false, &produced(correlation, 0), usize::MAX);
    }
    let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    let expected = [Completeness::Gap, Completeness::Gap, Completeness::Complete, Completeness::Complete];
    assert_eq!(told, asked.into_iter().zip(expected).collect::<Vec<_>>());
}

/// The two directions may be told of out of order.
#[test]
fn a_response_told_of_before_its_request_waits_for_it() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let request = produce(2, 1, &record_batch(0, 1, 9));
    talk.say(true, &produce(1, 1, &record_batch(0, 1, 9)), usize::MAX);
    talk.say(false, &produced(1, 0), usize::MAX);
    talk.say(true, &request[..20], usize::MAX);
    talk.say(false, &produced(2, 0), usize::MAX);
    talk.say(false, &produced(3, 0), usize::MAX);
    assert_eq!(talk.told.len(), 1);
    talk.say(true, &request[20..], usize::MAX);
    assert_eq!(talk.told.len(), 2);
    talk.say(true, &produce(3, 1, &record_batch(0, 1, 9)), usize::MAX);
    let told = talk.close();
    assert!(told.iter().all(|it| it.completeness == Completeness::Complete), "{told:#?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn a_large_message_is_skipped_and_ends_with_its_last_byte() {
    let size = 5 << 20;
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let request = produce(1, 1, &record_batch(0, 1000, size));
    talk.say(true, &request[..200], usize::MAX);
    assert!(
        matches!(talk.connection.interest(Direction::Sent), crate::Interest::Until(end) if end + 1 == request.len() as u64)
    );
    // Nothing of what is skipped is ever seen.
    talk.ends[1] = request.len() as u64 - 1;
    talk.say(true, &request[request.len() - 1..], usize::MAX);
    let sent = talk.now;
    talk.say(false, &produced(1, 0), usize::MAX);
    let told = talk.close();
    assert_eq!((told[0].completeness, told[0].request.end), (Completeness::Complete, Timestamp::from_nanos(sent)));
    assert_eq!((told[0].request.size, details(&told[0]).records), (request.len() as u64, Some(1000)));
}

#[test]
fn a_loss_inside_a_message_costs_no_other() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let records = record_batch(0, 1, 300);
    for correlation in 1..=3 {
        let request = produce(correlation, 1, &records);
        if correlation == 2 {
            talk.say(true, &request[..30], usize::MAX);
            talk.lose(true, 40);
            talk.say(true, &request[70..], usize::MAX);
        } else {
            talk.say(true, &request, usize::MAX);
        }
        talk.say(false, &produced(correlation, 0), usize::MAX);
    }
    let told: Vec<_> =
        talk.close().iter().map(|it| (it.completeness, it.response.is_some(), details(it).records)).collect();
    let complete = (Completeness::Complete, true, Some(1));
    assert_eq!(told, [complete, (Completeness::Gap, true, None), complete]);
}

/// A broker sends records from its files, past user memory.
#[test]
fn a_fetch_whose_records_were_not_seen_does_not_say_that_there_are_none() {
    let fetch = samples().into_iter().rfind(|it| it.key == schema::FETCH).unwrap();
    for seen in [fetch.response.len(), fetch.response.len() - 1, 20, 0] {
        let mut talk = Talk::new(Config::new(), &Shared::default());
        talk.say(true, &fetch.request, usize::MAX);
        talk.say(false, &fetch.response[..seen], usize::MAX);
        if seen < fetch.response.len() {
            talk.lose(false, fetch.response.len() - seen);
        }
        let told = talk.close();
        let whole = seen == fetch.response.len();
        assert_eq!(
            (told[0].completeness == Completeness::Complete, details(&told[0]).records.is_some()),
            (whole, whole)
        );
    }
}

/// Brokers answer in order: what was asked before the next request that is answered has lost its response.
#[test]
fn requests_whose_responses_were_lost_do_not_wait_for_ever() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let records = record_batch(0, 1, 9);
    for correlation in 1..=4 {
        talk.say(true, &produce(correlation, 1, &records), usize::MAX);
    }
    talk.say(false, &produced(1, 0), usize::MAX);
    talk.lose(false, produced(2, 0).len() * 2);
    assert_eq!(talk.told.len(), 1);
    talk.say(false, &produced(4, 0), usize::MAX);
    let told: Vec<_> = talk.told.iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    let gap = Completeness::Gap;
    assert_eq!(told, [(1, Completeness::Complete), (2, gap), (3, gap), (4, Completeness::Complete)]);
}

/// Topics are learnt on one connection and known on all of them.
#[test]
fn topic_ids_are_named_by_what_any_connection_was_told() {
    let samples = samples();
    let find = |key, version| samples.iter().find(|it| (it.key, it.version) == (key, version)).unwrap();
    for teacher in [(3, 12), (19, 7), (75, 0)] {
        let shared = Shared::default();
        let fetched = |shared: &Shared| {
            let mut talk = Talk::new(Config::new(), shared);
            talk.say(true, &find(1, 16).request, 7);
            talk.say(false, &find(1, 16).response, 7);
            talk.close().remove(0)
        };
        assert_eq!(details(&fetched(&shared)).topic, None);
        assert_eq!(details(&fetched(&shared)).topic_id, Some(ID));
        let teacher = find(teacher.0, teacher.1);
        let mut talk = Talk::new(Config::new(), &shared);
        talk.say(true, &teacher.request, 7);
        talk.say(false, &teacher.response, 7);
        let named = fetched(&shared);
        assert_eq!((details(&named).topic.as_deref(), &*named.target), (Some("topic-a"), "topic-a"));
        assert_eq!(topics_of(&named), "topic-a 1");
    }
}

/// KIP-43: after a handshake of version 0 there are bytes without a header, in both directions.
#[test]
fn bytes_of_an_authentication_are_passed_over() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(true, &Writer::request(17, 0, 1).text("PLAIN").done(), 3);
    talk.say(false, &Writer::response(1).i16(0).i32(1).text("PLAIN").done(), 3);
    talk.say(true, &Writer::default().i32(0).bytes(b"\0alice\0alice-secret").done(), 3);
    talk.say(false, &Writer::default().i32(0).done(), 3);
    talk.say(true, &produce(2, 1, &record_batch(0, 1, 9)), 3);
    talk.say(false, &produced(2, 0), 3);
    let told = talk.close();
    let names: Vec<_> = told.iter().map(|it| (&*it.operation, it.completeness)).collect();
    assert_eq!(names, [("SaslHandshake", Completeness::Complete), ("Produce", Completeness::Complete)]);
    assert!(!format!("{told:?}").contains("alice"));
}

/// What answers a request is not taken for the answer of the authentication that was lost.
#[test]
fn answers_of_an_authentication_that_were_lost() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(true, &Writer::request(17, 0, 1).text("PLAIN").done(), usize::MAX);
    talk.say(false, &Writer::response(1).i16(0).i32(1).text("PLAIN").done(), usize::MAX);
    talk.say(true, &Writer::default().i32(0).bytes(b"n,,n=alice,r=abc").done(), usize::MAX);
    talk.lose(false, 30);
    talk.say(true, &Writer::default().i32(0).bytes(b"c=biws,r=abcdef").done(), usize::MAX);
    talk.lose(false, 20);
    for number in 2..5 {
        talk.say(true, &produce(number, 1, &record_batch(0, 1, 9)), usize::MAX);
        talk.say(false, &produced(number, 0), usize::MAX);
    }
    let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    assert_eq!(told, [1, 2, 3, 4].map(|number| (number, Completeness::Complete)));
}

/// The Java client keeps the largest correlation ids for its authentication.
#[test]
fn behind_an_authentication_that_was_lost_the_correlation_ids_go_on() {
    for again in [false, true] {
        let mut talk = Talk::new(Config::new(), &Shared::default());
        if again {
            talk.say(true, &produce(1, 1, &record_batch(0, 1, 9)), usize::MAX);
            talk.say(false, &produced(1, 0), usize::MAX);
        }
        talk.say(true, &Writer::request(17, 1, i32::MAX - 6).text("PLAIN").done(), usize::MAX);
        talk.say(false, &Writer::response(i32::MAX - 6).i16(0).i32(1).text("PLAIN").done(), usize::MAX);
        talk.lose(true, 40);
        talk.lose(false, 40);
        talk.say(true, &produce(3, 1, &record_batch(0, 1, 9)), usize::MAX);
        talk.say(false, &produced(3, 0), usize::MAX);
        let told = talk.close();
        let last = told.last().map(|it| (&*it.operation, it.completeness));
        assert_eq!(last, Some(("Produce", Completeness::Complete)), "{again}");
        assert_eq!(told.len(), 2 + usize::from(again));
    }
}

/// The broker does not know the version: it answers in version 0.
#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let request = Writer::request(18, 4, 0).bytes(b"\0\x05rust\x021\0").done();
    talk.say(true, &request, usize::MAX);
    talk.say(false, &Writer::response(0).i16(35).i32(1).i16(18).i16(0).i16(3).done(), usize::MAX);
    let told = talk.close();
    assert_eq!((told[0].error.as_deref(), told[0].completeness), (Some("UNSUPPORTED_VERSION"), Completeness::Complete));
}

/// Lengths that are not true, in every place: nothing panics, and the next messages are read.
#[test]
fn every_prefix_and_every_flip_of_every_message() {
    let after = samples().into_iter().find(|sample| (sample.key, sample.version) == (18, 3)).unwrap();
    for sample in samples() {
        for at in 0..sample.request.len().max(sample.response.len()) {
            for flip in [0xff, 0x01] {
                let mut talk = Talk::new(Config::new(), &Shared::default());
                let damage = |bytes: &[u8]| {
                    let mut bytes = bytes.to_vec();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= flip;
                    }
                    bytes
                };
                talk.say(true, &damage(&sample.request), usize::MAX);
                talk.say(false, &damage(&sample.response), usize::MAX);
                talk.say(true, &after.request, usize::MAX);
                talk.say(false, &after.response, usize::MAX);
                talk.close();
            }
            let mut talk = Talk::new(Config::new(), &Shared::default());
            talk.say(true, sample.request.get(..at).unwrap_or(&sample.request), usize::MAX);
            talk.say(false, sample.response.get(..at).unwrap_or(&sample.response), usize::MAX);
            talk.close();
        }
    }
}

#[test]
fn an_idle_parser_keeps_little_and_a_hostile_one_is_bounded() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    for correlation in 0..20_000 {
        talk.say(true, &produce(correlation, 1, &record_batch(0, 1, 9)), usize::MAX);
        talk.told.clear();
    }
    assert!(talk.connection.memory() < 1024 * 1024, "{}", talk.connection.memory());
    for correlation in 19_000..20_000 {
        talk.say(false, &produced(correlation, 0), usize::MAX);
        talk.told.clear();
    }
    talk.connection.shrink();
    talk.say(false, &produced(19_999, 0), usize::MAX);
    for session in 1..5000 {
        talk.say(true, &fetch(20_000 + session, (0, 0), &[(&"t".repeat(249), &[0])], &[]), usize::MAX);
        talk.say(false, &fetched(20_000 + session, session, &[]), usize::MAX);
        talk.told.clear();
    }
    assert!(talk.connection.memory() < 128 * 1024, "{}", talk.connection.memory());
}

/// Behind a hole that nobody told of, where several responses wait: what was seen of the requests is answered as it was.
#[test]
fn responses_behind_a_hole_are_those_of_requests_that_were_seen() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    let api_versions = Writer::request(18, 1, 0).done();
    talk.connection.expect(Direction::Received, 0);
    talk.say(true, &api_versions, usize::MAX);
    talk.ends[0] = 384;
    for correlation in 1..=4 {
        let request = produce(correlation, 1, &record_batch(0, 1, 9));
        if correlation > 2 {
            talk.say(true, &request, usize::MAX);
        } else {
            talk.ends[1] += request.len() as u64;
        }
        talk.say(false, &produced(correlation, 0), usize::MAX);
    }
    let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    let complete = Completeness::Complete;
    assert_eq!(told, [(0, Completeness::Gap), (3, complete), (4, complete)]);
}

/// What is kept of a chunk, in case a response begins there, is not where the chunk began.
#[test]
fn the_end_of_a_lost_response_is_no_response() {
    let mut talk = Talk::new(Config::new(), &Shared::default());
    talk.say(true, &Writer::request(18, 1, 0).done(), usize::MAX);
    talk.lose(false, 384);
    // With the first byte of what follows: 256 bytes for the correlation id 0.
    talk.say(false, &[0xa5, 0xa5, 0xa5, 0, 0, 1, 0, 0, 0, 0], usize::MAX);
    talk.say(true, &produce(3, 1, &record_batch(0, 1, 9)), usize::MAX);
    talk.say(false, &produced(3, 0), usize::MAX);
    let told: Vec<_> = talk.close().iter().map(|it| (details(it).correlation_id, it.completeness)).collect();
    assert_eq!(told, [(0, Completeness::Gap), (3, Completeness::Complete)]);
}
