//! Manifest files: YAML or JSON, several documents, `List` objects.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// One object of a manifest file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// The object, its keys in the order of the file.
    pub value: Value,
}

impl Document {
    /// An object.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value }
    }

    /// Its `kind`; empty where there is none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its `apiVersion`; empty where there is none.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// Its name, or `generateName`; empty where there is neither.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.text("/metadata/name") {
            "" => self.text("/metadata/generateName"),
            name => name,
        }
    }

    /// Its namespace; `None` where it names none.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(self.text("/metadata/namespace")).filter(|name| !name.is_empty())
    }

    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Why a manifest file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is larger than [`MAX_BYTES`].
    #[error("{} is larger than {} MiB", .path.display(), MAX_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is neither YAML nor JSON.
    #[error("{} is not a manifest: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        message: String,
    },
    /// A document is something else than an object with a kind.
    #[error("{}: document {index} is no Kubernetes object: it has no kind", .path.display())]
    NoObject {
        /// The file.
        path: PathBuf,
        /// Which document, from 1.
        index: usize,
    },
}

/// Reads a manifest file, or standard input for `-`.
///
/// # Errors
///
/// If it cannot be read, is too large, or holds something else than Kubernetes objects.
pub fn read(path: &Path) -> Result<Vec<Document>, ManifestError> {
    let failed = |source| ManifestError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    let input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(fs::File::open(path).map_err(failed)?) };
    input.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(ManifestError::TooLarge { path: path.to_owned() });
    }
    parse(&text, path)
}

/// Reads the text of a manifest file; `path` is for messages only.
///
/// # Errors
///
/// If it holds something else than Kubernetes objects.
pub fn parse(text: &[u8], path: &Path) -> Result<Vec<Document>, ManifestError> {
    let syntax = |message: String| ManifestError::Syntax { path: path.to_owned(), message };
    let first = text.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let values = if matches!(first, Some(b'{' | b'[')) {
        // Faster than the YAML reader, and its complaints fit the format. `kubectl get -o json` may give several in a row.
        let stream = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        stream.collect::<Result<Vec<_>, _>>().or_else(|error| yaml(text).map_err(|_| error.to_string()))
    } else {
        yaml(text)
    };
    let mut documents = Vec::new();
    for (index, value) in values.map_err(syntax)?.into_iter().enumerate() {
        flatten(value, &mut documents)
            .map_err(|()| ManifestError::NoObject { path: path.to_owned(), index: index + 1 })?;
    }
    Ok(documents)
}

/// As kubectl reads YAML: numbers that begin with 0 are octal (`defaultMode: 0644`), keys that come twice are refused.
fn yaml(text: &[u8]) -> Result<Vec<Value>, String> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        // The size of the file is the bound; anchors keep theirs.
        budget: None
    };
    serde_saphyr::from_slice_multiple_with_options(text, options).map_err(|error| error.to_string())
}

/// The objects of a document: those of a `List` one by one, none of an empty one.
fn flatten(value: Value, documents: &mut Vec<Document>) -> Result<(), ()> {
    if value.is_null() {
        return Ok(());
    }
    let mut document = Document::new(value);
    if document.kind().ends_with("List") && document.value.get("items").is_some_and(Value::is_array) {
        let Some(Value::Array(items)) = document.value.get_mut("items").map(Value::take) else { return Err(()) };
        return items.into_iter().try_for_each(|item| flatten(item, documents));
    }
    if document.kind().is_empty() {
        return Err(());
    }
    documents.push(document);
    Ok(())
}

/// An object as YAML.
///
/// # Errors
///
/// If it cannot be written as YAML, which would be a fault of this crate.
pub fn to_yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Result<Vec<Document>, ManifestError> {
        parse(text.as_bytes(), Path::new("file.yaml"))
    }

    #[test]
    fn documents_and_lists_come_one_by_one() {
        let text = "---\n# nothing\n---\nkind: Pod\nmetadata: {name: a}\n---\nkind: List\nitems:\n- {kind: Pod, metadata: {name: b}}\n- {kind: \
                    Deployment, metadata: {name: c, namespace: d}}\n";
        let documents = documents(text).unwrap();
        let names: Vec<_> = documents.iter().map(|it| (it.kind(), it.name(), it.namespace())).collect();
        assert_eq!(names, [("Pod", "a", None), ("Pod", "b", None), ("Deployment", "c", Some("d"))]);
    }

    #[test]
    fn json_is_read_as_such() {
        let documents = documents(r#" {"kind":"Pod","metadata":{"generateName":"a-"}} {"kind":"Pod"}"#).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].name(), "a-");
    }

    #[test]
    fn octal_modes_are_read_as_kubectl_reads_them() {
        let documents = documents("kind: Pod\nmode: 0644\ntext: '0644'\n").unwrap();
        assert_eq!(documents[0].value["mode"], 0o644);
        assert_eq!(documents[0].value["text"], "0644");
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        let error = documents("kind: Pod\n---\n- 1\n").unwrap_err();
        assert_eq!(error.to_string(), "file.yaml: document 2 is no Kubernetes object: it has no kind");
        assert!(documents("a: [").unwrap_err().to_string().starts_with("file.yaml is not a manifest: "));
        assert!(documents("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn yaml_that_is_written_reads_the_same() {
        let texts = [
            "yes",
            "on",
            "1.0",
            "0x1",
            "0644",
            "1e3",
            "~",
            "null",
            "",
            " a",
            "a ",
            "a: b",
            "# a",
            "- a",
            "a\nb\n",
            "\t",
            "é",
            "2020-01-01",
        ];
        let value = serde_json::json!({ "kind": "Pod", "env": texts, "y": 1, "n": true, "long": "word ".repeat(100), "none": null });
        let yaml = to_yaml(&value).unwrap();
        assert_eq!(documents(&yaml).unwrap()[0].value, value, "{yaml}");
    }
}
