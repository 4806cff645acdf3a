//! Members as nearly all are: there whole, without escapes in the name, with no more than a blank between the parts.
//! They are read at once, everything else piece by piece.

use super::{
    Event, MAX_NUMBER, Node, Reader, State, Told, What,
    scalar::is_of_number,
    scan::{simple_name, simple_string},
    string::walk_string,
};

impl<F: Copy> Reader<F> {
    /// Takes members from the front, and what they end, as long as they are simple.
    #[inline]
    pub(super) fn simple_members(&mut self, input: &mut &[u8], sink: &mut impl FnMut(Told<'_, F>)) {
        while let Some((name, value)) = simple_name(input) {
            let node = self.level().and_then(|level| level.member(&name));
            if node.is_some_and(|node| node.steady) {
                self.alike.doubt();
            }
            let behind = match value {
                [b'"', string @ ..] => self.simple_string(node, string, sink),
                [b'{' | b'[', ..] => {
                    self.next = node;
                    self.container(value, sink)
                }
                _ => self.simple_scalar(node, value, sink),
            };
            let Some(behind) = behind else {
                // Piece by piece.
                self.next = node;
                self.state = State::Value;
                *input = value;
                return;
            };
            *input = behind;
            let goes_on = match self.state {
                State::Member => true,
                State::After => self.goes_on(input, sink),
                _ => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// A string of which nothing but its end is of interest, or that is there whole without escapes.
    #[inline]
    pub(super) fn simple_string<'i>(
        &mut self,
        node: Option<&'static Node<F>>,
        string: &'i [u8],
        sink: &mut impl FnMut(Told<'_, F>),
    ) -> Option<&'i [u8]> {
        let field = node.and_then(|node| node.field);
        if let (Some(field), Some(node)) = (field, node.filter(|node| !node.content || self.contents)) {
            let (text, behind) = simple_string(string)?;
            let [names, contents] = self.limits;
            let limit = if node.content { contents } else { names };
            self.state = State::After;
            sink(self.tell(Event::Shown(field, What::Text, text.get(..limit).unwrap_or(text))));
            return Some(behind);
        }
        if let Some(field) = field {
            sink(self.tell(Event::Found(field, What::Begin)));
        }
        let mut behind = string;
        self.state = if walk_string(&mut self.escape, &mut behind) { State::After } else { State::InString };
        Some(behind)
    }

    /// A number, `true`, `false` or `null`.
    #[inline]
    pub(super) fn simple_scalar<'i>(
        &mut self,
        node: Option<&'static Node<F>>,
        value: &'i [u8],
        sink: &mut impl FnMut(Told<'_, F>),
    ) -> Option<&'i [u8]> {
        let (what, text, behind) = match value {
            [b'n', b'u', b'l', b'l', behind @ ..] => (What::Null, &[][..], behind),
            [b't', b'r', b'u', b'e', behind @ ..] => (What::Bool(true), &[][..], behind),
            [b'f', b'a', b'l', b's', b'e', behind @ ..] => (What::Bool(false), &[][..], behind),
            [b'0'..=b'9' | b'-', ..] => {
                let length = value.iter().take_while(|&&byte| is_of_number(byte)).count();
                let (number, behind) = value.split_at_checked(length).filter(|(_, behind)| !behind.is_empty())?;
                (What::Number, number, behind)
            }
            _ => return None,
        };
        self.state = State::After;
        if let Some((node, field)) = node.and_then(|node| Some((node, node.field?))) {
            match what {
                _ if !node.content || self.contents => {
                    if text.len() <= MAX_NUMBER {
                        sink(self.tell(Event::Shown(field, what, text)));
                    }
                }
                What::Null => {}
                _ => sink(self.tell(Event::Found(field, What::Begin))),
            }
        }
        Some(behind)
    }

    /// An object or an array begins: of one that is walked over, as much as is there.
    #[inline]
    fn container<'i>(&mut self, value: &'i [u8], sink: &mut impl FnMut(Told<'_, F>)) -> Option<&'i [u8]> {
        let (&byte, mut behind) = value.split_first()?;
        if let Some(event) = self.value(byte) {
            sink(self.tell(event));
        }
        if let State::Skip(until) = self.state
            && let Some(event) = self.skip(until, &mut behind)
        {
            sink(self.tell(event));
        }
        Some(behind)
    }

    /// Behind a value: ends what ends there. Whether another member follows.
    #[inline]
    fn goes_on(&mut self, input: &mut &[u8], sink: &mut impl FnMut(Told<'_, F>)) -> bool {
        loop {
            match *input {
                [b',', rest @ ..] if !self.in_array() => {
                    self.state = State::Key;
                    *input = rest.strip_prefix(b" ").unwrap_or(rest);
                    return true;
                }
                [byte @ (b'}' | b']'), rest @ ..] => {
                    *input = rest;
                    if let Some(event) = self.close(*byte == b']') {
                        sink(self.tell(event));
                    }
                    if self.state != State::After {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
}
