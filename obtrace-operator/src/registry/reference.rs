//! Image references, as container runtimes read them.
//!
//! Source: the [grammar](https://github.com/distribution/reference/blob/v0.6.0/reference.go) and the normalisation of `docker.io` beside
//! it.

use std::fmt;

/// The longest name of a repository, with its host.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// Whose names have no host, or one of these.
const DOCKER: &str = "docker.io";
const DOCKER_INDEX: &str = "index.docker.io";
/// Where Docker Hub's API is.
const DOCKER_API: &str = "registry-1.docker.io";

/// Which image of which repository of which registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reference {
    /// The registry's host and maybe port, as in names: `docker.io`, `registry.example.com:5000`.
    pub(super) host: String,
    /// `library/node`, `team/shop/cart`.
    pub(super) repository: String,
    pub(super) version: Version,
}

/// What stands behind a repository's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// A name that may mean another image tomorrow.
    Tag(String),
    /// What the bytes of the manifest add up to: `sha256:…`.
    Digest(String),
}

impl Reference {
    /// Reads a reference; `None` where a runtime would refuse it, or its digest is of a kind that is not verified here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if name.len() > LONGEST_NAME || tag.is_some_and(|tag| !is_tag(tag)) || digest.is_some_and(|it| !is_digest(it)) {
            return None;
        }
        let (host, repository) = match name.split_once('/') {
            Some((host, rest)) if is_named_as_host(host) => (host, rest),
            _ => (DOCKER, name),
        };
        let host = if host == DOCKER_INDEX { DOCKER } else { host };
        if !is_host(host) || !repository.split('/').all(is_component) {
            return None;
        }
        let official = host == DOCKER && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        // What has both is pulled by its digest.
        let version = match digest {
            Some(digest) => Version::Digest(digest.to_owned()),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Some(Self { host: host.to_ascii_lowercase(), repository, version })
    }

    /// The host that is asked.
    pub(super) fn api_host(&self) -> &str {
        if self.host == DOCKER { DOCKER_API } else { &self.host }
    }

    /// The last part of the manifest's address.
    pub(super) fn version(&self) -> &str {
        match &self.version {
            Version::Tag(text) | Version::Digest(text) => text,
        }
    }

    /// Whether it means the same image for ever.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.version, Version::Digest(_))
    }
}

/// Without the version.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

/// Whether this is a digest that can be verified here.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

/// Whether the first part of a name is a host rather than a user of Docker Hub.
fn is_named_as_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A name or an address, and maybe a port.
pub(super) fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("v6", port.strip_prefix(':').or((!port.is_empty()).then_some("?")))
            }
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let fits = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && ends && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(fits) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// A part of a repository's name: words of lower case, between them `.`, `_`, `__` or any number of `-`.
fn is_component(part: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    let ends = part.bytes().next().is_some_and(word) && part.bytes().next_back().is_some_and(word);
    ends && part.bytes().all(|byte| {
        if word(byte) {
            separator.clear();
            return true;
        }
        separator.push(char::from(byte));
        matches!(separator.as_str(), "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(word);
    first && tag.len() <= LONGEST_TAG && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_without_a_host_are_those_of_docker_hub() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let pinned = format!("ghcr.io/shop/cart:1@{digest}");
        for (text, host, repository, version) in [
            ("node", "docker.io", "library/node", "latest"),
            ("node:22-slim", "docker.io", "library/node", "22-slim"),
            ("bitnami/redis:7", "docker.io", "bitnami/redis", "7"),
            ("index.docker.io/library/node:1", "docker.io", "library/node", "1"),
            ("docker.io/shop/cart", "docker.io", "shop/cart", "latest"),
            ("localhost/shop", "localhost", "shop", "latest"),
            ("registry:5000/shop/cart:1", "registry:5000", "shop/cart", "1"),
            ("127.0.0.1:5000/a/b/c_d", "127.0.0.1:5000", "a/b/c_d", "latest"),
            ("[fd00::1]:5000/shop:2", "[fd00::1]:5000", "shop", "2"),
            ("Registry.Example.com/shop", "registry.example.com", "shop", "latest"),
            (&pinned, "ghcr.io", "shop/cart", &digest),
        ] {
            let read = Reference::parse(text).unwrap();
            assert_eq!((&*read.host, &*read.repository, read.version()), (host, repository, version), "{text}");
            assert_eq!(read.is_fixed(), text == pinned);
        }
        assert_eq!(Reference::parse("node").unwrap().api_host(), "registry-1.docker.io");
    }

    #[test]
    fn what_no_runtime_pulls_is_refused() {
        for text in [
            "",
            "Node",
            "shop/",
            "/shop",
            "a//b",
            "shop:",
            "shop:.1",
            "shop@sha256:12",
            "shop@sha512:00",
            "registry.example.com:port/shop",
            "registry.example.com:0/shop",
            "-bad.example.com/shop",
            "user@registry.example.com/shop",
            "registry.example.com/../etc",
            "registry.example.com/shop?x=1",
            "registry.example.com/sh op",
            "a.._b",
            "[::1/shop",
            "[fd00::1]5000/shop",
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
        assert_eq!(Reference::parse(&"a".repeat(300)), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_an_address(text in "[a-zA-Z0-9:/.@_\\[\\]-]{0,40}") {
            if let Some(read) = Reference::parse(&text) {
                let address = format!("https://{}/v2/{}/manifests/{}", read.api_host(), read.repository, read.version());
                // A host whose last part is a number and that is no address is refused here.
                if let Ok(url) = reqwest::Url::parse(&address) {
                    let path = format!("/v2/{}/manifests/{}", read.repository, read.version());
                    prop_assert_eq!((url.path(), url.query(), url.username()), (&*path, None, ""));
                }
            }
        }
    }
}
