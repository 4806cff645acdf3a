//! Running processes, as they are read from `/proc`.
#![cfg(all(feature = "proc", target_os = "linux"))]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use obtrace_detect::{
    Runtime,
    process::{Executable, ProcessErrorKind, Reader, inspect, read},
};

/// A process that ends with the test.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program is there");
        let out = child.stdout.take().map(BufReader::new).expect("it is piped");
        Self(child, out)
    }

    /// `cat`, which waits for its input.
    fn cat() -> Self {
        let variables = [("NODE_VERSION", "22.1.0"), ("PASSWORD", "secret")];
        let mut this = Self::start(Command::new("cat").env_clear().envs(variables));
        this.say("go\n");
        this.hear("go\n");
        this
    }

    fn say(&mut self, line: &str) {
        let to = self.0.stdin.as_mut().expect("it is piped");
        to.write_all(line.as_bytes()).expect("it reads");
    }

    /// Waits until it prints this line. By then all of the program is loaded: its name is there long before its
    /// arguments, and those before its libraries.
    fn hear(&mut self, wanted: &str) {
        let mut line = String::new();
        self.1.read_line(&mut line).expect("it prints text");
        assert_eq!(line, wanted);
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn eventually(is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "waited in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

fn kind(pid: u32) -> Option<ProcessErrorKind> {
    read(pid).err().map(|error| error.kind())
}

#[test]
fn this_process() {
    let process = read(std::process::id()).unwrap();
    let inspection = inspect(&process);
    assert_eq!(inspection.runtime, Runtime::Rust);
    assert_eq!(inspection.architecture, Some(std::env::consts::ARCH));
    assert_eq!(process.exe.as_deref(), std::env::current_exe().unwrap().to_str());
    assert!(process.cmdline.iter().eq(std::env::args().collect::<Vec<_>>().iter()));
    assert!(process.maps.iter().any(|path| Some(path.as_ref()) == process.exe.as_deref()));
}

#[test]
fn only_telling_variables_are_kept() {
    let cat = Running::cat();
    let process = read(cat.id()).unwrap();
    let names: Vec<&str> = process.env.iter().map(|var| var.name.as_ref()).collect();
    assert_eq!(names, ["NODE_VERSION"]);
}

#[test]
fn executables_and_processes_are_remembered() {
    let (first, second) = (Running::cat(), Running::cat());
    let mut reader = Reader::new();
    assert_eq!(reader.executable_bytes(), 0);
    let process = reader.read(first.id()).unwrap();
    let bytes = reader.executable_bytes();
    assert!(bytes > 0 && bytes <= Executable::LIMIT, "{bytes}");
    // The same program in another process: its file is not read again.
    let other = reader.read(second.id()).unwrap();
    assert_eq!((other.exe.as_ref(), reader.executable_bytes()), (process.exe.as_ref(), bytes));
    assert!(Arc::ptr_eq(&process, &reader.read(first.id()).unwrap()));
}

#[test]
fn a_process_that_becomes_another_program_is_read_anew() {
    let mut shell = Running::start(Command::new("sh").args(["-c", "read line; exec cat"]));
    let mut reader = Reader::new();
    eventually(|| read(shell.id()).is_ok_and(|process| inspect(&process).wrapper.is_some()));
    let before = reader.read(shell.id()).unwrap();
    // One line for the shell, which takes no more, and one for what it becomes.
    shell.say("go\n");
    shell.say("on\n");
    shell.hear("on\n");
    let after = reader.read(shell.id()).unwrap();
    assert_ne!(before.exe, after.exe);
    assert_eq!(after.cmdline, ["cat"]);
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_do() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    eventually(|| kind(pid) == Some(ProcessErrorKind::Zombie));
    child.wait().unwrap();
    let error = read(pid).unwrap_err();
    assert_eq!((error.kind(), error.pid()), (ProcessErrorKind::NotFound, pid));
    assert!(error.to_string().starts_with(&format!("cannot read /proc/{pid}: No such file")), "{error}");
    assert_eq!(kind(u32::MAX), Some(ProcessErrorKind::NotFound));
    let error = Reader::at("/nowhere").read(1).unwrap_err();
    assert_eq!(error.kind(), ProcessErrorKind::NoProc);
    assert!(error.to_string().contains("mount it"), "{error}");
}

#[test]
fn a_script_is_read_where_the_process_sees_it() {
    let folder = std::env::temp_dir().join(format!("obtrace-detect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // Python may be missing: a copy of `cat` by its name reads its script all the same.
    let program = folder.join("python3");
    std::fs::copy("/bin/cat", &program).unwrap();
    std::fs::write(folder.join("app.py"), "import os\nfrom flask import Flask\n").unwrap();
    let mut running = Running::start(Command::new(&program).args(["app.py", "-"]).current_dir(&folder));
    running.hear("import os\n");
    let process = read(running.id()).unwrap();
    let script = process.script.clone().unwrap();
    assert_eq!((script.path.as_ref(), script.imports.join(" ")), ("app.py", "os flask".to_owned()));
    // It is no Python: the name is all that says so.
    assert!(inspect(&process).confidence < obtrace_detect::Confidence::SOLID);
    drop(running);
    std::fs::remove_dir_all(folder).unwrap();
}
