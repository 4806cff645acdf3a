//! PHP's `open_basedir`: a prepended file outside it ends every script, so a restriction that can be seen keeps the hook out.

use std::borrow::Cow;

use obtrace_detect::{EnvVar, Language, Runtime};

use super::Reason;
use crate::{hooks, pod::Container, settings::Settings};

/// The name of the setting, in any case: images that write their ini files at the start take it from variables such as
/// `PHP_OPEN_BASEDIR` or `php.open_basedir`.
const SETTING: &[u8] = b"open_basedir";

/// Where a container of PHP is seen to have `open_basedir` without our folder.
pub(super) fn closed<'a>(container: &'a Container<'a>, runtime: Runtime, settings: &'a Settings) -> Option<Reason<'a>> {
    if runtime.language() != Language::Php {
        return None;
    }
    let found = |seen| Some(Reason::OpenBasedir { seen });
    if container.command.iter().chain(&container.args).any(|word| closes(word)) {
        return found(Cow::Borrowed("its command"));
    }
    for var in &container.env {
        // Of two variables of one name the last counts.
        let counts = || container.variable(&var.name).is_some_and(|(_, last)| std::ptr::eq(last, var));
        if is_closing(var) && counts() {
            return found(Cow::Borrowed(&*var.name));
        }
    }
    let image = container.image.as_deref().and_then(|image| settings.image_configs.get(image))?;
    let var = image.env.iter().rev().find(|var| is_closing(var) && container.variable(&var.name).is_none())?;
    found(Cow::Borrowed(&*var.name))
}

/// Whether a variable is named for the setting and says something, or sets it in its value.
fn is_closing(var: &EnvVar<'_>) -> bool {
    match var.value.as_deref() {
        Some(value) if names_setting(&var.name) => is_restriction(value),
        Some(value) => closes(value),
        None => names_setting(&var.name),
    }
}

/// Whether a text sets it: what a shell or PHP runs, or lines of an ini file.
fn closes(text: &str) -> bool {
    let places = text.as_bytes().windows(SETTING.len()).enumerate();
    let mut set = places.filter(|(_, window)| window.eq_ignore_ascii_case(SETTING));
    set.any(|(at, _)| {
        let rest = text.get(at + SETTING.len()..).unwrap_or_default();
        // FPM writes `php_admin_value[open_basedir] = ...`, Apache `php_admin_value open_basedir ...`.
        let rest = rest.trim_start_matches(']').trim_start_matches([' ', '\t']);
        let value = rest.strip_prefix('=').unwrap_or(rest);
        is_restriction(value.split(['\n', ';', ',']).next().unwrap_or_default())
    })
}

fn names_setting(name: &str) -> bool {
    name.as_bytes().windows(SETTING.len()).any(|window| window.eq_ignore_ascii_case(SETTING))
}

/// Whether a value of the setting leaves our folder out. `none`, unquoted, is PHP's word for an empty one.
fn is_restriction(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t', '\r', '"', '\'']);
    !value.is_empty() && !value.eq_ignore_ascii_case("none") && !value.contains(hooks::MOUNT_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sets_it_and_what_does_not() {
        for text in [
            "open_basedir=/app",
            "-dopen_basedir=/app:/tmp",
            "echo 'open_basedir = \"/app\"' > /usr/local/etc/php/conf.d/app.ini && exec php-fpm",
            "php_admin_value[open_basedir] = /app",
            "php_admin_value open_basedir /app",
            "memory_limit = 1G\nOPEN_BASEDIR=/app\n",
            "open_basedir=none\nopen_basedir=/app",
            "é open_basedir=é",
        ] {
            assert!(closes(text), "{text}");
        }
        for text in [
            "",
            "open_based",
            "open_basedir",
            "open_basedir=",
            "open_basedir=\"\"",
            "open_basedir = none",
            "open_basedir=/app:/obtrace/",
            "open_basedir=\nmemory_limit=1G",
        ] {
            assert!(!closes(text), "{text}");
        }
    }

    #[test]
    fn variables_that_say_it() {
        let known = |name, value| is_closing(&EnvVar::new(name, value));
        assert!(known("PHP_OPEN_BASEDIR", "/app") && known("php.open_basedir", "/app"));
        assert!(known("PHP_ADMIN_VALUE", "open_basedir=/app"));
        assert!(!known("PHP_OPEN_BASEDIR", "") && !known("PHP_OPEN_BASEDIR", "none") && !known("PHP_MEMORY", "/app"));
        // Whatever a Secret says of it, it says something.
        assert!(is_closing(&EnvVar::unknown("PHP_OPEN_BASEDIR")) && !is_closing(&EnvVar::unknown("PASSWORD")));
    }
}
