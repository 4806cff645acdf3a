//! The dynamic section: libraries that are needed, and symbols by their hash.

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

use object::{
    Endian as _, Endianness, elf,
    read::elf::{Dyn as _, FileHeader},
};

use super::{NAME, Range, Segment, offset_of, source::Data, until_nul};

/// Entries of the dynamic section that are looked at; linkers make about 40.
const ENTRIES: u64 = 128;
/// Libraries that are named.
const LIBRARIES: usize = 32;
/// Symbols of one chain that are looked at: a good hash makes chains of one or two.
const CHAIN: u32 = 16;

/// Symbols by which runtimes are known that have been linked into one file, or given another name.
const TELLING: &[&str] = &[
    "_ZN4node5StartEiPPc",
    "napi_module_register",
    "Py_BytesMain",
    "php_module_startup",
    "ruby_run_node",
    "mono_main",
    "DotNetRuntimeInfo",
    "DotNetRuntimeDebugHeader",
    "graal_create_isolate",
];

/// Names of the needed libraries, and which of the telling symbols the program defines.
pub(super) fn read<Elf: FileHeader<Endian = Endianness>>(
    data: Data<'_, '_>,
    range: Range,
    segments: &[Segment],
    endian: Endianness,
) -> Option<(Vec<String>, Vec<String>)> {
    let entry = u64::try_from(size_of::<Elf::Dyn>()).ok()?;
    let bytes = data.bytes(range.offset, range.size.min(ENTRIES.checked_mul(entry)?))?;
    let (entries, _) =
        object::slice_from_bytes::<Elf::Dyn>(bytes, bytes.len().checked_div(size_of::<Elf::Dyn>())?).ok()?;
    let entries = || entries.iter().take_while(|entry| entry.d_tag(endian).into() != elf::DT_NULL);
    let find = |tag| {
        let entry = entries().find(|entry| entry.d_tag(endian).into() == tag)?;
        offset_of(segments, entry.d_val(endian).into())
    };
    let strings = find(elf::DT_STRTAB)?;
    let name = |entry: &Elf::Dyn| {
        let offset = strings.checked_add(entry.d_val(endian).into())?;
        data.bytes(offset, NAME / 2).map(until_nul)
    };
    let needed = entries().filter(|entry| entry.d_tag(endian).into() == elf::DT_NEEDED);
    let needed = needed.take(LIBRARIES).filter_map(name).collect();
    let symbols = || {
        let table = Table {
            data,
            endian,
            is_64: size_of::<Elf::Word>() == 8,
            hash: find(elf::DT_GNU_HASH)?,
            symbols: find(elf::DT_SYMTAB)?,
            strings,
        };
        Some(TELLING.iter().filter(|name| table.has(name).unwrap_or(false)).map(|name| (*name).to_owned()).collect())
    };
    Some((needed, symbols().unwrap_or_default()))
}

/// The [hash table] by which the loader finds symbols: a few bytes tell whether there is one.
///
/// [hash table]: https://sourceware.org/legacy-ml/binutils/2006-10/msg00377.html
struct Table<'c, 's> {
    data: Data<'c, 's>,
    endian: Endianness,
    is_64: bool,
    /// Offsets in the file.
    hash: u64,
    symbols: u64,
    strings: u64,
}

impl Table<'_, '_> {
    fn u32(&self, offset: u64) -> Option<u32> {
        Some(self.endian.read_u32(self.data.array(offset)?))
    }

    /// Whether the program defines `name`; `None` if the table cannot be read.
    fn has(&self, name: &str) -> Option<bool> {
        let [buckets, first, blooms, shift] =
            [self.u32(self.hash)?, self.u32(self.hash + 4)?, self.u32(self.hash + 8)?, self.u32(self.hash + 12)?];
        let hash = elf::gnu_hash(name.as_bytes());
        let (word, bits) = if self.is_64 { (8, 64) } else { (4, 32) };
        let blooms_at = self.hash.checked_add(16)?;
        let bloom_at = blooms_at.checked_add(word * u64::from((hash / bits).checked_rem(blooms)?))?;
        let bloom =
            if self.is_64 { self.endian.read_u64(self.data.array(bloom_at)?) } else { u64::from(self.u32(bloom_at)?) };
        let bit = |hash: u32| bloom.checked_shr(hash % bits).unwrap_or(0) & 1;
        if bit(hash) & bit(hash.checked_shr(shift)?) == 0 {
            return Some(false);
        }
        let buckets_at = blooms_at.checked_add(word * u64::from(blooms))?;
        let mut symbol = self.u32(buckets_at.checked_add(4 * u64::from(hash.checked_rem(buckets)?))?)?;
        let chains_at = buckets_at.checked_add(4 * u64::from(buckets))?;
        for _ in 0..CHAIN {
            let link = self.u32(chains_at.checked_add(4 * u64::from(symbol.checked_sub(first)?))?)?;
            if link | 1 == hash | 1 && self.is_called(symbol, name)? {
                return Some(true);
            }
            if link & 1 == 1 {
                break;
            }
            symbol = symbol.checked_add(1)?;
        }
        Some(false)
    }

    fn is_called(&self, symbol: u32, name: &str) -> Option<bool> {
        // The name's offset is the first field in both classes.
        let size = if self.is_64 { size_of::<elf::Sym64<Endianness>>() } else { size_of::<elf::Sym32<Endianness>>() };
        let at = self.symbols.checked_add(u64::from(symbol).checked_mul(u64::try_from(size).ok()?)?)?;
        let text_at = self.strings.checked_add(u64::from(self.u32(at)?))?;
        let text = self.data.bytes(text_at, u64::try_from(name.len()).ok()?.checked_add(1)?)?;
        Some(text.strip_suffix(b"\0") == Some(name.as_bytes()))
    }
}
