//! What is done with the values of a message.

use crate::kafka::{error::ErrorCode, records::Batch, schema::Means};

/// Takes what a message says.
pub(in crate::kafka) trait Visitor {
    fn number(&mut self, means: Means, value: i64);
    /// The first [`MAX_TEXT`](super::MAX_TEXT) bytes of a string; `None` of null.
    fn text(&mut self, means: Means, text: Option<&[u8]>);
    fn id(&mut self, means: Means, id: [u8; 16]);
    /// An element of an array is over.
    fn end(&mut self, means: Means);
    /// Records that are whole.
    fn batch(&mut self, batch: &Batch);
}

/// Wants nothing.
pub(in crate::kafka) struct Blind;

impl Visitor for Blind {
    fn number(&mut self, _means: Means, _value: i64) {}
    fn text(&mut self, _means: Means, _text: Option<&[u8]>) {}
    fn id(&mut self, _means: Means, _id: [u8; 16]) {}
    fn end(&mut self, _means: Means) {}
    fn batch(&mut self, _batch: &Batch) {}
}

/// Whether values are of a size that they usually have.
pub(super) struct Likely {
    pub(super) fits: bool,
    /// The head of a batch of records was there.
    pub(super) has_records: bool,
}

/// Longest time of throttling believed, in milliseconds.
const MAX_THROTTLE: i64 = 3_600_000;

impl Visitor for Likely {
    fn number(&mut self, means: Means, value: i64) {
        self.fits &= match means {
            Means::Error => i16::try_from(value).is_ok_and(|code| ErrorCode::new(code).name().is_some()),
            Means::Throttle => (0..=MAX_THROTTLE).contains(&value),
            Means::Partition => value >= 0,
            Means::Offset | Means::CommittedOffset => value >= -1,
            _ => true,
        };
    }

    fn text(&mut self, _means: Means, text: Option<&[u8]>) {
        self.fits &= text.is_none_or(|text| text.iter().all(|byte| *byte >= b' '));
    }

    fn id(&mut self, _means: Means, _id: [u8; 16]) {}
    fn end(&mut self, _means: Means) {}
    fn batch(&mut self, _batch: &Batch) {
        self.has_records = true;
    }
}
