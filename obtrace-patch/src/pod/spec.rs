//! `spec`.

use std::borrow::Cow;

use super::Container;
use crate::{error::ParseError, json::Cursor};

/// The fields of a Pod's spec that are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec<'a> {
    pub(crate) containers: Vec<Container<'a>>,
    /// `None` where there is no array to insert into.
    pub(crate) init_containers: Option<Vec<Container<'a>>>,
    pub(crate) volumes: Option<Vec<Volume<'a>>>,
    pub(crate) host_pid: bool,
    pub(crate) host_network: bool,
    pub(crate) host_users: Option<bool>,
    pub(crate) share_process_namespace: Option<bool>,
    pub(crate) priority_class: Option<Cow<'a, str>>,
    pub(crate) restart_policy: Option<Cow<'a, str>>,
    pub(crate) run_as_user: Option<i64>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) windows: bool,
    /// The resources of the Pod as a whole, if it has any.
    pub(crate) resources: Option<&'a [u8]>,
}

/// A volume.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume<'a> {
    pub(crate) name: Cow<'a, str>,
    /// What stands under `emptyDir`.
    pub(crate) empty_dir: Option<&'a [u8]>,
}

impl<'a> Spec<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut spec = Self::default();
        if cursor.null() {
            return Ok(spec);
        }
        cursor.object(|key, cursor| {
            match key {
                b"containers" => spec.containers = cursor.list(2, Container::read)?.unwrap_or_default(),
                b"initContainers" => spec.init_containers = cursor.list(2, Container::read)?,
                b"volumes" => spec.volumes = cursor.list(4, Volume::read)?,
                b"hostPID" => spec.host_pid = cursor.boolean()?.unwrap_or_default(),
                b"hostNetwork" => spec.host_network = cursor.boolean()?.unwrap_or_default(),
                b"hostUsers" => spec.host_users = cursor.boolean()?,
                b"shareProcessNamespace" => spec.share_process_namespace = cursor.boolean()?,
                b"priorityClassName" => spec.priority_class = cursor.optional_string()?,
                b"restartPolicy" => spec.restart_policy = cursor.optional_string()?,
                b"resources" => {
                    spec.resources = if cursor.null() { None } else { Some(cursor.skip()?).filter(|it| *it != b"{}") };
                }
                b"securityContext" => spec.read_security(cursor)?,
                b"os" => spec.windows |= names_windows(cursor, &["name"])?,
                b"nodeSelector" => {
                    spec.windows |= names_windows(cursor, &["kubernetes.io/os", "beta.kubernetes.io/os"])?;
                }
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(spec)
    }

    fn read_security(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        (self.run_as_user, self.run_as_non_root) = (None, None);
        if cursor.null() {
            return Ok(());
        }
        cursor.object(|key, cursor| {
            match key {
                b"runAsUser" => self.run_as_user = cursor.integer()?,
                b"runAsNonRoot" => self.run_as_non_root = cursor.boolean()?,
                b"windowsOptions" if !cursor.null() => {
                    cursor.skip()?;
                    self.windows = true;
                }
                b"windowsOptions" => {}
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })
    }

    pub(crate) fn init_containers(&self) -> &[Container<'a>] {
        self.init_containers.as_deref().unwrap_or_default()
    }

    /// All containers, init containers first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Container<'a>> {
        self.init_containers().iter().chain(&self.containers)
    }
}

/// Whether one of these members is `windows`.
fn names_windows(cursor: &mut Cursor<'_>, keys: &[&str]) -> Result<bool, ParseError> {
    let mut windows = false;
    if cursor.null() {
        return Ok(windows);
    }
    cursor.entries(|key, cursor| {
        let value = cursor.optional_string()?;
        windows |= keys.iter().any(|name| key.is(name)) && value.is_some_and(|value| value == "windows");
        Ok(())
    })?;
    Ok(windows)
}

impl<'a> Volume<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut volume = Self::default();
        cursor.object(|key, cursor| {
            match key {
                b"name" => volume.name = cursor.optional_string()?.unwrap_or_default(),
                b"emptyDir" => volume.empty_dir = if cursor.null() { None } else { Some(cursor.skip()?) },
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(volume)
    }
}
