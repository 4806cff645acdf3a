//! Well-known images, by the last components of their repository path.

use crate::{Framework, ImageReference, Language, Runtime};

/// Components of a repository path that an entry may name.
const MAX_COMPONENTS: usize = 4;

/// What an image is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A language's own image: what runs in it is the user's program.
    Base,
    /// A program of its own.
    Service,
    /// A proxy, sidecar or agent.
    Proxy,
    /// Machinery of the cluster.
    System,
}

/// A well-known image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The last components of the repository path.
    pub(crate) image: &'static str,
    pub(crate) runtime: Runtime,
    pub(crate) framework: Option<Framework>,
    pub(crate) kind: Kind,
    /// Hook variables that the image's own environment sets.
    sets: &'static [&'static str],
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The entry that names most of the path's last components. An image without an owner, or whose owner is `library`,
/// may be one of the official images.
pub(crate) fn entry(repository: &str) -> Option<&'static Entry> {
    let (path, name) = repository.rsplit_once('/').unwrap_or(("library", repository));
    let official = path == "library" || path.ends_with("/library");
    if let Some(entry) = find(&OFFICIAL, name).filter(|_| official) {
        return Some(entry);
    }
    let mut suffix = repository;
    let mut components = repository.bytes().filter(|byte| *byte == b'/').count() + 1;
    loop {
        let found = if components <= MAX_COMPONENTS { find(&ENTRIES, suffix) } else { None };
        if found.is_some() {
            return found;
        }
        suffix = suffix.split_once('/')?.1;
        components -= 1;
    }
}

fn find(entries: &'static [Entry], image: &str) -> Option<&'static Entry> {
    let index = entries.binary_search_by(|entry| entry.image.cmp(image)).ok()?;
    entries.get(index)
}

/// The hook variables (`JAVA_TOOL_OPTIONS`, `NODE_OPTIONS` and so on) that a well-known image's own configuration is
/// known to set. A value in a Pod replaces them, so that whoever sets one has to restate the image's.
///
/// Empty for an image that sets none, and for one that is not known.
///
/// ```
/// use obtrace_detect::known_env;
///
/// assert_eq!(known_env("icr.io/appcafe/open-liberty:full-java17-openj9-ubi"), ["JAVA_TOOL_OPTIONS"]);
/// assert!(known_env("docker.io/library/node:22").is_empty());
/// ```
#[must_use]
pub fn known_env(image: &str) -> &'static [&'static str] {
    let entry = ImageReference::parse(image).and_then(|image| entry(image.repository()));
    entry.map_or(&[], |entry| entry.sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_entry_wins_and_components_are_whole() {
        assert_eq!(entry("mirror/calico/node").map(|entry| entry.image), Some("calico/node"));
        assert_eq!(entry("node").map(|entry| entry.runtime), Some(Runtime::Node));
        assert_eq!(entry("mirror/library/node").map(|entry| entry.runtime), Some(Runtime::Node));
        assert!(entry("somebody/node").is_none());
        assert_eq!(entry("mirror/prom/node-exporter").map(|entry| entry.image), Some("node-exporter"));
        assert!(entry("a/my-node-exporter").is_none());
        assert!(entry("").is_none() && entry("/").is_none());
    }

    #[test]
    fn what_images_set_are_hook_variables() {
        const HOOKS: &[&str] = &[
            "BUN_OPTIONS",
            "DOTNET_STARTUP_HOOKS",
            "JAVA_TOOL_OPTIONS",
            "NODE_OPTIONS",
            "PHP_INI_SCAN_DIR",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "RUBYOPT",
        ];
        let sets: alloc::vec::Vec<_> = OFFICIAL.iter().chain(&ENTRIES).flat_map(|entry| entry.sets).collect();
        assert!(sets.len() >= 3 && sets.iter().all(|name| HOOKS.contains(name)), "{sets:?}");
    }

    #[test]
    fn no_path_is_too_long() {
        let path = "a/".repeat(1000) + "alpine";
        assert_eq!(entry(&path).map(|entry| entry.image), Some("alpine"));
    }
}
