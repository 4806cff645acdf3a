//! MongoDB documents beside bson's `RawDocument`, which walks them where they lie, too.

use bson::{RawBsonRef, RawDocument};
use obtrace_protocols::mongodb::bson::Document;

use crate::harness::{Goals, Group, Run};

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), b"\0", value].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let length = i32::try_from(value.len() + 1).expect("a short text").to_le_bytes();
    element(2, name, &[&length, value.as_bytes(), b"\0"].concat())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let inside = elements.concat();
    let length = i32::try_from(inside.len() + 5).expect("a short document").to_le_bytes();
    [&length[..], &inside, b"\0"].concat()
}

/// A `find` as drivers send it, about 210 bytes.
fn find() -> Vec<u8> {
    let filter = document(&[
        text("email", "alice@example.com"),
        element(3, "age", &document(&[element(0x10, "$gt", &[9, 0, 0, 0])])),
    ]);
    let session = document(&[element(5, "id", &[&[16, 0, 0, 0, 4][..], &[7; 16]].concat())]);
    document(&[
        text("find", "users"),
        element(3, "filter", &filter),
        element(0x10, "limit", &[1, 0, 0, 0]),
        element(8, "singleBatch", &[1]),
        element(3, "lsid", &session),
        text("$db", "shop"),
    ])
}

/// The answer to it, with ten documents.
fn found() -> Vec<u8> {
    let one = document(&[element(7, "_id", &[5; 12]), text("name", "Alice"), element(0x12, "seats", &[9; 8])]);
    let batch: Vec<_> = (0..10).map(|number: u8| element(3, &number.to_string(), &one)).collect();
    let cursor = document(&[
        element(4, "firstBatch", &document(&batch)),
        element(0x12, "id", &[7; 8]),
        text("ns", "shop.users"),
    ]);
    document(&[element(3, "cursor", &cursor), element(1, "ok", &1.0_f64.to_le_bytes())])
}

/// Command, collection and database.
fn command(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut elements = Document::parse(bytes)?;
    let first = elements.next()?;
    let database = elements.find(|element| element.name() == b"$db")?;
    Some((first.name(), first.as_text()?, database.as_text()?))
}

fn peer_command(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut elements = RawDocument::from_bytes(bytes).ok()?.iter_elements();
    let first = elements.next()?.ok()?;
    let database = elements.filter_map(Result::ok).find(|element| element.key().as_str() == "$db")?;
    match (first.value().ok()?, database.value().ok()?) {
        (RawBsonRef::String(collection), RawBsonRef::String(database)) => {
            Some((first.key().as_str().as_bytes(), collection.as_bytes(), database.as_bytes()))
        }
        _ => None,
    }
}

/// Documents that came back, the cursor, and whether it went well.
fn answer(bytes: &[u8]) -> Option<(usize, i64, i64)> {
    let mut out = (0, 0, 0);
    for element in Document::parse(bytes)? {
        match element.name() {
            b"cursor" => {
                for element in element.as_document()? {
                    match element.name() {
                        b"firstBatch" => out.0 = element.as_document()?.count(),
                        b"id" => out.1 = element.as_i64()?,
                        _ => {}
                    }
                }
            }
            b"ok" => out.2 = element.as_i64()?,
            _ => {}
        }
    }
    Some(out)
}

fn peer_answer(bytes: &[u8]) -> Option<(usize, i64, i64)> {
    let mut out = (0, 0, 0);
    for element in RawDocument::from_bytes(bytes).ok()?.iter_elements() {
        let element = element.ok()?;
        match (element.key().as_str(), element.value().ok()?) {
            ("cursor", RawBsonRef::Document(cursor)) => {
                for element in cursor.iter_elements() {
                    let element = element.ok()?;
                    match (element.key().as_str(), element.value().ok()?) {
                        ("firstBatch", RawBsonRef::Array(batch)) => {
                            out.0 = RawDocument::from_bytes(batch.as_bytes()).ok()?.iter_elements().count();
                        }
                        ("id", RawBsonRef::Int64(id)) => out.1 = id,
                        _ => {}
                    }
                }
            }
            ("ok", RawBsonRef::Double(ok)) => out.2 = ok as i64,
            _ => {}
        }
    }
    Some(out)
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let bytes = find();
    assert!(command(&bytes).is_some() && command(&bytes) == peer_command(&bytes), "{:?}", peer_command(&bytes));
    let outcome = Group::new("MongoDB command: find", "command", 1)
        .add("obtrace-protocols", bytes.len(), || {
            command(&bytes).map(|(name, collection, database)| name.len() + collection.len() + database.len())
        })
        .add("bson RawDocument", bytes.len(), || {
            peer_command(&bytes).map(|(name, collection, database)| name.len() + collection.len() + database.len())
        })
        .run(run);
    goals.ratio("MongoDB command: times RawDocument", outcome.nanos[1] / outcome.nanos[0], 2.0, 1.5);
    goals.no_allocations("MongoDB command", outcome.allocations[0]);

    let bytes = found();
    assert_eq!(answer(&bytes), Some((10, i64::from_le_bytes([7; 8]), 1)));
    assert_eq!(answer(&bytes), peer_answer(&bytes));
    let outcome = Group::new("MongoDB answer: 10 documents", "answer", 1)
        .add("obtrace-protocols", bytes.len(), || answer(&bytes))
        .add("bson RawDocument", bytes.len(), || peer_answer(&bytes))
        .run(run);
    goals.ratio("MongoDB answer: times RawDocument", outcome.nanos[1] / outcome.nanos[0], 2.0, 1.5);
    goals.no_allocations("MongoDB answer", outcome.allocations[0]);
}
