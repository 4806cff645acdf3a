//! Manifests and indexes, of OCI and of Docker's second schema: which blob is an image's configuration.
//!
//! Source: the [OCI image specification](https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md), and
//! [Docker's](https://distribution.github.io/distribution/spec/manifest-v2-2/).

use serde::Deserialize;

use super::{client::Fault, reference::is_digest};

/// What is asked for.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                                 application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// The media types of image configurations. A chart or a signature has another one.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What a registry says an image is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Manifest {
    /// One image: the digest of its configuration and how many bytes that has.
    Image(String, u64),
    /// Images by platforms: the digest of the manifest that fits best.
    Index(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    config: Option<Descriptor>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Manifest {
    /// Reads a manifest or an index; of an index the image for `architecture`, else one for Linux.
    pub(super) fn parse(bytes: &[u8], architecture: &str) -> Result<Self, Fault> {
        let odd = |what: String| Fault::Odd(format!("its manifest {what}"));
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| odd(format!("cannot be read: {error}")))?;
        if document.schema_version != 2 {
            return Err(odd(format!("is of schema {}, which has no configuration", document.schema_version)));
        }
        match (document.manifests, document.config) {
            (Some(_), Some(_)) => Err(odd("is an index and an image at once".to_owned())),
            (Some(_), None) if document.layers.is_some() => Err(odd("is an index and an image at once".to_owned())),
            (Some(all), None) => Self::chosen(all, architecture),
            (None, Some(config)) if !CONFIGS.contains(&&*config.media_type) => {
                Err(odd(format!("is of no image that runs, but of {:?}", clipped(&config.media_type))))
            }
            (None, Some(config)) if !is_digest(&config.digest) => Err(odd("names no SHA-256 digest".to_owned())),
            (None, Some(config)) => Ok(Self::Image(config.digest, config.size)),
            (None, None) => Err(odd("names no configuration".to_owned())),
        }
    }

    fn chosen(all: Vec<Descriptor>, architecture: &str) -> Result<Self, Fault> {
        // Attestations are for a platform that is unknown.
        let is_linux = |it: &&Descriptor| it.platform.as_ref().is_none_or(|platform| platform.os == "linux");
        let rank = |it: &&Descriptor| match &it.platform {
            Some(platform) if platform.architecture == architecture => 0,
            Some(platform) if platform.architecture == "amd64" => 1,
            _ => 2,
        };
        let best = all.iter().filter(|it| is_digest(&it.digest)).filter(is_linux).min_by_key(rank);
        let best = best.ok_or_else(|| Fault::Odd("its index has no image for Linux".to_owned()))?;
        Ok(Self::Index(best.digest.clone()))
    }
}

/// A text's beginning.
fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn parse(value: &Value) -> Result<Manifest, Fault> {
        Manifest::parse(value.to_string().as_bytes(), "arm64")
    }

    #[test]
    fn both_kinds_of_image_are_read() {
        for media_type in CONFIGS {
            let config = json!({ "mediaType": media_type, "digest": digest('1'), "size": 7 });
            let read = parse(&json!({ "schemaVersion": 2, "config": config, "layers": [] }));
            assert_eq!(read.unwrap(), Manifest::Image(digest('1'), 7));
        }
    }

    #[test]
    fn of_an_index_the_own_platform_is_chosen_then_another_of_linux() {
        let entry = |digit, os: &str, architecture: &str| json!({ "digest": digest(digit), "platform": { "os": os, "architecture": architecture } });
        let unknown = entry('0', "unknown", "unknown");
        let windows = entry('1', "windows", "arm64");
        let amd64 = entry('2', "linux", "amd64");
        let arm64 = entry('3', "linux", "arm64");
        let s390x = entry('4', "linux", "s390x");
        for (all, chosen) in [
            (json!([unknown, windows, s390x, amd64, arm64]), Some('3')),
            (json!([unknown, windows, s390x, amd64]), Some('2')),
            (json!([unknown, s390x]), Some('4')),
            (json!([unknown, windows]), None),
            (json!([{ "digest": digest('5') }]), Some('5')),
            (json!([{ "digest": "sha256:1" }]), None),
        ] {
            let read = parse(&json!({ "schemaVersion": 2, "manifests": all }));
            assert_eq!(read.ok(), chosen.map(|digit| Manifest::Index(digest(digit))), "{all}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let config = json!({ "mediaType": CONFIGS[0], "digest": digest('1'), "size": 1 });
        for (value, word) in [
            (json!({ "schemaVersion": 1, "fsLayers": [] }), "schema 1"),
            (json!({ "schemaVersion": 2 }), "no configuration"),
            (json!({ "schemaVersion": 2, "config": config, "manifests": [] }), "at once"),
            (json!({ "schemaVersion": 2, "layers": [], "manifests": [] }), "at once"),
            (
                json!({ "schemaVersion": 2, "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest('1') } }),
                "helm",
            ),
            (
                json!({ "schemaVersion": 2, "config": { "mediaType": CONFIGS[1], "digest": "sha256:../../x" } }),
                "digest",
            ),
            (json!([]), "cannot be read"),
            (json!(null), "cannot be read"),
        ] {
            let fault = parse(&value).unwrap_err().to_string();
            assert!(fault.contains(word), "{value}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..200, byte: u8) {
            let _ = Manifest::parse(&bytes, "amd64");
            let entry = json!({ "mediaType": CONFIGS[0], "digest": digest('1'), "platform": { "os": "linux" } });
            let mut text = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes();
            let at = at % text.len();
            text[at] = byte;
            let _ = Manifest::parse(&text, "amd64");
        }
    }
}
