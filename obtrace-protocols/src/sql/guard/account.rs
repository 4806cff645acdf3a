//! What stands in [`Statement::Secret`](super::Statement::Secret): a statement whose words are data.

use super::{
    After, Guard,
    words::{BETWEEN, KINDS, PRECEDE, VALUES, ends_word, is_kept, is_one_of, is_option, precedes_value},
};
use crate::{credential::SHORTEST, sql::lexer::Sink};

impl<'a, S: Sink<'a>> Guard<'a, S> {
    pub(super) fn tell_word(&mut self, text: &'a [u8]) {
        if !self.is_grammar(text) {
            return self.tell_value(text);
        }
        self.after = if is_one_of(text, &PRECEDE) {
            After::Value
        } else if is_option(text) || text.eq_ignore_ascii_case(b"connection") {
            After::Option
        } else {
            After::Nothing
        };
        self.to.word(text);
    }

    /// Whether the statement is made of this word.
    fn is_grammar(&self, text: &[u8]) -> bool {
        let rest = self.rest();
        if text.len() < SHORTEST || self.begins_at(text, self.bound_end) || !ends_word(rest) {
            return false;
        }
        match self.after {
            After::Value | After::Option if is_one_of(text, &KINDS) => precedes_value(rest),
            After::Value => is_one_of(text, &VALUES),
            After::Option => is_one_of(text, &VALUES) || is_one_of(text, &BETWEEN),
            _ => is_kept(text) || is_option(text),
        }
    }

    fn expects_value(&self) -> bool {
        matches!(self.after, After::Value | After::Option | After::Listed)
    }

    /// A word that is data, a literal or a quoted name.
    pub(super) fn tell_value(&mut self, text: &'a [u8]) {
        self.bound_end = self.at;
        if self.begins_at(text, self.value_end) {
            self.value_end = self.at;
            return self.to.more(text);
        }
        if self.expects_value() {
            self.after = After::Told;
            self.value_end = self.at;
        } else {
            self.after = After::Nothing;
        }
        self.to.literal(text);
    }

    pub(super) fn tell_symbol(&mut self, text: &'a [u8]) {
        if matches!(text, [b'(' | b')' | b',']) {
            self.separate(text);
        } else if self.begins_at(text, self.value_end) {
            return self.tell_value(text);
        } else if let Some(place) = text.iter().position(|&byte| byte == b'?') {
            return self.tell_placeholder(text, place);
        } else {
            self.operate(text);
        }
        self.to.symbol(text);
    }

    /// An operator of PostgreSQL with a `?`, which may stand for a value that was read before.
    fn tell_placeholder(&mut self, text: &'a [u8], place: usize) {
        let (front, value) = text.split_at_checked(place).unwrap_or((text, &[]));
        if !front.is_empty() {
            self.at = self.at.wrapping_sub(value.len());
            self.operate(front);
            self.to.symbol(front);
            self.pass(value);
        }
        if self.expects_value() {
            return self.tell_value(value);
        }
        self.operate(value);
        self.bound_end = self.at;
        self.to.symbol(value);
    }

    fn separate(&mut self, text: &[u8]) {
        let is_bound = self.begins_at(text, self.bound_end);
        self.after = match (text, self.after) {
            (b"(", After::Value | After::Option) => After::Value,
            (b",", After::Told) => After::Listed,
            _ => After::Nothing,
        };
        if is_bound && text == b"(" || text == b")" {
            self.bound_end = self.at;
        }
    }

    /// What an operator says of the next token: looks at the text and not at the token, which may be cut off at another
    /// place when a `?` stands in front.
    fn operate(&mut self, text: &[u8]) {
        let is_equal = match text {
            [.., b'='] => true,
            [.., b'>'] => self.sql.get(..self.at).is_some_and(|until| until.ends_with(b"=>")),
            _ => false,
        };
        if !is_equal || self.begins_at(text, self.bound_end) {
            self.bound_end = self.at;
        }
        let waits = matches!(self.after, After::Value | After::Option);
        self.after = if is_equal || waits { After::Value } else { After::Nothing };
    }
}
