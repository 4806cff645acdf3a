//! The [build information] that Go's linker writes.
//!
//! [build information]: https://pkg.go.dev/debug/buildinfo

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

use super::{Range, Segment, offset_of, source::Data};
use crate::process::GoBuildInfo;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The header's size, whatever the version.
const HEADER: u64 = 32;
/// Bytes of the strings that are read: modules of large programs are about 20 KiB.
const STRINGS: u64 = 40 << 10;
/// Modules that are kept.
const MODULES: usize = 512;
/// Bytes in which the header is looked for where there are no section headers.
const SEARCH: u64 = 8 << 10;
/// The size of the marks before and after the modules' text.
const MARK: usize = 16;

/// Reads the build information at `section`; in a file without section headers it is at the beginning of the data.
pub(super) fn read(
    data: Data<'_, '_>,
    section: Option<Range>,
    segments: &[Segment],
    has_no_sections: bool,
) -> Option<GoBuildInfo<'static>> {
    let at = match section {
        Some(range) => range.offset,
        None if has_no_sections => find(data, segments)?,
        None => return None,
    };
    let header: [u8; 32] = data.array(at)?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    let [pointer, flags] = [*header.get(14)?, *header.get(15)?];
    let (version, modules) = if flags & 2 != 0 {
        // Since Go 1.18: both strings follow, each after its length.
        let text = data.bytes(at.checked_add(HEADER)?, STRINGS)?;
        let (version, rest) = string(text)?;
        (version, string(rest).map(|(modules, _)| modules).unwrap_or_default())
    } else {
        let order = Order { is_64: pointer == 8, is_big: flags & 1 != 0 };
        let width = u64::from(pointer);
        let at = |index: u64| order.word(data, at.checked_add(16)?.checked_add(width.checked_mul(index)?)?);
        let version = order.string(data, segments, at(0)?)?;
        (version, at(1).and_then(|address| order.string(data, segments, address)).unwrap_or_default())
    };
    let mut info = GoBuildInfo::new(text(version.get(..64).unwrap_or(version)));
    lines(modules, &mut info);
    Some(info)
}

fn find(data: Data<'_, '_>, segments: &[Segment]) -> Option<u64> {
    let segment = segments.iter().find(|segment| segment.is_writable)?;
    let bytes = data.bytes(segment.file.offset, segment.file.size.min(SEARCH))?;
    let index = bytes.chunks(MARK).position(|chunk| chunk.starts_with(MAGIC))?;
    segment.file.offset.checked_add(u64::try_from(index.checked_mul(MARK)?).ok()?)
}

/// A string after its length, and what follows; as much of it as there is.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()?.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            let rest = bytes.get(index.checked_add(1)?..)?;
            return Some(rest.split_at(length.min(rest.len())));
        }
    }
    None
}

/// How numbers are written.
#[derive(Clone, Copy)]
struct Order {
    is_64: bool,
    is_big: bool,
}

impl Order {
    /// A pointer or a length.
    fn word(self, data: Data<'_, '_>, offset: u64) -> Option<u64> {
        Some(match (self.is_64, self.is_big) {
            (true, false) => u64::from_le_bytes(data.array(offset)?),
            (true, true) => u64::from_be_bytes(data.array(offset)?),
            (false, false) => u32::from_le_bytes(data.array(offset)?).into(),
            (false, true) => u32::from_be_bytes(data.array(offset)?).into(),
        })
    }

    /// A string of Go's: at `address` are a pointer and a length.
    fn string<'c>(self, data: Data<'c, '_>, segments: &[Segment], address: u64) -> Option<&'c [u8]> {
        let at = offset_of(segments, address)?;
        let text = offset_of(segments, self.word(data, at)?)?;
        let length = self.word(data, at.checked_add(if self.is_64 { 8 } else { 4 })?)?;
        data.bytes(text, length.min(STRINGS / 2))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).as_ref().to_owned()
}

/// `path`, `mod` and `dep` lines; a replaced module keeps its own name.
fn lines(modules: &[u8], info: &mut GoBuildInfo<'static>) {
    let Some(modules) = modules.get(MARK..) else { return };
    let mut kept = Vec::new();
    for line in modules.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b'\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(b"path"), Some(path), _) => info.path = Some(text(path).into()),
            (Some(b"mod" | b"dep"), Some(path), Some(version)) if kept.len() < MODULES => {
                kept.push((text(path).into(), text(version).into()));
            }
            _ => {}
        }
    }
    info.modules = kept;
}
