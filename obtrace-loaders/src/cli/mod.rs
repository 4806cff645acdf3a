//! The command line: `copy`, `run`, `list`, `verify`, `manifest`, `completions`.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage; those of `run` are the program's, 127 and 126 if it cannot be started.

mod arguments;
mod list;
mod run;
mod verify;

use std::{ffi::OsString, process::ExitCode};

use obtrace_cli::{Failure, completions, say};

use self::arguments::{Arguments, Command};
use crate::{Language, Loader, Manifest, install};

/// Runs the program with these arguments, its own name first.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let arguments: Arguments = match obtrace_cli::parse(arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    obtrace_cli::end(match arguments.command {
        Command::Copy(flags) => copy(&flags),
        Command::Run(flags) => run::run(&flags),
        Command::List(flags) => list::run(&flags),
        Command::Verify(flags) => verify::run(&flags),
        Command::Manifest(flags) => manifest(&flags),
        Command::Completions { shell } => completions::<Arguments>(shell),
    })
}

fn copy(flags: &arguments::Copy) -> Result<(), Failure> {
    let languages = once(&flags.languages);
    let loaders: Vec<Loader> = languages
        .iter()
        .map(|language| Loader::find(*language, flags.from.as_deref()))
        .collect::<Result<_, _>>()
        .map_err(Failure::failed)?;
    for installed in install(&loaders, &flags.to).map_err(Failure::failed)? {
        let name = format!("{} {}", installed.language, installed.version);
        if flags.quiet {
            continue;
        }
        let to = flags.to.display();
        match installed.files {
            0 => say(format_args!("{name}: complete in {to} already")),
            count => say(format_args!("{name}: {}, {} bytes, copied to {to}", files(count), installed.bytes)),
        }
    }
    Ok(())
}

fn manifest(flags: &arguments::ManifestFlags) -> Result<(), Failure> {
    let folder = flags.folder.display();
    let manifest = Manifest::of_folder(&flags.folder, flags.language, &flags.loader_version)
        .map_err(|error| Failure::failed(format_args!("{folder}: {error}")))?;
    let path = flags.folder.join(Manifest::file_name(flags.language));
    std::fs::write(&path, manifest.to_string())
        .map_err(|error| Failure::failed(format_args!("cannot write {}: {error}", path.display())))
}

/// A number of files.
fn files(count: usize) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

/// Each language once, in the order in which they were named.
fn once(languages: &[Language]) -> Vec<Language> {
    let mut each: Vec<Language> = Vec::new();
    for language in languages {
        if !each.contains(language) {
            each.push(*language);
        }
    }
    each
}
