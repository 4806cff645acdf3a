//! What the Pod itself had, where that cannot be told from the result: the annotation
//! [`ORIGINAL`](crate::marks::ORIGINAL).
//!
//! Most of an instrumented Pod undoes itself: names and values show what was added. The rest is noted as compact JSON,
//! in this order, absent where there is nothing to note:
//!
//! ```json
//! {
//!   "env": {"web": {"NODE_OPTIONS": "empty", "OBTRACE_SERVICE_NAME": "kept"}},
//!   "volume": "kept",
//!   "shareProcessNamespace": "added",
//!   "safeToEvict": "empty",
//!   "annotations": {"obtrace.io/strategy": "none"},
//!   "labels": {"obtrace.io/instrumented": "false"}
//! }
//! ```

use std::borrow::Cow;

use crate::{
    error::ParseError,
    json::{Cursor, push_string},
};

/// How a variable was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EnvNote {
    /// It was as it is.
    Kept,
    /// Its value was the empty string.
    Empty,
    /// It had no value.
    Bare,
    /// It was not there.
    Added,
}

impl EnvNote {
    const ALL: [Self; 4] = [Self::Kept, Self::Empty, Self::Bare, Self::Added];

    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Empty => "empty",
            Self::Bare => "bare",
            Self::Added => "added",
        }
    }
}

/// How the list of volumes that may be lost was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListNote {
    /// It had our volume.
    Kept,
    /// It was the empty string.
    Empty,
}

impl ListNote {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Empty => "empty",
        }
    }
}

/// Keys with their values.
type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;
/// A variable of a container, and how it was.
type EnvNotes<'a> = Vec<(Cow<'a, str>, Cow<'a, str>, EnvNote)>;

/// What is noted of a Pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Original<'a> {
    /// Grouped by container.
    pub(crate) env: EnvNotes<'a>,
    /// It had the volume.
    pub(crate) volume: bool,
    /// It did not say that processes are shared.
    pub(crate) shared_processes: bool,
    /// How its list of volumes that may be lost was.
    pub(crate) safe_to_evict: Option<ListNote>,
    /// Annotations and labels that were replaced.
    pub(crate) annotations: Pairs<'a>,
    pub(crate) labels: Pairs<'a>,
}

impl<'a> Original<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.env.is_empty()
            && self.annotations.is_empty()
            && self.labels.is_empty()
            && self.safe_to_evict.is_none()
            && !(self.volume || self.shared_processes)
    }

    /// How a variable was, if that is noted.
    pub(crate) fn variable(&self, container: &str, name: &str) -> Option<EnvNote> {
        self.env.iter().find(|(of, var, _)| of == container && var == name).map(|(_, _, note)| *note)
    }

    /// The annotation's value.
    pub(crate) fn to_json(&self) -> String {
        let mut out = vec![b'{'];
        self.push_env(&mut out);
        for (name, noted, value) in [
            ("volume", self.volume, "kept"),
            ("shareProcessNamespace", self.shared_processes, "added"),
            ("safeToEvict", self.safe_to_evict.is_some(), self.safe_to_evict.map_or("", ListNote::as_str)),
        ] {
            if noted {
                member(&mut out, name);
                push_string(&mut out, value);
            }
        }
        for (name, values) in [("annotations", &self.annotations), ("labels", &self.labels)] {
            if !values.is_empty() {
                member(&mut out, name);
                out.push(b'{');
                for (key, value) in values {
                    member(&mut out, key);
                    push_string(&mut out, value);
                }
                out.push(b'}');
            }
        }
        out.push(b'}');
        // Only whole strings and ASCII were written.
        String::from_utf8(out).unwrap_or_default()
    }

    fn push_env(&self, out: &mut Vec<u8>) {
        let mut of: Option<&str> = None;
        for (container, name, note) in &self.env {
            if of != Some(&**container) {
                if of.is_none() {
                    member(out, "env");
                    out.push(b'{');
                } else {
                    out.push(b'}');
                }
                member(out, container);
                out.push(b'{');
                of = Some(container);
            }
            member(out, name);
            push_string(out, note.as_str());
        }
        if of.is_some() {
            out.extend_from_slice(b"}}");
        }
    }

    /// Reads the annotation's value. What is not understood is left out.
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, ParseError> {
        let mut original = Self::default();
        let mut cursor = Cursor::new(json);
        cursor.object(|key, cursor| {
            match key {
                b"env" => cursor.entries(|container, cursor| {
                    let container = container.decode()?;
                    cursor.entries(|name, cursor| {
                        let note = cursor.string()?;
                        if let Some(note) = EnvNote::ALL.into_iter().find(|known| known.as_str() == note) {
                            original.env.push((container.clone(), name.decode()?, note));
                        }
                        Ok(())
                    })
                })?,
                b"volume" => original.volume = cursor.string()? == "kept",
                b"shareProcessNamespace" => original.shared_processes = cursor.string()? == "added",
                b"safeToEvict" => {
                    let note = cursor.string()?;
                    original.safe_to_evict =
                        [ListNote::Kept, ListNote::Empty].into_iter().find(|known| known.as_str() == note);
                }
                b"annotations" => original.annotations = pairs(cursor)?,
                b"labels" => original.labels = pairs(cursor)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(original)
    }
}

fn pairs<'a>(cursor: &mut Cursor<'a>) -> Result<Pairs<'a>, ParseError> {
    let mut all = Vec::new();
    cursor.entries(|key, cursor| {
        all.push((key.decode()?, cursor.string()?));
        Ok(())
    })?;
    Ok(all)
}

/// Appends a member's name, with the comma before it if it needs one.
fn member(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    push_string(out, name);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut original = Original::default();
        assert!(original.is_empty());
        assert_eq!(original.to_json(), "{}");
        for (container, name, note) in
            [("web", "A", EnvNote::Empty), ("web", "B", EnvNote::Kept), ("job", "A", EnvNote::Added)]
        {
            original.env.push((container.into(), name.into(), note));
        }
        (original.volume, original.shared_processes, original.safe_to_evict) = (true, true, Some(ListNote::Empty));
        original.annotations = vec![("obtrace.io/strategy".into(), "say \"none\"".into())];
        original.labels = vec![("a".into(), "b".into()), ("c".into(), "d".into())];
        let json = original.to_json();
        assert_eq!(
            json,
            concat!(
                r#"{"env":{"web":{"A":"empty","B":"kept"},"job":{"A":"added"}},"volume":"kept","#,
                r#""shareProcessNamespace":"added","safeToEvict":"empty","#,
                r#""annotations":{"obtrace.io/strategy":"say \"none\""},"labels":{"a":"b","c":"d"}}"#
            )
        );
        let read = Original::read(json.as_bytes()).unwrap();
        assert_eq!(read.to_json(), json);
        assert_eq!(read.variable("job", "A"), Some(EnvNote::Added));
        assert_eq!(read.variable("job", "B"), None);
        assert!(Original::read(b"[]").is_err());
    }
}
