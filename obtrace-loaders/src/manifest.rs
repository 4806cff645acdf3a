//! What a loader is made of: each file with its size and checksum, in a text that lies beside the files.

use std::{
    collections::HashSet,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use obtrace_detect::Language;
use sha2::{Digest as _, Sha256};

use crate::{languages::entry_position, walk};

const FIRST_LINE: &str = "obtrace-loaders-manifest 1";
/// The longest path of a file, in bytes.
const MAX_PATH: usize = 512;
/// What is read at once.
pub(crate) const CHUNK: usize = 64 * 1024;
/// What the names of unfinished copies begin with.
pub(crate) const UNFINISHED: &str = ".obtrace-copy.";

/// The files of a loader.
///
/// As text it is, line by line,
///
/// ```text
/// obtrace-loaders-manifest 1
/// language python
/// version 0.1.0
/// file 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 4 obtrace_python/core.py
/// entry 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 5 sitecustomize.py
/// ```
///
/// with the SHA-256 of each file, its size in bytes, and its path. Files come first, sorted by path; entries, which are what a
/// runtime is told to read, last, in the order in which they become visible. The text lies in the file
/// [`Manifest::file_name`] beside them.
///
/// ```
/// use obtrace_loaders::Manifest;
///
/// let text = "obtrace-loaders-manifest 1\nlanguage ruby\nversion 0.1.0\n\
///     entry 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 5 obtrace_loader.rb\n";
/// let manifest: Manifest = text.parse()?;
/// assert_eq!(manifest.files()[0].path(), "obtrace_loader.rb");
/// assert_eq!(manifest.to_string(), text);
/// # Ok::<(), obtrace_loaders::ManifestError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    language: Language,
    version: String,
    files: Vec<ManifestFile>,
}

/// A file of a loader.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestFile {
    path: String,
    size: u64,
    sha256: [u8; 32],
    entry: bool,
}

/// Why a text is no manifest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The first line is another one.
    #[error("it does not begin with `{FIRST_LINE}`")]
    FirstLine,
    /// It is longer than [`Manifest::MAX_BYTES`].
    #[error("it has more than {} bytes", Manifest::MAX_BYTES)]
    TooLong,
    /// A line is not as it should be.
    #[error("line {line}: {what}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// None of its files is an entry: a runtime could not be told what to read.
    #[error("it has no entry file")]
    NoEntry,
}

impl Manifest {
    /// The most bytes that a manifest may have.
    pub const MAX_BYTES: usize = 1 << 20;

    /// A manifest of these files; entries are told by their names and put last.
    ///
    /// # Errors
    ///
    /// A path that may not be in a manifest, one that is there twice, or no entry.
    pub(crate) fn new(language: Language, version: &str, mut files: Vec<ManifestFile>) -> Result<Self, ManifestError> {
        for file in &mut files {
            file.entry = entry_position(language, &file.path).is_some();
        }
        files.sort_by(|a, b| {
            let place = |file: &ManifestFile| entry_position(language, &file.path);
            place(a).cmp(&place(b)).then_with(|| a.path.cmp(&b.path))
        });
        let manifest = Self { language, version: version.to_owned(), files };
        // The text is what others read: what cannot be read back is refused here.
        manifest.to_string().parse()
    }

    /// The manifest of a folder that holds a loader's files and nothing else. Hidden files, manifests and what Python leaves
    /// behind do not count.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or what makes it no manifest (of kind [`InvalidData`](io::ErrorKind::InvalidData)).
    pub fn of_folder(folder: &Path, language: Language, version: &str) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in walk::files(folder)? {
            if !path.ends_with(".manifest") {
                let (size, sha256) = measure(File::open(folder.join(&path))?)?;
                files.push(ManifestFile { path, size, sha256, entry: false });
            }
        }
        Self::new(language, version, files).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The name of the file that holds the manifest of a language: `python.manifest`.
    #[must_use]
    pub fn file_name(language: Language) -> String {
        format!("{language}.manifest")
    }

    /// Whose loader it is.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// The loader's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The files in the order in which they become visible: entries last.
    #[must_use]
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// The SHA-256 of the manifest's text: the same for the same files.
    #[must_use]
    pub fn checksum(&self) -> String {
        hexadecimal(&Sha256::digest(self.to_string().as_bytes()).into())
    }
}

impl ManifestFile {
    pub(crate) fn new(path: &str, size: u64, sha256: [u8; 32]) -> Self {
        Self { path: path.to_owned(), size, sha256, entry: false }
    }

    /// Where it lies, with slashes, below the folder of the loader.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its SHA-256.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Whether a runtime is told to read it.
    #[must_use]
    pub fn is_entry(&self) -> bool {
        self.entry
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nlanguage {}\nversion {}", self.language, self.version)?;
        for ManifestFile { path, size, sha256, entry } in &self.files {
            writeln!(f, "{} {} {size} {path}", if *entry { "entry" } else { "file" }, hexadecimal(sha256))?;
        }
        Ok(())
    }
}

impl FromStr for Manifest {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        if text.len() > Self::MAX_BYTES {
            return Err(ManifestError::TooLong);
        }
        let mut lines = text.lines().enumerate();
        if lines.next().map(|(_, line)| line) != Some(FIRST_LINE) {
            return Err(ManifestError::FirstLine);
        }
        let mut field = |name: &str, what| match lines.next().and_then(|(_, line)| line.split_once(' ')) {
            Some((key, value)) if key == name => Ok(value),
            _ => Err(what),
        };
        let at = |line| move |what| ManifestError::Line { line, what };
        let language = field("language", "`language` is missing").map_err(at(2))?;
        let language = language.parse::<Language>().ok().filter(|language| language.has_sdk());
        let language = language.ok_or(at(2)("a language without a loader"))?;
        let version = field("version", "`version` is missing").map_err(at(3))?;
        if version.is_empty() || version.len() > 64 || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(at(3)("no version"));
        }
        let mut files: Vec<ManifestFile> = Vec::new();
        let mut seen = HashSet::new();
        for (index, line) in lines {
            let file = parse_file(line).map_err(at(index + 1))?;
            if !seen.insert(file.path.to_ascii_lowercase()) {
                return Err(at(index + 1)("a path that is there already"));
            }
            if !file.entry && files.last().is_some_and(|last| last.entry) {
                return Err(at(index + 1)("a file after an entry"));
            }
            files.push(file);
        }
        if !files.last().is_some_and(|last| last.entry) {
            return Err(ManifestError::NoEntry);
        }
        Ok(Self { language, version: version.to_owned(), files })
    }
}

fn parse_file(line: &str) -> Result<ManifestFile, &'static str> {
    let mut words = line.splitn(4, ' ');
    let entry = match words.next() {
        Some("file") => false,
        Some("entry") => true,
        _ => return Err("neither `file` nor `entry`"),
    };
    let sha256 = words.next().and_then(from_hexadecimal).ok_or("no SHA-256")?;
    let size = words.next().and_then(|word| word.parse().ok()).ok_or("no size")?;
    let path = words.next().filter(|path| is_safe(path)).ok_or("no path below the folder")?;
    Ok(ManifestFile { path: path.to_owned(), size, sha256, entry })
}

/// Whether a path stays below the folder and means the same everywhere.
fn is_safe(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'))
    };
    path.len() <= MAX_PATH && path.split('/').all(plain) && !path.ends_with(".manifest")
}

/// The size and the checksum of what a reader gives.
pub(crate) fn measure(mut reader: impl Read) -> io::Result<(u64, [u8; 32])> {
    pump(&mut reader, u64::MAX, |_| Ok(()))
}

/// Reads at most `limit` bytes and one, gives each piece to `sink`, and says how many there were and their checksum.
pub(crate) fn pump(
    reader: &mut impl Read,
    limit: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut size = 0_u64;
    while size <= limit {
        let length = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = chunk.get(..length).unwrap_or_default();
        hasher.update(piece);
        sink(piece)?;
        size = size.saturating_add(piece.len() as u64);
    }
    Ok((size, hasher.finalize().into()))
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit)) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

    fn text(lines: &str) -> String {
        format!("{FIRST_LINE}\nlanguage php\nversion 0.1.0\n{lines}")
    }

    #[test]
    fn entries_come_last_in_their_order() {
        let names = ["php.d/00-obtrace.ini", "obtrace_loader.php", "obtrace_php/z.php", "a.php"];
        let files = names.iter().map(|name| ManifestFile::new(name, 1, [7; 32])).collect();
        let manifest = Manifest::new(Language::Php, "0.1.0", files).unwrap();
        let order: Vec<_> = manifest.files().iter().map(|file| (file.path(), file.is_entry())).collect();
        assert_eq!(
            order,
            [
                ("a.php", false),
                ("obtrace_php/z.php", false),
                ("obtrace_loader.php", true),
                ("php.d/00-obtrace.ini", true)
            ]
        );
        assert_eq!(manifest.to_string().parse(), Ok(manifest));
    }

    #[test]
    fn unsafe_paths_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\tb",
            "c:x",
            "a\\b",
            ".obtrace-copy.1",
            "php.manifest",
        ] {
            let found = text(&format!("entry {SUM} 5 {path}\n")).parse::<Manifest>();
            assert_eq!(found, Err(ManifestError::Line { line: 4, what: "no path below the folder" }), "{path:?}");
        }
        let long = "a/".repeat(MAX_PATH) + "b";
        assert!(text(&format!("entry {SUM} 5 {long}\n")).parse::<Manifest>().is_err());
    }

    #[test]
    fn every_line_is_checked() {
        let refused = [
            (text(""), ManifestError::NoEntry),
            (text(&format!("file {SUM} 5 a\n")), ManifestError::NoEntry),
            (text(&format!("entry {SUM} 5 a\nfile {SUM} 5 b\n")), at(5, "a file after an entry")),
            (text(&format!("file {SUM} 5 a\nentry {SUM} 5 A\n")), at(5, "a path that is there already")),
            (text(&format!("link {SUM} 5 a\n")), at(4, "neither `file` nor `entry`")),
            (text("entry 60303AE2 5 a\n"), at(4, "no SHA-256")),
            (text(&format!("entry {SUM} -5 a\n")), at(4, "no size")),
            (text(&format!("entry {SUM} 5\n")), at(4, "no path below the folder")),
            (String::new(), ManifestError::FirstLine),
            ("obtrace-loaders-manifest 2\n".to_owned(), ManifestError::FirstLine),
            (format!("{FIRST_LINE}\nlanguage go\n"), at(2, "a language without a loader")),
            (format!("{FIRST_LINE}\nversion 1\n"), at(2, "`language` is missing")),
            (format!("{FIRST_LINE}\nlanguage php\n"), at(3, "`version` is missing")),
            (format!("{FIRST_LINE}\nlanguage php\nversion a b\n"), at(3, "no version")),
            ("a".repeat(Manifest::MAX_BYTES + 1), ManifestError::TooLong),
        ];
        for (text, error) in refused {
            assert_eq!(text.parse::<Manifest>(), Err(error), "{}", text.get(..200).unwrap_or(&text));
        }
    }

    fn at(line: usize, what: &'static str) -> ManifestError {
        ManifestError::Line { line, what }
    }
}
