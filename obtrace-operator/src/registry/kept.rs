//! What is kept of an image's configuration, and how: the ConfigMap that the leader writes and every replica watches.
//!
//! Detection and the plan read the command, the labels that name a runtime, and a few variables. Of the other variables the name is
//! kept alone: images are built with secrets in them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use obtrace_detect::{EnvVar, Evidence, ImageConfig, Language, detect};
use obtrace_patch::hooks;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::index::Images;

/// The ConfigMap's key.
const KEY: &str = "images.json";
/// The most that all of it takes as JSON, in bytes. The API server takes 1 MiB.
pub(super) const MOST_BYTES: usize = 900 << 10;
/// The most that one image takes, in bytes.
const MOST_OF_ONE: usize = 16 << 10;
/// The most words, variables and labels of an image that are kept of each.
const MOST_PARTS: usize = 256;

/// The label that buildpacks write, and what is read of it.
const BUILDPACKS: &str = "io.buildpacks.build.metadata";

/// What is known of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// What the reference's manifest, or index, adds up to.
    pub(super) digest: String,
    /// When the registry last said so, in seconds since 1970.
    pub(super) at: i64,
    pub(super) config: ImageConfig<'static>,
}

/// By the references as Pods have them.
pub(super) type All = BTreeMap<String, Known>;

#[derive(Deserialize, Serialize)]
struct Entry {
    digest: String,
    at: i64,
    config: Config,
}

/// In the words of OCI.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    /// `NAME=value`, or `NAME` where the value is not kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

/// What is kept of a configuration; `None` if that is too much.
pub(super) fn reduced(config: &ImageConfig<'_>) -> Option<ImageConfig<'static>> {
    let words = |words: &[std::borrow::Cow<'_, str>]| {
        words.iter().take(MOST_PARTS).map(|word| word.to_string().into()).collect()
    };
    let variable = |var: &EnvVar<'_>| match &var.value {
        Some(value) if is_read(var) => EnvVar::new(var.name.to_string(), value.to_string()),
        _ => EnvVar::unknown(var.name.to_string()),
    };
    let label = |(name, value): &(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let value = if name == BUILDPACKS { processes(value) } else { value.to_string() };
        let one = ImageConfig::new().with_labels(vec![(name.to_string().into(), value.clone().into())]);
        let is_read = name == BUILDPACKS || speaks(&one);
        is_read.then(|| (name.to_string().into(), value.into()))
    };
    let kept = ImageConfig::new()
        .with_entrypoint(words(&config.entrypoint))
        .with_cmd(words(&config.cmd))
        .with_env(config.env.iter().take(MOST_PARTS).map(variable).collect())
        .with_labels(config.labels.iter().take(MOST_PARTS).filter_map(label).collect());
    (size(&written(&kept)) <= MOST_OF_ONE).then_some(kept)
}

/// Whether somebody reads the variable's value.
fn is_read(var: &EnvVar<'_>) -> bool {
    let is_hook = || hooks::ALL.iter().any(|hook| hook.name == var.name);
    // PHP's setting is looked for in names and values.
    let restricts = |text: &str| text.to_ascii_lowercase().contains("open_basedir");
    let value = var.value.as_deref().unwrap_or_default();
    let one = || ImageConfig::new().with_env(vec![var.clone()]);
    is_hook() || restricts(&var.name) || restricts(value) || speaks(&one())
}

fn speaks(config: &ImageConfig<'_>) -> bool {
    detect(&Evidence::new().with_image_config(config)).language != Language::Unknown
}

/// Of what the buildpacks wrote: which took part and which processes there are, in the order and form that they write it in.
fn processes(metadata: &str) -> String {
    #[derive(Deserialize, Serialize)]
    struct Metadata<'a> {
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        buildpacks: Option<&'a serde_json::value::RawValue>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        processes: Option<&'a serde_json::value::RawValue>,
    }
    let read = serde_json::from_str::<Metadata<'_>>(metadata).ok();
    read.and_then(|read| serde_json::to_string(&read).ok()).unwrap_or_default()
}

fn written(config: &ImageConfig<'_>) -> Config {
    let words = |words: &[std::borrow::Cow<'_, str>]| words.iter().map(|word| word.to_string()).collect();
    let variable = |var: &EnvVar<'_>| match &var.value {
        Some(value) => format!("{}={value}", var.name),
        None => var.name.to_string(),
    };
    Config {
        entrypoint: words(&config.entrypoint),
        cmd: words(&config.cmd),
        env: config.env.iter().map(variable).collect(),
        labels: config.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}

fn read(config: Config) -> ImageConfig<'static> {
    let words = |words: Vec<String>| words.into_iter().map(Into::into).collect();
    let variable = |text: String| match text.split_once('=') {
        Some((name, value)) => EnvVar::new(name.to_owned(), value.to_owned()),
        None => EnvVar::unknown(text),
    };
    ImageConfig::new()
        .with_entrypoint(words(config.entrypoint))
        .with_cmd(words(config.cmd))
        .with_env(config.env.into_iter().map(variable).collect())
        .with_labels(config.labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len())
}

fn entry(known: &Known) -> Entry {
    Entry { digest: known.digest.clone(), at: known.at, config: written(&known.config) }
}

/// How many bytes an image takes, a little more rather than less.
pub(super) fn bytes_of(image: &str, known: &Known) -> usize {
    // In a ConfigMap it is a text in JSON: quotation marks are escaped once more.
    let text = serde_json::to_string(&BTreeMap::from([(image, entry(known))])).unwrap_or_default();
    size(&text)
}

/// The ConfigMap's data.
pub(super) fn data(all: &All) -> BTreeMap<String, String> {
    let entries: BTreeMap<_, _> = all.iter().map(|(image, known)| (image, entry(known))).collect();
    [(KEY.to_owned(), serde_json::to_string(&entries).unwrap_or_default())].into()
}

/// What a ConfigMap says; nothing, if it is none of ours.
pub(super) fn of(map: &ConfigMap) -> All {
    let Some(text) = map.data.as_ref().and_then(|data| data.get(KEY)) else { return All::new() };
    match serde_json::from_str::<BTreeMap<String, Entry>>(text) {
        Ok(entries) => {
            let known = |it: Entry| Known { digest: it.digest, at: it.at, config: read(it.config) };
            entries.into_iter().map(|(image, entry)| (image, known(entry))).collect()
        }
        Err(error) => {
            warn!(%error, "what is known of images cannot be read, and is looked up anew");
            All::new()
        }
    }
}

/// What a ConfigMap says, as the index has it.
pub(super) fn images(map: &ConfigMap) -> Images {
    of(map).into_iter().map(|(image, known)| (image, known.config)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(text: &str) -> ImageConfig<'static> {
        ImageConfig::parse(text.as_bytes()).unwrap()
    }

    fn map(all: &All) -> ConfigMap {
        ConfigMap { data: Some(data(all)), ..ConfigMap::default() }
    }

    #[test]
    fn secrets_of_an_image_are_not_kept() {
        let whole = config(
            r#"{"Entrypoint":["docker-entrypoint.sh"],"Cmd":["node","a.js"],
                "Env":["PATH=/usr/bin","NODE_VERSION=22.1","DB_PASSWORD=s3cret","NODE_OPTIONS=--max-old-space-size=9"],
                "Labels":{"maintainer":"somebody","token":"s3cret","runtime":"nodejs"}}"#,
        );
        let kept = reduced(&whole).unwrap();
        let text = format!(
            "{:?}",
            data(&[("a".to_owned(), Known { digest: String::new(), at: 1, config: kept.clone() })].into())
        );
        assert!(!text.contains("s3cret") && text.contains("DB_PASSWORD"), "{text}");
        assert!(
            text.contains("NODE_VERSION=22.1") && text.contains("--max-old-space-size=9") && text.contains("runtime"),
            "{text}"
        );
        let verdict = |config: &ImageConfig<'_>| {
            let found = detect(&Evidence::new().with_image_config(config));
            (found.language, found.confidence, found.framework)
        };
        assert_eq!(verdict(&kept), verdict(&whole));
    }

    #[test]
    fn what_is_kept_is_what_is_read_back() {
        let kept = reduced(&config(r#"{"Cmd":["a=\"b\"",""],"Env":["A","RUBY_VERSION=3=3","B="]}"#)).unwrap();
        let all: All = [("r/a:1".to_owned(), Known { digest: "sha256:1".into(), at: 7, config: kept })].into();
        assert_eq!(of(&map(&all)), all);
        let whole: usize = all.iter().map(|(image, known)| bytes_of(image, known)).sum();
        assert!(size(&data(&all)) <= whole + 64);
    }

    #[test]
    fn buildpacks_keep_their_processes() {
        let metadata = r#"{"bom":["long"],"buildpacks":[{"id":"heroku/ruby"}],"processes":[{"type":"web","command":["bundle","exec","puma"],"direct":true}]}"#;
        let text =
            serde_json::json!({ "Entrypoint": ["/cnb/process/web"], "Labels": { BUILDPACKS: metadata } }).to_string();
        let kept = reduced(&config(&text)).unwrap();
        assert!(!kept.labels[0].1.contains("bom"));
        assert_eq!(detect(&Evidence::new().with_image_config(&kept)).language, Language::Ruby);
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let long = "x".repeat(MOST_OF_ONE);
        assert_eq!(reduced(&config(&serde_json::json!({ "Cmd": [long] }).to_string())), None);
        let many: Vec<_> = (0..100_000).map(|number| format!("V{number}=1")).collect();
        assert_eq!(reduced(&config(&serde_json::json!({ "Env": many }).to_string())).unwrap().env.len(), MOST_PARTS);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,80}") {
            let odd = ConfigMap { data: Some([(KEY.to_owned(), text.clone())].into()), ..ConfigMap::default() };
            let _ = images(&odd);
            let _ = reduced(&config(&serde_json::json!({ "Cmd": [text], "Env": [text], "Labels": { BUILDPACKS: text } }).to_string()));
        }
    }
}
