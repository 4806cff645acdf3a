//! Hooks to files that lie in another folder than a Pod has them in.

use std::{error::Error, fmt};

use super::{Hook, Join, MOUNT_PATH, Merged, Part};

/// A [`Hook`] whose files lie in another folder than [`MOUNT_PATH`].
///
/// ```
/// use obtrace_detect::Runtime;
/// use obtrace_patch::hooks::{self, Merged};
///
/// let [node] = hooks::of(Runtime::Node) else { unreachable!() };
/// let node = node.at("/home/me/my loaders")?;
/// let merged = node.merge(Some("--max-old-space-size=512"));
/// let value = r#"--max-old-space-size=512 --require "/home/me/my loaders/obtrace-loader.js""#;
/// assert_eq!(merged, Merged::Value(value.to_owned()));
///
/// // Ruby splits at blanks whatever stands around them.
/// let [ruby] = hooks::of(Runtime::CRuby) else { unreachable!() };
/// assert!(ruby.at("/home/me/my loaders").is_err());
/// # Ok::<(), hooks::UnfitPath>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HookAt {
    /// The variable.
    pub name: &'static str,
    /// Our part of its value.
    pub value: String,
    /// How it is joined with what is there.
    pub join: Join,
    /// What shows that a value is ours already.
    file: String,
}

/// A path that a variable cannot hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnfitPath {
    variable: &'static str,
    path: String,
    /// `None`: it is not absolute.
    character: Option<char>,
}

impl UnfitPath {
    /// The variable.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl fmt::Display for UnfitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, path, character } = self;
        match character {
            None => write!(f, "{variable} needs an absolute path, which {path} is not"),
            Some(character) => write!(f, "{variable} cannot hold the path {path}: it has {character:?}"),
        }
    }
}

impl Error for UnfitPath {}

impl Hook {
    /// The same hook with the files in another folder, quoted as the variable's reader wants it.
    ///
    /// # Errors
    ///
    /// The folder is no absolute path, or has a character that the variable cannot hold: blanks in `RUBYOPT`, colons where they
    /// separate elements, an equals sign before an agent's options, quotes that a reader cannot be told apart from its own.
    pub fn at(&self, folder: &str) -> Result<HookAt, UnfitPath> {
        let (_, below) = self.around();
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        self.at_file(&format!("{folder}{below}"))
    }

    /// The same hook with another path instead of that of its file.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at).
    pub fn at_file(&self, path: &str) -> Result<HookAt, UnfitPath> {
        let unfit = |character| UnfitPath { variable: self.name, path: path.to_owned(), character };
        if !path.starts_with('/') {
            return Err(unfit(None));
        }
        let refuse = |wrong: fn(char) -> bool| match path.chars().find(|c| wrong(*c)) {
            Some(character) => Err(unfit(Some(character))),
            None => Ok(()),
        };
        refuse(|c| c == '\0')?;
        let (before, _) = self.around();
        let spelled = match self.name {
            "NODE_OPTIONS" => quoted_with_escapes(path),
            "BUN_OPTIONS" => {
                refuse(|c| matches!(c, '"' | '\'' | '\\'))?;
                path.to_owned()
            }
            "JAVA_TOOL_OPTIONS" => {
                // What follows an equals sign are the agent's options, whatever stands around it.
                refuse(|c| c == '=')?;
                quoted_plainly(path).ok_or_else(|| unfit(Some('"')))?
            }
            "RUBYOPT" => {
                refuse(char::is_whitespace)?;
                path.to_owned()
            }
            // One file, taken as it stands.
            "PYTHONSTARTUP" => path.to_owned(),
            _ => {
                refuse(|c| c == ':')?;
                path.to_owned()
            }
        };
        let value = if self.name == "BUN_OPTIONS" && path.contains(char::is_whitespace) {
            // Bun knows quotes around a whole word only.
            format!("\"{}={path}\"", before.trim_end())
        } else {
            format!("{before}{spelled}")
        };
        let file = match self.join {
            Join::After(' ') => spelled,
            _ => value.trim_end_matches('/').to_owned(),
        };
        Ok(HookAt { name: self.name, value, join: self.join, file })
    }

    /// What stands before and after the folder in our part of the value.
    fn around(&self) -> (&'static str, &'static str) {
        self.value.split_once(MOUNT_PATH).unwrap_or((self.value, ""))
    }
}

impl HookAt {
    /// Whether a value has our part already.
    #[must_use]
    pub fn is_in(&self, value: &str) -> bool {
        self.part().is_in(value)
    }

    /// Merges our part into a value, as [`Hook::merge`] does.
    #[must_use]
    pub fn merge(&self, old: Option<&str>) -> Merged {
        self.part().merge(old)
    }

    /// Takes our part out of a merged value, as [`Hook::unmerge`] does.
    #[must_use]
    pub fn unmerge<'a>(&self, value: &'a str) -> Option<Option<&'a str>> {
        self.part().unmerge(value)
    }

    fn part(&self) -> Part<'_> {
        Part { value: &self.value, join: self.join, file: &self.file }
    }
}

/// As Node.js reads it: double quotes, in which a backslash takes the next character as it is.
fn quoted_with_escapes(path: &str) -> String {
    if !path.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')) {
        return path.to_owned();
    }
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As a JVM reads it: what stands between quotes of one kind, without escapes.
fn quoted_plainly(path: &str) -> Option<String> {
    if !path.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')) {
        return Some(path.to_owned());
    }
    let quote = ['"', '\''].into_iter().find(|quote| !path.contains(*quote))?;
    Some(format!("{quote}{path}{quote}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::{ALL, of};
    use obtrace_detect::Runtime;

    #[test]
    fn at_the_usual_place_it_is_the_usual_hook() {
        for hook in ALL {
            let same = hook.at(MOUNT_PATH).unwrap();
            assert_eq!((same.name, same.value.as_str(), same.join), (hook.name, hook.value, hook.join));
            for old in [None, Some(""), Some("old"), Some(hook.value)] {
                assert_eq!(same.merge(old), hook.merge(old), "{}: {old:?}", hook.name);
            }
        }
    }

    #[test]
    fn each_variable_has_its_own_spelling() {
        let spelled = |runtime, folder| of(runtime).iter().map(move |hook| hook.at(folder).map(|hook| hook.value));
        let blank = "/a b";
        let values = |runtime| spelled(runtime, blank).collect::<Result<Vec<_>, _>>();
        assert_eq!(values(Runtime::Node).unwrap(), ["--require \"/a b/obtrace-loader.js\""]);
        let bun = ["\"--preload=/a b/obtrace-loader.js\"", "--require \"/a b/obtrace-loader.js\""];
        assert_eq!(values(Runtime::Bun).unwrap(), bun);
        assert_eq!(values(Runtime::CPython).unwrap(), ["/a b", "/a b/obtrace_loader.py"]);
        assert_eq!(values(Runtime::Jvm).unwrap(), ["-javaagent:\"/a b/obtrace-agent.jar\""]);
        assert_eq!(values(Runtime::CoreClr).unwrap(), ["/a b/Obtrace.AutoInstrument.dll"]);
        assert_eq!(values(Runtime::Php).unwrap(), ["/a b/php.d/"]);
        let error = values(Runtime::CRuby).unwrap_err();
        assert_eq!(error.to_string(), "RUBYOPT cannot hold the path /a b/obtrace_loader: it has ' '");
        assert_eq!(error.variable(), "RUBYOPT");
    }

    #[test]
    fn quotes_and_separators() {
        let [node] = of(Runtime::Node) else { unreachable!() };
        assert_eq!(node.at(r#"/a"\b"#).unwrap().value, r#"--require "/a\"\\b/obtrace-loader.js""#);
        let [java] = of(Runtime::Jvm) else { unreachable!() };
        assert_eq!(java.at_file("/a\"b/my.jar").unwrap().value, "-javaagent:'/a\"b/my.jar'");
        assert!(java.at("/a\"'b").is_err());
        assert!(java.at("/a=b").is_err());
        let [dotnet] = of(Runtime::CoreClr) else { unreachable!() };
        assert!(dotnet.at("/a:b").is_err());
        assert!(dotnet.at("a").unwrap_err().to_string().contains("absolute"));
        assert!(dotnet.at("/a\0b").is_err());
    }

    #[test]
    fn merging_again_changes_nothing() {
        for hook in ALL {
            let hook = hook.at("/here/and there").or_else(|_| hook.at("/here")).unwrap();
            let Merged::Value(value) = hook.merge(None) else { unreachable!() };
            assert_eq!(hook.merge(Some(&value)), Merged::Unchanged, "{}", hook.name);
            assert!(hook.is_in(&value));
            if hook.join != Join::IfUnset {
                assert_eq!(hook.unmerge(&value), Some(None), "{}", hook.name);
            }
        }
    }
}
