//! Which runtime a command starts.

use std::{
    borrow::Cow,
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
};

use obtrace_cli::Failure;
use obtrace_detect::{Evidence, Runtime, detect};
use obtrace_patch::hooks;

use super::NOT_FOUND;
use crate::Language;

/// The language and the runtime of a command; `named` is what the user says.
pub(super) fn runtime(command: &[OsString], named: Option<Language>) -> Result<(Language, Runtime), Failure> {
    let words: Vec<Cow<'_, str>> = command.iter().map(|word| word.to_string_lossy()).collect();
    let mut seen = runtime_of(&words);
    if hooks::of(seen).is_empty()
        && let Some(interpreted) = words.first().and_then(|program| with_interpreter(program, &words))
    {
        seen = runtime_of(&interpreted);
    }
    let language = named.unwrap_or_else(|| language_of(seen));
    let runtime = if language_of(seen) == language { seen } else { Runtime::usual(language) };
    if !hooks::of(runtime).is_empty() {
        return Ok((language, runtime));
    }
    let program = words.first().map_or("", |word| word.as_ref());
    Err(match runtime {
        Runtime::Unknown if command.first().is_some_and(|program| found(program).is_none()) => {
            Failure::new(NOT_FOUND, format_args!("cannot run {program}: there is no such program"))
        }
        Runtime::Unknown => {
            Failure::failed(format_args!("cannot tell which language `{program}` runs: name it by --language"))
        }
        runtime => Failure::failed(format_args!("`{program}` runs on {runtime}, which no loader reaches")),
    })
}

fn runtime_of(words: &[Cow<'_, str>]) -> Runtime {
    detect(&Evidence::new().with_command(words)).runtime
}

fn language_of(runtime: Runtime) -> Language {
    let is = |language: &&Language| {
        hooks::of(Runtime::usual(**language)).iter().any(|hook| hooks::of(runtime).contains(hook))
    };
    crate::LANGUAGES.iter().find(is).copied().unwrap_or(Language::Unknown)
}

/// The words with the interpreter that the first line of a script names put before them.
fn with_interpreter<'a>(program: &str, words: &[Cow<'a, str>]) -> Option<Vec<Cow<'a, str>>> {
    let path = found(OsStr::new(program))?;
    let mut line = Vec::new();
    // The kernel reads no more of it either.
    BufReader::new(File::open(path).ok()?.take(256)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8(line).ok()?;
    let interpreter = line.strip_prefix("#!")?.split_whitespace().map(|word| Cow::Owned(word.to_owned()));
    Some(interpreter.chain(words.iter().cloned()).collect())
}

/// The file that is meant: a name without a slash is looked for on the path.
fn found(program: &OsStr) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(|file| file.exists());
    }
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}
