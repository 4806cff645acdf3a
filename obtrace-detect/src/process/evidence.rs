//! What is known of a process.

use alloc::{borrow::Cow, vec::Vec};

use crate::EnvVar;

/// What `/proc` and the executable show of a process. Everything is optional: a caller that has read only some of it
/// fills only that.
///
/// ```
/// use obtrace_detect::{Process, Runtime, process::inspect};
///
/// let process = Process::new()
///     .with_exe("/usr/lib/jvm/java-17-openjdk-amd64/bin/java")
///     .with_cmdline(["java", "-jar", "/app/quarkus-run.jar"])
///     .with_maps(["/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"]);
/// let inspection = inspect(&process);
/// assert_eq!(inspection.runtime, Runtime::Jvm);
/// assert_eq!(inspection.version, Some("17"));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Process<'a> {
    /// The arguments (`/proc/PID/cmdline`).
    pub cmdline: Vec<Cow<'a, str>>,
    /// The path of the executable (`/proc/PID/exe`).
    pub exe: Option<Cow<'a, str>>,
    /// The name of the main thread (`/proc/PID/comm`).
    pub comm: Option<Cow<'a, str>>,
    /// Paths of mapped files, each once (`/proc/PID/maps`).
    pub maps: Vec<Cow<'a, str>>,
    /// The environment the process was started with (`/proc/PID/environ`).
    pub env: Vec<EnvVar<'a>>,
    /// Paths of open files that say something: a JVM maps no archives but keeps them open (`/proc/PID/fd`).
    pub files: Vec<Cow<'a, str>>,
    /// Telling symbols of the executable, as they are there: mangled, if they are.
    pub symbols: Vec<Cow<'a, str>>,
    /// Names of the executable's sections.
    pub elf_sections: Vec<Cow<'a, str>>,
    /// The program interpreter that the executable asks for (`.interp`), which tells the C library.
    pub interpreter: Option<Cow<'a, str>>,
    /// The shared libraries that the executable asks for (`DT_NEEDED`).
    pub needed: Vec<Cow<'a, str>>,
    /// What compilers and linkers left in `.comment`, in its order.
    pub comments: Vec<Cow<'a, str>>,
    /// Telling strings of the executable's read-only data: paths of Rust's sources and of crates.
    pub strings: Vec<Cow<'a, str>>,
    /// The architecture of the executable, as `uname -m` would name it: `x86_64`, `aarch64`.
    pub architecture: Option<Cow<'a, str>>,
    /// What Go's linker wrote into the executable.
    pub go: Option<GoBuildInfo<'a>>,
    /// The file that the runtime was told to run.
    pub script: Option<Script<'a>>,
}

/// Makes `with_*` methods: for fields with one value, then for fields with many.
macro_rules! with {
    (one { $($name:ident $field:ident $link:literal,)* } many { $($many:ident $many_field:ident $many_link:literal,)* }) => {
        $(#[doc = concat!("Sets ", $link, ".")]
        #[must_use]
        pub fn $name(mut self, value: impl Into<Cow<'a, str>>) -> Self {
            self.$field = Some(value.into());
            self
        })*
        $(#[doc = concat!("Sets ", $many_link, ".")]
        #[must_use]
        pub fn $many<T: Into<Cow<'a, str>>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
            self.$many_field = values.into_iter().map(Into::into).collect();
            self
        })*
    };
}

impl<'a> Process<'a> {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    with! {
        one {
            with_exe exe "[`exe`](Self::exe)",
            with_comm comm "[`comm`](Self::comm)",
            with_interpreter interpreter "[`interpreter`](Self::interpreter)",
            with_architecture architecture "[`architecture`](Self::architecture)",
        }
        many {
            with_cmdline cmdline "[`cmdline`](Self::cmdline)",
            with_maps maps "[`maps`](Self::maps)",
            with_files files "[`files`](Self::files)",
            with_symbols symbols "[`symbols`](Self::symbols)",
            with_elf_sections elf_sections "[`elf_sections`](Self::elf_sections)",
            with_needed needed "[`needed`](Self::needed)",
            with_comments comments "[`comments`](Self::comments)",
            with_strings strings "[`strings`](Self::strings)",
        }
    }

    /// Sets [`env`](Self::env).
    #[must_use]
    pub fn with_env<N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.env = variables.into_iter().map(|(name, value)| EnvVar::new(name, value)).collect();
        self
    }

    /// Sets [`go`](Self::go).
    #[must_use]
    pub fn with_go(mut self, go: GoBuildInfo<'a>) -> Self {
        self.go = Some(go);
        self
    }

    /// Sets [`script`](Self::script).
    #[must_use]
    pub fn with_script(mut self, script: Script<'a>) -> Self {
        self.script = Some(script);
        self
    }

    /// Sets what an executable says of itself.
    #[cfg(all(feature = "proc", target_os = "linux"))]
    #[must_use]
    pub fn with_executable(mut self, executable: &super::Executable) -> Self {
        let owned = |texts: &[alloc::string::String]| texts.iter().cloned().map(Cow::Owned).collect();
        self.architecture = executable.architecture.map(Cow::Borrowed);
        self.interpreter = executable.interpreter.clone().map(Cow::Owned);
        self.elf_sections = owned(&executable.sections);
        self.needed = owned(&executable.needed);
        self.symbols = owned(&executable.symbols);
        self.comments = owned(&executable.comments);
        self.strings = owned(&executable.strings);
        self.go.clone_from(&executable.go);
        self
    }

    /// The last component of the executable's path; the first argument's, if the path is not known.
    pub(super) fn name(&self) -> Option<Name<'_>> {
        if let Some(exe) = self.exe.as_deref() {
            // The kernel says so of a file that is gone, as after an upgrade of the package.
            let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
            return Some(Name { text: base(exe), is_file: true });
        }
        // Servers write their title over the arguments: `php-fpm: pool www`.
        let first = self.words().next()?;
        Some(Name { text: base(first.trim_start_matches('-').trim_end_matches(':')), is_file: false })
    }

    /// The value of an environment variable, the last one if it is there twice.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|var| var.name == name)?.value.as_deref()
    }

    /// Whether the program has written a title over its arguments, or has none.
    pub(super) fn is_title(&self) -> bool {
        self.cmdline.iter().skip(1).all(|argument| argument.is_empty())
    }

    /// The words of the command line. Programs that set a title leave one argument with blanks in it, and nothing in the
    /// others: `[celeryd: celery@worker:MainProcess]`.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let is_title = self.is_title();
        let words =
            self.cmdline.iter().flat_map(move |argument| argument.split(move |c: char| is_title && c.is_whitespace()));
        let marks: &[char] = if is_title { &['[', ']', ':', '(', ')'] } else { &[] };
        words.map(move |word| word.trim_matches(marks)).filter(|word| !word.is_empty())
    }
}

/// What a program file is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    /// The last component of the path.
    pub(super) text: &'a str,
    /// Whether it is the executable's, not only what the process calls itself.
    pub(super) is_file: bool,
}

/// The last component of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The [build information] of a Go program.
///
/// [build information]: https://pkg.go.dev/debug/buildinfo
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GoBuildInfo<'a> {
    /// The version of the compiler: `go1.26.0`.
    pub version: Cow<'a, str>,
    /// The path of the main package.
    pub path: Option<Cow<'a, str>>,
    /// The modules that the program was built from and their versions, the main module first.
    pub modules: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> GoBuildInfo<'a> {
    /// A program of this compiler.
    #[must_use]
    pub fn new(version: impl Into<Cow<'a, str>>) -> Self {
        Self { version: version.into(), ..Self::default() }
    }

    /// Sets [`modules`](Self::modules).
    #[must_use]
    pub fn with_modules<P: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>>(
        mut self,
        modules: impl IntoIterator<Item = (P, V)>,
    ) -> Self {
        self.modules = modules.into_iter().map(|(path, version)| (path.into(), version.into())).collect();
        self
    }
}

/// The file that a runtime was told to run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Script<'a> {
    /// Its path, as the process names it.
    pub path: Cow<'a, str>,
    /// What its beginning loads: names of packages, or of an archive's first entries.
    pub imports: Vec<Cow<'a, str>>,
}

impl<'a> Script<'a> {
    /// A script, and what it loads.
    #[must_use]
    pub fn new<T: Into<Cow<'a, str>>>(path: impl Into<Cow<'a, str>>, imports: impl IntoIterator<Item = T>) -> Self {
        Self { path: path.into(), imports: imports.into_iter().map(Into::into).collect() }
    }
}
