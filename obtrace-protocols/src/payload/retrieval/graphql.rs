//! What a query of Weaviate's asks for: `{ Get { Class(nearVector: {…}, limit: 3) { … } } }`.

/// A search as a query says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Search<'q> {
    pub(super) class: &'q str,
    pub(super) limit: Option<u64>,
    /// There is a search operator: it is no plain reading.
    pub(super) searches: bool,
}

const OPERATORS: [&str; 11] = [
    "nearVector",
    "nearText",
    "nearObject",
    "nearImage",
    "nearAudio",
    "nearVideo",
    "nearThermal",
    "nearDepth",
    "nearIMU",
    "hybrid",
    "bm25",
];

/// Looks through the words of a query. Strings are passed over.
pub(super) fn search(query: &str) -> Search<'_> {
    let mut found = Search::default();
    let (mut before, mut level) = ("", 0_u32);
    for word in Words(query) {
        match word {
            "{" | "(" | "[" => level = level.saturating_add(1),
            "}" | ")" | "]" => level = level.saturating_sub(1),
            ":" | "," => continue,
            // Among the arguments of the class.
            _ if before == "limit" && found.limit.is_none() && !found.class.is_empty() => {
                found.limit = word.parse().ok();
            }
            _ if OPERATORS.contains(&word) && !found.class.is_empty() => found.searches = true,
            _ if before == "Get{" && found.class.is_empty() => found.class = word,
            _ => {}
        }
        before = if word == "{" && before == "Get" { "Get{" } else { word };
    }
    found
}

/// Names, numbers and single marks.
struct Words<'q>(&'q str);

impl<'q> Iterator for Words<'q> {
    type Item = &'q str;

    fn next(&mut self) -> Option<&'q str> {
        loop {
            self.0 = self.0.trim_start();
            let first = self.0.chars().next()?;
            if first == '"' {
                self.0 = behind_string(self.0);
                continue;
            }
            let is_word = |one: char| one.is_alphanumeric() || one == '_';
            let length = match self.0.find(|one| !is_word(one)) {
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => self.0.len(),
            };
            let (word, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            return Some(word);
        }
    }
}

/// What is behind the string that begins here.
fn behind_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return text.get(at.saturating_add(1)..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = r#"query Q { Get { Article(nearText: {concepts: ["limit: 9 } hybrid \" "]}, limit: 3) { title _additional { id } } } }"#;
        assert_eq!(search(query), Search { class: "Article", limit: Some(3), searches: true });
        assert_eq!(search("{Get{Book(limit:2){title}}}"), Search { class: "Book", limit: Some(2), searches: false });
        assert_eq!(search("{ shop { hybrid } }"), Search::default());
        assert_eq!(search("{ Aggregate { Book { meta { count } } } }"), Search::default());
        assert_eq!(search("\"open"), Search::default());
    }
}
