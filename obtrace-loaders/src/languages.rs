//! The languages that have a loader, and the files by which their runtimes enter it.

use obtrace_detect::Language;

/// The languages that have a loader.
pub const LANGUAGES: [Language; 6] =
    [Language::NodeJs, Language::Python, Language::Java, Language::DotNet, Language::Php, Language::Ruby];

/// The files that a runtime is told to read, in the order in which they become visible: a name that ends with a slash is a
/// folder whose files all are. A runtime that finds one of them finds everything that it loads in turn.
///
/// ```
/// use obtrace_loaders::{Language, entries};
///
/// assert_eq!(entries(Language::Php), ["obtrace_loader.php", "php.d/"]);
/// assert!(entries(Language::Go).is_empty());
/// ```
#[must_use]
pub fn entries(language: Language) -> &'static [&'static str] {
    match language {
        Language::NodeJs => &["obtrace-loader.js"],
        Language::Python => &["obtrace_loader.py", "sitecustomize.py"],
        Language::Java => &["obtrace-agent.jar"],
        Language::DotNet => &["Obtrace.AutoInstrument.dll"],
        Language::Php => &["obtrace_loader.php", "php.d/"],
        Language::Ruby => &["obtrace_loader.rb"],
        _ => &[],
    }
}

/// Where a file stands among the entries of its language; `None` for all others.
pub(crate) fn entry_position(language: Language, path: &str) -> Option<usize> {
    let is = |entry: &&str| if entry.ends_with('/') { path.starts_with(*entry) } else { path == *entry };
    entries(language).iter().position(is)
}

#[cfg(test)]
mod tests {
    use obtrace_detect::Runtime;
    use obtrace_patch::hooks;

    use super::*;

    /// Every file that a hook names is an entry, or the folder that has one.
    #[test]
    fn hooks_name_entries() {
        for language in LANGUAGES {
            let hooks = hooks::of(Runtime::usual(language));
            assert!(!hooks.is_empty(), "{language}");
            for hook in hooks {
                let (_, named) = hook.value.split_once(hooks::MOUNT_PATH).unwrap();
                let named = named.trim_start_matches('/');
                let known = entries(language).iter().any(|entry| entry.starts_with(named));
                assert!(known, "{language}: {named}");
            }
        }
    }
}
