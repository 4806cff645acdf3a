//! The hooks by which runtimes load our loaders, and how their variables are merged with what a container has already.
//!
//! This is the one place that knows these strings: plans, the installer of the loaders, and tests all read them here.
//!
//! | runtime | variable | value | joined |
//! | --- | --- | --- | --- |
//! | Node.js | `NODE_OPTIONS` | `--require /obtrace/obtrace-loader.js` | after the old value, blank |
//! | Bun | `BUN_OPTIONS` (and `NODE_OPTIONS`, for the Node.js that it may start) | `--preload /obtrace/obtrace-loader.js` | after, blank |
//! | Python, PyPy | `PYTHONPATH` | `/obtrace` | before, colon: a `sitecustomize.py` is found first and runs the application's own |
//! | Python, PyPy | `PYTHONSTARTUP` | `/obtrace/obtrace_loader.py` | only where it is not set: one file, read by the interactive prompt only |
//! | JVM | `JAVA_TOOL_OPTIONS` | `-javaagent:/obtrace/obtrace-agent.jar` | after, blank |
//! | .NET | `DOTNET_STARTUP_HOOKS` | `/obtrace/Obtrace.AutoInstrument.dll` | after, colon |
//! | PHP | `PHP_INI_SCAN_DIR` | `/obtrace/php.d/` | before, colon |
//! | Ruby | `RUBYOPT` | `-r /obtrace/obtrace_loader` | after, blank |
//!
//! # Merge rules
//!
//! - A value that has our part already is left as it is.
//! - An empty value counts as none, but for PHP, where an unset variable means the compiled-in directory (kept by an
//!   empty element: `/obtrace/php.d/:`) and an empty one means no directory (`/obtrace/php.d/`).
//! - The old value is taken over byte for byte, so that [`Hook::unmerge`] gives it back.
//! - A variable never refers to itself: Kubernetes would leave `$(NAME)` as it stands, and a JVM dies of it. A value
//!   that is known by reference only (`valueFrom`) is kept under [`ORIGINAL_PREFIX`] and referred to.
//!
//! # Both strategies in one Pod
//!
//! Where an agent also observes the Pod from the kernel, a hooked container gets [`TRACED`] with the kinds of span that
//! its loader reports: the agent leaves those kinds out for its processes, and reports the others. The loaders of all
//! languages but PHP report what the process serves and what it calls. PHP's reports what it serves; its outgoing calls
//! are the agent's, which the automatic strategy therefore adds to it. Those of Node.js and Java report what is sent to and received from messaging systems too.

mod elsewhere;

use obtrace_detect::{Language, Runtime};

pub use self::elsewhere::{HookAt, UnfitPath};

/// The name of the init container.
pub const INIT_CONTAINER: &str = "obtrace-agent-init";
/// The name of the volume.
pub const VOLUME: &str = "obtrace-agent";
/// How big the volume may grow.
pub const VOLUME_SIZE_LIMIT: &str = "128Mi";
/// Where the volume is mounted.
pub const MOUNT_PATH: &str = "/obtrace";
/// The name of the sidecar.
pub const SIDECAR: &str = "obtrace-ebpf";
/// What the sidecar may do beyond others.
pub const SIDECAR_CAPABILITIES: [&str; 4] = ["BPF", "NET_ADMIN", "SYS_PTRACE", "PERFMON"];
/// The least memory, in bytes, that the init container must be allowed for the files it copies.
pub const INIT_MEMORY: u64 = 16 * 1024 * 1024;

/// The API key, from a Secret.
pub const API_KEY: &str = "OBTRACE_API_KEY";
/// Where telemetry goes.
pub const INGEST_URL: &str = "OBTRACE_INGEST_URL";
/// `service.name`.
pub const SERVICE_NAME: &str = "OBTRACE_SERVICE_NAME";
/// `deployment.environment.name`.
pub const ENVIRONMENT: &str = "OBTRACE_ENVIRONMENT";
/// The language, which is also how a container names it itself.
pub const LANGUAGE: &str = "OBTRACE_LANGUAGE";
/// Where the loader's files are.
pub const AGENT_PATH: &str = "OBTRACE_AGENT_PATH";
/// The Pod's name.
pub const POD_NAME: &str = "OBTRACE_POD_NAME";
/// The Pod's namespace.
pub const POD_NAMESPACE: &str = "OBTRACE_POD_NAMESPACE";
/// The node's name.
pub const NODE_NAME: &str = "OBTRACE_NODE_NAME";
/// The part of the traces that is kept.
pub const TRACE_SAMPLE_RATIO: &str = "OBTRACE_TRACE_SAMPLE_RATIO";
/// The kinds of span that the loader in the process reports itself.
pub const TRACED: &str = "OBTRACE_TRACED";
/// What a variable's old entry is renamed to when its value is known by reference only.
pub const ORIGINAL_PREFIX: &str = "OBTRACE_ORIGINAL_";

/// The variables that every instrumented container gets, in the order in which it gets them.
pub const BASE_VARIABLES: [&str; 10] = [
    API_KEY,
    INGEST_URL,
    SERVICE_NAME,
    ENVIRONMENT,
    LANGUAGE,
    AGENT_PATH,
    POD_NAME,
    POD_NAMESPACE,
    NODE_NAME,
    TRACE_SAMPLE_RATIO,
];

/// A variable that a runtime reads, and what goes into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hook {
    /// The variable.
    pub name: &'static str,
    /// Our part of its value.
    pub value: &'static str,
    /// How it is joined with what is there.
    pub join: Join,
    /// The file it names. That it is part of a value shows that the value is ours already.
    file: &'static str,
}

/// How our part of a variable goes together with the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Join {
    /// The old value, this separator, our part.
    After(char),
    /// Our part, this separator, the old value.
    Before(char),
    /// As [`Before`](Self::Before), and an unset variable is an empty element after ours.
    BeforeDefault(char),
    /// Our part where the variable is not set; else it stays as it is.
    IfUnset,
}

const NODE: Hook = Hook {
    name: "NODE_OPTIONS",
    value: "--require /obtrace/obtrace-loader.js",
    join: Join::After(' '),
    file: "/obtrace/obtrace-loader.js",
};
const BUN: Hook = Hook {
    name: "BUN_OPTIONS",
    value: "--preload /obtrace/obtrace-loader.js",
    join: Join::After(' '),
    file: "/obtrace/obtrace-loader.js",
};
const PYTHON_PATH: Hook = Hook { name: "PYTHONPATH", value: "/obtrace", join: Join::Before(':'), file: "/obtrace" };
const PYTHON_STARTUP: Hook = Hook {
    name: "PYTHONSTARTUP",
    value: "/obtrace/obtrace_loader.py",
    join: Join::IfUnset,
    file: "/obtrace/obtrace_loader.py",
};
const JAVA: Hook = Hook {
    name: "JAVA_TOOL_OPTIONS",
    value: "-javaagent:/obtrace/obtrace-agent.jar",
    join: Join::After(' '),
    file: "-javaagent:/obtrace/obtrace-agent.jar",
};
const DOTNET: Hook = Hook {
    name: "DOTNET_STARTUP_HOOKS",
    value: "/obtrace/Obtrace.AutoInstrument.dll",
    join: Join::After(':'),
    file: "/obtrace/Obtrace.AutoInstrument.dll",
};
const PHP: Hook =
    Hook { name: "PHP_INI_SCAN_DIR", value: "/obtrace/php.d/", join: Join::BeforeDefault(':'), file: "/obtrace/php.d" };
const RUBY: Hook = Hook {
    name: "RUBYOPT",
    value: "-r /obtrace/obtrace_loader",
    join: Join::After(' '),
    file: "/obtrace/obtrace_loader",
};

/// Every hook there is, each once.
pub const ALL: [Hook; 8] = [NODE, BUN, PYTHON_PATH, PYTHON_STARTUP, JAVA, DOTNET, PHP, RUBY];

/// The hooks of a runtime; none where no hook reaches it.
///
/// ```
/// use obtrace_detect::Runtime;
/// use obtrace_patch::hooks;
///
/// let names: Vec<_> = hooks::of(Runtime::CPython).iter().map(|hook| hook.name).collect();
/// assert_eq!(names, ["PYTHONPATH", "PYTHONSTARTUP"]);
/// assert!(hooks::of(Runtime::Go).is_empty());
/// ```
#[must_use]
pub fn of(runtime: Runtime) -> &'static [Hook] {
    match runtime {
        Runtime::Node => &[NODE],
        Runtime::Bun => &[BUN, NODE],
        Runtime::CPython | Runtime::PyPy => &[PYTHON_PATH, PYTHON_STARTUP],
        Runtime::Jvm => &[JAVA],
        Runtime::CoreClr => &[DOTNET],
        Runtime::Php => &[PHP],
        Runtime::CRuby => &[RUBY],
        _ => &[],
    }
}

/// The kinds of span that the loader of a language reports: the value of [`TRACED`].
#[must_use]
pub fn traced(language: Language) -> &'static str {
    match language {
        Language::NodeJs | Language::Java => "server,client,producer,consumer",
        Language::Php => "server",
        language if language.has_sdk() => "server,client",
        _ => "",
    }
}

/// Whether the loader of a language leaves outgoing calls to the agent, which the automatic strategy then adds.
pub(crate) fn leaves_calls(language: Language) -> bool {
    traced(language) == "server"
}

/// What becomes of a variable's value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Merged {
    /// It stays as it is.
    Unchanged,
    /// It becomes this.
    Value(String),
}

impl Hook {
    /// Whether a value has our part already.
    #[must_use]
    pub fn is_in(&self, value: &str) -> bool {
        self.part().is_in(value)
    }

    /// Merges our part into a value; `None` is a variable that is not set.
    ///
    /// ```
    /// use obtrace_detect::Runtime;
    /// use obtrace_patch::hooks::{self, Merged};
    ///
    /// let [java] = hooks::of(Runtime::Jvm) else { unreachable!() };
    /// let merged = java.merge(Some("-Xmx512m"));
    /// assert_eq!(merged, Merged::Value("-Xmx512m -javaagent:/obtrace/obtrace-agent.jar".to_owned()));
    ///
    /// let Merged::Value(value) = merged else { unreachable!() };
    /// assert_eq!(java.merge(Some(&value)), Merged::Unchanged);
    /// assert_eq!(java.unmerge(&value), Some(Some("-Xmx512m")));
    /// ```
    #[must_use]
    pub fn merge(&self, old: Option<&str>) -> Merged {
        self.part().merge(old)
    }

    /// Gives the parts of the merged value, one after the other.
    pub(crate) fn merge_into(&self, old: Option<&str>, part: impl FnMut(&str)) {
        self.part().merge_into(old, part);
    }

    /// Takes our part out of a merged value. The outer `None`: it is not a value that [`merge`](Self::merge) gives.
    /// The inner one: the variable was not set, or empty where that is the same.
    #[must_use]
    pub fn unmerge<'a>(&self, value: &'a str) -> Option<Option<&'a str>> {
        self.part().unmerge(value)
    }

    fn part(&self) -> Part<'_> {
        Part { value: self.value, join: self.join, file: self.file }
    }
}

/// Our part of a value, wherever the files are.
#[derive(Clone, Copy)]
struct Part<'p> {
    value: &'p str,
    join: Join,
    file: &'p str,
}

impl Part<'_> {
    fn is_in(self, value: &str) -> bool {
        match self.join {
            Join::After(' ') => value.contains(self.file),
            _ => value.split(':').any(|element| element.trim_end_matches('/') == self.file),
        }
    }

    fn merge(self, old: Option<&str>) -> Merged {
        if old.is_some_and(|old| self.is_in(old) || (self.join == Join::IfUnset && !old.is_empty())) {
            return Merged::Unchanged;
        }
        let mut value = String::with_capacity(old.map_or(0, str::len) + self.value.len() + 1);
        self.merge_into(old, |part| value.push_str(part));
        Merged::Value(value)
    }

    fn merge_into(self, old: Option<&str>, mut part: impl FnMut(&str)) {
        let mut joint = [0; 4];
        match (self.join, old) {
            (Join::After(by), Some(old)) if !old.is_empty() => {
                part(old);
                part(by.encode_utf8(&mut joint));
                part(self.value);
            }
            (Join::Before(by) | Join::BeforeDefault(by), Some(old)) if !old.is_empty() => {
                part(self.value);
                part(by.encode_utf8(&mut joint));
                part(old);
            }
            (Join::BeforeDefault(by), None) => {
                part(self.value);
                part(by.encode_utf8(&mut joint));
            }
            _ => part(self.value),
        }
    }

    fn unmerge(self, value: &str) -> Option<Option<&str>> {
        let rest = match self.join {
            _ if value == self.value => "",
            Join::After(by) => value.strip_suffix(self.value)?.strip_suffix(by)?,
            Join::Before(by) | Join::BeforeDefault(by) => value.strip_prefix(self.value)?.strip_prefix(by)?,
            Join::IfUnset => return None,
        };
        let was_empty = matches!(self.join, Join::BeforeDefault(_)) && value == self.value;
        Some(if rest.is_empty() && !was_empty { None } else { Some(rest) })
    }
}
