#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
mod folder;
mod install;
mod languages;
mod loader;
mod manifest;
mod verify;
mod walk;

pub use obtrace_detect::Language;

pub use crate::{
    install::{InstallError, Installed, install},
    languages::{LANGUAGES, entries},
    loader::{IMAGE_FOLDER, Loader, LoaderError},
    manifest::{Manifest, ManifestError, ManifestFile},
    verify::{Fault, FaultKind, verify},
};
