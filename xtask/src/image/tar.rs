//! What is in a layer, and its bytes: ustar (POSIX.1-1988), sorted, without times and owners of this machine.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use crate::error::Error;

const BLOCK: usize = 512;
/// The longest file that a header can tell the size of.
const LONGEST: u64 = 0o777_7777_7777;

/// A tree of files; folders on the way to a file are there by themselves.
#[derive(Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

enum Entry {
    Folder(u32),
    File(u32, Vec<u8>),
    Link(String),
}

impl Tree {
    /// A folder with a mode of its own.
    pub(crate) fn folder(&mut self, path: &str, mode: u32) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Folder(mode));
    }

    /// A file.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::File(mode, bytes.into()));
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Link(to.to_owned()));
    }

    /// A file of this machine.
    pub(crate) fn copy(&mut self, from: &Path, path: &str, mode: u32) -> Result<(), Error> {
        let bytes = fs::read(from).map_err(Error::file("read", from))?;
        self.file(path, mode, bytes);
        Ok(())
    }

    fn parents(&mut self, path: &str) {
        for (index, _) in path.match_indices('/') {
            let parent = path.get(..index).unwrap_or_default();
            self.entries.entry(parent.to_owned()).or_insert(Entry::Folder(0o755));
        }
    }

    /// The archive.
    pub(crate) fn archive(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for (path, entry) in &self.entries {
            match entry {
                Entry::Folder(mode) => out.extend(header(&format!("{path}/"), *mode, b'5', 0, "")?),
                Entry::Link(to) => out.extend(header(path, 0o777, b'2', 0, to)?),
                Entry::File(mode, bytes) => append(&mut out, path, *mode, bytes)?,
            }
        }
        out.resize(out.len() + 2 * BLOCK, 0);
        Ok(out)
    }

    /// Writes it to a folder of this machine.
    pub(crate) fn unpack(&self, root: &Path) -> Result<(), Error> {
        for (path, entry) in &self.entries {
            let target = root.join(path);
            let cannot = |error| Error::file("write", &target)(error);
            let mode = match entry {
                Entry::Folder(mode) => {
                    fs::create_dir_all(&target).map_err(cannot)?;
                    mode
                }
                Entry::File(mode, bytes) => {
                    fs::write(&target, bytes).map_err(cannot)?;
                    mode
                }
                Entry::Link(to) => {
                    std::os::unix::fs::symlink(to, &target).map_err(cannot)?;
                    continue;
                }
            };
            fs::set_permissions(&target, PermissionsExt::from_mode(*mode)).map_err(cannot)?;
        }
        Ok(())
    }
}

/// Adds a file to an archive.
pub(crate) fn append(out: &mut Vec<u8>, path: &str, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    out.extend(header(path, mode, b'0', bytes.len() as u64, "")?);
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// A header: name 100 bytes, mode 8, owner 8, group 8, size 12, time 12, checksum 8, type 1, link 100, magic 8, names of owner and
/// group 32 each, device 16, prefix 155.
fn header(path: &str, mode: u32, kind: u8, size: u64, link: &str) -> Result<[u8; BLOCK], Error> {
    let wrong = |what: &str| Error::Wrong(format!("{path}: {what} for an archive"));
    let (prefix, name) = split(path).ok_or_else(|| wrong("too long a path"))?;
    if size > LONGEST || link.len() > 100 {
        return Err(wrong("too large"));
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (byte, value) in block.iter_mut().skip(at).zip(text) {
            *byte = *value;
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    // The checksum is taken with blanks in its own place.
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (byte, value) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *byte = value;
    }
    Ok(block)
}

/// The prefix and the name of a path.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let fits = |(index, _): &(usize, &str)| *index <= 155 && path.len() - index - 1 <= 100 && index + 1 < path.len();
    let (index, _) = path.match_indices('/').find(fits)?;
    Some((path.get(..index)?, path.get(index + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_they_hold() {
        let mut tree = Tree::default();
        tree.file("a/b/c", 0o644, "text");
        tree.link("a/d", "b/c");
        tree.folder("tmp", 0o1777);
        let archive = tree.archive().unwrap();
        let names: Vec<_> = archive
            .chunks(BLOCK)
            .filter(|block| block.get(257..262) == Some(b"ustar"))
            .map(|block| String::from_utf8_lossy(block.split(|byte| *byte == 0).next().unwrap()).into_owned())
            .collect();
        assert_eq!(names, ["a/", "a/b/", "a/b/c", "a/d", "tmp/"]);
        assert_eq!(archive.len() % BLOCK, 0);
    }

    #[test]
    fn long_paths_have_a_prefix_or_are_refused() {
        let long = format!("{}/{}", "p".repeat(120), "n".repeat(90));
        assert_eq!(split(&long), Some(("p".repeat(120).as_str(), "n".repeat(90).as_str())));
        assert_eq!(split(&"n".repeat(101)), None);
        assert!(header(&"n".repeat(101), 0o644, b'0', 0, "").is_err());
        assert!(header("a", 0o644, b'0', LONGEST + 1, "").is_err());
    }
}
