//! Reads of a file that are bounded and counted.

use std::{fs::File, os::unix::fs::FileExt as _};

use object::read::{ReadCache, ReadCacheOps, ReadRef as _, elf::FileHeader};

use super::Executable;

/// A file or bytes, of which no more than [`Executable::LIMIT`] are handed out.
#[derive(Debug)]
pub(super) struct Source<'s> {
    from: From<'s>,
    len: u64,
    position: u64,
    left: u64,
}

#[derive(Debug)]
enum From<'s> {
    File(&'s File),
    Bytes(&'s [u8]),
}

impl<'s> Source<'s> {
    pub(super) fn from_file(file: &'s File) -> Self {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        Self { from: From::File(file), len, position: 0, left: Executable::LIMIT }
    }

    pub(super) fn from_bytes(bytes: &'s [u8]) -> Self {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { from: From::Bytes(bytes), len, position: 0, left: Executable::LIMIT }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        Executable::LIMIT - self.left
    }
}

impl ReadCacheOps for Source<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.len)
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        self.position = position;
        Ok(position)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        self.read_exact(buffer).map(|()| buffer.len())
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        let wanted = u64::try_from(buffer.len()).map_err(drop)?;
        self.left = self.left.checked_sub(wanted).ok_or(())?;
        match self.from {
            From::File(file) => file.read_exact_at(buffer, self.position).map_err(drop)?,
            From::Bytes(bytes) => {
                let start = usize::try_from(self.position).map_err(drop)?;
                let end = start.checked_add(buffer.len()).ok_or(())?;
                buffer.copy_from_slice(bytes.get(start..end).ok_or(())?);
            }
        }
        self.position = self.position.saturating_add(wanted);
        Ok(())
    }
}

/// The file as the rest sees it: blocks that are there whole, or not at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'c, 's> {
    cache: &'c ReadCache<Source<'s>>,
}

impl<'c, 's> Data<'c, 's> {
    pub(super) fn new(cache: &'c ReadCache<Source<'s>>) -> Self {
        Self { cache }
    }

    /// For what `object` reads itself. Its counts have to be looked at before: it reserves memory before it reads.
    pub(super) fn cache(self) -> &'c ReadCache<Source<'s>> {
        self.cache
    }

    /// The file's header.
    pub(super) fn header<Elf: FileHeader>(self) -> Option<&'c Elf> {
        Elf::parse(self.cache).ok()
    }

    /// `size` bytes, or as many as there are before the end of the file.
    pub(super) fn bytes(self, offset: u64, size: u64) -> Option<&'c [u8]> {
        let len = self.cache.len().ok()?;
        let size = size.min(len.checked_sub(offset)?);
        if size > Executable::LIMIT {
            return None;
        }
        self.cache.read_bytes_at(offset, size).ok()
    }

    /// A fixed number of bytes.
    pub(super) fn array<const N: usize>(self, offset: u64) -> Option<[u8; N]> {
        self.bytes(offset, u64::try_from(N).ok()?)?.try_into().ok()
    }
}
