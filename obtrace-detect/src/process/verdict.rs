//! From signs to a verdict.

use alloc::vec::Vec;

use super::{
    agents::{self, Agent},
    evidence::{Process, base},
    framework,
    signs::{self, Kind, Sign},
    versions::{self, Libc},
};
use crate::{Confidence, Framework, Language, Reason, Runtime, Source, Speaks, Strategy};

/// The name says it, and the content or a library of the runtime confirms it.
const CONFIRMED: Confidence = Confidence::SOLID;
/// The name of the executable says it, nothing else was looked at.
const NAMED: Confidence = Confidence::from_hundredths(85);
/// A program that is known to embed the runtime in order to run applications.
const HOSTED: Confidence = Confidence::from_hundredths(85);
/// The runtime is inside an executable of another name.
const RENAMED: Confidence = Confidence::from_hundredths(80);
/// Something else is there that could be the program, too.
const DOUBTED: Confidence = Confidence::from_hundredths(70);
/// The process only calls itself so; or its name says what its content does not.
const CLAIMED: Confidence = Confidence::from_hundredths(60);
/// It is native code and has no sign of a runtime that is known.
const NATIVE: Confidence = Confidence::from_hundredths(60);
/// A runtime is in it, but the program is another one.
const EMBEDDED: Confidence = Confidence::from_hundredths(50);

/// Programs that embed a runtime in order to run applications in it: a hook of the runtime does reach those.
const HOSTS: &[(&str, Runtime)] = &[
    ("uwsgi", Runtime::CPython),
    ("uwsgi-core", Runtime::CPython),
    ("unitd", Runtime::CPython),
    ("unitd", Runtime::Php),
    ("unitd", Runtime::CRuby),
    ("apache2", Runtime::Php),
    ("apache2", Runtime::CPython),
    ("httpd", Runtime::Php),
    ("httpd", Runtime::CPython),
    ("frankenphp", Runtime::Php),
    ("jsvc", Runtime::Jvm),
    ("mod_wsgi-express", Runtime::CPython),
];

/// Libraries that only a launcher of the runtime maps beside it, so that the program is the runtime's whatever its name.
const LAUNCHERS: &[(&str, Runtime)] = &[
    ("libjli.so", Runtime::Jvm),
    ("libapplauncher.so", Runtime::Jvm),
    ("libhostpolicy.so", Runtime::CoreClr),
    ("libhostfxr.so", Runtime::CoreClr),
];

/// Programs that have a Java virtual machine inside for a small part of what they do.
const WITH_JVM: &[&str] =
    &["soffice.bin", "impalad", "doris_be", "starrocks_be", "postgres", "mysqld", "R", "MATLAB", "gdb"];

/// Programs that start others and stay.
const WRAPPERS: &[&str] = &[
    "tini",
    "tini-static",
    "docker-init",
    "dumb-init",
    "catatonit",
    "sh",
    "bash",
    "dash",
    "ash",
    "su",
    "sudo",
    "runuser",
    "setpriv",
    "s6-svscan",
    "s6-supervise",
    "runsv",
    "runsvdir",
    "timeout",
    "env",
    "nice",
    "script",
    "containerd-shim",
    "conmon",
];

/// Programs that run on a runtime but start the application in a child.
const SUPERVISORS: &[(&str, Runtime)] = &[
    ("npm", Runtime::Node),
    ("npm-cli.js", Runtime::Node),
    ("npx", Runtime::Node),
    ("npx-cli.js", Runtime::Node),
    ("yarn", Runtime::Node),
    ("yarn.js", Runtime::Node),
    ("pnpm", Runtime::Node),
    ("pnpm.cjs", Runtime::Node),
    ("nodemon", Runtime::Node),
    ("pm2", Runtime::Node),
    ("pm2-runtime", Runtime::Node),
    ("supervisord", Runtime::CPython),
    ("circusd", Runtime::CPython),
    ("honcho", Runtime::CPython),
    ("foreman", Runtime::CRuby),
];

/// What a process shows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inspection<'a> {
    /// What executes the program; [`Runtime::Unknown`] for programs of other languages and where it could not be told.
    pub runtime: Runtime,
    /// The runtime's version as far as it shows: `17`, `3.11`, `8.0.4`; for Go and Rust the compiler's.
    pub version: Option<&'a str>,
    /// The framework, if one shows.
    pub framework: Option<Framework>,
    /// The strategy that can work.
    pub strategy: Strategy,
    /// How sure the runtime is.
    pub confidence: Confidence,
    /// What was seen, and what spoke against it; never empty.
    pub reasons: Vec<Reason<'a>>,
    /// The C library.
    pub libc: Option<Libc>,
    /// The architecture of the executable, as `uname -m` would name it.
    pub architecture: Option<&'a str>,
    /// Agents and SDKs that are already inside or about to be.
    pub agents: Vec<Agent<'a>>,
    /// A program that only starts others, the name it was known by: the application is a child of this process.
    pub wrapper: Option<&'a str>,
}

impl Inspection<'_> {
    /// The language of the runtime.
    #[must_use]
    pub fn language(&self) -> Language {
        self.runtime.language()
    }
}

/// Looks at a process. Without any evidence the answer is unknown, at [`Confidence::NOTHING`].
#[must_use]
pub fn inspect<'a>(process: &'a Process<'a>) -> Inspection<'a> {
    let signs = signs::collect(process);
    let mut reasons = Vec::new();
    let (runtime, confidence) = weigh(process, &signs, &mut reasons);
    let (runtime, confidence, wrapper) = refine(process, runtime, confidence, &mut reasons);
    let framework = framework::find(process, runtime);
    if let Some((_, reason)) = framework {
        reasons.push(reason);
    }
    let agents = agents::find(process);
    reasons.extend(agents.iter().map(Agent::reason));
    if reasons.is_empty() {
        reasons.push(reason("", "nothing is known of the process", Speaks::Neither));
    }
    Inspection {
        runtime,
        version: versions::of(process, runtime),
        framework: framework.map(|(framework, _)| framework),
        strategy: strategy(process, runtime),
        confidence,
        reasons,
        libc: versions::libc(process),
        architecture: process.architecture.as_deref(),
        agents,
        wrapper,
    }
}

/// What a process shows, if it shows anything about what runs in it: `None` where there is no evidence at all.
#[must_use]
pub fn verdict<'a>(process: &'a Process<'a>) -> Option<Inspection<'a>> {
    Some(inspect(process)).filter(|inspection| {
        inspection.runtime != Runtime::Unknown
            || inspection.confidence > Confidence::NOTHING
            || inspection.wrapper.is_some()
    })
}

/// The runtime alone.
#[cfg(all(feature = "proc", target_os = "linux"))]
pub(super) fn runtime(process: &Process<'_>) -> Runtime {
    weigh(process, &signs::collect(process), &mut Vec::new()).0
}

pub(super) fn reason<'a>(seen: &'a str, meaning: &'static str, speaks: Speaks) -> Reason<'a> {
    Reason { source: Source::Process, seen, meaning, speaks }
}

/// The runtime that the signs are for, each sign a reason.
fn weigh<'a>(process: &'a Process<'a>, signs: &[Sign<'a>], reasons: &mut Vec<Reason<'a>>) -> (Runtime, Confidence) {
    let name = process.name().map_or("", |name| name.text);
    let (runtime, confidence) = hosted(name, signs)
        .or_else(|| compiled(process, signs))
        .or_else(|| named(process, signs))
        .or_else(|| inside(process, signs))
        .or_else(|| launched(process, signs))
        .or_else(|| only_jvm(process, signs))
        .or_else(|| titled(signs))
        .or_else(|| by_environment(process, signs))
        .unwrap_or_else(|| (Runtime::Unknown, other(process, signs)));
    for sign in signs {
        let agrees = sign.runtime == runtime || runtime == Runtime::TruffleRuby && sign.runtime == Runtime::CRuby;
        let speaks = if agrees { Speaks::For } else { Speaks::Against };
        reasons.push(reason(sign.seen, sign.meaning, speaks));
    }
    if runtime == Runtime::Unknown {
        explain_unknown(process, signs, reasons);
    } else if signs.is_empty() {
        reasons.push(reason(
            DOTNET_IMAGE,
            "is set by images of .NET, and the program could be a .NET program in one file",
            Speaks::For,
        ));
    }
    (runtime, confidence)
}

fn has(signs: &[Sign<'_>], runtime: Runtime, kind: Kind) -> bool {
    signs.iter().any(|sign| sign.runtime == runtime && sign.kind == kind)
}

/// A program that is known to run applications of a runtime which it embeds.
fn hosted(name: &str, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let embedded = |runtime| signs.iter().any(|sign| sign.runtime == runtime && sign.kind == Kind::Library);
    let mut hosted = HOSTS.iter().filter(|(host, runtime)| *host == name && embedded(*runtime));
    let (_, runtime) = hosted.next()?;
    // Two languages in one server: neither.
    if hosted.next().is_some() { None } else { Some((*runtime, HOSTED)) }
}

/// What compilers leave in a program says more than its name: a Go program may be called `node`. A runtime may have been
/// built by them as well: Deno is a Rust program, and Bun has Rust in it.
fn compiled(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    const COMPILED: [Runtime; 4] = [Runtime::Go, Runtime::GraalVmNative, Runtime::NativeAot, Runtime::Rust];
    let runtime = COMPILED.into_iter().find(|runtime| has(signs, *runtime, Kind::Content))?;
    let name = signs.iter().find(|sign| sign.kind == Kind::Name).map(|sign| sign.runtime);
    if matches!(name, Some(Runtime::TruffleRuby)) {
        return None;
    }
    if runtime != Runtime::Rust {
        return Some((runtime, CONFIRMED));
    }
    // Deno has Node.js's interface for extensions, which no other Rust program has.
    let is_runtime = signs.iter().any(|sign| sign.kind == Kind::Content && sign.runtime != Runtime::Rust);
    let has_extensions = process.symbols.iter().any(|symbol| symbol.starts_with("napi_"));
    if is_runtime || name == Some(Runtime::Deno) && (has_extensions || process.symbols.is_empty()) {
        return None;
    }
    let first = process
        .comments
        .first()
        .is_none_or(|comment| comment.starts_with("rustc version ") || comment.starts_with("GCC: "));
    Some((Runtime::Rust, if first && name.is_none() { CONFIRMED } else { RENAMED }))
}

/// The executable's name is a runtime's.
fn named(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let sign = signs.iter().find(|sign| sign.kind == Kind::Name)?;
    let runtime = match sign.runtime {
        Runtime::CRuby if has(signs, Runtime::TruffleRuby, Kind::Library) => Runtime::TruffleRuby,
        Runtime::CPython if has(signs, Runtime::PyPy, Kind::Library) => Runtime::PyPy,
        runtime => runtime,
    };
    let launches =
        LAUNCHERS.iter().any(|(file, of)| *of == runtime && process.needed.iter().any(|needed| needed == file));
    let is_deno = runtime == Runtime::Deno && process.symbols.iter().any(|symbol| symbol.starts_with("napi_"));
    let confirmed = has(signs, runtime, Kind::Library) || has(signs, runtime, Kind::Content) || launches || is_deno;
    let other = signs.iter().any(|sign| sign.kind == Kind::Library && sign.runtime != runtime);
    let read = !process.elf_sections.is_empty();
    Some((
        runtime,
        match (confirmed, other, read) {
            (true, false, _) => CONFIRMED,
            (_, true, _) => DOUBTED,
            // These carry no mark that could be looked for.
            (false, false, true) if !matches!(runtime, Runtime::Deno | Runtime::Hhvm | Runtime::Mono) => CLAIMED,
            (false, false, _) => NAMED,
        },
    ))
}

/// A runtime is in an executable of another name: a renamed copy, or a program packed into one file with its runtime.
fn inside(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let sign = signs.iter().find(|sign| sign.kind == Kind::Content)?;
    let packs = matches!(sign.runtime, Runtime::Node | Runtime::Bun | Runtime::CoreClr | Runtime::Mono);
    // Editors, debuggers and databases link Python, Ruby and PHP in.
    let is_itself = || process.name().is_some_and(|name| !name.is_file && by_title(signs) == Some(sign.runtime));
    (packs || is_itself()).then_some((sign.runtime, RENAMED))
}

fn by_title(signs: &[Sign<'_>]) -> Option<Runtime> {
    signs.iter().find(|sign| sign.kind == Kind::Title).map(|sign| sign.runtime)
}

/// A launcher of the runtime, whatever it is called.
fn launched(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let mapped = |file: &str| process.maps.iter().chain(&process.needed).any(|path| base(path) == file);
    let launcher = |(file, runtime): &&(&str, Runtime)| has(signs, *runtime, Kind::Library) && mapped(file);
    let (_, runtime) = LAUNCHERS.iter().find(launcher)?;
    let alone = signs.iter().filter(|sign| sign.kind == Kind::Library).all(|sign| sign.runtime == *runtime);
    Some((*runtime, if alone { CONFIRMED } else { DOUBTED }))
}

/// A program that has mapped nothing but a Java virtual machine and what any program needs: it is there to start it.
fn only_jvm(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    const USUAL: &[&str] = &[
        "libc",
        "libm",
        "libdl",
        "libpthread",
        "librt",
        "libgcc_s",
        "libstdc++",
        "libz",
        "ld-linux-x86-64",
        "ld-linux-aarch64",
        "ld-musl-x86_64",
        "ld-musl-aarch64",
    ];
    let sign = signs.iter().find(|sign| sign.runtime == Runtime::Jvm && sign.kind == Kind::Library)?;
    let home = sign.seen.rsplit_once("/lib/")?.0;
    let is_usual = |path: &str| {
        let file = base(path);
        let name = file.split(['.', '-']).next().unwrap_or(file);
        !file.contains(".so")
            || path.starts_with(home)
            || USUAL.iter().any(|usual| *usual == name || file.starts_with(usual))
    };
    let is_embedder = process.name().is_some_and(|name| WITH_JVM.contains(&name.text));
    let alone = signs.len() == 1 && process.maps.len() > 2 && process.maps.iter().all(|path| is_usual(path));
    (alone && !is_embedder).then_some((Runtime::Jvm, CLAIMED))
}

/// Images of .NET set a variable, and a program that carries its runtime in one file has no other mark if it is stripped.
fn by_environment(process: &Process<'_>, signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let exe = process.exe.as_deref()?;
    let is_system = ["/bin/", "/sbin/", "/usr/"].iter().any(|folder| exe.starts_with(folder));
    let is_cpp = process.maps.iter().chain(&process.needed).any(|path| base(path).starts_with("libstdc++"));
    let is_set = process.var(DOTNET_IMAGE) == Some("true");
    (signs.is_empty() && is_set && is_cpp && !is_system).then_some((Runtime::CoreClr, CLAIMED))
}

/// The variable that images of .NET set.
pub(super) const DOTNET_IMAGE: &str = "DOTNET_RUNNING_IN_CONTAINER";

/// The process only calls itself so.
fn titled(signs: &[Sign<'_>]) -> Option<(Runtime, Confidence)> {
    let sign = signs.iter().find(|sign| sign.kind == Kind::Title)?;
    let confirmed = has(signs, sign.runtime, Kind::Library);
    Some((sign.runtime, if confirmed { CONFIRMED } else { CLAIMED }))
}

fn other(process: &Process<'_>, signs: &[Sign<'_>]) -> Confidence {
    if !signs.is_empty() {
        EMBEDDED
    } else if process.elf_sections.is_empty() && process.maps.is_empty() {
        Confidence::NOTHING
    } else {
        NATIVE
    }
}

fn explain_unknown<'a>(process: &'a Process<'a>, signs: &[Sign<'a>], reasons: &mut Vec<Reason<'a>>) {
    let Some(name) = process.name() else { return };
    if !signs.is_empty() {
        reasons.push(reason(name.text, "is another program that has a runtime inside", Speaks::For));
    } else if !process.elf_sections.is_empty() || !process.maps.is_empty() {
        reasons.push(reason(name.text, "has no mark of a known runtime", Speaks::For));
    } else {
        reasons.push(reason(name.text, "is not a known runtime", Speaks::Neither));
    }
}

/// Languages that run on another's runtime, and programs that only start others.
fn refine<'a>(
    process: &'a Process<'a>,
    runtime: Runtime,
    confidence: Confidence,
    reasons: &mut Vec<Reason<'a>>,
) -> (Runtime, Confidence, Option<&'a str>) {
    if runtime == Runtime::Jvm
        && let Some(word) = process.words().find(|word| is_jruby(word))
    {
        reasons.push(reason(word, "is Ruby on the JVM", Speaks::For));
        return (Runtime::JRuby, confidence, None);
    }
    let Some(name) = process.name() else { return (runtime, confidence, None) };
    // One file with many programs: the first argument says which.
    let called = || process.words().next().map(base).filter(|_| name.text == "busybox");
    let started = called().unwrap_or(name.text);
    if runtime == Runtime::Unknown && WRAPPERS.contains(&started) {
        reasons.push(reason(started, "only starts others: the application is a child of it", Speaks::Against));
        return (runtime, Confidence::NOTHING, Some(started));
    }
    // `node /usr/bin/npm start` and the title `npm run start` that npm gives itself.
    let supervisor = |word: &&str| SUPERVISORS.iter().any(|(known, on)| *on == runtime && base(word) == *known);
    if let Some(word) = process.words().take(2).find(supervisor) {
        reasons.push(reason(
            word,
            "starts the application in a child, which may be another language's",
            Speaks::Against,
        ));
        return (runtime, confidence.min(CLAIMED), Some(base(word)));
    }
    (runtime, confidence, None)
}

fn is_jruby(word: &str) -> bool {
    word == "org.jruby.Main"
        || word == "org.jruby.main.Main"
        || base(word).starts_with("jruby-complete")
        || base(word) == "jruby.jar"
}

/// The runtime's strategy, unless its hook does not reach this process.
fn strategy(process: &Process<'_>, runtime: Runtime) -> Strategy {
    let unpacked = |path: &str| path.contains("/_MEI") && path.contains("/libpython");
    // PyInstaller's programs ignore PYTHONPATH; a .NET program in one file may have been trimmed, which takes hooks away.
    let is_packed = match runtime {
        Runtime::CPython => process.maps.iter().any(|path| unpacked(path)),
        Runtime::CoreClr => !process.maps.is_empty() && !process.maps.iter().any(|path| base(path) == "libcoreclr.so"),
        _ => false,
    };
    if is_packed { Strategy::Ebpf } else { runtime.strategy() }
}
