//! `cargo xtask loaders`: what the runtimes load, as `/agent` has it in the agent's image.

use std::{
    fs,
    path::{Path, PathBuf},
};

use obtrace_loaders::{LANGUAGES, Language, Loader, Manifest, install, verify};
use sha2::{Digest as _, Sha256};

use crate::{
    command::Run,
    error::Error,
    say,
    setup::{self, Need},
    workspace::Workspace,
};

const SOURCES: &str = "obtrace-loaders";

/// Options of `loaders`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this language (may be given more than once); all by default.
    #[arg(long = "language", value_name = "LANGUAGE", value_parser = language)]
    languages: Vec<Language>,
}

fn language(text: &str) -> Result<Language, String> {
    let names = LANGUAGES.map(Language::as_str).join(", ");
    let known = Language::from_hint(text).filter(|language| LANGUAGES.contains(language));
    known.ok_or_else(|| format!("no loader; there are {names}"))
}

/// Runs `cargo xtask loaders`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    let languages = if options.languages.is_empty() { &LANGUAGES[..] } else { &options.languages };
    let folder = build(workspace, languages, Kept::Used)?;
    say::step(format_args!("the loaders are in {}", folder.display()));
    Ok(())
}

/// What becomes of a loader that an earlier build has left.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    /// It is taken, if it is of the same sources.
    Used,
    /// It is built again.
    Replaced,
}

/// Builds the loaders of these languages where they are not fresh, and tells the folder that has a folder for each.
pub(crate) fn build(workspace: &Workspace, languages: &[Language], kept: Kept) -> Result<PathBuf, Error> {
    let folder = workspace.target.join("loaders");
    for language in languages {
        let loader = loader(workspace, *language, kept)?;
        mirror(&loader, &folder.join(language.as_str()))?;
        if matches!(language, Language::NodeJs | Language::DotNet) {
            // From here they become part of the next build of obtrace-loaders.
            mirror(&loader, &workspace.path(SOURCES).join("dist").join(language.as_str()))?;
        }
        let manifest = loader.manifest();
        say::step(format_args!("{language}: {} files, {} bytes", manifest.files().len(), manifest.size()));
    }
    Ok(folder)
}

/// The loader in the cache; built if there is none of these sources.
fn loader(workspace: &Workspace, language: Language, kept: Kept) -> Result<Loader, Error> {
    let sources = workspace.path(SOURCES).join(language.as_str());
    let folder =
        workspace.cache.join("loaders/built").join(format!("{language}-{}", key(&sources, &workspace.version)?));
    let found = |folder: &Path| Loader::in_folder(language, folder).ok().flatten();
    if matches!(kept, Kept::Used)
        && let Some(loader) = found(&folder)
        && verify(&folder, loader.manifest()).is_ok_and(|faults| faults.is_empty())
    {
        return Ok(loader);
    }
    let unfinished = folder.with_extension(format!("{}.unfinished", std::process::id()));
    emptied(&unfinished)?;
    make(workspace, language, &sources, &unfinished)?;
    let manifest =
        Manifest::of_folder(&unfinished, language, &workspace.version).map_err(Error::file("read", &unfinished))?;
    let path = unfinished.join(Manifest::file_name(language));
    fs::write(&path, manifest.to_string()).map_err(Error::file("write", &path))?;
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
    }
    if let Err(error) = fs::rename(&unfinished, &folder) {
        // Somebody else may have built it meanwhile.
        let _ = fs::remove_dir_all(&unfinished);
        return found(&folder).ok_or_else(|| Error::file("make", &folder)(error));
    }
    found(&folder).ok_or_else(|| Error::Wrong(format!("{} is no loader", folder.display())))
}

/// What `build.sh` writes, or the files as they stand.
fn make(workspace: &Workspace, language: Language, sources: &Path, out: &Path) -> Result<(), Error> {
    let script = sources.join("build.sh");
    if !script.exists() {
        return copy_tree(&sources.join("files"), out);
    }
    let need = match language {
        Language::NodeJs => Need::NodeLoader,
        Language::Java => Need::JavaLoader,
        _ => Need::DotnetLoader,
    };
    setup::packages(&[need])?;
    say::step(format_args!("building the loader of {language}"));
    let mut build = Run::new("sh").arg(script).arg(out).env("OBTRACE_CACHE", &workspace.cache);
    if let Some(requirements) = need.requirements() {
        build = build.env("PYTHON", setup::python(workspace, requirements)?);
    }
    build.status()
}

/// Makes a folder have what the loader has, and nothing else.
fn mirror(loader: &Loader, folder: &Path) -> Result<(), Error> {
    let manifest = loader.manifest();
    let version = manifest.version();
    if Manifest::of_folder(folder, manifest.language(), version).is_ok_and(|found| found == *manifest)
        && Loader::in_folder(manifest.language(), folder).is_ok_and(|loader| loader.is_some())
    {
        return Ok(());
    }
    emptied(folder)?;
    install(std::slice::from_ref(loader), folder).map_err(|error| Error::Wrong(error.to_string()))?;
    Ok(())
}

/// A name for what is built from these sources.
fn key(sources: &Path, version: &str) -> Result<String, Error> {
    let mut hasher = Sha256::new();
    hasher.update(version);
    for path in files(sources)? {
        let bytes = fs::read(sources.join(&path)).map_err(Error::file("read", sources.join(&path)))?;
        // The lengths keep the parts apart.
        hasher.update((path.as_os_str().len() as u64).to_le_bytes());
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The paths of the files below a folder, sorted, without what tools leave behind.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(here) = folders.pop() {
        let path = folder.join(&here);
        for entry in fs::read_dir(&path).map_err(Error::file("read", &path))? {
            let entry = entry.map_err(Error::file("read", &path))?;
            let name = entry.file_name();
            if name == "node_modules" || name == "__pycache__" || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let below = here.join(&name);
            let list = if entry.path().is_dir() { &mut folders } else { &mut found };
            list.push(below);
        }
    }
    found.sort();
    Ok(found)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    for path in files(from)? {
        let target = to.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        }
        fs::copy(from.join(&path), &target).map_err(Error::file("write", &target))?;
    }
    Ok(())
}

/// Makes an empty folder.
pub(crate) fn emptied(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::file("remove", folder))?;
    }
    fs::create_dir_all(folder).map_err(Error::file("make", folder))
}

/// Builds `obtrace-loaders` without a need for shared libraries, with what is in `dist`, and tells where it is.
pub(crate) fn build_static(workspace: &Workspace) -> Result<PathBuf, Error> {
    workspace.build_static(&["obtrace-loaders"], "obtrace-loaders", &[])
}
