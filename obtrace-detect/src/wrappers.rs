//! Programs that start another program: inits, privilege droppers, timers, secret loaders, virtual environments.

use crate::Runtime;

/// How to find the program behind a wrapper.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapper {
    name: &'static str,
    /// Words of which the first must follow for it to be a wrapper at all; empty: always one.
    commands: &'static [&'static str],
    /// Options that take the next word as their value.
    valued: &'static [&'static str],
    /// Options whose value is a whole command line in one word.
    texts: &'static [&'static str],
    /// Words that stand between the options and the program.
    words: usize,
    /// What runs if the program behind it tells nothing.
    pub(crate) runtime: Option<Runtime>,
}

const fn plain(name: &'static str) -> Wrapper {
    Wrapper { name, commands: &[], valued: &[], texts: &[], words: 0, runtime: None }
}

impl Wrapper {
    const fn with_values(self, valued: &'static [&'static str]) -> Self {
        Self { valued, ..self }
    }

    const fn with_texts(self, texts: &'static [&'static str]) -> Self {
        Self { texts, ..self }
    }

    const fn with_words(self, words: usize) -> Self {
        Self { words, ..self }
    }

    const fn behind(self, commands: &'static [&'static str]) -> Self {
        Self { commands, ..self }
    }

    const fn of(self, runtime: Runtime) -> Self {
        Self { runtime: Some(runtime), ..self }
    }
}

/// Sorted by name.
const WRAPPERS: &[Wrapper] = &[
    plain("aws-lambda-rie"),
    plain("aws-vault").behind(&["exec"]).with_words(1),
    plain("berglas").behind(&["exec"]),
    plain("builtin"),
    plain("bundle").behind(&["exec"]).with_values(&["--gemfile"]).of(Runtime::CRuby),
    plain("bunx").of(Runtime::Bun),
    plain("busybox"),
    plain("catatonit"),
    plain("catchsegv"),
    plain("cgexec").with_values(&["-g"]),
    plain("chamber").behind(&["exec"]).with_words(1),
    plain("chpst").with_values(&["-u", "-U", "-b", "-e", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c", "-r"]),
    plain("chroot").with_words(1),
    plain("chrt").with_values(&["-T", "-P", "-D"]).with_words(1),
    plain("command"),
    plain("conda").behind(&["run"]).with_values(&["-n", "--name", "-p", "--prefix", "--cwd"]).of(Runtime::CPython),
    plain("coverage").behind(&["run"]).with_values(&["--source", "--rcfile"]).of(Runtime::CPython),
    plain("cross-env").of(Runtime::Node),
    plain("cross-env-shell").of(Runtime::Node),
    plain("datadog-init"),
    plain("ddprof").with_values(&["-S", "-l"]),
    plain("ddtrace-run").of(Runtime::CPython),
    plain("debugpy").of(Runtime::CPython),
    plain("dlv").behind(&["exec"]),
    plain("doas").with_values(&["-u", "-C"]),
    plain("docker-init"),
    plain("dockerize").with_values(&["-wait", "-timeout", "-template", "-stdout", "-stderr", "-env", "-delims"]),
    plain("doppler").behind(&["run"]).with_values(&["-p", "--project", "-c", "--config", "-t", "--token"]),
    plain("dotenv").with_values(&["-f", "--file", "-e", "-c"]),
    plain("dumb-init").with_values(&["-r", "--rewrite"]),
    plain("dumb-init.sh"),
    plain("eatmydata"),
    plain("elastic-apm-run").of(Runtime::CPython),
    plain("elasticapm-run").of(Runtime::CPython),
    plain("env")
        .with_values(&["-u", "--unset", "-C", "--chdir", "-a", "--argv0"])
        .with_texts(&["-S", "--split-string"]),
    plain("env-cmd").with_values(&["-f", "--file", "-e", "--environments"]).of(Runtime::Node),
    plain("envconsul").with_values(&["-config", "-prefix", "-secret", "-consul-addr", "-vault-addr"]),
    plain("envdir").with_words(1),
    plain("exec").with_values(&["-a"]),
    plain("flock")
        .with_values(&["-w", "--timeout", "--wait", "-E", "--conflict-exit-code"])
        .with_texts(&["-c", "--command"])
        .with_words(1),
    plain("gosu").with_words(1),
    plain("hatch").behind(&["run"]).of(Runtime::CPython),
    plain("infisical").behind(&["run"]).with_values(&["--env", "--path", "--projectId", "--token", "--domain"]),
    plain("ionice").with_values(&["-c", "-n", "-p", "--class", "--classdata"]),
    plain("launcher"),
    plain("mamba").behind(&["run"]).with_values(&["-n", "--name", "-p", "--prefix", "--cwd"]).of(Runtime::CPython),
    plain("micromamba").behind(&["run"]).with_values(&["-n", "--name", "-p", "--prefix"]).of(Runtime::CPython),
    plain("newrelic-admin").behind(&["run-program", "run-python"]).of(Runtime::CPython),
    plain("nice").with_values(&["-n", "--adjustment"]),
    plain("nohup"),
    plain("npm").behind(&["exec", "x"]).with_values(&["-p", "--package"]).of(Runtime::Node),
    plain("npx").with_values(&["-p", "--package"]).of(Runtime::Node),
    plain("nsenter").with_values(&["-t", "--target", "-S", "--setuid", "-G", "--setgid"]),
    plain("numactl").with_values(&[
        "-m",
        "--membind",
        "-N",
        "--cpunodebind",
        "-C",
        "--physcpubind",
        "-i",
        "--interleave",
        "-p",
        "--preferred",
    ]),
    plain("op").behind(&["run"]).with_values(&["--env-file", "--account"]),
    plain("opentelemetry-instrument")
        .with_values(&[
            "--traces_exporter",
            "--metrics_exporter",
            "--logs_exporter",
            "--service_name",
            "--exporter_otlp_endpoint",
        ])
        .of(Runtime::CPython),
    plain("pdm").behind(&["run"]).of(Runtime::CPython),
    plain("pipenv").behind(&["run"]).of(Runtime::CPython),
    plain("pixi").behind(&["run"]).with_values(&["-e", "--environment", "--manifest-path"]).of(Runtime::CPython),
    plain("pnpm").behind(&["exec", "dlx"]).of(Runtime::Node),
    plain("poetry").behind(&["run"]).of(Runtime::CPython),
    plain("prlimit"),
    plain("proot"),
    plain("py-spy").behind(&["record"]).of(Runtime::CPython),
    plain("runuser").with_values(&["-u", "--user", "-g", "--group", "-G", "--supp-group", "-s", "--shell"]),
    plain("rye").behind(&["run"]).of(Runtime::CPython),
    plain("s6-envuidgid").with_words(1),
    plain("s6-setuidgid").with_words(1),
    plain("s6-softlimit"),
    plain("scout-apm").of(Runtime::CPython),
    plain("script").with_values(&["-I", "-O", "-B", "-T", "-E", "-m", "-o"]).with_texts(&["-c", "--command"]),
    plain("secrets-init").with_values(&["--provider"]),
    plain("setarch").with_words(1),
    plain("setpriv").with_values(&[
        "--reuid",
        "--regid",
        "--ruid",
        "--euid",
        "--rgid",
        "--egid",
        "--groups",
        "--inh-caps",
        "--ambient-caps",
        "--bounding-set",
        "--securebits",
        "--pdeathsig",
        "--selinux-label",
        "--apparmor-profile",
    ]),
    plain("setsid"),
    plain("setuidgid").with_words(1),
    plain("softlimit").with_values(&["-m", "-d", "-s", "-l", "-a", "-o", "-p", "-f", "-c", "-r", "-t"]),
    plain("splunk-py-trace").of(Runtime::CPython),
    plain("ssm-env"),
    plain("stdbuf").with_values(&["-i", "--input", "-o", "--output", "-e", "--error"]),
    plain("strace").with_values(&["-e", "-o", "-p", "-s"]),
    plain("su-exec").with_words(1),
    plain("sudo").with_values(&["-u", "-g", "--user", "--group", "-h", "-p", "-C"]),
    plain("summon").with_values(&["-f", "-p", "-e"]),
    plain("systemd-run").with_values(&[
        "-p",
        "--property",
        "-u",
        "--unit",
        "-E",
        "--setenv",
        "-M",
        "--slice",
        "--uid",
        "--gid",
    ]),
    // `taskset 0x3 node`, and with `-c` a list in the mask's place.
    plain("taskset").with_words(1),
    plain("teller").behind(&["run"]),
    plain("thrust").of(Runtime::CRuby),
    plain("time"),
    plain("timeout").with_values(&["-s", "-k", "--signal", "--kill-after"]).with_words(1),
    plain("tini").with_values(&["-e", "-p"]),
    plain("tini-static").with_values(&["-e", "-p"]),
    plain("unbuffer"),
    plain("unshare").with_values(&[
        "--propagation",
        "--setgroups",
        "-R",
        "--root",
        "-w",
        "--wd",
        "-S",
        "--setuid",
        "-G",
        "--setgid",
        "--map-user",
        "--map-group",
        "--map-users",
        "--map-groups",
        "--monotonic",
        "--boottime",
    ]),
    plain("uv")
        .behind(&["run"])
        .with_values(&[
            "--with",
            "-p",
            "--python",
            "--extra",
            "--group",
            "--env-file",
            "--project",
            "--directory",
            "--package",
            "--index",
            "--index-url",
            "--cache-dir",
            "--only-group",
            "--no-group",
        ])
        .of(Runtime::CPython),
    plain("uvx").with_values(&["--from", "--with", "-p", "--python"]).of(Runtime::CPython),
    plain("valgrind"),
    plain("vault-env"),
    plain("wait-for").with_values(&["-t"]),
    plain("wait-for-it").with_values(&["-t", "-h", "-p"]),
    plain("wait-for-it.sh").with_values(&["-t", "-h", "-p"]),
    plain("wait-for.sh").with_values(&["-t"]),
    plain("waitforit").with_values(&["-host", "-port", "-address", "-timeout"]),
    plain("with-contenv"),
    plain("xvfb-run").with_values(&["-n", "-s", "-e", "-f", "--server-args", "--server-num"]),
    plain("yarn").behind(&["dlx", "exec"]).of(Runtime::Node),
];

/// The wrapper of that base name.
pub(crate) fn wrapper(name: &str) -> Option<&'static Wrapper> {
    let index = WRAPPERS.binary_search_by(|wrapper| wrapper.name.cmp(name)).ok()?;
    WRAPPERS.get(index)
}

impl Wrapper {
    /// The command line behind the wrapper, which may be empty; `None` if this is none here (`poetry install`).
    pub(crate) fn inner<'w, 'a>(&self, arguments: &'w [&'a str]) -> Option<&'w [&'a str]> {
        let mut rest = arguments;
        if !self.commands.is_empty() {
            let at = rest.iter().position(|word| !word.starts_with('-'))?;
            if !rest.get(at).is_some_and(|word| self.commands.contains(word)) {
                return None;
            }
            rest = rest.get(at + 1..)?;
        }
        let mut words = self.words;
        while let Some((first, behind)) = rest.split_first() {
            if *first == "--" {
                return Some(behind);
            }
            let option = first.starts_with('-') || first.starts_with('+');
            if option {
                rest = if self.valued.contains(first) { behind.get(1..).unwrap_or(&[]) } else { behind };
            } else if is_assignment(first) || is_address(first) {
                rest = behind;
            } else if words > 0 {
                words -= 1;
                rest = behind;
            } else {
                break;
            }
        }
        Some(rest)
    }
}

impl Wrapper {
    /// The command line that an option gives in one word, and the words behind it: `env -S "node a.js"`, `flock FILE -c "node a.js"`.
    pub(crate) fn text<'w, 'a>(&self, arguments: &'w [&'a str]) -> Option<(&'a str, &'w [&'a str])> {
        let mut rest = arguments;
        let mut words = self.words;
        while let Some((first, behind)) = rest.split_first() {
            if let Some(found) = self.texts.iter().find_map(|option| value_of(option, first, behind)) {
                return Some(found);
            }
            rest = if self.valued.contains(first) { behind.get(1..).unwrap_or(&[]) } else { behind };
            if !first.starts_with('-') && !is_assignment(first) {
                words = words.checked_sub(1)?;
            }
            if *first == "--" {
                return None;
            }
        }
        None
    }
}

/// The value of an option, if the word is that option: `-S VALUE`, `-vS VALUE`, `-SVALUE`, `--long VALUE`, `--long=VALUE`.
fn value_of<'w, 'a>(option: &str, word: &'a str, behind: &'w [&'a str]) -> Option<(&'a str, &'w [&'a str])> {
    let next = || behind.split_first().map(|(value, behind)| (*value, behind));
    if let Some(tail) = word.strip_prefix(option) {
        return match tail.strip_prefix('=').unwrap_or(tail) {
            "" => next(),
            value if option.starts_with("--") == tail.starts_with('=') => Some((value, behind)),
            _ => None,
        };
    }
    let letter = option.strip_prefix('-').filter(|letter| letter.len() == 1)?;
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    // `-oL` is an option with its value, `-qc` two without.
    let cluster = letters.ends_with(letter)
        && letters.bytes().all(|byte| byte.is_ascii_lowercase() || letter.as_bytes() == [byte]);
    cluster.then(next).flatten()
}

/// Whether the word sets a variable, as in `PORT=80 node app.js`.
pub(crate) fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether the word is what the waiting wrappers wait for: `db:5432`.
pub(crate) fn is_address(word: &str) -> bool {
    let Some((host, port)) = word.rsplit_once(':') else { return false };
    !host.is_empty() && !port.is_empty() && !host.contains('/') && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        for pair in WRAPPERS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} and {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn options_values_and_words_of_the_wrapper_are_skipped() {
        for line in [
            "tini -- node a.js",
            "tini -s -e 143 node a.js",
            "dumb-init --rewrite 15:2 -- node a.js",
            "env -u A B=1 C=2 node a.js",
            "gosu app:app node a.js",
            "su-exec 1000 node a.js",
            "timeout -k 5 --preserve-status 30s node a.js",
            "nice -n 5 node a.js",
            "nice -n5 node a.js",
            "nice --adjustment 5 node a.js",
            "nice -5 node a.js",
            "ionice -c 2 -n 3 node a.js",
            "ionice -c2 -n3 node a.js",
            "taskset 0x3 node a.js",
            "taskset -c 0,1 node a.js",
            "numactl -N 0 --membind 0 node a.js",
            "numactl --interleave=all node a.js",
            "timeout --signal=KILL --foreground 5m node a.js",
            "stdbuf --output L -e0 node a.js",
            "setsid -w node a.js",
            "nohup node a.js",
            "catatonit -- node a.js",
            "setpriv --reuid 1000 --regid=1000 --clear-groups node a.js",
            "setpriv --inh-caps -all --no-new-privs -- node a.js",
            "chroot --userspec=1:1 /x node a.js",
            "unshare -rm --propagation private --wd /app node a.js",
            "unshare --map-root-user --fork --pid --kill-child node a.js",
            "nsenter -t 1 -m -- node a.js",
            "s6-setuidgid app node a.js",
            "s6-envuidgid app node a.js",
            "softlimit -m 100000 node a.js",
            "chrt -r 1 node a.js",
            "flock -n /tmp/lock node a.js",
            "doas -u app node a.js",
            "cgexec -g cpu:x node a.js",
            "systemd-run --scope -p MemoryMax=1G node a.js",
            "prlimit --nofile=1024 node a.js",
            "runuser -u app -- node a.js",
            "env -i -C /app PATH=/bin node a.js",
            "wait-for-it.sh -t 30 db:5432 -- node a.js",
            "dockerize -wait tcp://db:5432 -timeout 60s node a.js",
            "doppler run -p shop -- node a.js",
            "npm exec -- node a.js",
            "uv run --with x node a.js",
            "chamber exec shop -- node a.js",
        ] {
            let words: alloc::vec::Vec<_> = line.split(' ').collect();
            let wrapper = wrapper(words[0]).unwrap();
            assert_eq!(wrapper.inner(&words[1..]), Some(&["node", "a.js"][..]), "{line}");
        }
    }

    #[test]
    fn a_command_line_in_one_word_is_found() {
        for (words, wanted) in [
            (&["env", "-S", "node a.js"][..], Some(("node a.js", &[][..]))),
            (&["env", "-i", "A=1", "-S", "B=2 node", "a.js"], Some(("B=2 node", &["a.js"][..]))),
            (&["env", "-vS", "node a.js"], Some(("node a.js", &[][..]))),
            (&["env", "-Snode a.js"], Some(("node a.js", &[][..]))),
            (&["env", "--split-string=node a.js"], Some(("node a.js", &[][..]))),
            (&["env", "--split-string", "node a.js"], Some(("node a.js", &[][..]))),
            (&["flock", "-n", "/tmp/lock", "-c", "node a.js"], Some(("node a.js", &[][..]))),
            (&["script", "-qc", "node a.js", "/dev/null"], Some(("node a.js", &["/dev/null"][..]))),
            // What belongs to the program is none of the wrapper's.
            (&["env", "node", "-S", "a.js"], None),
            (&["env", "--", "-S", "a.js"], None),
            (&["env", "-u", "-S", "node", "a.js"], None),
            (&["flock", "/tmp/lock", "node", "-c", "a.js"], None),
            (&["env", "-S"], None),
            (&["env", "--split-strings=node"], None),
            (&["tini", "-c", "node"], None),
        ] {
            assert_eq!(wrapper(words[0]).unwrap().text(&words[1..]), wanted, "{words:?}");
        }
    }

    #[test]
    fn another_command_of_the_program_is_no_wrapping() {
        assert_eq!(wrapper("poetry").unwrap().inner(&["install"]), None);
        assert_eq!(wrapper("bundle").unwrap().inner(&[]), None);
        assert_eq!(wrapper("tini").unwrap().inner(&[]), Some(&[][..]));
        assert!(wrapper("tin").is_none());
    }
}
