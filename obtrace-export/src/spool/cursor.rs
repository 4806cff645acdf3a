//! Reading what waits in a segment.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::Path,
};

use super::{
    record::{self, RECORD_HEAD, RecordHead, Step},
    segment::{self, Segment},
    sys,
};

/// A record as it lies in its segment.
#[derive(Debug)]
pub(super) struct Lying {
    pub(super) offset: u32,
    pub(super) head: RecordHead,
    /// If it is what was written.
    pub(super) body: Option<Vec<u8>>,
}

/// The file of the segment that is read. How far it was read the segment knows, so that it can be opened again.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) number: u64,
    file: File,
}

impl Cursor {
    pub(super) fn open(folder: &Path, segment: &Segment) -> io::Result<Self> {
        Ok(Self { number: segment.number, file: sys::read(&segment::path(folder, segment.number))? })
    }

    /// The next record that is still to be sent; `None` when there is none up to the end, or the file is gone or shorter.
    ///
    /// # Errors
    ///
    /// It cannot be read now: it is tried again at the same place.
    pub(super) fn next(place: &mut Option<Self>, folder: &Path, segment: &mut Segment) -> io::Result<Option<Lying>> {
        let next = match place.take().filter(|cursor| cursor.number == segment.number) {
            Some(cursor) => Ok(cursor),
            None => Self::open(folder, segment),
        }
        .and_then(|cursor| {
            let next = cursor.read(segment)?;
            *place = Some(cursor);
            Ok(next)
        });
        match next {
            // Anything else says nothing about the file: a process without a free descriptor lost no batch.
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => Err(error),
            next => Ok(next.unwrap_or(None)),
        }
    }

    fn read(&self, segment: &mut Segment) -> io::Result<Option<Lying>> {
        loop {
            let step = record::next(&self.file, segment.read, segment.length, segment.head.nonce)?;
            let Step::Record { at, head, .. } = step else { return Ok(None) };
            let Ok(offset) = u32::try_from(at) else { return Ok(None) };
            if segment.acks.binary_search_by_key(&offset, |ack| ack.offset).is_ok() {
                segment.read = at + head.size();
                continue;
            }
            // Within the segment's length, so not longer than what lies there.
            let mut body = vec![0; usize::try_from(head.length).map_err(io::Error::other)?];
            sys::read_at(&self.file, &mut body, at + RECORD_HEAD as u64)?;
            segment.read = at + head.size();
            let intact = record::crc(&body) == head.body_crc;
            return Ok(Some(Lying { offset, head, body: intact.then_some(body) }));
        }
    }
}
