//! Programs: run to their end, or kept as children that end with their guard.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{BufRead, BufReader, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{error::Error, interrupt};

/// A program with its arguments, before it runs.
pub(crate) struct Run {
    command: Command,
}

impl Run {
    /// `program` without arguments.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        // Programs that keep a cache (Go, pip) insist on it; CI and services may be without.
        if env::var_os("HOME").is_none()
            && let Some(home) = env::home_dir()
        {
            command.env("HOME", home);
        }
        // What cargo says of xtask to xtask. To a cargo below, build scripts that look at some of it would have changed with the checkout.
        let said = |name: &OsString| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"CARGO_PKG_") || name.starts_with(b"CARGO_MANIFEST_")
        };
        env::vars_os().map(|(name, _)| name).filter(said).for_each(|name| _ = command.env_remove(name));
        Self { command }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working folder.
    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// The command line as a person would type it.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end; its output goes where ours goes. A status other than 0 is an error.
    pub(crate) fn status(self) -> Result<(), Error> {
        let line = self.line();
        let status = self.exit_status()?;
        if status.success() { Ok(()) } else { Err(failed(line, describe(status))) }
    }

    /// Runs it to its end and returns whatever status it had.
    pub(crate) fn exit_status(mut self) -> Result<ExitStatus, Error> {
        let line = self.line();
        let status = self.command.stdin(Stdio::null()).status().map_err(|source| start(&line, source))?;
        interrupt::check()?;
        Ok(status)
    }

    /// Runs it to its end and returns what it printed on stdout. A status other than 0 is an error with its stderr.
    pub(crate) fn capture(mut self) -> Result<String, Error> {
        let line = self.line();
        let output = self.command.stdin(Stdio::null()).output().map_err(|source| start(&line, source))?;
        interrupt::check()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(line, format!("{}: {}", describe(output.status), said.trim())))
    }

    /// Runs it to its end and returns its status and what it printed, stdout first: for what runs beside others.
    pub(crate) fn gather(mut self) -> Result<(ExitStatus, String), Error> {
        let line = self.line();
        let output = self.command.stdin(Stdio::null()).output().map_err(|source| start(&line, source))?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok((output.status, said.into_owned()))
    }

    /// Runs it to its end with stdout and stderr passed on line by line, each line shown to `look` first.
    pub(crate) fn lines(mut self, mut look: impl FnMut(&str)) -> Result<ExitStatus, Error> {
        let line = self.line();
        let (reader, writer) = std::io::pipe().map_err(|source| start(&line, source))?;
        let twin = writer.try_clone().map_err(|source| start(&line, source))?;
        self.command.stdin(Stdio::null()).stdout(writer).stderr(twin);
        let mut child = self.command.spawn().map_err(|source| start(&line, source))?;
        // The command holds our copies of the writing end; the pipe ends only when they are gone.
        drop(self);
        let mut out = std::io::stdout();
        let mut reader = BufReader::new(reader);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
            look(String::from_utf8_lossy(&bytes).trim_end());
            // A closed stdout is no reason to stop the program.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
            bytes.clear();
        }
        let status = child.wait().map_err(|source| start(&line, source))?;
        interrupt::check()?;
        Ok(status)
    }

    /// Starts it in a process group of its own, output into `log`. It ends with the returned guard.
    pub(crate) fn start(mut self, name: &str, log: &Path) -> Result<Running, Error> {
        let file = File::create(log).map_err(Error::file("write", log))?;
        let twin = file.try_clone().map_err(Error::file("write", log))?;
        self.command.stdout(file).stderr(twin);
        self.spawn(name)
    }

    /// As [`Run::start`], but only stderr goes into `log`, stdout where ours goes.
    pub(crate) fn start_visible(mut self, name: &str, log: &Path) -> Result<Running, Error> {
        self.command.stderr(File::create(log).map_err(Error::file("write", log))?);
        self.spawn(name)
    }

    fn spawn(mut self, name: &str) -> Result<Running, Error> {
        let line = self.line();
        // Its own group: Ctrl-C on the terminal reaches us alone, and we end everything in order.
        let child =
            self.command.stdin(Stdio::null()).process_group(0).spawn().map_err(|source| start(&line, source))?;
        Ok(Running { name: name.to_owned(), child, kept: false })
    }
}

/// A program that runs. Dropping it ends its whole process group.
pub(crate) struct Running {
    /// What it is called in messages.
    pub(crate) name: String,
    child: Child,
    kept: bool,
}

impl Running {
    /// Its process id, which is also its process group's.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Leaves it running after this process.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// Asks it to end with SIGINT, as Ctrl-C would, and waits at most `limit`.
    pub(crate) fn stop(mut self, limit: Duration) -> Option<ExitStatus> {
        self.end(Signal::INT, limit)
    }

    fn end(&mut self, signal: Signal, limit: Duration) -> Option<ExitStatus> {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)?;
        if let Some(status) = self.ended() {
            // Its children may have outlived it.
            let _ = kill_process_group(group, Signal::KILL);
            return Some(status);
        }
        let _ = kill_process_group(group, signal);
        for _ in 0..limit.as_millis() / 20 {
            if let Some(status) = self.ended() {
                let _ = kill_process_group(group, Signal::KILL);
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(group, Signal::KILL);
        self.child.wait().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.kept {
            self.end(Signal::TERM, Duration::from_secs(5));
        }
    }
}

/// What an exit status says.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn start(line: &str, source: std::io::Error) -> Error {
    Error::Start { command: line.to_owned(), source }
}

fn failed(command: String, status: String) -> Error {
    Error::Failed { command, status }
}

fn quoted(word: &OsStr) -> String {
    let word: OsString = word.to_owned();
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
