//! Documents that begin alike, as those of a stream do: with members that say the same again. They are read once.

use alloc::vec::Vec;

use super::{Reader, State, Told, scan::simple_name};

/// Longest beginning that is remembered.
const MAX_BEGINNING: usize = 512;
/// So often may a document begin otherwise, or with nothing that could be remembered.
const MAX_OTHERS: u8 = 3;

/// What is known of how documents begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// There was none.
    #[default]
    Nothing,
    /// There was one: another one's beginning is worth to be remembered.
    One,
    /// The beginning of the one before.
    Beginning,
}

#[derive(Debug, Default)]
pub(super) struct Alike {
    known: Known,
    others: u8,
    beginning: Vec<u8>,
}

impl Alike {
    pub(super) const fn new() -> Self {
        Self { known: Known::Nothing, others: 0, beginning: Vec::new() }
    }

    pub(super) fn forget(&mut self) {
        (self.known, self.others) = (Known::Nothing, 0);
    }

    pub(super) const fn memory(&self) -> usize {
        self.beginning.capacity()
    }

    /// Something that the beginning says was said by something else.
    #[inline]
    pub(super) fn doubt(&mut self) {
        if self.known == Known::Beginning {
            self.known = Known::One;
        }
    }
}

impl<F: Copy> Reader<F> {
    /// Takes the beginning of a document, if it is as that of the one before.
    #[inline]
    pub(super) fn begin_alike(&mut self, input: &mut &[u8], sink: &mut impl FnMut(Told<'_, F>)) {
        if self.alike.known == Known::Beginning
            && let Some(rest) = input.strip_prefix(&*self.alike.beginning)
        {
            self.next = None;
            self.depth = 1;
            self.arrays = 0;
            let [outermost, ..] = &mut self.levels;
            *outermost = Some(self.root);
            self.state = State::Key;
            *input = rest;
        } else if input.first() == Some(&b'{') {
            self.begin_other(input, sink);
        }
    }

    fn begin_other(&mut self, input: &mut &[u8], sink: &mut impl FnMut(Told<'_, F>)) {
        match self.alike.known {
            Known::Nothing => {
                self.alike.known = Known::One;
                return;
            }
            _ if self.alike.others >= MAX_OTHERS => return,
            Known::One => {}
            Known::Beginning => self.alike.others = self.alike.others.saturating_add(1),
        }
        let whole = *input;
        *input = whole.get(1..).unwrap_or_default();
        self.next = Some(self.root);
        self.state = State::Value;
        if let Some(event) = self.value(b'{') {
            sink(self.tell(event));
        }
        let length = self.steady_members(whole, input, sink);
        let beginning = whole.get(..length).filter(|beginning| beginning.len() <= MAX_BEGINNING).unwrap_or_default();
        self.alike.beginning.clear();
        self.alike.beginning.extend_from_slice(beginning);
        self.alike.known = Known::Beginning;
        if beginning.is_empty() {
            self.alike.known = Known::One;
            self.alike.others = self.alike.others.saturating_add(1);
        }
    }

    /// Takes members that may say the same again, or are of no interest. How long the beginning is that they make.
    fn steady_members(&mut self, whole: &[u8], input: &mut &[u8], sink: &mut impl FnMut(Told<'_, F>)) -> usize {
        let mut length = 0;
        while let Some((name, value)) = simple_name(input) {
            let node = self.root.member(&name);
            let behind = match value {
                _ if node.is_some_and(|node| !node.steady) => None,
                [b'{' | b'[', ..] => None,
                [b'"', string @ ..] => self.simple_string(node, string, sink),
                _ => self.simple_scalar(node, value, sink),
            };
            let Some(behind) = behind else { break };
            *input = behind;
            let [b',', rest @ ..] = behind else { break };
            if self.state != State::After {
                break;
            }
            self.state = State::Key;
            *input = rest.strip_prefix(b" ").unwrap_or(rest);
            length = whole.len().saturating_sub(input.len());
        }
        length
    }
}
