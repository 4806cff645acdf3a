//! Reads a message value by value, as its bytes come: whatever its size, a value at most is waited for.

mod number;
mod visitor;

use super::{
    records::{self, Head},
    schema::{self, Field, Means, Wire},
};
use crate::reader::Reader;
use number::{Blocked, Progress, integer, length16, length32, varint, varint_at};
use visitor::Likely;
pub(super) use visitor::{Blind, Visitor};

/// Most bytes of a string that are looked at.
pub(super) const MAX_TEXT: usize = 255;
/// Structures within structures. The deepest message of the table has five.
const DEPTH: usize = 6;
/// The tag of the request of Fetch that holds the fetching broker since version 15 (KIP-903).
const REPLICA_STATE: u32 = 1;

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    fields: &'static [Field],
    at: u8,
    /// Tagged fields follow its fields.
    is_tagged: bool,
    means: Means,
    /// Elements that are still to come, this one included.
    elements: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Fields,
    /// The number of tagged fields comes.
    Tags {
        /// They end a structure, and are not a field of one.
        ends: bool,
    },
    /// So many tagged fields come.
    Tag { left: u32, ends: bool },
    /// So many bytes of records come.
    Records { left: u64 },
    /// Nothing more is read.
    Over,
}

/// What stops the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// So many bytes must be there to go on.
    Need(usize),
    /// Nobody reads the next so many bytes.
    Skip(u64),
    /// The last byte of the message was there.
    Over,
}

/// Where in a message the reading is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    frames: [Frame; DEPTH],
    depth: u8,
    phase: Phase,
    version: i16,
    is_flexible: bool,
    /// It is a request of Fetch, whose tagged fields say who asks.
    is_fetch: bool,
    /// Bytes to pass over.
    pass: u64,
    /// The last byte of what is passed over ends the message: it is read, to know when.
    is_last: bool,
    /// It contradicted itself: nothing more of it was read.
    is_broken: bool,
    /// All its fields were read, and there was more. Later versions may bring that.
    has_more: bool,
    /// Bytes of the message that are still to come.
    left: u64,
}

impl Walk {
    /// A request behind its correlation id; `left` bytes of it follow.
    pub(super) fn request(key: i16, version: i16, left: u64) -> Self {
        let header = schema::request_header(key, version);
        let body = schema::request(key, version);
        Self { is_fetch: key == schema::FETCH, ..Self::new(key, version, left, Some(header), body) }
    }

    /// A response behind its correlation id.
    pub(super) fn response(key: i16, version: i16, left: u64) -> Self {
        Self::new(key, version, left, schema::response_header(key, version), schema::response(key, version))
    }

    fn new(key: i16, version: i16, left: u64, header: Option<&'static [Field]>, body: &'static [Field]) -> Self {
        let is_flexible = schema::is_flexible(key, version);
        let frame = |fields| Frame { fields, is_tagged: true, elements: 1, ..Frame::default() };
        let mut walk = Self { version, is_flexible, left, ..Self::default() };
        walk.push(frame(body));
        if let Some(header) = header {
            walk.push(frame(header));
        }
        walk
    }

    /// Nothing of the message.
    pub(super) fn unread(left: u64) -> Self {
        Self { phase: Phase::Over, left, ..Self::default() }
    }

    /// It contradicted itself: not all of it was read.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the message may go on with these bytes: nothing in them contradicts it, and if it is whole it is read to
    /// its end.
    pub(super) fn fits(self, bytes: &[u8]) -> bool {
        self.probe(bytes).is_some()
    }

    /// The same; and whether there are records in them. `None`: it may not.
    pub(super) fn probe(mut self, bytes: &[u8]) -> Option<bool> {
        let mut likely = Likely { fits: true, has_records: false };
        self.go(bytes, &mut likely);
        (likely.fits && !self.is_broken && !self.has_more).then_some(likely.has_records)
    }

    /// Reads what is there. How many bytes are done with, and why it goes no further.
    #[inline]
    pub(super) fn go(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> (usize, Stop) {
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let mut reader = Reader::new(bytes.get(..here).unwrap_or_default());
        let stop = loop {
            if self.pass > 0 {
                let passed = usize::try_from(self.pass).unwrap_or(usize::MAX).min(reader.remaining());
                reader.take(passed);
                self.pass = self.pass.saturating_sub(passed as u64);
                if self.pass > 0 {
                    break Stop::Skip(core::mem::take(&mut self.pass));
                }
            }
            if self.is_last {
                if reader.u8().is_none() {
                    break Stop::Need(1);
                }
                self.is_last = false;
            }
            // Where the value begins that is read next.
            let mut value = reader;
            let progress = match self.phase {
                Phase::Fields => self.fields(&mut reader, &mut value, visitor),
                Phase::Tags { ends } => self.tags(&mut reader, ends, visitor),
                Phase::Tag { left, ends } => self.tag(&mut reader, left, ends, visitor),
                Phase::Records { left } => self.records(&mut reader, left, visitor),
                Phase::Over => match self.behind(&reader).checked_sub(1) {
                    None => break Stop::Over,
                    Some(before_last) => {
                        (self.pass, self.is_last) = (before_last, true);
                        Ok(())
                    }
                },
            };
            match progress {
                Ok(()) => {}
                Err(Blocked::Short(need)) if need as u64 <= self.behind(&value) => {
                    reader = value;
                    break Stop::Need(need);
                }
                Err(_) => {
                    reader = value;
                    self.phase = Phase::Over;
                    self.is_broken = true;
                }
            }
        };
        let consumed = reader.position();
        self.left = self.behind(&reader);
        if let Stop::Skip(bytes) = stop {
            self.left = self.left.saturating_sub(bytes);
        }
        (consumed, stop)
    }

    /// Bytes of the message behind what was taken.
    #[inline]
    fn behind(&self, reader: &Reader<'_>) -> u64 {
        self.left.saturating_sub(reader.position() as u64)
    }

    fn push(&mut self, frame: Frame) -> bool {
        let Some(place) = self.frames.get_mut(usize::from(self.depth)) else { return false };
        *place = frame;
        self.depth = self.depth.saturating_add(1);
        true
    }

    fn top(&mut self) -> Option<&mut Frame> {
        self.frames.get_mut(usize::from(self.depth.checked_sub(1)?))
    }

    /// Passes over bytes, all of which the message has.
    #[inline]
    fn pass(&mut self, bytes: u64, reader: &Reader<'_>) -> Progress<()> {
        let behind = self.behind(reader).checked_sub(bytes).ok_or(Blocked::Broken)?;
        self.is_last = behind == 0 && bytes > 0;
        self.pass = if self.is_last { bytes.saturating_sub(1) } else { bytes };
        Ok(())
    }

    /// Goes on with the fields of a structure, up to one that is more than a number.
    #[inline]
    fn fields<'b>(
        &mut self,
        reader: &mut Reader<'b>,
        value: &mut Reader<'b>,
        visitor: &mut impl Visitor,
    ) -> Progress<()> {
        let (version, is_flexible) = (self.version, self.is_flexible);
        let Some(frame) = self.frames.get_mut(usize::from(self.depth).wrapping_sub(1)) else {
            self.has_more = self.behind(reader) > 0;
            self.phase = Phase::Over;
            return Ok(());
        };
        loop {
            *value = *reader;
            let Some(&Field { wire, means, since, until }) = frame.fields.get(usize::from(frame.at)) else {
                // Nearly always nothing is tagged.
                if frame.is_tagged && is_flexible {
                    if reader.peek() != Some(0) {
                        self.phase = Phase::Tags { ends: true };
                        return Ok(());
                    }
                    reader.u8();
                }
                self.end_structure(visitor);
                return Ok(());
            };
            if version < since || version > until {
                frame.at = frame.at.wrapping_add(1);
                continue;
            }
            let Wire::Int(size) = wire else { return self.field(wire, means, reader, visitor) };
            let number = integer(reader, size)?;
            frame.at = frame.at.wrapping_add(1);
            if means != Means::Nothing {
                visitor.number(means, number);
            }
        }
    }

    #[inline]
    fn field(&mut self, wire: Wire, means: Means, reader: &mut Reader<'_>, visitor: &mut impl Visitor) -> Progress<()> {
        let is_flexible = self.is_flexible;
        match wire {
            // Read by `fields`.
            Wire::Int(_) => {}
            Wire::Uuid => {
                let id = reader.take_array().ok_or(Blocked::Short(16))?;
                self.next();
                visitor.id(means, id);
            }
            Wire::Text => return self.text(reader, is_flexible, means, visitor),
            Wire::PlainText => return self.text(reader, false, means, visitor),
            Wire::Records => {
                let left = length32(reader, is_flexible)?.unwrap_or(0).into();
                self.next();
                if left > self.behind(reader) {
                    return Err(Blocked::Broken);
                }
                if left > 0 {
                    self.phase = Phase::Records { left };
                }
            }
            Wire::Array(fields) => return self.array(reader, fields, true, means),
            Wire::List(fields) => return self.array(reader, fields, false, means),
            Wire::Numbers(size) => {
                let count = length32(reader, is_flexible)?.unwrap_or(0);
                self.next();
                return self.pass(u64::from(count).saturating_mul(size.into()), reader);
            }
            Wire::Tags => {
                self.next();
                if is_flexible {
                    self.phase = Phase::Tags { ends: false };
                }
            }
            Wire::Rest => self.phase = Phase::Over,
        }
        Ok(())
    }

    /// The field is read.
    #[inline]
    fn next(&mut self) {
        if let Some(frame) = self.top() {
            frame.at = frame.at.wrapping_add(1);
        }
    }

    #[inline]
    fn text(
        &mut self,
        reader: &mut Reader<'_>,
        is_compact: bool,
        means: Means,
        visitor: &mut impl Visitor,
    ) -> Progress<()> {
        let start = reader.position();
        let length = length16(reader, is_compact)?;
        let bytes = length.unwrap_or(0);
        if u64::from(bytes) > self.behind(reader) {
            return Err(Blocked::Broken);
        }
        let mut unread = u64::from(bytes);
        if means != Means::Nothing {
            let wanted = (bytes as usize).min(MAX_TEXT);
            let head = reader.position().saturating_sub(start);
            let text = reader.take(wanted).ok_or(Blocked::Short(head.saturating_add(wanted)))?;
            visitor.text(means, length.map(|_| text));
            unread = unread.saturating_sub(wanted as u64);
        }
        self.next();
        self.pass(unread, reader)
    }

    fn array(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &'static [Field],
        is_tagged: bool,
        means: Means,
    ) -> Progress<()> {
        let count = length32(reader, self.is_flexible)?.unwrap_or(0);
        // Each element has a byte, at least.
        if u64::from(count) > self.behind(reader) {
            return Err(Blocked::Broken);
        }
        self.next();
        if count > 0 && !self.push(Frame { fields, at: 0, is_tagged, means, elements: count }) {
            return Err(Blocked::Broken);
        }
        Ok(())
    }

    #[inline]
    fn end_structure(&mut self, visitor: &mut impl Visitor) {
        let Some(frame) = self.top() else { return };
        let means = frame.means;
        frame.elements = frame.elements.saturating_sub(1);
        frame.at = 0;
        if frame.elements == 0 {
            self.depth = self.depth.saturating_sub(1);
        }
        if means != Means::Nothing {
            visitor.end(means);
        }
    }

    fn tags(&mut self, reader: &mut Reader<'_>, ends: bool, visitor: &mut impl Visitor) -> Progress<()> {
        let left = varint(reader)?;
        if u64::from(left) > self.behind(reader) {
            return Err(Blocked::Broken);
        }
        self.phase = if left > 0 { Phase::Tag { left, ends } } else { self.end_tags(ends, visitor) };
        Ok(())
    }

    fn end_tags(&mut self, ends: bool, visitor: &mut impl Visitor) -> Phase {
        if ends {
            self.end_structure(visitor);
        }
        Phase::Fields
    }

    fn tag(&mut self, reader: &mut Reader<'_>, left: u32, ends: bool, visitor: &mut impl Visitor) -> Progress<()> {
        let start = reader.position();
        let tag = varint_at(reader, 0)?;
        let head = reader.position().saturating_sub(start);
        let mut size = varint_at(reader, head)?;
        if self.is_fetch && self.depth == 1 && tag == REPLICA_STATE && size >= 4 {
            let head = reader.position().saturating_sub(start);
            let replica = reader.i32_be().ok_or(Blocked::Short(head.saturating_add(4)))?;
            visitor.number(Means::Replica, replica.into());
            size = size.saturating_sub(4);
        }
        self.pass(size.into(), reader)?;
        let left = left.saturating_sub(1);
        self.phase = if left > 0 { Phase::Tag { left, ends } } else { self.end_tags(ends, visitor) };
        Ok(())
    }

    #[inline]
    fn records(&mut self, reader: &mut Reader<'_>, left: u64, visitor: &mut impl Visitor) -> Progress<()> {
        let size = match records::head(reader.rest(), left) {
            Head::Need(need) => return Err(Blocked::Short(need)),
            // What is left is not whole (brokers cut where the consumer's limit is), or no records.
            Head::Cut => left,
            Head::Batch(batch) => {
                visitor.batch(&batch);
                batch.size
            }
        };
        let left = left.saturating_sub(size);
        self.phase = if left > 0 { Phase::Records { left } } else { Phase::Fields };
        self.pass(size, reader)
    }
}
