//! The dynamic table ([RFC 7541 §2.3.2 and §4](https://www.rfc-editor.org/rfc/rfc7541#section-4)): the texts of the
//! newest entries, one behind the other, the oldest going as new ones come.

use alloc::{collections::VecDeque, vec::Vec};

use super::statics::{self, Name};

/// What an entry counts besides its texts ([RFC 7541 §4.1](https://www.rfc-editor.org/rfc/rfc7541#section-4.1)).
const OVERHEAD: usize = 32;
/// Most that is held, whatever the two sides agree on.
const MAX_HELD: usize = 64 * 1024;
/// The same while nobody knows what they agreed on.
const MAX_UNSURE: usize = 16 * 1024;

/// Where the texts of an entry are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// A line of the static table has the same name; 0: the name is among the texts.
    pub(super) line: u8,
    /// Offset of the first byte of its texts among all that were ever put in.
    start: u64,
    name_length: u32,
    value_length: u32,
    /// What it counts. At least: of an unknown name nobody knows the length.
    size: u32,
    /// The value is there; nobody asked for it otherwise.
    pub(super) has_value: bool,
}

/// What an index stands for.
pub(super) enum Found<'t> {
    Entry(&'t Entry),
    /// An entry that was put in before anything was seen.
    Unseen,
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Table {
    /// Oldest first.
    entries: VecDeque<Entry>,
    texts: Vec<u8>,
    /// Offset of the first of `texts`.
    base: u64,
    /// What the entries count together.
    size: usize,
    max: usize,
    /// What the decoder allows the encoder at most.
    limit: usize,
    /// There may be entries older than those that are held.
    unseen: bool,
    /// `max` is what the encoder keeps to: what does not fit is gone there too.
    sure: bool,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        let mut table = Self {
            entries: VecDeque::new(),
            texts: Vec::new(),
            base: 0,
            size: 0,
            max: 0,
            limit,
            unseen: false,
            sure: true,
        };
        table.resize(limit);
        table
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// From now on there are entries that nobody saw.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.unseen = true;
        self.sure = self.limit <= MAX_UNSURE;
        self.max = self.limit.min(MAX_UNSURE);
        self.compact();
    }

    /// Whether an index may refer to something that is not known: an entry, or the name of one.
    pub(super) fn has_unknown(&self) -> bool {
        self.unseen || self.entries.iter().any(|entry| entry.name == Name::Unknown)
    }

    /// The encoder keeps to this many bytes from now on.
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(MAX_HELD);
        self.sure = max <= MAX_HELD;
        // What the encoder holds and this does not.
        self.unseen |= !self.sure;
        self.unseen &= max >= OVERHEAD;
        self.evict(0);
    }

    /// Drops the oldest entries until there is room.
    fn evict(&mut self, room: usize) {
        while self.size.saturating_add(room) > self.max {
            // Older ones, if there were any, are gone as well.
            self.unseen = !self.sure;
            let Some(oldest) = self.entries.pop_front() else { return };
            self.size = self.size.saturating_sub(oldest.size as usize);
        }
    }

    /// The entry of an index behind the static table, from 0 on.
    pub(super) fn get(&self, index: usize) -> Found<'_> {
        let place = self.entries.len().checked_sub(index.saturating_add(1));
        match place.and_then(|place| self.entries.get(place)) {
            Some(entry) => Found::Entry(entry),
            None if self.unseen => Found::Unseen,
            None => Found::Nothing,
        }
    }

    pub(super) fn name_of(&self, entry: &Entry) -> &[u8] {
        match statics::line(usize::from(entry.line)) {
            Some(line) => line.text.as_bytes(),
            None => self.text(entry.start, entry.name_length),
        }
    }

    pub(super) fn value_of(&self, entry: &Entry) -> &[u8] {
        self.text(entry.start.saturating_add(u64::from(entry.name_length)), entry.value_length)
    }

    fn text(&self, start: u64, length: u32) -> &[u8] {
        let start = usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.texts.get(start..start.saturating_add(length as usize)).unwrap_or_default()
    }

    /// Where the texts of the next entry go: its name, then its value. Nothing else is changed until
    /// [`Table::put`].
    pub(super) fn next_texts(&mut self) -> &mut Vec<u8> {
        self.compact();
        &mut self.texts
    }

    pub(super) const fn texts_mut(&mut self) -> &mut Vec<u8> {
        &mut self.texts
    }

    /// Copies the name of an entry to where those of the next entry go.
    pub(super) fn copy_name(&mut self, start: u64, length: u32) {
        let start = usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let end = start.saturating_add(length as usize);
        if end <= self.texts.len() {
            self.texts.extend_from_within(start..end);
        }
    }

    /// Offset behind the last text.
    pub(super) fn end(&self) -> u64 {
        self.base.saturating_add(self.texts.len() as u64)
    }

    /// Makes an entry of the texts from `start` on, `name_length` bytes of them the name. Without `keep` the value is
    /// dropped again. Gives the entry even if it is too large to stay.
    pub(super) fn put(&mut self, name: Name, line: u8, start: u64, name_length: usize, keep: bool) -> Entry {
        let value_length = usize::try_from(self.end().saturating_sub(start)).unwrap_or(0).saturating_sub(name_length);
        let known = statics::line(usize::from(line)).map_or(name_length, |line| line.text.len());
        let size = OVERHEAD.saturating_add(known).saturating_add(value_length);
        if !keep {
            self.texts.truncate(self.texts.len().saturating_sub(value_length));
        }
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let entry = Entry {
            name,
            line,
            start,
            name_length: length(name_length),
            value_length: if keep { length(value_length) } else { 0 },
            size: length(size),
            has_value: keep,
        };
        self.evict(size);
        if size <= self.max {
            self.size = self.size.saturating_add(size);
            self.entries.push_back(entry);
        }
        entry
    }

    /// Takes back what was put behind the last entry.
    pub(super) fn take_back(&mut self, start: u64) {
        self.texts.truncate(usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX));
    }

    /// Gives up the front of the texts once most of it belongs to no entry.
    fn compact(&mut self) {
        let used = self.entries.front().map_or_else(|| self.end(), |oldest| oldest.start);
        let free = usize::try_from(used.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.texts.len());
        if free > self.texts.len() / 2 {
            self.texts.drain(..free);
            self.base = used;
        }
    }

    pub(super) const fn name_place(entry: &Entry) -> (u64, u32) {
        (entry.start, entry.name_length)
    }

    pub(super) fn memory(&self) -> usize {
        self.texts.capacity().saturating_add(self.entries.capacity().saturating_mul(size_of::<Entry>()))
    }

    pub(super) fn shrink(&mut self) {
        let used = self.entries.front().map_or_else(|| self.end(), |oldest| oldest.start);
        let free = usize::try_from(used.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.texts.len());
        self.texts.drain(..free);
        self.base = used;
        self.texts.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }
}
