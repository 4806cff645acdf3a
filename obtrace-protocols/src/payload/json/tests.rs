use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Name,
    Count,
    Flag,
    Item,
    Deep,
    Tool,
    Secret,
    Id,
}

static ITEM: Node<Of> = Node::element(Of::Item, &[Node::leaf("n", Of::Count), Node::list("deep", &DEEP)]);
static DEEP: Node<Of> = Node::nested(&Node::leaf("", Of::Deep));
static ROOT: Node<Of> = Node::document(&[
    Node::leaf("name", Of::Name),
    Node::leaf("count", Of::Count),
    Node::leaf("flag", Of::Flag),
    Node::list("items", &ITEM).told(Of::Flag),
    Node::object("a", &[Node::object("b", &[Node::leaf("name", Of::Name)])]),
    Node::leaf("tool", Of::Tool).raw(),
    Node::list("secret", &SECRET).told(Of::Secret).content(),
    Node::leaf("id", Of::Id).steady(),
]);
static SECRET: Node<Of> = Node::leaf("", Of::Secret);

/// What is found, each as text.
fn found(pieces: &[&[u8]], names: usize, contents: usize) -> Vec<String> {
    let mut reader = Reader::new(&ROOT);
    reader.begin(&ROOT, names, contents);
    let mut out = Vec::new();
    for piece in pieces {
        let is_json = reader.read(piece, &mut |told| match told {
            Told::Document => out.push("document".into()),
            Told::Found(of, value) => out.push(format!("{of:?} {value:?}")),
        });
        if !is_json && out.last().is_none_or(|last| last != "broken") {
            out.push("broken".into());
        }
    }
    out
}

fn whole(text: &str) -> Vec<String> {
    found(&[text.as_bytes()], 20, 0)
}

#[test]
fn values_of_interest() {
    let text = r#" {"x":{"name":"no"},"name":"a\"\u00e9\ud83d\ude00\n","count":-1.5e3,"flag":true,"a":{"b":{"name":null},"name":1},
        "items":[{"n":1,"deep":[[1],[],["x"]]},7,{"n":{"n":2}}],"tool":{"k":[1]},"secret":["s"]}"#;
    let wanted = [
        "Name Text(\"a\\\"é😀\\n\")",
        "Count Number(\"-1.5e3\")",
        "Flag Bool(true)",
        "Name Null",
        "Flag Begin",
        "Item Begin",
        "Count Number(\"1\")",
        "Deep Number(\"1\")",
        "Deep Text(\"x\")",
        "Item End",
        "Item Number(\"7\")",
        "Item Begin",
        "Count Begin",
        "Item End",
        "Flag End",
        "Tool Begin",
        "Secret Begin",
        "document",
    ];
    assert_eq!(whole(text), wanted);
    let with = found(&[text.as_bytes()], 20, 100);
    let end = ["Tool Raw(\"{\\\"k\\\":[1]}\")", "Secret Begin", "Secret Text(\"s\")", "Secret End", "document"];
    assert_eq!(with[wanted.len() - 3..], end);
}

#[test]
fn documents_follow_one_another() {
    assert_eq!(
        whole("{\"count\":1}\n{\"count\":2}{}\r\n5 "),
        ["Count Number(\"1\")", "document", "Count Number(\"2\")", "document", "document", "document"]
    );
    assert_eq!(
        whole("[{\"count\":1},\n{\"count\":2}]{\"count\":3}"),
        ["Count Number(\"1\")", "document", "Count Number(\"2\")", "document", "Count Number(\"3\")", "document"]
    );
    assert_eq!(whole("[] {}"), ["document"]);
}

/// The newest value of what is steady behind each document, whether it was told again or not.
fn steady(pieces: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut id, mut out) = (Reader::new(&ROOT), String::new(), Vec::new());
    reader.begin(&ROOT, 20, 0);
    for piece in pieces {
        reader.read(piece, &mut |told| match told {
            Told::Found(Of::Id, value) => id = format!("{value:?}"),
            Told::Found(of, value) => out.push(format!("{of:?} {value:?}")),
            Told::Document => out.push(id.clone()),
        });
    }
    out
}

#[test]
fn documents_that_begin_alike_say_the_same() {
    let a = r#"{"id":"a","other":1,"count":1}"#;
    let ends_otherwise = r#"{"id":"a","other":1,"count":2,"id":"b"}"#;
    let other = r#"{"id":"c","other":1,"count":3}"#;
    let long = format!(r#"{{"id":"d","other":"{}","count":4}}"#, "x".repeat(600));
    let texts = [a, a, a, ends_otherwise, a, a, other, other, a, &long, &long, &long, "{}", "[", a, a];
    let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    let bytes = texts.concat();
    let once: Vec<&[u8]> = bytes.chunks(1).collect();
    let wanted = steady(&once);
    let ids: Vec<&str> = wanted.iter().filter_map(|told| told.strip_prefix("Text(\"")?.get(..1)).collect();
    assert_eq!(ids.concat(), "aaabaaccadddda");
    assert_eq!(steady(&texts), wanted);
    assert_eq!(steady(&[&bytes]), wanted);
    for size in 2..90 {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        assert_eq!(steady(&pieces), wanted, "{size}");
    }
}

#[test]
fn what_is_long_is_cut() {
    assert_eq!(whole("{\"name\":\"0123456789012345678\u{e9}\"}"), ["Name Text(\"0123456789012345678\")", "document"]);
    let number = format!("{{\"count\":{},\"flag\":false}}", "1".repeat(50));
    assert_eq!(whole(&number), ["Flag Bool(false)", "document"]);
    let raw = found(&[b"{\"tool\":[1,2,3,4,5]}"], 20, 5);
    assert_eq!(raw, ["Tool TooLong", "document"]);
    let long = format!("{{\"{}\":1,\"na\\u006de\":\"x\",\"na\\u006de{}\":\"y\"}}", "k".repeat(99), "z".repeat(60));
    assert_eq!(whole(&long), ["Name Text(\"x\")", "document"]);
}

#[test]
fn what_is_no_json_breaks() {
    for text in
        ["{\"a\" 1}", "{1:2}", "]", "[1}", "{\"x\":[}", "nul,", "{\"count\":tru}", "{,}", "{\"x\":{\"y\":[1}}", "x"]
    {
        assert_eq!(whole(&format!("{text} ")).last().map(String::as_str), Some("broken"), "{text}");
    }
    let deep = |levels: usize| format!("{{\"x\":{}{}}} ", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(whole(&deep(127)), ["document"]);
    assert_eq!(whole(&deep(128)), ["broken"]);
    assert_eq!(whole(&format!("{}{} ", "[".repeat(129), "]".repeat(129))), ["broken"]);
}

/// JSON of any shape, with names that are of interest among the others.
/// What breaks it may be the last byte that is there: nothing behind it is needed to see it.
#[test]
fn what_breaks_last_is_seen() {
    for text in ["{\"name\":\"a\"]", "{\"a\":{\"b\":1]", "{\"x\":[1}", "[1}", "{\"other\":[{\"n\":1]", "{\"flag\":x"] {
        let mut reader = Reader::new(&ROOT);
        reader.begin(&ROOT, 20, 0);
        assert!(!reader.read(text.as_bytes(), &mut |_| {}), "{text}");
    }
}

fn json() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("name"),
        Just("count"),
        Just("flag"),
        Just("items"),
        Just("a"),
        Just("b"),
        Just("n"),
        Just("deep"),
        Just("tool"),
        Just("secret"),
        Just("other"),
        Just("na\\u006de"),
        Just("\\\"{[\\\\")
    ];
    let scalar = prop_oneof![
        Just("null".into()),
        Just("true".into()),
        Just("-12.5E3".into()),
        Just("\"\"".into()),
        Just("\"\\ud83d\\ude00 \\\\\\\" {[,:]} é\"".into()),
        "\"[ a-z]{0,40}\"",
    ];
    scalar.prop_recursive(6, 60, 6, move |inner| {
        let member = (word.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\" :{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|list| format!("[{}]", list.join(" ,"))),
            proptest::collection::vec(member, 0..6).prop_map(|list| format!("{{{}}}", list.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn any_split_finds_the_same(texts in proptest::collection::vec(json(), 1..4), at in any::<u64>(), contents in 0_usize..60) {
        let text = texts.join("\n") + " ";
        let once = found(&[text.as_bytes()], 16, contents);
        prop_assert!(!once.contains(&"broken".into()), "{text} {once:?}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(&found(&bytes, 16, contents), &once, "{}", &text);
        let mut pieces = Vec::new();
        let (mut rest, mut random) = (text.as_bytes(), at);
        while !rest.is_empty() {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (piece, left) = rest.split_at(((random >> 33) as usize % 9).min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        prop_assert_eq!(&found(&pieces, 16, contents), &once);
    }

    #[test]
    fn any_bytes_are_read_alike(bytes in proptest::collection::vec(prop_oneof![
        Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'), Just(b'u'), Just(b'n'),
        Just(b'1'), Just(b' '), any::<u8>()
    ], 0..80)) {
        let once = found(&[&bytes], 16, 16);
        let one: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(found(&one, 16, 16), once);
    }
}
