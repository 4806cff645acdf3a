//! `metadata`.

use std::borrow::Cow;

use crate::{
    error::ParseError,
    json::{Cursor, Text},
    marks,
};

/// The fields of a Pod's metadata that are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata<'a> {
    /// Whether there is an object to add to.
    pub(crate) present: bool,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) generate_name: Option<Cow<'a, str>>,
    pub(crate) namespace: Option<Cow<'a, str>>,
    /// All labels but the language's, which is no evidence but a hint.
    pub(crate) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) language: Option<Cow<'a, str>>,
    pub(crate) has_labels: bool,
    /// Annotations as they stand: there may be many, they may be long, and hardly any is of interest.
    pub(crate) annotations: Option<Vec<(Text<'a>, Text<'a>)>>,
    pub(crate) owners: Vec<Owner<'a>>,
}

/// An owner reference of a Pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Owner<'a> {
    /// Group and version: `apps/v1`.
    pub api_version: Cow<'a, str>,
    /// `ReplicaSet`, `Job`, …
    pub kind: Cow<'a, str>,
    /// Its name, in the Pod's namespace.
    pub name: Cow<'a, str>,
    /// Its id.
    pub uid: Cow<'a, str>,
    /// Whether it is the one that manages the Pod.
    pub controller: bool,
}

impl<'a> Metadata<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut metadata = Self::default();
        if cursor.null() {
            return Ok(metadata);
        }
        metadata.present = true;
        cursor.object(|key, cursor| {
            match key {
                b"name" => metadata.name = cursor.optional_string()?,
                b"generateName" => metadata.generate_name = cursor.optional_string()?,
                b"namespace" => metadata.namespace = cursor.optional_string()?,
                b"labels" => metadata.read_labels(cursor)?,
                b"annotations" => metadata.annotations = annotations(cursor)?,
                b"ownerReferences" => metadata.owners = cursor.list(1, Owner::read)?.unwrap_or_default(),
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(metadata)
    }

    fn read_labels(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        self.labels.clear();
        self.language = None;
        self.has_labels = !cursor.null();
        if !self.has_labels {
            return Ok(());
        }
        cursor.entries(|key, cursor| {
            let value = cursor.optional_string()?.unwrap_or_default();
            if key.is(marks::LANGUAGE) {
                self.language = Some(value);
                return Ok(());
            }
            if self.labels.capacity() == 0 {
                self.labels.reserve_exact(8);
            }
            self.labels.push((key.decode()?, value));
            Ok(())
        })
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        if key == marks::LANGUAGE {
            return self.language.as_deref();
        }
        self.labels.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// An annotation's value. One that is no text (Kubernetes would refuse it) is none.
    pub(crate) fn annotation(&self, key: &str) -> Option<Cow<'a, str>> {
        let mut all = self.annotations.iter().flatten().rev();
        all.find(|(name, _)| name.is(key)).and_then(|(_, value)| value.decode().ok())
    }

    /// The keys of the annotations, and their values as they stand.
    pub(crate) fn annotations(&self) -> impl Iterator<Item = &(Text<'a>, Text<'a>)> {
        self.annotations.iter().flatten()
    }

    /// The owner that made the Pod.
    pub(crate) fn controller(&self) -> Option<&Owner<'a>> {
        self.owners.iter().find(|owner| owner.controller).or(self.owners.first())
    }
}

fn annotations<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Vec<(Text<'a>, Text<'a>)>>, ParseError> {
    if cursor.null() {
        return Ok(None);
    }
    let mut all = Vec::new();
    cursor.entries(|key, cursor| {
        let value = if cursor.null() { Text::EMPTY } else { cursor.text()? };
        if all.capacity() == 0 {
            all.reserve_exact(8);
        }
        all.push((key, value));
        Ok(())
    })?;
    Ok(Some(all))
}

impl<'a> Owner<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut owner = Self::default();
        cursor.object(|key, cursor| {
            match key {
                b"apiVersion" => owner.api_version = cursor.optional_string()?.unwrap_or_default(),
                b"kind" => owner.kind = cursor.optional_string()?.unwrap_or_default(),
                b"uid" => owner.uid = cursor.optional_string()?.unwrap_or_default(),
                b"name" => owner.name = cursor.optional_string()?.unwrap_or_default(),
                b"controller" => owner.controller = cursor.boolean()?.unwrap_or_default(),
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(owner)
    }
}
