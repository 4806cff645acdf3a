//! Versions of runtimes, and the C library, from paths.

use core::fmt;

use super::evidence::{Process, base};
use crate::Runtime;

/// Which C library a process uses: a native library has to be built for the same one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    /// musl, as in Alpine.
    Musl,
    /// None at run time: the executable is linked statically, or needs none.
    Static,
}

impl Libc {
    /// `glibc`, `musl` or `static`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::Static => "static",
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Variables in which images keep the version, or say what they are of.
#[cfg(all(feature = "proc", target_os = "linux"))]
const VARIABLES: &[&str] = &[
    "JAVA_VERSION",
    "NODE_VERSION",
    "BUN_VERSION",
    "DENO_VERSION",
    "PHP_VERSION",
    "DOTNET_VERSION",
    super::verdict::DOTNET_IMAGE,
];

/// Whether a variable of this name says something.
#[cfg(all(feature = "proc", target_os = "linux"))]
pub(super) fn is_variable(name: &str) -> bool {
    VARIABLES.contains(&name)
}

/// The C library: by the program interpreter, else by what is mapped, else none.
pub(super) fn libc(process: &Process<'_>) -> Option<Libc> {
    let named = |path: &str| {
        let file = base(path);
        if file.starts_with("ld-musl-") || file.starts_with("libc.musl-") {
            Some(Libc::Musl)
        } else if file.starts_with("ld-linux")
            || file == "libc.so.6"
            || file.starts_with("libc-2.")
            || file == "ld64.so.1"
        {
            Some(Libc::Glibc)
        } else {
            None
        }
    };
    let paths = process.interpreter.iter().chain(&process.maps).chain(&process.needed);
    let found = paths.into_iter().find_map(|path| named(path));
    let was_read = !process.elf_sections.is_empty() || process.architecture.is_some();
    found.or_else(|| (was_read && process.interpreter.is_none()).then_some(Libc::Static))
}

/// The version of the runtime as far as it shows.
pub(super) fn of<'a>(process: &'a Process<'a>, runtime: Runtime) -> Option<&'a str> {
    match runtime {
        Runtime::Go => process.go.as_ref().map(|go| go.version.strip_prefix("go").unwrap_or(&go.version)),
        Runtime::Rust => process
            .comments
            .iter()
            .find_map(|comment| comment.strip_prefix("rustc version ")?.split_whitespace().next()),
        Runtime::CoreClr => after_in(process, "/Microsoft.NETCore.App/").or_else(|| process.var("DOTNET_VERSION")),
        Runtime::Jvm => java(process),
        Runtime::CPython => after_in(process, "/libpython")
            .or_else(|| name(process, "python"))
            .or_else(|| after_in(process, "/lib/python")),
        Runtime::CRuby => ruby(process).or_else(|| name(process, "ruby")),
        Runtime::Php => php(process),
        Runtime::Node => process.var("NODE_VERSION").or_else(|| after_in(process, "/versions/node/v")),
        Runtime::Bun => process.var("BUN_VERSION"),
        Runtime::Deno => process.var("DENO_VERSION"),
        _ => None,
    }
    .map(|version| version.trim_start_matches('v'))
    .filter(|version| !version.is_empty())
}

/// The digits and dots after `mark` in the executable's path or that of a mapped file.
fn after_in<'a>(process: &'a Process<'a>, mark: &str) -> Option<&'a str> {
    process.exe.iter().chain(&process.maps).find_map(|path| number(path.split_once(mark)?.1))
}

/// The version at the beginning of `text`.
fn number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let version = text.get(..end)?.trim_matches('.');
    (!version.is_empty()).then_some(version)
}

/// `3.11` of `python3.11`; a bare `3` says nothing new.
fn name<'a>(process: &'a Process<'a>, program: &str) -> Option<&'a str> {
    number(process.name()?.text.strip_prefix(program)?).filter(|version| version.contains('.'))
}

/// `3.1.2` of `libruby-3.1.so.3.1.2`, `libruby.so.3.3.0`.
fn ruby<'a>(process: &'a Process<'a>) -> Option<&'a str> {
    process.maps.iter().find_map(|path| number(base(path).strip_prefix("libruby")?.split_once(".so.")?.1))
}

/// `17.0.12` of `jdk-17.0.12+7`, which images set; else what the folder of the JVM is called.
fn java<'a>(process: &'a Process<'a>) -> Option<&'a str> {
    let set = |text: &'a str| {
        let text = text.strip_prefix("jdk").unwrap_or(text);
        number(text.trim_start_matches('-'))
    };
    let folder = || {
        let jvm =
            process.maps.iter().chain(&process.exe).find(|path| path.contains("jdk") || path.contains("/jvm/"))?;
        // `java-17-openjdk-amd64`, `jdk-21.0.2`, `jdk1.8.0_392`, `temurin-25`.
        jvm.split('/').find_map(|part| {
            let is_home = ["java-", "jdk", "temurin-", "zulu", "corretto-", "graalvm-"]
                .iter()
                .any(|start| part.starts_with(start));
            is_home.then(|| number(part.get(part.find(|c: char| c.is_ascii_digit())?..)?)).flatten()
        })
    };
    process.var("JAVA_VERSION").and_then(set).or_else(folder)
}

/// PHP's extensions lie in a folder that is named for the version of their interface.
fn php<'a>(process: &'a Process<'a>) -> Option<&'a str> {
    const INTERFACES: &[(&str, &str)] = &[
        ("20170718", "7.2"),
        ("20180731", "7.3"),
        ("20190902", "7.4"),
        ("20200930", "8.0"),
        ("20210902", "8.1"),
        ("20220829", "8.2"),
        ("20230831", "8.3"),
        ("20240924", "8.4"),
    ];
    let by_interface = || {
        process
            .maps
            .iter()
            .find_map(|path| INTERFACES.iter().find(|(number, _)| path.contains(number)).map(|(_, php)| *php))
    };
    let by_name = || {
        process.exe.as_deref().map(base).and_then(|file| number(file.trim_start_matches(|c: char| !c.is_ascii_digit())))
    };
    process.var("PHP_VERSION").or_else(|| by_name().filter(|version| version.contains('.'))).or_else(by_interface)
}
