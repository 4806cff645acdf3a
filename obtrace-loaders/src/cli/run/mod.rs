//! `obtrace-loaders run`: a program with its loader, without Kubernetes.

mod command;
mod places;

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use obtrace_cli::{Failure, write_out};
use obtrace_detect::Runtime;
use obtrace_patch::hooks::{self, HookAt, Merged, UnfitPath};
use serde_json::json;

use super::arguments;
use crate::{Language, Loader, install, verify};

/// What `obtrace-agent receive` listens at.
const DEFAULT_INGEST: &str = "http://127.0.0.1:4318";
/// There is no such program, as shells say it.
const NOT_FOUND: u8 = 127;
/// There is one, and it cannot be run.
const CANNOT_RUN: u8 = 126;

pub(super) fn run(flags: &arguments::Run) -> Result<(), Failure> {
    let asked_only = flags.print_env || flags.json;
    if flags.command.is_empty() && !asked_only {
        return Err(Failure::usage("name the program after `--`, or ask for --print-env"));
    }
    let (language, runtime) = command::runtime(&flags.command, flags.language)?;
    let place = match &flags.java_agent {
        Some(_) if language != Language::Java => {
            return Err(Failure::failed(format_args!("--java-agent is for Java; this runs {language}")));
        }
        Some(path) => java_agent(runtime, path)?,
        None => loader(language, runtime, flags.from.as_deref())?,
    };
    let variables = variables(flags, language, &place)?;
    if asked_only {
        return print(flags.json, language, runtime, &place, &variables);
    }
    Err(exec(&flags.command, variables))
}

/// Where a loader is, and the hooks that name it there.
struct Place {
    folder: String,
    hooks: Vec<HookAt>,
}

impl Place {
    fn new(language: Language, runtime: Runtime, folder: &Path) -> Result<Self, Unusable> {
        let folder = folder.to_str().ok_or_else(|| Unusable::NoText(folder.to_path_buf()))?;
        let inside = match language {
            Language::Php => places::php_settings(Path::new(folder))?,
            _ => None,
        };
        let named = inside.as_deref().unwrap_or(folder);
        let hooks = hooks::of(runtime).iter().map(|hook| hook.at(named)).collect::<Result<_, _>>()?;
        Ok(Self { folder: folder.to_owned(), hooks })
    }
}

/// Why a folder does not do.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Unfit(#[from] UnfitPath),
    #[error("{} is no UTF-8", .0.display())]
    NoText(PathBuf),
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not ours alone: it must be a folder of this user that nobody else can write to", .0.display())]
    NotOurs(PathBuf),
    #[error(transparent)]
    Install(#[from] crate::InstallError),
}

/// The agent that the user names, wherever it is.
fn java_agent(runtime: Runtime, path: &Path) -> Result<Place, Failure> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::failed(format_args!("--java-agent {}: {error}", path.display()));
    let file = path.canonicalize().map_err(|error| cannot(&error))?;
    if !file.is_file() {
        return Err(cannot(&"it is no file"));
    }
    let name = file.to_str().ok_or_else(|| cannot(&"its path is no UTF-8"))?;
    let hooks = hooks::of(runtime).iter().map(|hook| hook.at_file(name)).collect::<Result<_, _>>();
    let folder = file.parent().unwrap_or(Path::new("/")).display().to_string();
    Ok(Place { folder, hooks: hooks.map_err(|error| cannot(&error))? })
}

/// The loader as it lies in the folder it comes from, if that is complete and can be named; else a copy for this user.
fn loader(language: Language, runtime: Runtime, from: Option<&Path>) -> Result<Place, Failure> {
    let loader = Loader::find(language, from).map_err(Failure::failed)?;
    let mut refused = Vec::new();
    if let Some(folder) = loader.folder().and_then(|folder| folder.canonicalize().ok())
        && verify(&folder, loader.manifest()).is_ok_and(|faults| faults.is_empty())
    {
        match Place::new(language, runtime, &folder) {
            Ok(place) => return Ok(place),
            Err(error) => refused.push(error),
        }
    }
    let manifest = loader.manifest();
    let checksum = manifest.checksum();
    let name = format!("{language}-{}-{}", manifest.version(), checksum.get(..16).unwrap_or(&checksum));
    for base in places::candidates() {
        let copied = places::private(&base).and_then(|()| {
            let folder = base.join(&name);
            install(std::slice::from_ref(&loader), &folder)?;
            Place::new(language, runtime, &folder)
        });
        match copied {
            Ok(place) => return Ok(place),
            Err(error) => refused.push(error),
        }
    }
    let reasons: Vec<_> = refused.iter().map(ToString::to_string).collect();
    Err(Failure::failed(format_args!(
        "no folder for the loader: {}; set XDG_CACHE_HOME to a folder that does",
        reasons.join("; ")
    )))
}

/// What is set, in order.
fn variables(
    flags: &arguments::Run,
    language: Language,
    place: &Place,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut set = Vec::new();
    let ours = [
        (hooks::INGEST_URL, flags.ingest.as_deref(), Some(DEFAULT_INGEST)),
        (hooks::SERVICE_NAME, flags.service.as_deref(), None),
        (hooks::ENVIRONMENT, flags.environment.as_deref(), None),
    ];
    for (name, flag, default) in ours {
        let there = env::var_os(name).is_some_and(|value| !value.is_empty());
        if let Some(value) = flag.or(default.filter(|_| !there)) {
            set.push((name, value.to_owned()));
        }
    }
    set.push((hooks::LANGUAGE, language.as_str().to_owned()));
    set.push((hooks::AGENT_PATH, place.folder.clone()));
    for hook in &place.hooks {
        let old = match env::var(hook.name) {
            Ok(old) => Some(old),
            Err(env::VarError::NotPresent) => None,
            Err(env::VarError::NotUnicode(_)) => {
                return Err(Failure::failed(format_args!("{} is set to what is no UTF-8: unset it", hook.name)));
            }
        };
        if let Merged::Value(value) = hook.merge(old.as_deref()) {
            set.push((hook.name, value));
        }
    }
    Ok(set)
}

fn print(
    in_json: bool,
    language: Language,
    runtime: Runtime,
    place: &Place,
    variables: &[(&'static str, String)],
) -> Result<(), Failure> {
    if in_json {
        let set: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let answer = json!({
            "language": language.as_str(), "runtime": runtime.as_str(), "folder": place.folder, "variables": set,
        });
        return write_out(format!("{answer:#}\n").as_bytes());
    }
    let lines: String =
        variables.iter().map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''"))).collect();
    write_out(lines.as_bytes())
}

/// Becomes the program. Returns only if that fails, with the exit codes that shells have for it.
fn exec(command: &[OsString], variables: Vec<(&'static str, String)>) -> Failure {
    let (program, arguments) = command.split_first().map_or((OsString::new(), &[][..]), |(p, a)| (p.clone(), a));
    let error = Command::new(&program).args(arguments).envs(variables).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN };
    Failure::new(code, format_args!("cannot run {}: {error}", program.display()))
}
