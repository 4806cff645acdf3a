//! What speaks for a runtime: the file's name, its content, the libraries that are mapped.

use alloc::vec::Vec;

use super::evidence::{Process, base};
use crate::Runtime;

/// How a sign came to be, which is how much it says.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// What the process calls itself, which it may choose.
    Title,
    /// A library of the runtime is mapped: it may be embedded in another program.
    Library,
    /// The name of the executable, which whoever built it chose.
    Name,
    /// The content of the executable.
    Content,
}

/// One thing that speaks for a runtime.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign<'a> {
    pub(super) runtime: Runtime,
    pub(super) kind: Kind,
    pub(super) seen: &'a str,
    pub(super) meaning: &'static str,
}

/// Names of executables; those with `true` may carry a version: `python3.11`, `php82`, `php-fpm8.2`.
const NAMES: &[(&str, bool, Runtime)] = &[
    ("node", true, Runtime::Node),
    ("nodejs", false, Runtime::Node),
    ("bun", false, Runtime::Bun),
    ("bunx", false, Runtime::Bun),
    ("deno", false, Runtime::Deno),
    ("python", true, Runtime::CPython),
    ("pypy", true, Runtime::PyPy),
    ("java", false, Runtime::Jvm),
    ("javaw", false, Runtime::Jvm),
    ("dotnet", false, Runtime::CoreClr),
    ("mono", false, Runtime::Mono),
    ("mono-sgen", false, Runtime::Mono),
    ("php", true, Runtime::Php),
    ("php-fpm", true, Runtime::Php),
    ("php-cgi", true, Runtime::Php),
    ("hhvm", false, Runtime::Hhvm),
    ("ruby", true, Runtime::CRuby),
    ("jruby", false, Runtime::JRuby),
    ("truffleruby", false, Runtime::TruffleRuby),
];

/// Titles that programs of these runtimes write over their arguments.
const TITLES: &[(&str, Runtime)] = &[
    ("puma", Runtime::CRuby),
    ("unicorn", Runtime::CRuby),
    ("sidekiq", Runtime::CRuby),
    ("passenger", Runtime::CRuby),
    ("gunicorn", Runtime::CPython),
    ("celery", Runtime::CPython),
    ("celeryd", Runtime::CPython),
    ("next-server", Runtime::Node),
];

/// Beginnings of the names of shared libraries; what follows has to be no letter.
const LIBRARIES: &[(&str, Runtime)] = &[
    ("libjvm.so", Runtime::Jvm),
    ("libpython2", Runtime::CPython),
    ("libpython3", Runtime::CPython),
    ("libpypy", Runtime::PyPy),
    ("libcoreclr.so", Runtime::CoreClr),
    ("libmonosgen-2", Runtime::Mono),
    ("libmono-2", Runtime::Mono),
    ("libruby.so", Runtime::CRuby),
    ("libruby-", Runtime::CRuby),
    ("libtruffleruby.so", Runtime::TruffleRuby),
    ("libnode.so", Runtime::Node),
    ("libphp.so", Runtime::Php),
    ("libphp7", Runtime::Php),
    ("libphp8", Runtime::Php),
];

/// Sections that only one runtime's programs have.
const SECTIONS: &[(&str, Runtime, &str)] = &[
    (".go.buildinfo", Runtime::Go, "is a section that Go's linker makes"),
    (".gopclntab", Runtime::Go, "is a section that Go's linker makes"),
    (".note.go.buildid", Runtime::Go, "is a section that Go's linker makes"),
    (".svm_heap", Runtime::GraalVmNative, "is the heap of a GraalVM native image"),
    ("__managedcode", Runtime::NativeAot, "is a section of .NET programs compiled ahead of time"),
    (".bun", Runtime::Bun, "is a section of Bun"),
    (".PyRuntime", Runtime::CPython, "is a section of CPython"),
];

/// Symbols that only one runtime's programs have. The first that begins so.
const SYMBOLS: &[(&str, Runtime, &str)] = &[
    ("graal_create_isolate", Runtime::GraalVmNative, "is a function of GraalVM native images"),
    ("graal_", Runtime::GraalVmNative, "is a function of GraalVM native images"),
    ("IsolateEnterStub", Runtime::GraalVmNative, "is a function of GraalVM native images"),
    ("DotNetRuntimeDebugHeader", Runtime::NativeAot, "is in .NET programs compiled ahead of time"),
    ("RhpNewFast", Runtime::NativeAot, "is in .NET programs compiled ahead of time"),
    ("DotNetRuntimeInfo", Runtime::CoreClr, "is in .NET programs that carry their runtime in one file"),
    ("BUN_", Runtime::Bun, "is in Bun"),
    ("_ZN4node5StartEiPPc", Runtime::Node, "is where Node.js starts"),
    ("node::Start", Runtime::Node, "is where Node.js starts"),
    ("Py_BytesMain", Runtime::CPython, "is where CPython starts"),
    ("Py_Main", Runtime::CPython, "is where CPython starts"),
    ("php_module_startup", Runtime::Php, "is where PHP starts"),
    ("ruby_run_node", Runtime::CRuby, "is where Ruby starts"),
    ("ruby_init", Runtime::CRuby, "is where Ruby starts"),
    ("hhvm_", Runtime::Hhvm, "is in HHVM"),
    ("mono_main", Runtime::Mono, "is where Mono starts"),
    ("runtime.goexit", Runtime::Go, "is in Go's runtime"),
    ("runtime.morestack", Runtime::Go, "is in Go's runtime"),
    ("runtime.main", Runtime::Go, "is in Go's runtime"),
];

/// Everything that speaks for a runtime, the strongest first.
pub(super) fn collect<'a>(process: &'a Process<'a>) -> Vec<Sign<'a>> {
    let mut signs = Vec::new();
    content(process, &mut signs);
    names(process, &mut signs);
    libraries(process, &mut signs);
    signs.sort_by_key(|sign| core::cmp::Reverse(sign.kind));
    signs
}

/// The runtime that an executable of this name would be.
pub(super) fn by_name(name: &str) -> Option<Runtime> {
    let is = |known: &str, versioned: bool| {
        name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || versioned && is_version(rest))
    };
    NAMES.iter().find(|(known, versioned, _)| is(known, *versioned)).map(|(.., runtime)| *runtime)
}

fn is_version(text: &str) -> bool {
    let text = text.strip_suffix("-dbg").unwrap_or(text);
    let text = text.trim_end_matches(['m', 'u', 't', 'd']);
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn names<'a>(process: &'a Process<'a>, signs: &mut Vec<Sign<'a>>) {
    let Some(name) = process.name() else { return };
    if let Some(runtime) = by_name(name.text) {
        let (kind, meaning) = if name.is_file {
            (Kind::Name, "is the executable's name")
        } else {
            (Kind::Title, "is what the process calls itself")
        };
        signs.push(Sign { runtime, kind, seen: name.text, meaning });
    } else if let Some((_, runtime)) = TITLES.iter().find(|(title, _)| !name.is_file && name.text == *title) {
        signs.push(Sign { runtime: *runtime, kind: Kind::Title, seen: name.text, meaning: "is the process's title" });
    }
}

fn libraries<'a>(process: &'a Process<'a>, signs: &mut Vec<Sign<'a>>) {
    // What the executable asks for is mapped too, but a caller may know only one of the two.
    for path in process.maps.iter().chain(&process.needed) {
        let file = base(path);
        let is = |prefix: &str| file.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(char::is_alphabetic));
        if let Some((_, runtime)) = LIBRARIES.iter().find(|(prefix, _)| is(prefix))
            && !signs.iter().any(|sign| sign.kind == Kind::Library && sign.runtime == *runtime)
        {
            let meaning = "is mapped: the runtime's library";
            signs.push(Sign { runtime: *runtime, kind: Kind::Library, seen: path, meaning });
        }
    }
}

fn content<'a>(process: &'a Process<'a>, signs: &mut Vec<Sign<'a>>) {
    let mut add = |runtime, seen, meaning| {
        if !signs.iter().any(|sign: &Sign<'_>| sign.runtime == runtime) {
            signs.push(Sign { runtime, kind: Kind::Content, seen, meaning });
        }
    };
    if let Some(go) = &process.go {
        add(Runtime::Go, go.version.as_ref(), "built it, as its build information says");
    }
    for section in &process.elf_sections {
        if let Some((_, runtime, meaning)) = SECTIONS.iter().find(|(name, ..)| section == name) {
            add(*runtime, section.as_ref(), meaning);
        }
    }
    for symbol in &process.symbols {
        if let Some((_, runtime, meaning)) = SYMBOLS.iter().find(|(start, ..)| symbol.starts_with(start)) {
            add(*runtime, symbol.as_ref(), meaning);
        }
    }
    if let Some((seen, meaning)) = rust(process) {
        add(Runtime::Rust, seen, meaning);
    }
}

/// What says that the program, not only a library in it, is Rust's.
fn rust<'a>(process: &'a Process<'a>) -> Option<(&'a str, &'static str)> {
    let starts = |symbol: &str| {
        symbol.contains("lang_start")
            || symbol.starts_with("rust_panic")
            || symbol.starts_with("__rust_")
            || symbol == "rust_eh_personality"
    };
    if let Some(symbol) = process.symbols.iter().find(|symbol| starts(symbol)) {
        return Some((symbol, "is in Rust's standard library"));
    }
    if let Some(comment) = process.comments.iter().find(|comment| comment.starts_with("rustc version ")) {
        return Some((comment, "compiled it, as its .comment says"));
    }
    let string = process.strings.iter().find(|string| string.contains("/rustc/"))?;
    Some((string, "is a source of Rust's standard library"))
}
