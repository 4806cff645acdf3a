//! Images and their archives: the OCI image specification, 1.1.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tar::{self, Tree};
use crate::{error::Error, loaders::emptied};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed: what compresses could change with its version, and the largest file is an archive itself.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image.
pub(crate) struct Image {
    /// Its name with its tag.
    pub(crate) name: String,
    /// What it runs with: the object `config` of its configuration.
    pub(crate) config: Value,
    /// The layers with what made each, the lowest first.
    pub(crate) layers: Vec<(String, Tree)>,
    bytes: u64,
}

impl Image {
    /// An image of these layers.
    pub(crate) fn new(name: String, config: Value, layers: Vec<(String, Tree)>) -> Result<Self, Error> {
        let sizes: Result<Vec<u64>, Error> = layers.iter().map(|(_, tree)| Ok(tree.archive()?.len() as u64)).collect();
        Ok(Self { name, config, layers, bytes: sizes?.iter().sum() })
    }

    /// The bytes of its layers.
    pub(crate) fn size(&self) -> u64 {
        self.bytes
    }

    /// Writes its root file system to a folder, emptied first.
    pub(crate) fn unpack(&self, root: &Path) -> Result<(), Error> {
        emptied(root)?;
        self.layers.iter().try_for_each(|(_, tree)| tree.unpack(root))
    }

    /// Writes the archive; returns the digest of the image's manifest.
    pub(crate) fn write(&self, out: &Path) -> Result<String, Error> {
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        let mut history = Vec::new();
        for (made_by, tree) in &self.layers {
            layers.push(store(&mut blobs, LAYER, tree.archive()?));
            history.push(json!({ "created_by": made_by }));
        }
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "aarch64" => ("arm64", Some("v8")),
            other => return Err(Error::Cannot(format!("images for {other} are not made"))),
        };
        let mut platform = json!({ "architecture": architecture, "os": "linux" });
        if let Some(variant) = variant {
            platform["variant"] = variant.into();
        }
        let mut config = platform.clone();
        config["config"] = self.config.clone();
        // The layers are not compressed: their digests are those of what is in them.
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": digests });
        config["history"] = history.into();
        let config = store(&mut blobs, CONFIG, config.to_string().into_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = store(&mut blobs, MANIFEST, manifest.to_string().into_bytes());
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
        manifest["platform"] = platform;
        let tag = self.name.rsplit(':').next().unwrap_or_default();
        manifest["annotations"] =
            json!({ "io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        let mut archive = Vec::new();
        tar::append(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar::append(&mut archive, "index.json", 0o644, index.to_string().as_bytes())?;
        for (path, bytes) in &blobs {
            tar::append(&mut archive, path, 0o644, bytes)?;
        }
        archive.resize(archive.len() + 1024, 0);
        fs::write(out, archive).map_err(Error::file("write", out))?;
        Ok(digest)
    }
}

/// Keeps a blob; its descriptor.
fn store(blobs: &mut BTreeMap<String, Vec<u8>>, kind: &str, bytes: Vec<u8>) -> Value {
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let descriptor = json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len() });
    blobs.insert(format!("blobs/sha256/{digest}"), bytes);
    descriptor
}
