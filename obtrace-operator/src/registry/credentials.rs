//! Pull secrets: who may pull what from where.
//!
//! Source: [Pull an image from a private
//! registry](https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/), and what the kubelet makes of it.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde::Deserialize;

use super::reference::Reference;

/// The most registries of one Secret that are looked at.
const MOST: usize = 256;

/// By what a registry knows who asks.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Credentials {
    /// Nobody in particular.
    Anonymous,
    /// A name and a password.
    Password(String, String),
    /// A token that tokens are given for.
    Identity(String),
}

/// Without what is secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password(..) => "Password(…)",
            Self::Identity(_) => "Identity(…)",
        })
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    username: String,
    password: String,
    auth: ByteString,
    identitytoken: String,
}

impl Entry {
    fn credentials(self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::Identity(self.identitytoken));
        }
        if !self.username.is_empty() {
            return Some(Credentials::Password(self.username, self.password));
        }
        // Some tools fill the field up with zeros.
        let text = String::from_utf8(self.auth.0).ok()?;
        let (name, password) = text.trim_end_matches('\0').split_once(':')?;
        (!name.is_empty()).then(|| Credentials::Password(name.to_owned(), password.to_owned()))
    }
}

/// What a Secret has for an image, what is said most exactly first.
///
/// # Errors
///
/// What is wrong with the Secret; nothing of what is in it.
pub(super) fn of(secret: &Secret, image: &Reference) -> Result<Vec<Credentials>, &'static str> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let auths = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => {
            let text = data(".dockerconfigjson").ok_or("has no key .dockerconfigjson")?;
            serde_json::from_slice::<Config>(text).map_err(|_| "holds no configuration of Docker's client")?.auths
        }
        Some("kubernetes.io/dockercfg") => {
            let text = data(".dockercfg").ok_or("has no key .dockercfg")?;
            serde_json::from_slice(text).map_err(|_| "holds no configuration of Docker's client")?
        }
        _ => return Err("is no Secret for pulling images: its type is another one"),
    };
    let matching = auths.into_iter().take(MOST).filter(|(place, _)| is_for(place, image));
    let mut matching: Vec<_> =
        matching.filter_map(|(place, entry)| Some((place.len(), entry.credentials()?))).collect();
    matching.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    Ok(matching.into_iter().map(|(_, credentials)| credentials).collect())
}

/// Whether an entry for a place, such as `https://index.docker.io/v1/`, `registry.example.com/team` or `*.example.com`, is for an image.
fn is_for(place: &str, image: &Reference) -> bool {
    let place = place.strip_prefix("https://").or(place.strip_prefix("http://")).unwrap_or(place);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let path = path.trim_matches('/');
    let host = match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    let inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
    let within = matches!(path, "" | "v1" | "v2") || image.repository.strip_prefix(path).is_some_and(inside);
    within && is_same_host(&host, &image.host)
}

/// Whether a host fits a pattern: a `*` stands for any characters of one part between dots; ports have to be equal.
pub(super) fn is_same_host(pattern: &str, host: &str) -> bool {
    let split = |text: &str| match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name.to_owned(), port.to_owned()),
        _ => (text.to_owned(), String::new()),
    };
    let ((pattern, pattern_port), (host, port)) = (split(pattern), split(host));
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern_port == port && patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(it, part)| fits(it, part))
}

fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    match after.rsplit_once('*') {
        // Two and more are as one: nobody writes them.
        Some((_, last)) => rest.ends_with(last),
        None => rest.ends_with(after),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn secret(kind: &str, key: &str, text: &[u8]) -> Secret {
        let data = [(key.to_owned(), ByteString(text.to_vec()))].into();
        Secret { type_: Some(kind.to_owned()), data: Some(data), ..Secret::default() }
    }

    fn json(auths: Value) -> Secret {
        secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", json!({ "auths": auths }).to_string().as_bytes())
    }

    fn image(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    fn password(name: &str, password: &str) -> Credentials {
        Credentials::Password(name.to_owned(), password.to_owned())
    }

    #[test]
    fn both_kinds_of_secret_are_read() {
        let entry = json!({ "auth": "dXNlcjpwYTpzcw==" });
        let new = json(json!({ "registry.example.com": entry }));
        let text = json!({ "https://registry.example.com": entry }).to_string();
        let old = secret("kubernetes.io/dockercfg", ".dockercfg", text.as_bytes());
        for secret in [new, old] {
            assert_eq!(of(&secret, &image("registry.example.com/a")), Ok(vec![password("user", "pa:ss")]));
            assert_eq!(of(&secret, &image("other.example.com/a")), Ok(Vec::new()));
        }
        let named = json(
            json!({ "ghcr.io": { "username": "a", "password": "b", "auth": "" }, "gcr.io": { "identitytoken": "t" } }),
        );
        assert_eq!(of(&named, &image("ghcr.io/a")), Ok(vec![password("a", "b")]));
        assert_eq!(of(&named, &image("gcr.io/a")), Ok(vec![Credentials::Identity("t".to_owned())]));
    }

    #[test]
    fn entries_are_for_what_the_kubelet_takes_them_for() {
        for (place, text, fits) in [
            ("https://index.docker.io/v1/", "shop/cart", true),
            ("docker.io", "node", true),
            ("docker.io/shop", "shop/cart", true),
            ("docker.io/shop", "shopping/cart", false),
            ("docker.io/shop", "node", false),
            ("registry.example.com", "registry.example.com:5000/a", false),
            ("registry.example.com:5000", "registry.example.com:5000/a", true),
            ("*.example.com", "registry.example.com/a", true),
            ("*.example.com", "a.b.example.com/a", false),
            ("*.example.com", "example.com/a", false),
            ("reg*y.example.com", "registry.example.com/a", true),
            ("https://registry.example.com/v2/", "registry.example.com/a", true),
            ("*", "registry.example.com/a", false),
            ("", "registry.example.com/a", false),
        ] {
            assert_eq!(is_for(place, &image(text)), fits, "{place} {text}");
        }
        let entry = |name: &str| json!({ "username": name, "password": "p" });
        let both = json(json!({ "ghcr.io": entry("all"), "ghcr.io/shop": entry("shop") }));
        let found = of(&both, &image("ghcr.io/shop/cart")).unwrap();
        assert_eq!(found, [password("shop", "p"), password("all", "p")], "the more exact one comes first");
    }

    #[test]
    fn what_is_wrong_is_said_without_what_is_secret() {
        let odd = json(json!({ "ghcr.io": { "auth": "c2VjcmV0" } }));
        assert_eq!(of(&odd, &image("ghcr.io/a")), Ok(Vec::new()), "no name in it");
        let text = b"{\"auths\": \"s3cret\"";
        for (kind, key) in [
            ("kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
            ("kubernetes.io/dockercfg", ".dockercfg"),
            ("Opaque", "x"),
        ] {
            assert!(!of(&secret(kind, key, text), &image("a")).unwrap_err().contains("s3cret"));
            assert!(of(&secret(kind, "other", text), &image("a")).is_err());
        }
        assert_eq!(format!("{:?}", password("a", "s3cret")), "Password(…)");
    }

    proptest! {
        #[test]
        fn nothing_panics(place in ".{0,40}", text in proptest::collection::vec(any::<u8>(), 0..80)) {
            is_for(&place, &image("registry.example.com:5000/shop/cart"));
            let _ = of(&secret("kubernetes.io/dockercfg", ".dockercfg", &text), &image("a"));
        }
    }
}
