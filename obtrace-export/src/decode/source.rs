//! The seam between the two wire forms and what is read from them: messages field by field, without a tree in between.

use std::fmt;

use super::Limits;
use crate::model::Text;

/// Fields of a message: the name in JSON, the number in protobuf.
pub(super) type Fields = &'static [(&'static str, u32)];

/// A body in one of the wire forms. All readers read the value of the field that is at hand, whole.
pub(super) trait Source: Sized {
    /// Reads a message: `each` reads the value of the field with that number. Unknown fields are passed over.
    fn message(
        &mut self,
        fields: Fields,
        each: impl FnMut(&mut Self, u32) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError>;

    /// Reads a repeated field of messages; protobuf has them one by one, each as a field of its own.
    fn repeated(&mut self, each: impl FnMut(&mut Self) -> Result<(), DecodeError>) -> Result<(), DecodeError>;

    /// Text.
    fn text(&mut self) -> Result<Text, DecodeError>;

    /// A truth value.
    fn boolean(&mut self) -> Result<bool, DecodeError>;

    /// An unsigned number; protobuf has it as a varint or with a fixed width.
    fn unsigned(&mut self) -> Result<u64, DecodeError>;

    /// An unsigned number of 32 bits; protobuf has it as a varint or with a fixed width.
    fn small(&mut self) -> Result<u32, DecodeError>;

    /// A signed number; protobuf has it as a varint or with a fixed width.
    fn signed(&mut self) -> Result<i64, DecodeError>;

    /// A signed number that protobuf has in zigzag form.
    fn zigzag(&mut self) -> Result<i32, DecodeError>;

    /// The number of an enum's value.
    fn enumeration(&mut self) -> Result<i32, DecodeError>;

    /// A floating-point number.
    fn double(&mut self) -> Result<f64, DecodeError>;

    /// Bytes.
    fn bytes(&mut self) -> Result<Vec<u8>, DecodeError>;

    /// The id of a trace or a span; all zero if it is empty.
    fn id<const N: usize>(&mut self) -> Result<[u8; N], DecodeError>;

    /// Adds the numbers of a repeated field.
    fn doubles(&mut self, out: &mut Vec<f64>) -> Result<(), DecodeError>;

    /// Adds the numbers of a repeated field; `fixed`: protobuf has 8 bytes for each.
    fn unsigneds(&mut self, fixed: bool, out: &mut Vec<u64>) -> Result<(), DecodeError>;

    /// What may still be read.
    fn budget(&mut self) -> &mut Budget;

    /// The field at hand is not as it must be.
    fn wrong(&self, what: &'static str) -> DecodeError;

    /// A limit was crossed.
    fn beyond(&self, what: &'static str) -> DecodeError {
        DecodeError { kind: DecodeErrorKind::TooLarge, ..self.wrong(what) }
    }

    /// Counts a span, a log record or a data point.
    fn count_item(&mut self) -> Result<(), DecodeError> {
        let budget = self.budget();
        let Some(left) = budget.items.checked_sub(1) else { return Err(self.beyond("too many items")) };
        budget.items = left;
        Ok(())
    }

    /// Counts something that takes memory when it is read.
    fn count_element(&mut self) -> Result<(), DecodeError> {
        let budget = self.budget();
        let Some(left) = budget.elements.checked_sub(1) else { return Err(self.beyond("too many elements")) };
        budget.elements = left;
        Ok(())
    }

    /// Goes one message deeper; `leave` comes back.
    fn enter(&mut self) -> Result<(), DecodeError> {
        self.count_element()?;
        let budget = self.budget();
        let Some(left) = budget.depth.checked_sub(1) else { return Err(self.wrong("nested too deep")) };
        budget.depth = left;
        Ok(())
    }

    /// See [`Source::enter`].
    fn leave(&mut self) {
        self.budget().depth += 1;
    }
}

/// What may still be read of a request.
#[derive(Debug)]
pub(super) struct Budget {
    items: usize,
    elements: usize,
    depth: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { items: limits.items, elements: limits.elements, depth: limits.depth }
    }
}

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// It is not what the OTLP specification says.
    Malformed,
    /// It is more than the receiver takes: see [`Limits`].
    TooLarge,
}

/// A body that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    what: &'static str,
    field: &'static str,
    offset: usize,
}

impl DecodeError {
    pub(crate) const fn new(kind: DecodeErrorKind, what: &'static str, field: &'static str, offset: usize) -> Self {
        Self { kind, what, field, offset }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// At which byte it was seen: of what was given to the function that refused it.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, field, offset, .. } = self;
        match *field {
            "" => write!(f, "{what} at byte {offset}"),
            field => write!(f, "{what} at byte {offset}, after {field}"),
        }
    }
}

impl std::error::Error for DecodeError {}
