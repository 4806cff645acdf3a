//! Finds what is left of a secret.
//!
//! A secret of the canaries is `zqjx` three times between two numbers, in numbers `7391`: any four bytes of it are found,
//! whatever was cut off, as they are and in the forms in which bytes are written down.

/// Each is read as going round in a circle; so many characters of it in a row are a leak.
const FORMS: [(&str, usize); 5] =
    [("zqjx", 3), ("73917391", 5), ("7a716a78", 6), ("enfqehpxanh6cwp4", 5), ("122, 113, 106, 120, ", 13)];

/// What is left of a secret in a text, with some of what is around it.
pub(crate) fn leak(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let found = FORMS.iter().find_map(|(form, length)| {
        let circle = form.repeat(2);
        (0..form.len()).find_map(|start| lower.find(&circle[start..start + length]))
    })?;
    let around = lower.as_bytes();
    let around = &around[found.saturating_sub(40)..around.len().min(found + 40)];
    Some(String::from_utf8_lossy(around).into_owned())
}

#[test]
fn leaks_are_found() {
    for text in ["x7zQjX", "qjx", "-17391", "0x787A71", "Basic Ym9iOmp4enFqeHpxanh6cWp4enFq", "[113, 106, 120, 122]"] {
        assert!(leak(text).is_some(), "{text}");
    }
    for text in ["zq jx", "7391", "[112, 106, 120]", "SELECT ? FROM t", "id: 739"] {
        assert_eq!(leak(text), None, "{text}");
    }
}
