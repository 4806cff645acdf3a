//! What a registry asks for before it answers.
//!
//! Source: [RFC 9110, 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1), and the
//! [token flow](https://distribution.github.io/distribution/spec/auth/token/) of registries.

/// The longest header that is read, in bytes.
const LONGEST: usize = 4096;

/// How a registry wants to know who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Challenge {
    /// By a token, which is asked for there.
    Bearer {
        /// The address of who gives tokens.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
    /// By name and password.
    Basic,
}

impl Challenge {
    /// Reads the value of a `WWW-Authenticate`; of several challenges a token is preferred.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut found = None;
        let mut rest = header.get(..header.len().min(LONGEST))?;
        while let Some((scheme, after)) = scheme(rest) {
            let (parameters, after) = parameters(after);
            let of = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => {
                    if let Some(realm) = of("realm") {
                        return Some(Self::Bearer { realm, service: of("service") });
                    }
                }
                "basic" => found = Some(Self::Basic),
                _ => {}
            }
            rest = after;
        }
        found
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A word, and what comes after it.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at_checked(end)).flatten()
}

fn scheme(text: &str) -> Option<(&str, &str)> {
    word(text.trim_start_matches([' ', '\t', ',']))
}

/// The parameters, their names in lower case, up to the next challenge.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut all = Vec::new();
    loop {
        let begin = rest.trim_start_matches([' ', '\t', ',']);
        let read = word(begin).and_then(|(name, after)| {
            let value = after.trim_start_matches([' ', '\t']).strip_prefix('=')?.trim_start_matches([' ', '\t']);
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => unquoted(quoted)?,
                None => word(value).map(|(value, after)| (value.to_owned(), after))?,
            };
            Some(((name.to_ascii_lowercase(), value), after))
        });
        match read {
            Some((parameter, after)) => {
                all.push(parameter);
                rest = after;
            }
            None => return (all, begin),
        }
    }
}

/// The rest of a quoted text, and what comes after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_of_registries_are_read() {
        for (header, challenge) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/node:pull""#,
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (r#"bearer Realm = "https://a/t" , service=b"#, bearer("https://a/t", Some("b"))),
            (r#"Basic realm="x, y", Bearer realm="https://a/\"t""#, bearer("https://a/\"t", None)),
            ("Basic realm=\"Registry\"", Some(Challenge::Basic)),
            ("Negotiate, Basic", Some(Challenge::Basic)),
            ("Bearer service=\"b\"", None),
            ("Bearer realm=\"never ends", None),
            ("Negotiate abc==", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), challenge, "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_header_comes_to_an_end(header in "[Bba \",=\\\\é]{0,60}", more in ".{0,60}") {
            let _ = Challenge::parse(&header);
            let _ = Challenge::parse(&format!("Bearer realm=\"{more}\", {header}"));
        }
    }
}
