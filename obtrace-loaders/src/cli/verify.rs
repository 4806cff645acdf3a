//! `obtrace-loaders verify`.

use obtrace_cli::{Failure, say};

use super::arguments;
use crate::{LANGUAGES, Loader, LoaderError, Manifest, verify};

pub(super) fn run(flags: &arguments::Verify) -> Result<(), Failure> {
    let named = super::once(&flags.languages);
    let languages = if named.is_empty() { LANGUAGES.to_vec() } else { named.clone() };
    let mut seen = 0_usize;
    let mut wrong = 0_usize;
    for language in languages {
        let loader = match Loader::in_folder(language, &flags.folder) {
            Ok(Some(loader)) => loader,
            Ok(None) if named.contains(&language) => {
                say(format_args!("{language}: no {} in {}", Manifest::file_name(language), flags.folder.display()));
                wrong += 1;
                continue;
            }
            Ok(None) => continue,
            Err(error @ LoaderError::Manifest { .. }) => {
                say(format_args!("{language}: {error}"));
                wrong += 1;
                continue;
            }
            Err(error) => return Err(Failure::failed(error)),
        };
        seen += 1;
        let manifest = loader.manifest();
        let folder = loader.folder().unwrap_or(&flags.folder);
        let faults = verify(folder, manifest)
            .map_err(|error| Failure::failed(format_args!("cannot open {}: {error}", folder.display())))?;
        for fault in &faults {
            say(format_args!("{language}: {fault}"));
        }
        if faults.is_empty() {
            say(format_args!("{language} {}: {}, complete", manifest.version(), super::files(manifest.files().len())));
        } else {
            wrong += 1;
        }
    }
    match (seen, wrong) {
        (_, 1..) => Err(Failure::failed(format_args!("the loaders in {} are not complete", flags.folder.display()))),
        (0, _) => Err(match flags.folder.read_dir() {
            Ok(_) => Failure::failed(format_args!("{} holds no loader", flags.folder.display())),
            Err(error) => Failure::failed(format_args!("cannot open {}: {error}", flags.folder.display())),
        }),
        _ => Ok(()),
    }
}
