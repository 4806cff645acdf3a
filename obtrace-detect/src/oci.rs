//! Reading an image's configuration.

use alloc::{borrow::Cow, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::Deserialize;

use crate::{EnvVar, ImageConfig};

/// Largest configuration that is read: registries bound manifests to 4 MiB, and a configuration is smaller.
const MAX_LEN: usize = 4 << 20;

/// Bytes that are no image configuration.
#[derive(Debug)]
pub struct ImageConfigError(Cause);

#[derive(Debug)]
enum Cause {
    Json(serde_json::Error),
    TooLong(usize),
}

impl fmt::Display for ImageConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Json(error) => write!(f, "no image configuration: {error}"),
            Cause::TooLong(len) => write!(f, "an image configuration of {len} bytes; {MAX_LEN} are read"),
        }
    }
}

impl core::error::Error for ImageConfigError {}

/// The blob has the configuration under `config`, as does what `docker inspect` prints under `Config`.
#[derive(Deserialize)]
struct Blob<'a> {
    #[serde(alias = "Config", borrow)]
    config: Option<Raw<'a>>,
    #[serde(flatten, borrow)]
    bare: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Raw<'a> {
    #[serde(rename = "Entrypoint", default, borrow)]
    entrypoint: Option<Command<'a>>,
    #[serde(rename = "Cmd", default, borrow)]
    cmd: Option<Command<'a>>,
    #[serde(rename = "Env", default, borrow)]
    env: Option<Vec<Cow<'a, str>>>,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, Option<String>>>,
}

/// A list as a rule; a string in images that were built long ago.
#[derive(Deserialize)]
#[serde(untagged)]
enum Command<'a> {
    Words(#[serde(borrow)] Vec<Cow<'a, str>>),
    Line(String),
}

impl Command<'_> {
    fn into_words<'o>(self) -> Vec<Cow<'o, str>> {
        match self {
            Self::Words(words) => words.into_iter().map(|word| Cow::Owned(word.into_owned())).collect(),
            Self::Line(line) => Vec::from([Cow::Borrowed("/bin/sh"), Cow::Borrowed("-c"), Cow::Owned(line)]),
        }
    }
}

impl ImageConfig<'static> {
    /// Reads the [OCI image configuration], which is the blob that an image's manifest names as its `config`; the inner
    /// object alone is understood as well, and what `docker inspect` prints of one image.
    ///
    /// Nothing is fetched: the caller has done that.
    ///
    /// ```
    /// use obtrace_detect::{Evidence, ImageConfig, Language, detect};
    ///
    /// let blob = br#"{"architecture":"amd64","config":{"Env":["PATH=/bin","RUBY_VERSION=3.3.5"],"Cmd":["irb"]}}"#;
    /// let config = ImageConfig::parse(blob)?;
    /// assert_eq!(config.env[1].name, "RUBY_VERSION");
    /// assert_eq!(detect(&Evidence::new().with_image_config(&config)).language, Language::Ruby);
    /// # Ok::<(), obtrace_detect::ImageConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ImageConfigError`] if the bytes are no JSON object of that kind, or more than 4 MiB.
    ///
    /// [OCI image configuration]: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageConfigError> {
        if bytes.len() > MAX_LEN {
            return Err(ImageConfigError(Cause::TooLong(bytes.len())));
        }
        let blob: Blob<'_> = serde_json::from_slice(bytes).map_err(|error| ImageConfigError(Cause::Json(error)))?;
        let Raw { entrypoint, cmd, env, labels } = blob.config.unwrap_or(blob.bare);
        let variable = |line: Cow<'_, str>| {
            let (name, value) = line.split_once('=').unwrap_or((&line, ""));
            EnvVar::new(String::from(name), String::from(value))
        };
        let label = |(name, value): (String, Option<String>)| (name.into(), value.unwrap_or_default().into());
        Ok(Self {
            entrypoint: entrypoint.map(Command::into_words).unwrap_or_default(),
            cmd: cmd.map(Command::into_words).unwrap_or_default(),
            env: env.into_iter().flatten().map(variable).collect(),
            labels: labels.into_iter().flatten().map(label).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let inner = r#"{"Entrypoint":["tini","--"],"Cmd":["node","a\u002ejs"],"Env":["A=1=2","B"],"Labels":{"c":"d"}}"#;
        let bare = ImageConfig::parse(inner.as_bytes()).unwrap();
        assert_eq!((bare.entrypoint.len(), &*bare.cmd[1]), (2, "a.js"));
        assert_eq!(bare.env, [EnvVar::new("A", "1=2"), EnvVar::new("B", "")]);
        assert_eq!(bare.labels, [("c".into(), "d".into())]);
        for key in ["config", "Config"] {
            let blob = alloc::format!(r#"{{"architecture":"amd64","{key}":{inner},"rootfs":{{"type":"layers"}}}}"#);
            assert_eq!(ImageConfig::parse(blob.as_bytes()).unwrap(), bare, "{key}");
        }
    }

    #[test]
    fn what_is_not_there_is_empty() {
        let null = br#"{"config":{"Entrypoint":null,"Cmd":null,"Env":null,"Labels":null,"Volumes":{}}}"#;
        assert_eq!(ImageConfig::parse(null).unwrap(), ImageConfig::new());
        assert_eq!(ImageConfig::parse(b"{}").unwrap(), ImageConfig::new());
    }

    #[test]
    fn a_command_of_old_is_for_the_shell() {
        let config = ImageConfig::parse(br#"{"config":{"Cmd":"node app.js"}}"#).unwrap();
        assert_eq!(config.cmd, ["/bin/sh", "-c", "node app.js"]);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["", "[]", "3", "{", r#"{"config":{"Cmd":[1]}}"#, r#"{"config":3}"#] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
        let error = ImageConfig::parse(&[b' '; MAX_LEN + 1]).unwrap_err();
        assert!(error.to_string().contains("4194304 are read"), "{error}");
    }
}
