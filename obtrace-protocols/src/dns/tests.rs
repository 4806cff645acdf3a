use alloc::{vec, vec::Vec};

use super::message::{Message, MessageError};
use crate::{Completeness, Config, Connection, Direction, Role, Shared, Tag, Timestamp};

const QUERY: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
const RESPONSE: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
    \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";

/// Reads everything of a message that can be read; how many labels that took.
fn read(bytes: &[u8]) -> Result<usize, MessageError> {
    let message = Message::new(bytes)?;
    let mut labels = 0;
    for question in message.questions() {
        labels += question?.name.labels().count();
    }
    for record in message.records() {
        let record = record?;
        labels += record.name.labels().count();
        core::hint::black_box(record.data());
    }
    Ok(labels)
}

#[test]
fn names_follow_pointers() {
    let message = Message::new(RESPONSE).unwrap();
    let names: Vec<_> = message.records().map(|record| alloc::format!("{:?}", record.unwrap().name)).collect();
    assert_eq!(names, ["\"www.example.com\"", "\"cdn.example.com\""]);
    assert_eq!(message.end(), Ok(RESPONSE.len()));
}

#[test]
fn every_prefix_and_every_damaged_byte_is_read_without_a_panic() {
    for end in 0..RESPONSE.len() {
        assert!(read(&RESPONSE[..end]).is_err(), "{end}");
        for byte in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
            let mut bytes = RESPONSE.to_vec();
            bytes[end] = byte;
            let _ = read(&bytes);
        }
    }
}

/// A chain of pointers, each to the one before it: names behind too many of them are broken, and cost no more.
#[test]
fn chains_of_pointers_are_cut() {
    let records = 1000_u16;
    let mut bytes = b"\0\x01\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
    bytes[6..8].copy_from_slice(&records.to_be_bytes());
    let mut target = 12_u16;
    for _ in 0..records {
        let at = bytes.len() as u16;
        bytes.extend_from_slice(&(0xc000 | target).to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 1, 0, 0]);
        target = at;
    }
    let message = Message::new(&bytes).unwrap();
    let found = message.records().map(|record| {
        let mut labels = record.unwrap().name.labels();
        (labels.by_ref().count(), labels.is_broken())
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found.iter().filter(|&&it| it == (1, false)).count(), 127);
    assert_eq!(found.iter().filter(|&&it| it == (0, true)).count(), usize::from(records) - 127);
}

#[test]
fn a_name_that_points_to_itself_or_forward_is_refused() {
    for low in [0x21, 0x22, 0x0b, 0] {
        let mut bytes = RESPONSE.to_vec();
        bytes[34] = low;
        assert_eq!(read(&bytes), Err(MessageError::Name), "{low}");
    }
}

#[test]
fn an_idle_parser_keeps_little() {
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    let at = Timestamp::from_nanos;
    for round in 0..3000_u64 {
        connection.handle_datagram(Direction::Sent, QUERY, at(round * 10), Tag::new(1));
        connection.handle_datagram(Direction::Received, RESPONSE, at(round * 10 + 5), Tag::new(1));
        while connection.poll_opened().is_some() {}
        let exchange = connection.poll_exchange().unwrap();
        assert_eq!((exchange.completeness, exchange.end()), (Completeness::Complete, at(round * 10 + 5)));
    }
    assert!(connection.memory() < 4096, "{}", connection.memory());
    connection.shrink();
    assert!(connection.memory() < 256, "{}", connection.memory());
}

/// Packets and events are told of out of order now and then; their times are right.
#[test]
fn a_response_told_of_before_its_query_answers_it_if_it_came_after() {
    for (query, response, answered) in [(7, 8, true), (7, 7, true), (8, 7, false)] {
        let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
        let at = Timestamp::from_nanos;
        connection.handle_datagram(Direction::Received, RESPONSE, at(response), Tag::new(1));
        assert!(connection.poll_exchange().is_none());
        connection.handle_datagram(Direction::Sent, QUERY, at(query), Tag::new(1));
        let exchange = connection.poll_exchange().map(|exchange| (exchange.completeness, exchange.end()));
        assert_eq!(exchange, answered.then_some((Completeness::Complete, at(response))));
        // It answers once.
        connection.handle_datagram(Direction::Sent, QUERY, at(query), Tag::new(1));
        assert!(connection.poll_exchange().is_none());
    }
    let mut connection = Connection::new(Config::new().with_role(Some(Role::Client)), &Shared::default());
    for number in 0..1000_u16 {
        let response = [&number.to_be_bytes()[..], &RESPONSE[2..]].concat();
        connection.handle_datagram(Direction::Received, &response, Timestamp::from_nanos(number.into()), Tag::new(1));
    }
    assert!(connection.memory() < 16 * 1024, "{}", connection.memory());
}

#[test]
fn queries_without_an_answer_are_bounded_and_end() {
    let config = Config::new().with_role(Some(Role::Client)).with_max_pending(10);
    let mut connection = Connection::new(config, &Shared::default());
    let mut missing = vec![];
    for number in 0..100_u16 {
        let query = [&number.to_be_bytes()[..], &QUERY[2..]].concat();
        connection.handle_datagram(Direction::Sent, &query, Timestamp::from_nanos(number.into()), Tag::new(1));
        while let Some(exchange) = connection.poll_exchange() {
            missing.push(exchange.completeness);
        }
    }
    assert_eq!(missing.len(), 90);
    connection.handle_timeout(connection.poll_timeout().unwrap().saturating_add(1000));
    while let Some(exchange) = connection.poll_exchange() {
        missing.push(exchange.completeness);
    }
    assert_eq!(missing, [Completeness::ResponseMissing; 100]);
    assert_eq!(connection.poll_timeout(), None);
}
