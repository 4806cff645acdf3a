//! Writes the summary: what the outline found, in as many words as fit.

use super::{
    super::{MAX_SUMMARY, keyword::Keyword, sanitize::push_lossy},
    Expect, Outline,
};

impl<'a> Outline<'a, '_> {
    /// Adds a word with what separates it from the last one, if there is room.
    fn append(&mut self, word: &[u8]) -> bool {
        let before = self.out.len();
        let separator = match (before, self.separate) {
            (0, _) => "",
            (_, true) => "; ",
            (_, false) => " ",
        };
        self.add(separator, word, before)
    }

    fn add(&mut self, separator: &str, word: &[u8], before: usize) -> bool {
        if self.full || before.saturating_add(separator.len()).saturating_add(word.len()) > MAX_SUMMARY {
            self.full = true;
            return false;
        }
        self.out.push_str(separator);
        push_lossy(self.out, word);
        // Replacement characters are longer than what they replace.
        if self.out.len() > MAX_SUMMARY {
            self.out.truncate(before);
            self.full = true;
            return false;
        }
        self.separate = false;
        true
    }

    /// Whether this is the first statement, outside of its common table expressions.
    fn is_main(&self) -> bool {
        self.withs == 0 && self.found.statements == 1
    }

    pub(super) fn append_operation(&mut self, keyword: Keyword) {
        let name = keyword.name().as_bytes();
        let first = self.is_main() && self.found.operation.is_empty();
        if self.append(name) && first {
            let end = self.out.len();
            self.found.operation = end.saturating_sub(name.len())..end;
        }
    }

    /// A second word of the operation: CREATE, then TABLE.
    pub(super) fn extend_operation(&mut self, keyword: Keyword) {
        let follows = self.found.operation.end == self.out.len();
        if self.append(keyword.name().as_bytes()) && follows {
            self.found.operation.end = self.out.len();
        }
    }

    pub(super) fn begin_name(&mut self, text: &[u8], call: bool) {
        self.name = self.out.len();
        self.verb_next = false;
        self.expect = if self.append(text) { Expect::Dot { call } } else { Expect::Nothing };
        self.attention = true;
    }

    pub(super) fn extend_name(&mut self, text: &[u8], call: bool) {
        let before = self.out.len();
        self.expect = if self.add(".", text, before) { Expect::Dot { call } } else { Expect::Nothing };
        self.attention = true;
    }

    /// The name is whole; `next` is what follows it.
    pub(super) fn end_name(&mut self, next: &[u8]) {
        let Expect::Dot { call } = self.expect else { return };
        self.expect = Expect::Nothing;
        let written = self.out.get(self.name..).unwrap_or_default();
        let name = written.trim_start_matches([';', ' ']);
        let known = self.expressions.get(..self.expression_count).unwrap_or_default();
        let is_expression = known.iter().any(|known| known.eq_ignore_ascii_case(name.as_bytes()));
        if is_expression || (!call && next == b"(") {
            self.out.truncate(self.name);
            return;
        }
        let range = self.out.len().saturating_sub(name.len())..self.out.len();
        let main = self.is_main();
        if (main && !self.target_is_main) || (self.found.statements == 1 && self.found.target.is_empty()) {
            self.found.target = range;
            self.target_is_main = main;
        }
    }

    pub(super) fn remember_expression(&mut self, name: &'a [u8]) {
        self.expect = Expect::Nothing;
        if let Some(slot) = self.expressions.get_mut(self.expression_count) {
            *slot = name;
            self.expression_count = self.expression_count.saturating_add(1);
        }
    }
}
