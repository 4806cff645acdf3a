//! What becomes of a container's variables.

use std::borrow::Cow;

use obtrace_detect::{EnvVar, Runtime, known_env};

use super::Reason;
use crate::{
    hooks::{self, Hook, Join},
    pod::{Container, EnvFrom, EnvKind, SourceKind},
    settings::Settings,
};

/// How a hook gets into its variable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HookEdit<'a> {
    /// A new variable; with the value that the image gives it, which is not to be expanded.
    Add(Option<&'a str>),
    /// The value of the variable at `index` is merged.
    Merge { index: usize, old: &'a str },
    /// The variable at `index` is renamed, and referred to.
    Rename { index: usize },
    /// A new variable that refers to a key of a ConfigMap under a name of its own.
    ConfigMapKey { name: &'a str, key: &'static str },
}

/// The edits for the hooks of a runtime, at most one each.
pub(crate) type HookEdits<'a> = [Option<(Hook, HookEdit<'a>)>; 2];

/// What a container knows of a variable without having it in its `env`.
enum Inherited<'a> {
    Nothing,
    Value(&'a str),
    ConfigMapKey { name: &'a str, key: &'static str },
}

/// Says how the hooks of a runtime get into a container, or why they do not.
pub(super) fn edits<'a>(
    container: &'a Container<'a>,
    runtime: Runtime,
    settings: &'a Settings,
) -> Result<HookEdits<'a>, Reason<'a>> {
    let mut edits = [None; 2];
    for (slot, hook) in edits.iter_mut().zip(hooks::of(runtime)) {
        *slot = edit(container, *hook, settings)?.map(|edit| (*hook, edit));
    }
    Ok(edits)
}

fn edit<'a>(
    container: &'a Container<'a>,
    hook: Hook,
    settings: &'a Settings,
) -> Result<Option<HookEdit<'a>>, Reason<'a>> {
    if let Some((index, var)) = container.variable(hook.name) {
        return in_place(container, hook, index, var);
    }
    let inherited = inherited(container, hook.name, settings);
    if hook.join == Join::IfUnset {
        return Ok(if matches!(inherited, Ok(Inherited::Nothing)) { Some(HookEdit::Add(None)) } else { None });
    }
    Ok(Some(match inherited? {
        Inherited::Nothing => HookEdit::Add(None),
        Inherited::Value(value) => HookEdit::Add(Some(value)),
        Inherited::ConfigMapKey { name, key } => HookEdit::ConfigMapKey { name, key },
    }))
}

/// The variable is in the container's `env`, which overrides every other source.
fn in_place<'a>(
    container: &'a Container<'a>,
    hook: Hook,
    index: usize,
    var: &'a EnvVar<'a>,
) -> Result<Option<HookEdit<'a>>, Reason<'a>> {
    let only_if_unset = hook.join == Join::IfUnset;
    match (container.env_kind(index), var.value.as_deref()) {
        (EnvKind::Reference { .. }, _) | (_, None) if only_if_unset => Ok(None),
        (EnvKind::Reference { optional: true }, _) => Err(Reason::OptionalReference { variable: hook.name }),
        (EnvKind::Reference { .. }, _) | (_, None) => Ok(Some(HookEdit::Rename { index })),
        (_, Some(old)) if hook.is_in(old) || (only_if_unset && !old.is_empty()) => Ok(None),
        (_, Some(old)) => Ok(Some(HookEdit::Merge { index, old })),
    }
}

/// What `envFrom` or the image give a variable.
fn inherited<'a>(
    container: &'a Container<'a>,
    name: &'static str,
    settings: &'a Settings,
) -> Result<Inherited<'a>, Reason<'a>> {
    // The last source that has the key counts.
    for source in container.env_from.iter().rev() {
        let Some(key) = name.strip_prefix(&*source.prefix) else { continue };
        match config_map_has(source, key, settings) {
            Some(false) => {}
            Some(true) if source.optional => return Err(Reason::OptionalReference { variable: name }),
            Some(true) => return Ok(Inherited::ConfigMapKey { name: &source.name, key }),
            None => return Err(Reason::EnvFrom { variable: name, kind: kind(source), name: source.name.clone() }),
        }
    }
    image(container, name, settings)
}

/// Whether a source has a key; `None` if it is not known.
fn config_map_has(source: &EnvFrom<'_>, key: &str, settings: &Settings) -> Option<bool> {
    if source.kind != SourceKind::ConfigMap {
        return None;
    }
    settings.config_maps.get(&*source.name).map(|keys| keys.contains(key))
}

fn kind(source: &EnvFrom<'_>) -> &'static str {
    match source.kind {
        SourceKind::ConfigMap => "ConfigMap",
        SourceKind::Secret => "Secret",
        SourceKind::Other => "source",
    }
}

fn image<'a>(
    container: &'a Container<'a>,
    name: &'static str,
    settings: &'a Settings,
) -> Result<Inherited<'a>, Reason<'a>> {
    if let Some(value) = settings.image_env.get(name) {
        return Ok(Inherited::Value(value));
    }
    let Some(image) = container.image.as_deref() else { return Ok(Inherited::Nothing) };
    if let Some(config) = settings.image_configs.get(image) {
        let var = config.env.iter().rev().find(|var| var.name == name);
        return Ok(match var.and_then(|var| var.value.as_deref()) {
            Some(value) => Inherited::Value(value),
            None => Inherited::Nothing,
        });
    }
    if known_env(image).contains(&name) { Err(Reason::ImageEnv { variable: name }) } else { Ok(Inherited::Nothing) }
}

/// Whether a source in `envFrom` is known to set a variable.
pub(crate) fn inherits(container: &Container<'_>, name: &str, settings: &Settings) -> bool {
    container.env_from.iter().any(|source| {
        let key = name.strip_prefix(&*source.prefix);
        key.is_some_and(|key| config_map_has(source, key, settings) == Some(true))
    })
}

/// A value that Kubernetes must not expand.
pub(crate) fn literal(value: &str) -> Cow<'_, str> {
    if value.contains('$') { Cow::Owned(value.replace('$', "$$")) } else { Cow::Borrowed(value) }
}
