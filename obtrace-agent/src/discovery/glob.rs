//! Shell patterns for paths.

use std::{fmt, str::FromStr};

/// A pattern: `*` stands for any characters but `/`, `**` for any characters, `?` for one character but `/`; everything
/// else for itself. A pattern without `/` is matched with the last part of a path.
///
/// ```
/// use obtrace_agent::discovery::Glob;
/// let glob: Glob = "python3*".parse().unwrap();
/// assert!(glob.matches("/usr/bin/python3.11"));
/// assert!(!glob.matches("/usr/bin/node"));
/// let glob: Glob = "/opt/*/bin/**".parse().unwrap();
/// assert!(glob.matches("/opt/shop/bin/x/cart") && !glob.matches("/opt/a/b/bin/cart"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// A pattern that cannot match anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an empty pattern matches no program; give a name such as 'nginx' or a pattern such as '/opt/**'")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add to it")]
pub struct EmptyGlob;

impl FromStr for Glob {
    type Err = EmptyGlob;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        if pattern.is_empty() { Err(EmptyGlob) } else { Ok(Self(pattern.to_owned())) }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// Whether a path is one that the pattern stands for. Takes time in proportion to the two lengths multiplied at most.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let text = if self.0.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
        matches(self.0.as_bytes(), text.as_bytes())
    }
}

/// Goes along both; after a mismatch back to the last `*`, which then stands for one character more, and if that is
/// not allowed to the last `**`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where in the pattern to go on after the star, and where in the text it has come to.
    let (mut star, mut deep) = (None::<(usize, usize)>, None::<(usize, usize)>);
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                (deep, star) = (Some((p, t)), None);
                continue;
            }
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (Some(b'?'), Some(&byte)) if byte != b'/' => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (Some(want), Some(have)) if want == have && *want != b'?' => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        if let Some((after, at)) = star.filter(|(_, at)| text.get(*at).is_some_and(|byte| *byte != b'/')) {
            star = Some((after, at + 1));
            (p, t) = (after, at + 1);
        } else if let Some((after, at)) = deep.filter(|(_, at)| *at < text.len()) {
            star = None;
            deep = Some((after, at + 1));
            (p, t) = (after, at + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_a_shell_would() {
        for (pattern, text, expected) in [
            ("nginx", "/usr/sbin/nginx", true),
            ("nginx", "/usr/sbin/nginx-debug", false),
            ("nginx*", "/usr/sbin/nginx-debug", true),
            ("*", "/usr/sbin/nginx", true),
            ("/*", "/usr/sbin/nginx", false),
            ("/**", "/usr/sbin/nginx", true),
            ("/usr/*/nginx", "/usr/sbin/nginx", true),
            ("/usr/?bin/nginx", "/usr/sbin/nginx", true),
            ("/usr?sbin/nginx", "/usr/sbin/nginx", false),
            ("/**/bin/*", "/opt/a/bin/b/bin/c", true),
            ("/**/bin/*x", "/opt/a/bin/b/bin/c", false),
            ("py*3*", "python3.11", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(pattern.parse::<Glob>().unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert_eq!("".parse::<Glob>(), Err(EmptyGlob));
    }

    #[test]
    fn an_awkward_pattern_ends_soon() {
        let pattern: Glob = "*a".repeat(40).parse().unwrap();
        assert!(!pattern.matches(&"a".repeat(39).repeat(50).replace("aa", "ab")));
    }
}
