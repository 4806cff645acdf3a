//! The reader against `serde_json`.

use proptest::{prelude::*, sample};
use serde_json::Value;

use super::{Cursor, push_number, push_string};
use crate::error::ParseError;

/// Builds what `serde_json` builds, by the cursor alone.
fn value(cursor: &mut Cursor<'_>) -> Result<Value, ParseError> {
    let raw = cursor.clone().skip()?;
    match raw.first() {
        Some(b'{') => {
            let mut members = serde_json::Map::new();
            cursor.entries(|key, cursor| {
                members.insert(key.decode()?.into_owned(), value(cursor)?);
                Ok(())
            })?;
            Ok(Value::Object(members))
        }
        Some(b'[') => Ok(Value::Array(cursor.list(4, value)?.unwrap_or_default())),
        Some(b'"') => Ok(Value::String(cursor.string()?.into_owned())),
        _ => Ok(serde_json::from_slice(cursor.skip()?).unwrap()),
    }
}

fn read(json: &[u8]) -> Result<Value, ParseError> {
    let mut cursor = Cursor::new(json);
    let value = value(&mut cursor)?;
    cursor.end()?;
    Ok(value)
}

/// Values with strings and keys of every kind: quotes, backslashes, brackets, control characters, long and short.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-z]{0,12}", r#"(["\\/{}\[\],:]|\\\\|é|😀|[\x00-\x1f]){0,90}"#, "[ -~]{60,200}",];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 200, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(expected in any_value(), pretty: bool) {
        let json = if pretty { serde_json::to_vec_pretty(&expected) } else { serde_json::to_vec(&expected) }.unwrap();
        prop_assert_eq!(read(&json).unwrap(), expected);
    }

    #[test]
    fn steps_over_exactly_one_value(skipped in any_value(), pretty: bool, blanks in 0..70_usize) {
        let json = if pretty { serde_json::to_vec_pretty(&skipped) } else { serde_json::to_vec(&skipped) }.unwrap();
        let mut text = vec![b' '; blanks];
        text.push(b'[');
        text.extend_from_slice(&json);
        text.extend_from_slice(b", \"next]\"]");
        let mut cursor = Cursor::new(&text);
        let mut seen = Vec::new();
        cursor.array(|cursor| {
            seen.push(cursor.skip()?.to_vec());
            Ok(())
        }).unwrap();
        prop_assert_eq!(seen, [json, b"\"next]\"".to_vec()]);
    }

    #[test]
    fn broken_json_is_an_error_and_never_more(value in any_value(), cut in any::<sample::Index>(), byte: u8) {
        let mut json = serde_json::to_vec(&value).unwrap();
        let at = cut.index(json.len());
        json[at] = byte;
        // Where the reader that validates everything finds sense, this one finds the same.
        if let Ok(expected) = serde_json::from_slice::<Value>(&json) {
            prop_assert_eq!(read(&json).unwrap(), expected);
        }
        json.truncate(at);
        let has_an_end = value.is_object() || value.is_array() || value.is_string();
        prop_assert!(!has_an_end || Cursor::new(&json).skip().is_err());
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any::<String>(), number: usize) {
        let mut out = Vec::new();
        push_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        out.clear();
        push_number(&mut out, number);
        prop_assert_eq!(out, number.to_string().into_bytes());
    }
}

#[test]
fn escapes_of_every_form() {
    for json in [r#""\"\\\/\b\f\n\r\t""#, r#""\u0041\u00e9\uD83D\uDE00""#, r#""a\u0000b""#, r#""plain""#, r#""""#] {
        let expected: String = serde_json::from_str(json).unwrap();
        assert_eq!(Cursor::new(json.as_bytes()).string().unwrap(), expected, "{json}");
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced_as_in_go() {
    for (json, expected) in [
        (r#""\ud800""#, "\u{FFFD}"),
        (r#""\udc00x""#, "\u{FFFD}x"),
        (r#""\ud800\u0041""#, "\u{FFFD}A"),
        (r#""\ud800\ud83d\ude00""#, "\u{FFFD}😀"),
    ] {
        assert_eq!(Cursor::new(json.as_bytes()).string().unwrap(), expected, "{json}");
    }
}

#[test]
fn errors_say_where() {
    for (json, offset) in
        [(&br#""\x""#[..], 1), (br#""ab\u12g4""#, 3), (b"\"ab\xff\"", 3), (br#""abc"#, 1), (b"", 0), (b"  7", 2)]
    {
        let error = Cursor::new(json).string().unwrap_err();
        assert_eq!(error.offset(), offset, "{error}: {}", String::from_utf8_lossy(json));
    }
}

#[test]
fn the_last_of_two_keys_counts() {
    let pod = crate::Pod::parse(br#"{"metadata":{"name":"a","namespace":"x"},"metadata":{"name":"b"}}"#).unwrap();
    assert_eq!((pod.name(), pod.namespace()), (Some("b"), None));
}

#[test]
fn depth_has_a_bound_and_no_stack() {
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(Cursor::new(&deep(10_000)).skip().unwrap().len(), 20_000);
    assert!(Cursor::new(&deep(1_000_000)).skip().is_err());
}

#[test]
fn commas_and_colons_are_where_they_belong() {
    for json in
        ["{,}", "{\"a\"}", "{\"a\":1,}", "{\"a\":}", "{\"a\":1 \"b\":2}", "{a:1}", "[1,]", "[1 2]", "[,]", "{}}", "[]]"]
    {
        assert!(read(json.as_bytes()).is_err(), "{json}");
    }
}
