//! What the file of a program says, from at most [`Executable::LIMIT`] bytes of it.

mod dynamic;
mod go;
mod source;
mod windows;

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};
use std::fs::File;

use object::{
    Endianness, elf,
    read::{
        ReadCache,
        elf::{FileHeader, ProgramHeader as _, SectionHeader as _},
    },
};

use self::source::{Data, Source};
use super::GoBuildInfo;

/// What the file of a program says of itself: an [ELF] file's headers, its interpreter, what it needs, a few symbols, what
/// compilers left in it, Go's build information.
///
/// Sizes and offsets in the file are not trusted. What cannot be read, or would be too much, is left out.
///
/// [ELF]: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Executable {
    /// The architecture, as `uname -m` would name it.
    pub architecture: Option<&'static str>,
    /// Names of sections.
    pub sections: Vec<String>,
    /// The program interpreter.
    pub interpreter: Option<String>,
    /// Shared libraries that it asks for.
    pub needed: Vec<String>,
    /// Telling symbols.
    pub symbols: Vec<String>,
    /// What compilers and linkers left in `.comment`.
    pub comments: Vec<String>,
    /// Telling strings of its read-only data.
    pub strings: Vec<String>,
    /// Go's build information.
    pub go: Option<GoBuildInfo<'static>>,
    /// How many bytes of the file were read.
    pub bytes_read: u64,
}

/// More sections than this are not looked at; linkers make about 40.
const SECTIONS: u16 = 160;
/// Nor more segments; linkers make about 13.
const SEGMENTS: u16 = 64;
/// Bytes of section names.
const SECTION_NAMES: u64 = 8 << 10;
/// Bytes of `.comment`.
const COMMENT: u64 = 1 << 10;
/// Compilers that are named in it.
const COMMENTS: usize = 8;
/// A path of an interpreter, a name of a library, of a symbol.
const NAME: u64 = 256;

/// A part of the file.
#[derive(Clone, Copy, Debug)]
struct Range {
    offset: u64,
    size: u64,
}

/// A part of the file that is mapped when the program runs.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    file: Range,
    is_writable: bool,
}

/// Where an address of the running program is in the file.
fn offset_of(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().find_map(|segment| {
        let inside = address.checked_sub(segment.address).filter(|inside| *inside < segment.file.size)?;
        segment.file.offset.checked_add(inside)
    })
}

impl Executable {
    /// At most so many bytes of a file are read.
    pub const LIMIT: u64 = 64 << 10;

    /// Reads a file; `None` if it is not an ELF file.
    #[must_use]
    pub fn from_file(file: &File) -> Option<Self> {
        Self::read(Source::from_file(file))
    }

    /// Reads what somebody else has read; `None` if it is not an ELF file.
    ///
    /// ```
    /// use obtrace_detect::process::Executable;
    ///
    /// assert_eq!(Executable::from_bytes(b"#!/bin/sh"), None);
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::read(Source::from_bytes(bytes))
    }

    fn read(source: Source<'_>) -> Option<Self> {
        let cache = ReadCache::new(source);
        let data = Data::new(&cache);
        let ident = data.bytes(0, 16)?;
        let mut this = match (ident.get(..4)?, ident.get(4)?) {
            (b"\x7fELF", 2) => Self::parse::<elf::FileHeader64<Endianness>>(data)?,
            (b"\x7fELF", 1) => Self::parse::<elf::FileHeader32<Endianness>>(data)?,
            _ => return None,
        };
        this.bytes_read = cache.into_inner().bytes_read();
        Some(this)
    }

    fn parse<Elf: FileHeader<Endian = Endianness>>(data: Data<'_, '_>) -> Option<Self> {
        let header: &Elf = data.header()?;
        let endian = header.endian().ok()?;
        let mut this = Self { architecture: architecture(header, endian), ..Self::default() };
        let segments = this.segments(header, endian, data);
        let sections = this.sections(header, endian, data).unwrap_or_default();
        let section = |name: &str| sections.iter().find(|(known, _)| known == name).map(|(_, range)| *range);
        this.comments = section(".comment").and_then(|range| comments(data, range)).unwrap_or_default();
        this.go = go::read(data, section(".go.buildinfo"), &segments, sections.is_empty());
        let is_go = this.go.is_some() || section(".gopclntab").is_some();
        // Others than Rust's need no look at their strings; where there is no .comment nobody knows.
        if !is_go && (this.comments.is_empty() || this.comments.iter().any(|comment| comment.starts_with("rustc "))) {
            this.strings = windows::strings(data, section(".rodata"));
            this.symbols.extend(windows::symbols(data, section(".strtab")));
        }
        Some(this)
    }

    /// The segments that are loaded, and what the others say.
    fn segments<Elf: FileHeader<Endian = Endianness>>(
        &mut self,
        header: &Elf,
        endian: Endianness,
        data: Data<'_, '_>,
    ) -> Vec<Segment> {
        if header.e_phnum(endian) > SEGMENTS {
            return Vec::new();
        }
        let Ok(headers) = header.program_headers(endian, data.cache()) else { return Vec::new() };
        let range = |segment: &Elf::ProgramHeader| Range {
            offset: segment.p_offset(endian).into(),
            size: segment.p_filesz(endian).into(),
        };
        let loaded = headers.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        let segments: Vec<Segment> = loaded
            .map(|segment| Segment {
                address: segment.p_vaddr(endian).into(),
                file: range(segment),
                is_writable: segment.p_flags(endian) & elf::PF_W != 0,
            })
            .collect();
        for segment in headers {
            match segment.p_type(endian) {
                elf::PT_INTERP => {
                    let Range { offset, size } = range(segment);
                    self.interpreter = data.bytes(offset, size.min(NAME)).map(until_nul);
                }
                elf::PT_DYNAMIC => {
                    let found = dynamic::read::<Elf>(data, range(segment), &segments, endian);
                    (self.needed, self.symbols) = found.unwrap_or_default();
                }
                _ => {}
            }
        }
        segments
    }

    /// The sections that have a name, and where they are.
    fn sections<Elf: FileHeader<Endian = Endianness>>(
        &mut self,
        header: &Elf,
        endian: Endianness,
        data: Data<'_, '_>,
    ) -> Option<Vec<(String, Range)>> {
        let count = header.e_shnum(endian);
        if count == 0 || count > SECTIONS {
            return None;
        }
        let headers = header.section_headers(endian, data.cache()).ok()?;
        let names = headers.get(usize::from(header.e_shstrndx(endian)))?;
        let (offset, size): (u64, u64) = (names.sh_offset(endian).into(), names.sh_size(endian).into());
        let names = data.bytes(offset, size.min(SECTION_NAMES))?;
        let mut sections = Vec::new();
        for section in headers {
            let start = usize::try_from(section.sh_name(endian)).ok()?;
            let Some(name) = names.get(start..).map(until_nul).filter(|name| !name.is_empty()) else { continue };
            let size = if section.sh_type(endian) == elf::SHT_NOBITS { 0 } else { section.sh_size(endian).into() };
            self.sections.push(name.clone());
            sections.push((name, Range { offset: section.sh_offset(endian).into(), size }));
        }
        Some(sections)
    }
}

fn architecture<Elf: FileHeader<Endian = Endianness>>(header: &Elf, endian: Endianness) -> Option<&'static str> {
    Some(match (header.e_machine(endian), header.is_big_endian()) {
        (elf::EM_X86_64, _) => "x86_64",
        (elf::EM_386, _) => "i686",
        (elf::EM_AARCH64, _) => "aarch64",
        (elf::EM_ARM, _) => "armv7l",
        (elf::EM_RISCV, _) => "riscv64",
        (elf::EM_PPC64, false) => "ppc64le",
        (elf::EM_PPC64, true) => "ppc64",
        (elf::EM_S390, _) => "s390x",
        (elf::EM_LOONGARCH, _) => "loongarch64",
        (elf::EM_MIPS, _) => "mips64",
        _ => return None,
    })
}

/// The strings of `.comment`, each once, in their order: the first compiler is most often that of the program's own code.
fn comments(data: Data<'_, '_>, range: Range) -> Option<Vec<String>> {
    let bytes = data.bytes(range.offset, range.size.min(COMMENT))?;
    let mut found: Vec<String> = Vec::new();
    for text in bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty()).take(COMMENTS) {
        let text = String::from_utf8_lossy(text).into_owned();
        if !found.contains(&text) {
            found.push(text);
        }
    }
    Some(found)
}

/// The string at the beginning of `bytes`.
fn until_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or(bytes);
    let text = text.get(..usize::try_from(NAME).unwrap_or(usize::MAX)).unwrap_or(text);
    String::from_utf8_lossy(text).as_ref().to_owned()
}

#[cfg(test)]
mod tests;
