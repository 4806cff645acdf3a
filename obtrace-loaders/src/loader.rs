//! Where a loader's files come from: a folder as the agent's image has it, or this library.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use obtrace_detect::Language;

use crate::{
    languages::LANGUAGES,
    manifest::{Manifest, ManifestError, ManifestFile},
};

/// Where the agent's image has the loaders, a folder each.
pub const IMAGE_FOLDER: &str = "/agent";

struct Embedded {
    language: Language,
    files: &'static [EmbeddedFile],
}

struct EmbeddedFile {
    path: &'static str,
    sha256: [u8; 32],
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A loader whose files can be read.
#[derive(Clone, Debug)]
pub struct Loader {
    manifest: Manifest,
    folder: Option<PathBuf>,
}

/// Why there is no loader.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The language has none.
    #[error("{0} has no loader: the agent observes it from the kernel")]
    NoLoader(Language),
    /// It is in none of the places.
    #[error("no loader of {language} {}; {}", places(tried), advice(*language))]
    NotFound {
        /// Whose loader was looked for.
        language: Language,
        /// The folders that were looked into.
        tried: Vec<PathBuf>,
    },
    /// The folder is there, but has no manifest.
    #[error(
        "{} holds no {}: `cargo xtask loaders` makes such folders, `obtrace-loaders manifest` completes one made by hand",
        folder.display(), Manifest::file_name(*language)
    )]
    NoManifest {
        /// Whose loader was looked for.
        language: Language,
        /// The folder.
        folder: PathBuf,
    },
    /// The manifest cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The manifest's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is none.
    #[error("{} is no manifest: {source}", path.display())]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
}

impl Loader {
    /// The loader of a language from `from`, if that is given; else from [`IMAGE_FOLDER`] where it is there; else the
    /// embedded one.
    ///
    /// # Errors
    ///
    /// There is none, or its manifest cannot be read.
    pub fn find(language: Language, from: Option<&Path>) -> Result<Self, LoaderError> {
        if !LANGUAGES.contains(&language) {
            return Err(LoaderError::NoLoader(language));
        }
        let folder = from.unwrap_or(Path::new(IMAGE_FOLDER));
        match Self::in_folder(language, folder)? {
            Some(loader) => return Ok(loader),
            None if from.is_some() && folder.join(language.as_str()).is_dir() => {
                return Err(LoaderError::NoManifest { language, folder: folder.join(language.as_str()) });
            }
            None => {}
        }
        let tried = vec![folder.join(language.as_str())];
        let embedded = from.is_none().then(|| Self::embedded(language)).flatten();
        embedded.ok_or(LoaderError::NotFound { language, tried })
    }

    /// The loader in a folder that has one folder a language, or in the folder itself if that has its manifest. `None` if
    /// neither has.
    ///
    /// # Errors
    ///
    /// A manifest that cannot be read or is none.
    pub fn in_folder(language: Language, folder: &Path) -> Result<Option<Self>, LoaderError> {
        for folder in [folder.join(language.as_str()), folder.to_path_buf()] {
            let path = folder.join(Manifest::file_name(language));
            match read_text(&path) {
                Ok(text) => {
                    let manifest: Manifest =
                        text.parse().map_err(|source| LoaderError::Manifest { path: path.clone(), source })?;
                    if manifest.language() != language {
                        let source =
                            ManifestError::Line { line: 2, what: "another language than the file's name says" };
                        return Err(LoaderError::Manifest { path, source });
                    }
                    return Ok(Some(Self { manifest, folder: Some(folder) }));
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => return Err(LoaderError::Read { path, source }),
            }
        }
        Ok(None)
    }

    /// The loader that is part of this library. Those of Python, PHP and Ruby are, those of Node.js and .NET if they were built
    /// before it; Java's never is.
    #[must_use]
    pub fn embedded(language: Language) -> Option<Self> {
        let embedded = EMBEDDED.iter().find(|embedded| embedded.language == language)?;
        let files = embedded.files.iter();
        let files = files.map(|file| ManifestFile::new(file.path, file.bytes.len() as u64, file.sha256)).collect();
        let manifest = Manifest::new(language, env!("CARGO_PKG_VERSION"), files).ok()?;
        Some(Self { manifest, folder: None })
    }

    /// What it is made of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder of its files; `None` if they are embedded.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The bytes of one of its files.
    pub(crate) fn open(&self, file: &ManifestFile) -> io::Result<Box<dyn Read>> {
        if let Some(folder) = &self.folder {
            return Ok(Box::new(File::open(folder.join(file.path()))?));
        }
        let embedded = EMBEDDED.iter().find(|embedded| embedded.language == self.manifest.language());
        let found = embedded.and_then(|embedded| embedded.files.iter().find(|known| known.path == file.path()));
        found.map(|found| Box::new(found.bytes) as Box<dyn Read>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A file's text, not more than a manifest may have and one byte.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(Manifest::MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn places(tried: &[PathBuf]) -> String {
    let folders: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    format!("in {}", folders.join(", "))
}

fn advice(language: Language) -> String {
    match language {
        Language::Java => {
            "the Java agent comes with the agent's image, or by `cargo xtask loaders --language java`: name \
                           the folder that has the folder java by --from"
                .to_owned()
        }
        language => format!(
            "name the folder that has the folder {language} by --from, or build this program after \
             `cargo xtask loaders --language {language}`, which has it embedded"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is embedded is a loader, byte for byte what its manifest says.
    #[test]
    fn embedded_loaders_are_complete() {
        for embedded in EMBEDDED {
            let loader = Loader::embedded(embedded.language).unwrap();
            assert_eq!(loader.manifest().files().len(), embedded.files.len(), "{}", embedded.language);
            for file in loader.manifest().files() {
                let found = crate::manifest::measure(loader.open(file).unwrap()).unwrap();
                assert_eq!(found, (file.size(), *file.sha256()), "{}", file.path());
            }
        }
    }

    #[test]
    fn what_has_no_loader_is_said() {
        let error = Loader::find(Language::Go, None).unwrap_err();
        assert_eq!(error.to_string(), "go has no loader: the agent observes it from the kernel");
    }
}
