//! The words that speak for a language: one file a language, one table a kind of word.
//!
//! To add something, add a line to the language's file; the tables are joined and sorted when the crate is compiled.

mod dotnet;
mod go;
mod java;
pub(crate) mod native;
mod nodejs;
mod php;
mod python;
mod ruby;
mod rust;

use crate::{Framework, Runtime};

/// What a word speaks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The word, in lower case unless it is a variable.
    pub(crate) name: &'static str,
    /// What runs, if the word is right.
    pub(crate) runtime: Runtime,
    /// The framework that it names.
    pub(crate) framework: Option<Framework>,
    /// How sure it is, in hundredths.
    pub(crate) grade: u8,
}

const fn rule(name: &'static str, runtime: Runtime, grade: u8) -> Rule {
    Rule { name, runtime, framework: None, grade }
}

impl Rule {
    const fn of(self, framework: Framework) -> Self {
        Self { framework: Some(framework), ..self }
    }
}

/// All that is known of one language.
#[derive(Clone, Copy)]
struct Rules {
    /// Programs, by the base name of the executable.
    programs: &'static [Rule],
    /// Words of image names; below [`PLAIN`] they have other meanings as well.
    words: &'static [Rule],
    /// Environment variables, wherever they are set.
    env: &'static [Rule],
    /// Beginnings of variables; none is the beginning of another.
    env_prefixes: &'static [Rule],
    /// Variables that base images set, which say nothing in a Pod.
    image_env: &'static [Rule],
    /// Endings of scripts and archives that are run.
    extensions: &'static [Rule],
    /// Words in a command line that name a framework.
    frameworks: &'static [Rule],
}

/// The grade from which on a word of an image name means one thing only.
pub(crate) const PLAIN: u8 = 90;

macro_rules! joined {
    ($(#[$meta:meta])* $name:ident, $field:ident) => {
        $(#[$meta])*
        static $name: [Rule; count(&joined!(@ $field))] = sorted(&joined!(@ $field));
    };
    (@ $field:ident) => {
        [
            nodejs::RULES.$field,
            python::RULES.$field,
            java::RULES.$field,
            dotnet::RULES.$field,
            php::RULES.$field,
            ruby::RULES.$field,
            go::RULES.$field,
            rust::RULES.$field,
        ]
    };
}

joined!(PROGRAMS, programs);
joined!(WORDS, words);
joined!(ENV, env);
joined!(ENV_PREFIXES, env_prefixes);
joined!(IMAGE_ENV, image_env);
joined!(EXTENSIONS, extensions);
joined!(FRAMEWORKS, frameworks);

const fn count(parts: &[&[Rule]]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < parts.len() {
        sum += parts[index].len();
        index += 1;
    }
    sum
}

/// Joins and sorts, by insertion: the tables are short.
const fn sorted<const N: usize>(parts: &[&[Rule]]) -> [Rule; N] {
    let mut all = [rule("", Runtime::Unknown, 0); N];
    let (mut len, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            let mut at = len;
            while at > 0 && less(parts[part][index].name, all[at - 1].name) {
                all[at] = all[at - 1];
                at -= 1;
            }
            all[at] = parts[part][index];
            len += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

const fn less(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut index = 0;
    while index < left.len() && index < right.len() {
        if left[index] != right[index] {
            return left[index] < right[index];
        }
        index += 1;
    }
    left.len() < right.len()
}

fn find(table: &'static [Rule], name: &str) -> Option<&'static Rule> {
    let index = table.binary_search_by(|rule| rule.name.cmp(name)).ok()?;
    table.get(index)
}

/// What the program of that base name is; a version behind the name is of no account (`python3.12`, `php-fpm8.2`).
pub(crate) fn program(name: &str) -> Option<&'static Rule> {
    let stripped = || name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    find(&PROGRAMS, name).or_else(|| find(&PROGRAMS, stripped().trim_end_matches('-')))
}

/// What a word of an image name speaks for. The word has lost its version.
pub(crate) fn image_word(word: &str) -> Option<&'static Rule> {
    find(&WORDS, word)
}

/// What a variable speaks for.
pub(crate) fn variable(name: &str) -> Option<&'static Rule> {
    // Most variables are the application's own, and there may be many: two bytes tell nearly all of them.
    if let [first, second, ..] = *name.as_bytes()
        && BEGINNINGS.get(usize::from(first)).is_some_and(|seconds| seconds & bit(second) != 0)
        && let Some(rule) = find(&ENV, name).or_else(|| prefix(name))
    {
        return Some(rule);
    }
    java::options(name)
}

/// By their first byte, the second bytes of all names and beginnings of variables.
static BEGINNINGS: [u32; 256] = {
    let mut beginnings = [0; 256];
    let mut index = 0;
    while index < ENV.len() {
        let name = ENV[index].name.as_bytes();
        beginnings[name[0] as usize] |= bit(name[1]);
        index += 1;
    }
    index = 0;
    while index < ENV_PREFIXES.len() {
        let name = ENV_PREFIXES[index].name.as_bytes();
        beginnings[name[0] as usize] |= bit(name[1]);
        index += 1;
    }
    beginnings
};

/// A second byte's place among 32: letters of both cases share theirs.
const fn bit(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// The rule for how a variable begins. A variable that says where something else is says nothing of its container.
fn prefix(name: &str) -> Option<&'static Rule> {
    const PLACES: &[&str] = &["_URL", "_URI", "_HOST", "_PORT", "_ADDR", "_ADDRESS", "_ENDPOINT", "_SERVICE"];
    let index = ENV_PREFIXES.partition_point(|rule| rule.name <= name).checked_sub(1)?;
    let rule = ENV_PREFIXES.get(index).filter(|rule| name.starts_with(rule.name))?;
    let place =
        PLACES.iter().any(|place| name.ends_with(place)) || name.contains("_SERVICE_") || name.contains("_PORT_");
    // These are settings of the framework itself, whatever they end in.
    if place && rule.grade < 80 { None } else { Some(rule) }
}

/// What a variable of an image's own configuration speaks for.
pub(crate) fn image_variable(name: &str) -> Option<&'static Rule> {
    find(&IMAGE_ENV, name).or_else(|| variable(name))
}

/// What the ending of a file speaks for.
pub(crate) fn extension(path: &str) -> Option<&'static Rule> {
    let (stem, extension) = path.rsplit_once('.')?;
    if stem.is_empty() || extension.len() > 8 { None } else { find(&EXTENSIONS, extension) }
}

/// The framework that a word of a command line names.
pub(crate) fn framework_word(word: &str) -> Option<Framework> {
    find(&FRAMEWORKS, word)?.framework
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_stands_twice() {
        for table in [&PROGRAMS[..], &WORDS, &ENV, &ENV_PREFIXES, &IMAGE_ENV, &EXTENSIONS, &FRAMEWORKS] {
            for pair in table.windows(2) {
                assert!(pair[0].name < pair[1].name, "{:?} and {:?}", pair[0], pair[1]);
            }
        }
    }

    #[test]
    fn variables_are_known_by_how_they_begin_and_end() {
        for pair in ENV_PREFIXES.windows(2) {
            assert!(!pair[1].name.starts_with(pair[0].name), "{} and {}", pair[0].name, pair[1].name);
        }
        let runtime = |name| variable(name).map(|rule| rule.runtime);
        assert_eq!(runtime("SPRING_DATASOURCE_URL"), Some(Runtime::Jvm));
        assert_eq!(runtime("ConnectionStrings__Shop"), Some(Runtime::CoreClr));
        assert_eq!(runtime("ES_JAVA_OPTS"), Some(Runtime::Jvm));
        assert_eq!(runtime("KAFKA_HEAP_OPTS"), Some(Runtime::Jvm));
        assert_eq!(runtime("DJANGO_LOG_LEVEL"), Some(Runtime::CPython));
        for other in ["DJANGO_API_URL", "DJANGO_SERVICE_HOST", "FLASK_PORT_80_TCP", "NODE_NAME", "SPRING", "", "~"] {
            assert_eq!(runtime(other), None, "{other}");
        }
    }

    #[test]
    fn every_variable_of_the_tables_is_found() {
        for rule in ENV.iter() {
            assert_eq!(variable(rule.name).map(|found| found.name), Some(rule.name));
        }
        for rule in ENV_PREFIXES.iter().filter(|rule| rule.grade >= 80) {
            let name = alloc::format!("{}X", rule.name);
            assert!(variable(&name).is_some(), "{name}");
        }
    }

    #[test]
    fn frameworks_belong_to_their_language() {
        for table in [&PROGRAMS[..], &WORDS, &ENV, &ENV_PREFIXES, &EXTENSIONS, &FRAMEWORKS] {
            for rule in table {
                let language = rule.framework.map_or(rule.runtime.language(), Framework::language);
                assert_eq!(language, rule.runtime.language(), "{rule:?}");
            }
        }
    }

    #[test]
    fn versions_behind_a_program_are_of_no_account() {
        for (name, runtime) in [
            ("python3.12", Runtime::CPython),
            ("php-fpm8.2", Runtime::Php),
            ("php82", Runtime::Php),
            ("ruby3.3", Runtime::CRuby),
            ("node", Runtime::Node),
        ] {
            assert_eq!(program(name).map(|rule| rule.runtime), Some(runtime), "{name}");
        }
        assert!(program("pythonic").is_none() && program("").is_none() && program("3").is_none());
    }

    #[test]
    fn extensions_need_a_name_before_them() {
        assert_eq!(extension("dist/server.js").map(|rule| rule.runtime), Some(Runtime::Node));
        assert!(extension(".js").is_none() && extension("js").is_none() && extension("a.conf").is_none());
    }
}
