//! Objects and arrays: followed where something inside may be of interest, else walked over.

use super::{Event, MAX_DEPTH, Reader, State, What, scan::structural, string::walk_string};

impl<F: Copy> Reader<F> {
    /// One container more is open. Whether that is not too deep.
    #[inline(always)]
    fn enter(&mut self, is_array: bool) -> bool {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            self.state = State::Broken;
            return false;
        }
        self.arrays = self.arrays << 1 | u128::from(is_array);
        true
    }

    /// The innermost container is over. Whether it is of this kind.
    #[inline(always)]
    fn leave(&mut self, is_array: bool) -> bool {
        if self.depth == 0 || self.in_array() != is_array {
            self.state = State::Broken;
            return false;
        }
        self.depth = self.depth.saturating_sub(1);
        self.arrays >>= 1;
        true
    }

    /// A container begins: it is followed if something inside may be of interest.
    pub(super) fn open(&mut self, byte: u8) -> Option<Event<'static, F>> {
        let is_array = byte == b'[';
        let (outer, node) = (self.depth, self.next);
        if !self.enter(is_array) {
            return None;
        }
        let documents = is_array && outer == 0 && self.root.each.is_none();
        let inside = documents
            || node.is_some_and(|node| {
                let has = if is_array { node.each.is_some() } else { !node.members.is_empty() };
                has && !node.raw && (!node.content || self.contents)
            });
        if let Some(level) = self.levels.get_mut(usize::from(outer)).filter(|_| inside) {
            *level = node;
            self.documents |= documents;
            self.state = if is_array { State::First } else { State::Member };
            if is_array {
                self.next_element();
            }
        } else {
            self.state = State::Skip(outer);
            self.raw = node.filter(|node| node.raw && self.contents).and_then(|node| node.field);
            if self.raw.is_some() {
                self.keep(&[byte]);
            }
            if self.raw.is_some() {
                return None;
            }
        }
        let field = node.filter(|_| !documents).and_then(|node| node.field)?;
        Some(Event::Found(field, What::Begin))
    }

    /// The innermost container ends.
    pub(super) fn close(&mut self, is_array: bool) -> Option<Event<'static, F>> {
        let node = self.level().filter(|_| !(self.documents && self.depth == 1));
        if !self.leave(is_array) {
            return None;
        }
        let over = self.value_over();
        over.or_else(|| node.and_then(|node| node.field).map(|field| Event::Found(field, What::End)))
    }

    /// Walks over a container.
    pub(super) fn skip(&mut self, until: u8, input: &mut &[u8]) -> Option<Event<'static, F>> {
        let whole = *input;
        let mut at = 0_usize;
        let mut next = None;
        while let Some(found) = next.take().or_else(|| structural(whole, at)) {
            at = found.saturating_add(1);
            let byte = whole.get(found).copied().unwrap_or_default();
            match byte {
                b'"' => {
                    let mut rest = whole.get(at..).unwrap_or_default();
                    let over = walk_string(&mut self.escape, &mut rest);
                    at = whole.len().saturating_sub(rest.len());
                    if !over {
                        self.state = State::SkipString(until);
                        break;
                    }
                    // A value behind its name, or another member.
                    if let [b':' | b',', b'"', ..] = rest {
                        next = at.checked_add(1);
                    }
                }
                b'{' | b'[' => {
                    if !self.enter(byte == b'[') {
                        return None;
                    }
                }
                _ => {
                    if !self.leave(byte == b']') {
                        return None;
                    }
                    if self.depth == until {
                        return self.skipped(input, at);
                    }
                }
            }
        }
        if self.state != (State::SkipString(until)) {
            at = whole.len();
        }
        self.pass(input, at);
        None
    }

    pub(super) fn skip_string(&mut self, until: u8, input: &mut &[u8]) -> Option<Event<'static, F>> {
        let mut rest = *input;
        if walk_string(&mut self.escape, &mut rest) {
            self.state = State::Skip(until);
        }
        self.pass(input, input.len().saturating_sub(rest.len()));
        None
    }

    /// Takes bytes of a container that is walked over.
    fn pass(&mut self, input: &mut &[u8], length: usize) {
        let Some((passed, rest)) = input.split_at_checked(length) else { return };
        if self.raw.is_some() {
            self.keep(passed);
        }
        *input = rest;
    }

    /// A container that was walked over is behind these bytes.
    fn skipped(&mut self, input: &mut &[u8], length: usize) -> Option<Event<'static, F>> {
        self.pass(input, length);
        let raw = self.raw.take();
        self.value_over().or_else(|| raw.map(|field| Event::Found(field, What::Raw)))
    }
}
