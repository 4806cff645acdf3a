//! Containers.

use std::borrow::Cow;

use obtrace_detect::EnvVar;

use crate::{error::ParseError, json::Cursor};

/// The fields of a container that are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Container<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) image: Option<Cow<'a, str>>,
    pub(crate) command: Vec<Cow<'a, str>>,
    pub(crate) args: Vec<Cow<'a, str>>,
    /// The variables, as detection wants them: a `valueFrom` is one without value.
    pub(crate) env: Vec<EnvVar<'a>>,
    /// What the list above does not say, by index.
    kinds: Vec<(usize, EnvKind)>,
    /// Whether there is an array to add to.
    pub(crate) has_env: bool,
    pub(crate) env_from: Vec<EnvFrom<'a>>,
    pub(crate) mounts: Option<Vec<Mount<'a>>>,
    pub(crate) resources: Option<&'a [u8]>,
    /// `restartPolicy: Always`, which makes an init container a native sidecar.
    pub(crate) restarts: bool,
}

/// Where a variable's value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EnvKind {
    /// It has a `value`.
    Value,
    /// It has no `value` member, which is the empty string.
    Bare,
    /// It has a `valueFrom`; whether the reference is optional.
    Reference { optional: bool },
}

/// An element of `envFrom`.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnvFrom<'a> {
    pub(crate) prefix: Cow<'a, str>,
    pub(crate) kind: SourceKind,
    pub(crate) name: Cow<'a, str>,
    pub(crate) optional: bool,
}

/// What `envFrom` names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum SourceKind {
    ConfigMap,
    Secret,
    /// Something that this version does not know.
    #[default]
    Other,
}

/// A volume mount.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mount<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) path: Cow<'a, str>,
    pub(crate) sub_path: bool,
}

impl<'a> Container<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut container = Self::default();
        let start = cursor.offset();
        cursor.object(|key, cursor| {
            match key {
                b"name" => container.name = cursor.optional_string()?.unwrap_or_default(),
                b"image" => container.image = cursor.optional_string()?,
                b"command" => container.command = cursor.list(4, Cursor::string)?.unwrap_or_default(),
                b"args" => container.args = cursor.list(4, Cursor::string)?.unwrap_or_default(),
                b"env" => container.read_env(cursor)?,
                b"envFrom" => container.env_from = cursor.list(2, EnvFrom::read)?.unwrap_or_default(),
                b"volumeMounts" => container.mounts = cursor.list(4, Mount::read)?,
                b"resources" => container.resources = if cursor.null() { None } else { Some(cursor.skip()?) },
                b"restartPolicy" => {
                    container.restarts = cursor.optional_string()?.is_some_and(|policy| policy == "Always");
                }
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        // Containers are known by their names, in guards and in marks; Kubernetes refuses one without.
        if container.name.is_empty() {
            Err(ParseError::expected(start, "a container with a name"))
        } else {
            Ok(container)
        }
    }

    fn read_env(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        let (mut kinds, mut index) = (Vec::new(), 0);
        let env = cursor.list(16, |cursor| {
            let (var, kind) = read_variable(cursor)?;
            if kind != EnvKind::Value {
                kinds.push((index, kind));
            }
            index += 1;
            Ok(var)
        })?;
        self.has_env = env.is_some();
        self.env = env.unwrap_or_default();
        self.kinds = kinds;
        Ok(())
    }

    /// Where the value of the variable at `index` comes from.
    pub(crate) fn env_kind(&self, index: usize) -> EnvKind {
        let found = self.kinds.binary_search_by_key(&index, |(at, _)| *at);
        found.ok().and_then(|at| self.kinds.get(at)).map_or(EnvKind::Value, |(_, kind)| *kind)
    }

    /// The last variable of that name, which is the one that counts.
    pub(crate) fn variable(&self, name: &str) -> Option<(usize, &EnvVar<'a>)> {
        self.env.iter().enumerate().rev().find(|(_, var)| var.name == name)
    }

    /// What it mounts.
    pub(crate) fn mounts(&self) -> &[Mount<'a>] {
        self.mounts.as_deref().unwrap_or_default()
    }
}

fn read_variable<'a>(cursor: &mut Cursor<'a>) -> Result<(EnvVar<'a>, EnvKind), ParseError> {
    // As the API server writes nearly all of them, of which there may be many.
    let start = cursor.clone();
    if let Some([name, value]) = cursor.strings_between([b"{\"name\":", b",\"value\":", b"}"]) {
        return Ok((EnvVar::new(name.decode()?, value.decode()?), EnvKind::Value));
    }
    *cursor = start;
    let (mut name, mut value, mut reference) = (Cow::Borrowed(""), None, None);
    cursor.object(|key, cursor| {
        match key {
            b"name" => name = cursor.optional_string()?.unwrap_or_default(),
            b"value" => value = cursor.optional_string()?,
            b"valueFrom" => reference = if cursor.null() { None } else { Some(read_reference(cursor)?) },
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(match (reference, value) {
        (Some(optional), _) => (EnvVar::unknown(name), EnvKind::Reference { optional }),
        (None, Some(value)) => (EnvVar::new(name, value), EnvKind::Value),
        (None, None) => (EnvVar::new(name, ""), EnvKind::Bare),
    })
}

/// Reads a `valueFrom`: whether what it refers to may be missing.
fn read_reference(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    let mut optional = false;
    cursor.object(|_, cursor| {
        if !cursor.null() {
            cursor.object(|key, cursor| {
                if key == b"optional" {
                    optional |= cursor.boolean()?.unwrap_or_default();
                } else {
                    cursor.skip()?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(optional)
}

impl<'a> EnvFrom<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut source = Self::default();
        cursor.object(|key, cursor| {
            match key {
                b"prefix" => source.prefix = cursor.optional_string()?.unwrap_or_default(),
                b"configMapRef" => source.read_source(SourceKind::ConfigMap, cursor)?,
                b"secretRef" => source.read_source(SourceKind::Secret, cursor)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(source)
    }

    fn read_source(&mut self, kind: SourceKind, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        if cursor.null() {
            return Ok(());
        }
        self.kind = kind;
        cursor.object(|key, cursor| {
            match key {
                b"name" => self.name = cursor.optional_string()?.unwrap_or_default(),
                b"optional" => self.optional = cursor.boolean()?.unwrap_or_default(),
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })
    }
}

impl<'a> Mount<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut mount = Self::default();
        cursor.object(|key, cursor| {
            match key {
                b"name" => mount.name = cursor.optional_string()?.unwrap_or_default(),
                b"mountPath" => mount.path = cursor.optional_string()?.unwrap_or_default(),
                b"subPath" | b"subPathExpr" => {
                    mount.sub_path |= cursor.optional_string()?.is_some_and(|path| !path.is_empty());
                }
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(mount)
    }
}
