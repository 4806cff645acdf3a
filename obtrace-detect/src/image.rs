//! Image references, by the grammar of the distribution project.
//!
//! Grammar: <https://github.com/distribution/reference/blob/v0.6.0/reference.go>. What is read leniently is said where
//! it is; a Pod whose reference is refused by the kubelet never runs, so nothing hangs on it.

/// Longest name that a registry accepts, in bytes; a longer reference says nothing.
const MAX_LEN: usize = 4096;

/// An image reference, taken apart.
///
/// ```
/// use obtrace_detect::ImageReference;
///
/// let image = ImageReference::parse("registry.example:5000/shop/web-node:1.4-alpine@sha256:00").unwrap();
/// assert_eq!(image.registry(), "registry.example:5000");
/// assert_eq!(image.repository(), "shop/web-node");
/// assert_eq!(image.name(), "web-node");
/// assert_eq!(image.tag(), Some("1.4-alpine"));
/// assert_eq!(image.digest(), Some("sha256:00"));
///
/// // Docker Hub's own images are written in three ways and mean one.
/// assert_eq!(ImageReference::parse("node"), ImageReference::parse("docker.io/library/node"));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ImageReference<'a> {
    registry: &'a str,
    /// Without Docker Hub's `library/`.
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Takes a reference apart; `None` if it has no repository or holds what no reference holds (blanks, control
    /// characters), or more than 4 KiB. Upper case, which the grammar forbids, is let through.
    #[must_use]
    pub fn parse(reference: &'a str) -> Option<Self> {
        let reference = reference.trim();
        if reference.len() > MAX_LEN || !reference.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let reference = reference.split_once("://").map_or(reference, |(_, rest)| rest);
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path),
            _ => ("docker.io", rest),
        };
        // A colon in front of the last slash would belong to a port.
        let name_start = path.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match path.get(name_start..)?.find(':') {
            Some(colon) => (path.get(..name_start + colon)?, path.get(name_start + colon + 1..)),
            None => (path, None),
        };
        let hub = matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io");
        let (registry, repository) = match (hub, repository.strip_prefix("library/")) {
            (true, Some(official)) => ("docker.io", official),
            (true, None) => ("docker.io", repository),
            (false, _) => (registry, repository),
        };
        let reference = Self { registry, repository, tag: tag.filter(|tag| !tag.is_empty()), digest };
        if reference.name().is_empty() { None } else { Some(reference) }
    }

    /// The registry's host, with its port; `docker.io` if none is named.
    #[must_use]
    pub const fn registry(&self) -> &'a str {
        self.registry
    }

    /// The path in the registry, without Docker Hub's `library/`.
    #[must_use]
    pub const fn repository(&self) -> &'a str {
        self.repository
    }

    /// The last component of the repository.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.repository.rsplit('/').next().unwrap_or(self.repository)
    }

    /// The repository's components in front of [`name`](Self::name); may be empty.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.repository.rsplit_once('/').map_or("", |(path, _)| path)
    }

    /// The tag.
    #[must_use]
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The digest, with its algorithm.
    #[must_use]
    pub const fn digest(&self) -> Option<&'a str> {
        self.digest
    }
}

/// Whether the first component is a host: it has a dot or a port, or is `localhost` (or has upper case, which a
/// repository cannot).
fn is_host(component: &str) -> bool {
    component == "localhost" || component.bytes().any(|byte| byte == b'.' || byte == b':' || byte.is_ascii_uppercase())
}

/// The tokens of a component or a tag: what stands between `-`, `_`, `.` and whatever else is no letter or digit.
///
/// `web-node_20.1` has `web`, `node`, `20`, `1`; `python3.12` has `python3` and `12`.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|token| !token.is_empty())
}

/// Splits `python3` into `python` and `3`; a token that is a number all through has no word.
pub(crate) fn word_and_version(token: &str) -> (&str, &str) {
    let word = token.trim_end_matches(|character: char| character.is_ascii_digit());
    (word, token.get(word.len()..).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(reference: &str) -> Option<(&str, &str, Option<&str>, Option<&str>)> {
        let image = ImageReference::parse(reference)?;
        Some((image.registry(), image.repository(), image.tag(), image.digest()))
    }

    #[test]
    fn the_grammar_is_read() {
        assert_eq!(parts("node"), Some(("docker.io", "node", None, None)));
        assert_eq!(parts("node:20"), Some(("docker.io", "node", Some("20"), None)));
        assert_eq!(parts("docker.io/library/node:20"), Some(("docker.io", "node", Some("20"), None)));
        assert_eq!(parts("library/node"), Some(("docker.io", "node", None, None)));
        assert_eq!(parts("acme/web"), Some(("docker.io", "acme/web", None, None)));
        assert_eq!(parts("localhost/web"), Some(("localhost", "web", None, None)));
        assert_eq!(parts("node01:5000/web:2"), Some(("node01:5000", "web", Some("2"), None)));
        assert_eq!(parts("node01.example/a/b@sha256:ab"), Some(("node01.example", "a/b", None, Some("sha256:ab"))));
        assert_eq!(parts("web:7@sha256:ab"), Some(("docker.io", "web", Some("7"), Some("sha256:ab"))));
        // A mirror keeps Docker Hub's path.
        assert_eq!(parts("mirror.gcr.io/library/node"), Some(("mirror.gcr.io", "library/node", None, None)));
    }

    #[test]
    fn what_is_no_reference_is_none() {
        for reference in ["", " ", "/", "a/", "registry.example/", ":tag", "@sha256:ab", "a b", "a\nb", "\u{e4}"] {
            assert_eq!(parts(reference), None, "{reference:?}");
        }
    }

    #[test]
    fn tokens_are_split_at_what_separates() {
        let all = |text| tokens(text).collect::<alloc::vec::Vec<_>>();
        assert_eq!(all("web-node_20.1"), ["web", "node", "20", "1"]);
        assert_eq!(all("--"), [""; 0]);
        assert_eq!(word_and_version("python312"), ("python", "312"));
        assert_eq!(word_and_version("20"), ("", "20"));
    }
}
