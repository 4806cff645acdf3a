//! Names and values that are no containers, as they come.

use super::{
    Event, Literal, MAX_KEY, MAX_NUMBER, Node, Reader, State, What,
    scan::string_end,
    string::{Escape, walk_string},
};

impl<F: Copy> Reader<F> {
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.high = 0;
        }
        let room = self.limit.saturating_sub(self.text.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.cut |= kept.len() < bytes.len();
        self.text.extend_from_slice(kept);
    }

    pub(super) fn in_key(&mut self, input: &mut &[u8]) {
        if self.escape != Escape::None {
            return self.escaped(input, MAX_KEY);
        }
        let at = string_end(input);
        let Some((part, rest)) = input.split_at_checked(at) else { return };
        let quote = rest.first() == Some(&b'"');
        if quote && self.text.is_empty() {
            self.next = self.member(part);
        } else if self.text.len() <= MAX_KEY {
            let room = MAX_KEY.saturating_add(1).saturating_sub(self.text.len()).min(part.len());
            self.text.extend_from_slice(part.get(..room).unwrap_or_default());
            if quote {
                self.next = self.member(&self.text);
            }
        } else if quote {
            self.next = None;
        }
        *input = rest.get(1..).unwrap_or_default();
        match rest.first() {
            Some(b'"') => self.state = State::Colon,
            Some(_) => self.escape = Escape::Backslash,
            None => {}
        }
    }

    /// What is of interest under this name in the innermost object.
    fn member(&self, name: &[u8]) -> Option<&'static Node<F>> {
        self.level()?.members.iter().find(|node| node.key.as_bytes() == name)
    }

    pub(super) fn in_text(&mut self, input: &mut &[u8]) -> Option<Event<'static, F>> {
        if self.escape != Escape::None {
            self.escaped(input, self.limit);
            return None;
        }
        let at = string_end(input);
        let (part, rest) = input.split_at_checked(at)?;
        self.keep(part);
        *input = rest.get(1..).unwrap_or_default();
        match rest.first() {
            Some(b'"') => {
                let field = self.next.and_then(|node| node.field);
                return self.value_over().or_else(|| field.map(|field| Event::Found(field, What::Text)));
            }
            Some(_) => self.escape = Escape::Backslash,
            None => {}
        }
        None
    }

    pub(super) fn in_string(&mut self, input: &mut &[u8]) -> Option<Event<'static, F>> {
        if walk_string(&mut self.escape, input) { self.value_over() } else { None }
    }

    /// Takes one byte of an escape.
    fn escaped(&mut self, input: &mut &[u8], limit: usize) {
        let Some((&byte, rest)) = input.split_first() else { return };
        *input = rest;
        let escape = core::mem::take(&mut self.escape);
        let one = match (escape, byte) {
            (Escape::Unicode(left, code), _) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    self.state = State::Broken;
                    return;
                };
                let code = code << 4 | digit as u16;
                match left {
                    0 | 1 => return self.unit(code, limit),
                    _ => self.escape = Escape::Unicode(left.saturating_sub(1), code),
                }
                return;
            }
            (_, b'u') => {
                self.escape = Escape::Unicode(4, 0);
                return;
            }
            (_, b'n') => '\n',
            (_, b't') => '\t',
            (_, b'r') => '\r',
            (_, b'b') => '\u{8}',
            (_, b'f') => '\u{c}',
            (_, other) => char::from(other),
        };
        self.push(one, limit);
    }

    /// A unit of UTF-16: a character, or half of one.
    fn unit(&mut self, unit: u16, limit: usize) {
        let high = core::mem::take(&mut self.high);
        match unit {
            0xd800..=0xdbff => self.high = unit,
            _ => {
                let pair = char::decode_utf16([high, unit]).next().and_then(Result::ok).filter(|_| high != 0);
                let alone = char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.push(pair.unwrap_or(alone), limit);
            }
        }
    }

    fn push(&mut self, one: char, limit: usize) {
        let mut space = [0; 4];
        let bytes = one.encode_utf8(&mut space).as_bytes();
        if self.text.len().saturating_add(bytes.len()) <= limit {
            self.text.extend_from_slice(bytes);
        } else {
            self.cut = true;
            if limit == MAX_KEY {
                // Longer than every name of interest.
                self.text.resize(MAX_KEY.saturating_add(1), 0);
            }
        }
    }

    pub(super) fn in_number(&mut self, input: &mut &[u8]) -> Option<Event<'static, F>> {
        let length = input.iter().take_while(|&&byte| is_of_number(byte)).count();
        let (part, rest) = input.split_at_checked(length)?;
        let room = MAX_NUMBER.saturating_add(1).saturating_sub(self.text.len()).min(length);
        self.text.extend_from_slice(part.get(..room).unwrap_or_default());
        *input = rest;
        if rest.is_empty() {
            return None;
        }
        let field = self.told().filter(|_| self.text.len() <= MAX_NUMBER);
        self.value_over().or_else(|| field.map(|field| Event::Found(field, What::Number)))
    }

    /// What the scalar that is being read is told as.
    pub(super) fn told(&self) -> Option<F> {
        self.next.filter(|node| !node.content || self.contents)?.field
    }

    pub(super) fn in_literal(&mut self, word: Literal, at: u8, input: &mut &[u8]) -> Option<Event<'static, F>> {
        let (&byte, rest) = input.split_first()?;
        let letters = word.word();
        if letters.get(usize::from(at)) != Some(&byte) {
            self.state = State::Broken;
            return None;
        }
        *input = rest;
        let at = at.saturating_add(1);
        if usize::from(at) < letters.len() {
            self.state = State::InLiteral(word, at);
            return None;
        }
        let what = match word {
            Literal::True => What::Bool(true),
            Literal::False => What::Bool(false),
            Literal::Null => What::Null,
        };
        let field = self.told();
        self.value_over().or_else(|| field.map(|field| Event::Found(field, what)))
    }
}

pub(super) const fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')
}
