//! `obtrace-loaders list`.

use obtrace_cli::{Failure, write_out};
use obtrace_detect::Runtime;
use obtrace_patch::hooks;
use serde_json::{Value, json};

use super::arguments;
use crate::{LANGUAGES, Language, Loader, LoaderError};

pub(super) fn run(flags: &arguments::List) -> Result<(), Failure> {
    let mut found = Vec::new();
    for language in LANGUAGES {
        match Loader::find(language, flags.from.as_deref()) {
            Ok(loader) => found.push((language, Some(loader))),
            Err(LoaderError::NotFound { .. }) => found.push((language, None)),
            Err(error) => return Err(Failure::failed(error)),
        }
    }
    if flags.json {
        let list: Vec<Value> = found.iter().map(|(language, loader)| in_json(*language, loader.as_ref())).collect();
        return write_out(format!("{:#}\n", Value::Array(list)).as_bytes());
    }
    let mut text = String::new();
    for (language, loader) in &found {
        text.push_str(&in_words(*language, loader.as_ref()));
    }
    write_out(text.as_bytes())
}

fn in_json(language: Language, loader: Option<&Loader>) -> Value {
    let hooks: Vec<Value> =
        hooks_of(language).map(|hook| json!({ "variable": hook.name, "value": hook.value })).collect();
    let Some(loader) = loader else {
        return json!({ "language": language.as_str(), "available": false, "hooks": hooks });
    };
    let manifest = loader.manifest();
    let files: Vec<Value> = manifest
        .files()
        .iter()
        .map(|file| json!({ "path": file.path(), "bytes": file.size(), "entry": file.is_entry() }))
        .collect();
    json!({
        "language": language.as_str(),
        "available": true,
        "version": manifest.version(),
        "source": loader.folder().map_or_else(|| "embedded".into(), |folder| folder.display().to_string()),
        "bytes": manifest.size(),
        "checksum": manifest.checksum(),
        "files": files,
        "hooks": hooks,
    })
}

fn in_words(language: Language, loader: Option<&Loader>) -> String {
    let mut text = match loader {
        None => format!("{language:<8} not here\n"),
        Some(loader) => {
            let manifest = loader.manifest();
            let from = loader.folder().map_or_else(|| "embedded".into(), |folder| folder.display().to_string());
            let count = manifest.files().len();
            let files = super::files(count);
            format!("{language:<8} {:<8} {files:>9} {:>9} bytes  {from}\n", manifest.version(), manifest.size())
        }
    };
    for hook in hooks_of(language) {
        text.push_str(&format!("         {}={}\n", hook.name, hook.value));
    }
    text
}

/// The hooks of a language's runtimes, each once.
fn hooks_of(language: Language) -> impl Iterator<Item = &'static hooks::Hook> {
    let usual = hooks::of(Runtime::usual(language));
    let others: &[hooks::Hook] = if language == Language::NodeJs { hooks::of(Runtime::Bun) } else { &[] };
    usual.iter().chain(others.iter().filter(|hook| !usual.contains(hook)))
}
