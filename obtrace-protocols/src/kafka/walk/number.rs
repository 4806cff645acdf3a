//! Numbers and lengths in front of what they count.

use crate::reader::Reader;

/// Most bytes that a number of the variable kind may take.
const MAX_VARINT: usize = 5;

/// Why a value is not read.
pub(super) enum Blocked {
    Short(usize),
    Broken,
}

pub(super) type Progress<T> = Result<T, Blocked>;

#[inline]
pub(super) fn integer(reader: &mut Reader<'_>, size: u8) -> Progress<i64> {
    let value = match size {
        1 => reader.u8().map(|byte| i64::from(byte.cast_signed())),
        2 => reader.take_array().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        4 => reader.i32_be().map(i64::from),
        _ => reader.take_array().map(i64::from_be_bytes),
    };
    value.ok_or(Blocked::Short(size.into()))
}

/// The length of a string, `None` of null.
#[inline]
pub(super) fn length16(reader: &mut Reader<'_>, is_compact: bool) -> Progress<Option<u32>> {
    if is_compact {
        return Ok(varint(reader)?.checked_sub(1));
    }
    match reader.take_array().map(i16::from_be_bytes) {
        None => Err(Blocked::Short(2)),
        Some(-1) => Ok(None),
        Some(length) => u32::try_from(length).map(Some).map_err(|_| Blocked::Broken),
    }
}

/// The length of an array or of bytes, `None` of null.
#[inline]
pub(super) fn length32(reader: &mut Reader<'_>, is_compact: bool) -> Progress<Option<u32>> {
    if is_compact {
        return Ok(varint(reader)?.checked_sub(1));
    }
    match reader.i32_be() {
        None => Err(Blocked::Short(4)),
        Some(-1) => Ok(None),
        Some(length) => u32::try_from(length).map(Some).map_err(|_| Blocked::Broken),
    }
}

/// An unsigned number in groups of seven bits, the lowest first.
#[inline]
pub(super) fn varint(reader: &mut Reader<'_>) -> Progress<u32> {
    varint_at(reader, 0)
}

/// The same behind `head` bytes that were taken for the same value.
#[inline]
pub(super) fn varint_at(reader: &mut Reader<'_>, head: usize) -> Progress<u32> {
    let mut value = 0_u32;
    for number in 0..MAX_VARINT {
        let byte = reader.u8().ok_or(Blocked::Short(head.saturating_add(number).saturating_add(1)))?;
        let bits = u32::from(byte & 0x7f);
        let shift = (number as u32).wrapping_mul(7);
        // The fifth byte has four bits left.
        if number == MAX_VARINT.saturating_sub(1) && bits > 0x0f {
            return Err(Blocked::Broken);
        }
        value |= bits.wrapping_shl(shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Blocked::Broken)
}
