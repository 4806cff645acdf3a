//! What a command line runs, read through shells and wrappers.

use crate::{
    Framework, Runtime,
    framework::of_command,
    image,
    rules::{self, Rule, native::Native},
    script,
    wrappers::{is_address, is_assignment, wrapper},
};

/// Words of a command line that are kept; what matters stands in front.
const MAX_WORDS: usize = 48;
/// Shells in shells and wrappers in wrappers that are followed.
const MAX_DEPTH: u8 = 12;
/// Longest script that is read, in bytes.
const MAX_SCRIPT: usize = 64 << 10;

/// A program of a language that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Program<'a> {
    /// The word that told.
    pub(crate) word: &'a str,
    pub(crate) runtime: Runtime,
    pub(crate) framework: Option<Framework>,
    /// How sure it is, in hundredths.
    pub(crate) grade: u8,
    /// Whether it goes to the background by itself.
    pub(crate) daemon: bool,
}

/// What a command line runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Seen<'a> {
    /// It is empty, or holds arguments only.
    Nothing,
    /// One of ours.
    Program(Program<'a>),
    /// None of ours.
    Native(&'a str, Native),
    /// Something that the command line does not tell.
    Opaque(&'a str),
    /// Two runtimes at once.
    Several(Program<'a>, Program<'a>),
}

/// The words of a command line, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    words: [&'a str; MAX_WORDS],
    len: usize,
}

impl<'a> Words<'a> {
    pub(crate) const fn new() -> Self {
        Self { words: [""; MAX_WORDS], len: 0 }
    }

    /// Keeps a word; one too many is forgotten.
    pub(crate) fn push(&mut self, word: &'a str) {
        if let Some(free) = self.words.get_mut(self.len) {
            *free = word;
            self.len += 1;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn as_slice(&self) -> &[&'a str] {
        self.words.get(..self.len).unwrap_or(&[])
    }
}

/// How far a command line can be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trust {
    /// It is what is executed.
    Certain,
    /// It is what an unknown entry point is given: a command perhaps, perhaps the words of another program.
    Guess,
}

/// Reads a command line.
pub(crate) fn read<'a>(words: &[&'a str], trust: Trust) -> Seen<'a> {
    read_at(words, trust, 0)
}

pub(crate) fn read_at<'a>(words: &[&'a str], trust: Trust, mut depth: u8) -> Seen<'a> {
    let mut words = words;
    let mut trust = trust;
    let mut outer: Option<Program<'a>> = None;
    let seen = loop {
        while words.first().is_some_and(|word| is_assignment(word)) {
            words = words.get(1..).unwrap_or(&[]);
        }
        let Some((&first, rest)) = words.split_first() else { break Seen::Nothing };
        depth += 1;
        if depth > MAX_DEPTH {
            break Seen::Opaque(first);
        }
        let name = base_name(first);
        if is_shell(name) || is_su(name, rest) {
            break shell(first, rest, trust, depth);
        }
        if let Some((text, behind)) = wrapper(name).and_then(|wrapper| wrapper.text(rest)) {
            // `env -S node a.js` has a word in its place, and no line.
            if text.contains(char::is_whitespace) && text.len() <= MAX_SCRIPT {
                break script::read(text, behind, depth);
            }
        }
        if let Some((wrapper, inner)) = wrapper(name).and_then(|wrapper| Some((wrapper, wrapper.inner(rest)?))) {
            let program = |runtime| Program { word: first, runtime, framework: None, grade: 90, daemon: false };
            outer = wrapper.runtime.map(program).or(outer);
            words = inner;
            if outer.is_none() && inner.is_empty() {
                break Seen::Opaque(first);
            }
            continue;
        }
        // `/usr/libexec/s2i/run` starts a program; `run` alone is a command of one.
        let starter = first.contains('/') && matches!(name, "entry" | "start" | "run" | "init");
        let passes = starter || passes_on(name);
        let rest = if passes { waited(rest) } else { rest };
        if passes && !rest.is_empty() {
            outer = outer.or_else(|| known(name, first, rest, Trust::Certain).program());
            words = rest;
            trust = Trust::Guess;
            if outer.is_none() {
                break match read_at(words, trust, depth) {
                    Seen::Nothing | Seen::Opaque(_) => by_signs(first, rest),
                    seen => seen,
                };
            }
            continue;
        }
        break known(name, first, rest, trust);
    };
    match (seen, outer) {
        (Seen::Nothing | Seen::Opaque(_), Some(program)) => {
            Seen::Program(Program { framework: of_command(program.framework, program.runtime, words), ..program })
        }
        // `bunx next` runs on Bun what would run on Node.js without it.
        (Seen::Program(inner), Some(outer)) if !is_interpreter(inner.word) => {
            let same = outer.runtime.language() == inner.runtime.language();
            let runtime = if same { inner.runtime.with(outer.runtime) } else { None };
            Seen::Program(Program { runtime: runtime.unwrap_or(inner.runtime), ..inner })
        }
        (seen, _) => seen,
    }
}

/// Whether the word names the runtime itself, so that no image makes another of it.
pub(crate) fn is_interpreter(word: &str) -> bool {
    matches!(base_name(word), "node" | "nodejs" | "npm" | "npx" | "yarn" | "pnpm" | "java" | "dotnet" | "php")
}

impl<'a> Seen<'a> {
    pub(crate) fn program(self) -> Option<Program<'a>> {
        if let Seen::Program(program) = self { Some(program) } else { None }
    }
}

/// The last component of a path; of `$JAVA_HOME/bin/java` as well, and of a word that quotes left open (`"$X"/java`).
pub(crate) fn base_name(word: &str) -> &str {
    let word = word.trim_matches(|quote| quote == '"' || quote == '\'');
    word.rsplit('/').next().unwrap_or(word)
}

fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "bash.sh" | "su")
}

/// Whether it is `runuser USER -c SCRIPT`, which is read as `su` is; with `-u` it starts a program.
fn is_su(name: &str, arguments: &[&str]) -> bool {
    name == "runuser" && !arguments.iter().any(|word| word.starts_with("-u") || word.starts_with("--user"))
}

/// Whether it is an entry point that does something and then starts what it is given, as most scripts do.
fn passes_on(name: &str) -> bool {
    // `catalina.sh` is known by itself.
    let script = name.strip_suffix(".sh").filter(|_| rules::program(name).is_none());
    let name = script.unwrap_or(name);
    script.is_some() || name.ends_with("entrypoint") || name.ends_with("entry-point")
}

/// The words behind those that a script waits for: `db:5432 -- python app.py`.
fn waited<'w, 'a>(words: &'w [&'a str]) -> &'w [&'a str] {
    let skipped = words.iter().take_while(|word| **word == "--" || is_address(word)).count();
    words.get(skipped..).unwrap_or(&[])
}

/// Reads `sh -c SCRIPT`, `bash -euo pipefail -c SCRIPT`, `sh FILE`.
fn shell<'a>(shell: &'a str, arguments: &[&'a str], trust: Trust, depth: u8) -> Seen<'a> {
    let mut rest = arguments;
    let mut script = false;
    while let Some((option, behind)) = rest.split_first() {
        let Some(letters) = option.strip_prefix(['-', '+']) else { break };
        rest = behind;
        if matches!(*option, "-" | "--") {
            break;
        }
        if letters.starts_with('-') {
            // `--login` and the like; `--rcfile FILE` is not for containers. `--command` is su's.
            script |= letters == "-command";
            continue;
        }
        script |= letters.contains('c');
        if letters.ends_with('o') || letters.ends_with('O') {
            rest = rest.get(1..).unwrap_or(&[]);
        }
    }
    // `su USER -c SCRIPT` has the user in front.
    if matches!(base_name(shell), "su" | "runuser") && !script {
        let at = rest.iter().position(|word| matches!(*word, "-c" | "--command"));
        return match at.and_then(|at| rest.get(at + 1..)) {
            Some([text, params @ ..]) if text.len() <= MAX_SCRIPT => script::read(text, params, depth),
            _ => Seen::Opaque(shell),
        };
    }
    match (script, rest) {
        (true, [text, params @ ..]) if text.len() <= MAX_SCRIPT => script::read(text, params, depth),
        (true, _) => Seen::Opaque(shell),
        (false, []) => Seen::Native(shell, Native::Idle),
        (false, file) => match read_at(file, trust, depth) {
            Seen::Nothing => Seen::Opaque(shell),
            seen => seen,
        },
    }
}

/// What a program is by its name, the folder it lies in, or its ending.
fn known<'a>(name: &'a str, word: &'a str, arguments: &[&'a str], trust: Trust) -> Seen<'a> {
    if name.starts_with('-') || name.is_empty() {
        return if trust == Trust::Guess { options(word, arguments) } else { Seen::Opaque(word) };
    }
    if let Some(rule) = rules::program(name) {
        return special(name, word, arguments, trust).unwrap_or_else(|| {
            if trust == Trust::Guess && rule.grade < rules::PLAIN {
                return Seen::Nothing;
            }
            program(word, rule.runtime, rule.framework, rule.grade, arguments)
        });
    }
    if let Some(native) = rules::native::native(name) {
        return native_program(native, word, arguments, trust);
    }
    if let Some(rule) = rules::extension(name) {
        return program(word, rule.runtime, rule.framework, rule.grade, arguments);
    }
    if let Some((runtime, grade)) = folder(word) {
        return program(word, runtime, None, grade, arguments);
    }
    if trust == Trust::Guess {
        return Seen::Nothing;
    }
    by_signs(word, arguments)
}

/// What is known of a program by its arguments and its folder, when its name says nothing.
fn by_signs<'a>(word: &'a str, arguments: &[&'a str]) -> Seen<'a> {
    let expanded = word.starts_with('$') && base_name(word) == word;
    // `$(which node) server.js`
    let script = arguments.first().filter(|_| expanded).and_then(|script| Some((*script, rules::extension(script)?)));
    if let Some((script, rule)) = script {
        return program(script, rule.runtime, rule.framework, 80, arguments);
    }
    options_of(word, arguments).or_else(|| in_folder_of(word)).unwrap_or(Seen::Opaque(word))
}

fn program<'a>(
    word: &'a str,
    runtime: Runtime,
    framework: Option<Framework>,
    grade: u8,
    arguments: &[&'a str],
) -> Seen<'a> {
    // `next` or `manage.py` say it themselves, also when they are run as a file.
    let own = of_command(framework, runtime, &[word]);
    let framework = of_command(own, runtime, arguments);
    let daemon = is_daemon(base_name(word), arguments);
    Seen::Program(Program { word, runtime, framework, grade, daemon })
}

/// Whether the program goes to the background by itself.
fn is_daemon(name: &str, arguments: &[&str]) -> bool {
    let flag = |word: &&str| matches!(*word, "--daemon" | "--daemonize" | "-daemon");
    arguments.iter().any(flag)
        || (arguments.contains(&"-D") && (name.starts_with("php-fpm") || name == "gunicorn"))
        || (arguments.first() == Some(&"start") && matches!(name, "pm2" | "catalina.sh" | "forever"))
        || (arguments.first() == Some(&"multi") && name == "celery")
}

/// Programs whose name alone does not tell.
fn special<'a>(name: &str, word: &'a str, arguments: &[&'a str], trust: Trust) -> Option<Seen<'a>> {
    match name {
        "node" | "nodejs" if !is_node(arguments, trust) => {
            Some(if trust == Trust::Guess { Seen::Nothing } else { Seen::Opaque(word) })
        }
        // Hadoop's program of that name.
        "yarn"
            if matches!(arguments.first(), Some(&("resourcemanager" | "nodemanager" | "jar" | "timelineserver"))) =>
        {
            Some(program(word, Runtime::Jvm, None, 90, arguments))
        }
        // The driver is a JVM, which starts Python for such a program.
        "spark-submit" if arguments.iter().any(|word| word.ends_with(".py")) => Some(Seen::Opaque(word)),
        "uwsgi" if arguments.iter().any(|word| matches!(*word, "--psgi" | "--php" | "--rack" | "--php-sapi")) => {
            Some(Seen::Opaque(word))
        }
        _ => None,
    }
}

/// Whether these can be Node.js' arguments: other programs are called `node` as well, and `node` is a command of many.
fn is_node(arguments: &[&str], trust: Trust) -> bool {
    #[rustfmt::skip]
    const OPTIONS: &[&str] = &[
        "--abort", "--allow", "--async", "--build", "--conditions", "--cpu-prof", "--diagnostic", "--disable",
        "--dns", "--enable", "--env-file", "--es-module", "--es_", "--eval", "--experimental", "--expose", "--force",
        "--frozen", "--gc", "--harmony", "--heap", "--icu", "--import", "--input", "--insecure", "--inspect",
        "--interpreted", "--jitless", "--loader", "--max", "--network", "--no-", "--node-", "--openssl",
        "--optimize", "--perf", "--preserve", "--print", "--prof", "--redirect", "--report", "--require", "--run",
        "--secure", "--security", "--single", "--stack", "--test", "--throw", "--title", "--tls", "--trace",
        "--track", "--unhandled", "--use", "--v8", "--verify", "--watch", "--zero", "-C", "-c", "-e", "-i", "-p",
        "-r",
    ];
    let Some(first) = arguments.first() else { return trust == Trust::Certain };
    if first.starts_with('-') {
        return OPTIONS.iter().any(|option| first.starts_with(option));
    }
    trust == Trust::Certain || first.contains('/') || rules::extension(first).is_some()
}

fn native_program<'a>(native: Native, word: &'a str, arguments: &[&'a str], trust: Trust) -> Seen<'a> {
    match native {
        Native::Launcher if matches!(base_name(word), "service" | "systemctl") => {
            // `service php8.2-fpm start`, `systemctl start php-fpm`
            let named = arguments.iter().find(|word| !matches!(**word, "start" | "restart" | "enable"));
            let name = named.map_or("", |named| base_name(named));
            let fpm = name.starts_with("php") && name.ends_with("fpm");
            let rule = rules::program(if fpm { "php-fpm" } else { name });
            rule.map_or(Seen::Native(word, Native::Tool), |rule| {
                let Rule { runtime, framework, grade, .. } = *rule;
                Seen::Program(Program { word: named.unwrap_or(&word), runtime, framework, grade, daemon: true })
            })
        }
        Native::Launcher => Seen::Opaque(word),
        Native::Tool if trust == Trust::Guess => Seen::Nothing,
        _ => Seen::Native(word, native),
    }
}

/// Folders that belong to one runtime.
fn folder(path: &str) -> Option<(Runtime, u8)> {
    const FOLDERS: &[(&str, Runtime, u8)] = &[
        ("/node_modules/", Runtime::Node, 90),
        ("/.venv/bin/", Runtime::CPython, 90),
        ("/venv/bin/", Runtime::CPython, 90),
        ("/virtualenv/bin/", Runtime::CPython, 90),
        ("/virtualenvs/", Runtime::CPython, 80),
        ("/site-packages/", Runtime::CPython, 90),
        ("/conda/bin/", Runtime::CPython, 70),
        ("/usr/local/bundle/", Runtime::CRuby, 90),
        ("/ko-app/", Runtime::Go, 90),
        ("/go/bin/", Runtime::Go, 80),
        ("/target/release/", Runtime::Rust, 80),
        ("/.cargo/bin/", Runtime::Rust, 80),
        ("/vendor/bin/", Runtime::Php, 70),
    ];
    let relative = |folder: &str| folder.get(1..).is_some_and(|folder| path.starts_with(folder));
    let found = FOLDERS.iter().find(|(folder, ..)| path.contains(folder) || relative(folder));
    found.map(|(_, runtime, grade)| (*runtime, *grade))
}

/// A script of a Java server, by the folder that the server is installed in: `/opt/apache-tomcat-9/bin/start.sh`.
///
/// Languages' own names say nothing there: `/opt/python-tools/bin` may hold anything.
fn in_folder_of(path: &str) -> Option<Seen<'_>> {
    let (folder, _) = path.rsplit_once("/bin/")?;
    let server =
        |token: &&str| matches!(*token, "tomcat" | "tomee" | "jboss" | "wildfly" | "payara" | "glassfish" | "jetty");
    let rule = image::tokens(folder).take(16).find(server).and_then(rules::image_word)?;
    Some(program(path, rule.runtime, rule.framework, 80, &[]))
}

/// What the first words tell when a program is given nothing but options: the entry point may be `java`, as in the
/// distroless images.
fn options<'a>(first: &'a str, arguments: &[&'a str]) -> Seen<'a> {
    match (first, arguments.first()) {
        ("-jar", Some(archive)) if archive.ends_with(".jar") => program(archive, Runtime::Jvm, None, 80, arguments),
        _ => Seen::Nothing,
    }
}

/// What the options of a program tell that nobody knows: those of the JVM and of start scripts made for it.
fn options_of<'a>(word: &'a str, arguments: &[&'a str]) -> Option<Seen<'a>> {
    let jar = arguments.windows(2).any(|pair| matches!(pair, ["-jar", archive] if archive.ends_with(".jar")));
    if jar {
        return Some(program(word, Runtime::Jvm, None, 80, arguments));
    }
    let sees = |prefix: &str| arguments.iter().take(16).any(|word| word.starts_with(prefix));
    if sees("-J-X") || sees("-J-D") || sees("-Dplay.") || sees("-Dconfig.file=") || sees("-Dconfig.resource=") {
        return Some(program(word, Runtime::Jvm, None, 80, arguments));
    }
    let property = |word: &str| word.starts_with("-D") && word.contains('.') && word.contains('=');
    if word.contains("bin/") && arguments.iter().take(16).any(|word| property(word)) {
        return Some(program(word, Runtime::Jvm, None, 80, arguments));
    }
    // A native image takes system properties and no other option of the JVM: the Dockerfile that Quarkus makes.
    let native = sees("-Dquarkus.") || sees("-Dmicronaut.");
    (native && !sees("-X")).then(|| program(word, Runtime::GraalVmNative, None, 80, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_behind_wrappers_is_found() {
        for words in [
            &["env", "unshare", "--mount", "--propagation", "private", "sh", "-c", "exec node a.js"][..],
            &["env", "-S", "PORT=80 node --enable-source-maps a.js"],
            &["env", "--split-string=node a.js"],
            &["flock", "-n", "/tmp/lock", "-c", "cd /app && node a.js"],
            &["script", "-qc", "node a.js", "/dev/null"],
            &["runuser", "app", "-c", "node a.js"],
            &["runuser", "-u", "app", "--", "node", "a.js"],
            &["setpriv", "--reuid", "1000", "--clear-groups", "tini", "--", "nice", "-5", "node", "a.js"],
            &["taskset", "0x3", "timeout", "-k", "5", "1h", "stdbuf", "-oL", "node", "a.js"],
        ] {
            let program = read(words, Trust::Certain).program();
            assert_eq!(program.map(|program| program.runtime), Some(Runtime::Node), "{words:?}");
        }
    }

    #[test]
    fn what_belongs_to_the_program_is_not_read_as_the_wrappers() {
        let program = read(&["env", "python", "-S", "node a.js"], Trust::Certain).program();
        assert_eq!(program.map(|program| program.runtime), Some(Runtime::CPython));
        assert!(read(&["env", "-S", ""], Trust::Certain).program().is_none());
    }
}
