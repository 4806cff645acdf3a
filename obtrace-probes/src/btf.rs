//! The part of the kernel's BTF that the probes need.
//!
//! The BTF of a kernel describes some 130,000 types. Looking through all of them for every type and every hook of the
//! probes takes half of the time until they are loaded, and as much memory as all else together. What is of no use is
//! therefore made into empty declarations before anything else reads it: the numbers of the types stay as they are, since
//! they name the hooks to the kernel.

use std::collections::HashSet;

const MAGIC: u16 = 0xeb9f;
/// Bytes of `struct btf_type`.
const TYPE: usize = 12;
/// `struct btf_type` of a forward declaration without a name.
const DECLARATION: [u32; 3] = [0, 7 << 24, 0];
/// What a hook's name has before it in BTF: nothing for a function, these for a tracepoint and for an iterator.
const PREFIXES: [&[u8]; 2] = [b"btf_trace_", b"bpf_iter_"];

/// `struct btf_header` (linux/btf.h) with its sections.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(btf: &'a [u8]) -> Option<Self> {
        let magic = btf.first_chunk::<2>()?;
        let header = word(btf, 4)? as usize;
        let part = |offset: usize, length: usize| {
            let start = header.checked_add(word(btf, offset)? as usize)?;
            btf.get(start..start.checked_add(word(btf, length)? as usize)?)
        };
        (u16::from_ne_bytes(*magic) == MAGIC).then_some(())?;
        Some(Self { types: part(8, 12)?, strings: part(16, 20)? })
    }

    /// Every string with its offset.
    fn names(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut at = 0;
        self.strings.split(|byte| *byte == 0).map(move |name| {
            let offset = at;
            at += name.len() as u32 + 1;
            (offset, name)
        })
    }
}

/// A type where it stands in the section.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    kind: u32,
    /// Its size or the type it is of.
    of: u32,
    bytes: &'a [u8],
}

impl<'a> Type<'a> {
    fn at(types: &'a [u8], at: usize) -> Option<Self> {
        let (name, info, of) = (word(types, at)?, word(types, at + 4)?, word(types, at + 8)?);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let more = match kind {
            INT | VAR | DECLARATION_TAG => 4,
            ARRAY => 12,
            STRUCT | UNION | SECTION | ENUM64 => 12 * count,
            ENUM | PROTOTYPE => 8 * count,
            POINTER | FORWARD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNCTION | FLOAT | TYPE_TAG => 0,
            // A kind of which not even the length is known.
            _ => return None,
        };
        Some(Self { name, kind, of, bytes: types.get(at..at + TYPE + more)? })
    }

    /// Calls `each` with the types whose layout is a part of this one's. What is pointed to is not.
    fn parts(&self, mut each: impl FnMut(u32)) {
        match self.kind {
            STRUCT | UNION => {
                let members = self.bytes.get(TYPE..).unwrap_or_default();
                members.chunks_exact(12).filter_map(|member| word(member, 4)).for_each(each);
            }
            ARRAY => [12, 16].into_iter().filter_map(|at| word(self.bytes, at)).for_each(each),
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => each(self.of),
            _ => {}
        }
    }
}

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const VAR: u32 = 14;
const SECTION: u32 = 15;
const FLOAT: u32 = 16;
const DECLARATION_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// The kernel's BTF with everything emptied that neither `object` (a 64-bit ELF file with BTF) nor `hooks` name. `None`
/// if either is not in the form that is known here: then it has to do as it is.
pub(crate) fn trimmed(kernel: &[u8], object: &[u8], hooks: &[&str]) -> Option<Vec<u8>> {
    let kernel = Sections::of(kernel)?;
    let mut names = Names::default();
    Sections::of(section(object)?)?.names().for_each(|(_, name)| names.add(flavorless(name)));
    hooks.iter().for_each(|hook| names.add(hook.as_bytes()));
    let wanted = names.offsets(&kernel);

    let mut starts = vec![0];
    let mut at = 0;
    let mut next = Vec::new();
    while at < kernel.types.len() {
        let found = Type::at(kernel.types, at)?;
        if found.name != 0 && wanted.contains(found.name) {
            next.push(starts.len() as u32);
        }
        starts.push(at);
        at += found.bytes.len();
    }
    let mut kept = Bits::new(starts.len());
    while let Some(id) = next.pop() {
        let Some(start) = starts.get(id as usize).filter(|_| id != 0) else { continue };
        if kept.set(id) {
            Type::at(kernel.types, *start)?.parts(|part| next.push(part));
        }
    }
    Some(written(&kernel, &starts, &kept))
}

fn written(kernel: &Sections<'_>, starts: &[usize], kept: &Bits) -> Vec<u8> {
    const HEADER: u32 = 24;
    let mut out = Vec::with_capacity(HEADER as usize + starts.len() * 2 * TYPE + kernel.strings.len());
    out.resize(HEADER as usize, 0);
    for (id, start) in starts.iter().enumerate().skip(1) {
        match Type::at(kernel.types, *start).filter(|_| kept.contains(id as u32)) {
            Some(found) => out.extend_from_slice(found.bytes),
            None => DECLARATION.iter().for_each(|word| out.extend_from_slice(&word.to_ne_bytes())),
        }
    }
    let types = out.len() as u32 - HEADER;
    out.extend_from_slice(kernel.strings);
    let [low, high] = MAGIC.to_ne_bytes();
    let version = u32::from_ne_bytes([low, high, 1, 0]);
    let header = [version, HEADER, 0, types, types, kernel.strings.len() as u32];
    for (slot, word) in out.chunks_exact_mut(4).zip(header) {
        slot.copy_from_slice(&word.to_ne_bytes());
    }
    out
}

/// Names to look for.
#[derive(Default)]
struct Names<'a> {
    names: HashSet<&'a [u8]>,
    /// For each first byte the lengths (modulo 64) that its names have, so that most others need no hash.
    lengths: [u64; 32],
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a [u8]) {
        if let Some(slot) = self.lengths.get_mut(Self::slot(name)) {
            *slot |= 1 << (name.len() % 64);
        }
        self.names.insert(name);
    }

    fn slot(name: &[u8]) -> usize {
        name.first().map_or(0, |byte| usize::from(byte % 32))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.lengths.get(Self::slot(name)).is_some_and(|lengths| lengths >> (name.len() % 64) & 1 == 1)
            && self.names.contains(name)
    }

    /// The offsets at which they stand in the strings, with and without what hooks have before them.
    fn offsets(&self, btf: &Sections<'_>) -> Bits {
        let mut offsets = Bits::new(btf.strings.len());
        for (offset, name) in btf.names() {
            let prefixed = || PREFIXES.iter().find_map(|prefix| name.strip_prefix(*prefix));
            if self.has(name) || prefixed().is_some_and(|hook| self.has(hook)) {
                offsets.set(offset);
            }
        }
        offsets
    }
}

/// The name of a type without what tells its local variants apart.
fn flavorless(name: &[u8]) -> &[u8] {
    let end = name.windows(3).position(|window| window == b"___");
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}

/// A set of small numbers.
struct Bits(Vec<u64>);

impl Bits {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Adds a number; whether it is new (and not too large).
    fn set(&mut self, number: u32) -> bool {
        let Some(word) = self.0.get_mut(number as usize / 64) else { return false };
        let before = *word;
        *word |= 1 << (number % 64);
        before != *word
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The section `.BTF` of a 64-bit ELF file.
fn section(elf: &[u8]) -> Option<&[u8]> {
    let long =
        |at: usize| elf.get(at..)?.first_chunk().and_then(|bytes| usize::try_from(u64::from_ne_bytes(*bytes)).ok());
    let short = |at: usize| elf.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_ne_bytes(*bytes)));
    let (table, size, count, index) = (long(40)?, short(58)?, short(60)?, short(62)?);
    let header = |index: usize| table.checked_add(size.checked_mul(index)?);
    let names = long(header(index)? + 24)?;
    let is_btf = |header: &usize| {
        let name = word(elf, *header).and_then(|name| elf.get(names.checked_add(name as usize)?..));
        name.is_some_and(|name| name.starts_with(b".BTF\0"))
    };
    let found = (0..count).filter_map(header).find(is_btf)?;
    let start = long(found + 24)?;
    elf.get(start..start.checked_add(long(found + 32)?)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::object;

    fn kernel() -> Vec<u8> {
        std::fs::read("/sys/kernel/btf/vmlinux").unwrap()
    }

    /// Name, kind and bytes of each type, by number.
    fn types(btf: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let sections = Sections::of(btf).unwrap();
        let mut all = vec![(String::new(), 0, Vec::new())];
        let mut at = 0;
        while at < sections.types.len() {
            let found = Type::at(sections.types, at).unwrap();
            let name = &sections.strings[found.name as usize..];
            let name = &name[..name.iter().position(|byte| *byte == 0).unwrap()];
            all.push((String::from_utf8(name.to_vec()).unwrap(), found.kind, found.bytes.to_vec()));
            at += found.bytes.len();
        }
        all
    }

    #[test]
    fn what_is_named_keeps_its_number_and_its_parts() {
        let kernel = kernel();
        let small = trimmed(&kernel, object::syscall(), &["task", "sys_enter"]).unwrap();
        assert!(small.len() < kernel.len() / 2 + kernel.len() / 4);
        let (all, left) = (types(&kernel), types(&small));
        assert_eq!(all.len(), left.len());
        let ids: BTreeMap<_, _> =
            all.iter().enumerate().map(|(id, (name, kind, _))| ((name.as_str(), *kind), id)).collect();
        for named in
            [("sock", STRUCT), ("task_struct", STRUCT), ("bpf_iter_task", FUNCTION), ("btf_trace_sys_enter", TYPEDEF)]
        {
            let id = ids[&named];
            assert_eq!(all[id], left[id], "{named:?}");
        }
        // Whatever a structure that was kept holds can be measured.
        for (name, kind, bytes) in &left {
            let found = Type { name: 0, kind: *kind, of: word(bytes, 8).unwrap_or(0), bytes };
            found.parts(|part| assert_eq!(all[part as usize], left[part as usize], "in {name}"));
        }
        let kept = left.iter().filter(|(_, kind, _)| *kind != FORWARD).count();
        assert!(kept < all.len() / 20, "{kept} of {}", all.len());
    }

    #[test]
    fn what_is_cut_short_is_refused_or_read() {
        let kernel = kernel();
        for length in [0, 1, 4, 8, 23, 24, 25, 100, kernel.len() / 2, kernel.len() - 1] {
            assert!(trimmed(&kernel[..length], object::syscall(), &[]).is_none(), "{length}");
        }
        let object = object::syscall();
        for length in (0..64).chain([object.len() / 2, object.len() - 1]) {
            let _ = trimmed(&kernel, &object[..length], &[]);
        }
        assert!(trimmed(&kernel, &object[..64], &[]).is_none());
    }

    #[test]
    fn flavors_are_cut_off() {
        assert_eq!(flavorless(b"iov_iter___old"), b"iov_iter");
        assert_eq!(flavorless(b"sock"), b"sock");
    }
}
