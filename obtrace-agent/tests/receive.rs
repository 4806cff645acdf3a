//! `obtrace-agent receive` as people run it, with bodies that the SDKs of OpenTelemetry wrote.
#![cfg(feature = "receive")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

struct Agent {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: SocketAddr,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obtrace-agent"));
    command.arg("receive").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Agent {
    fn start(form: &str) -> Self {
        Self::of(&mut command(&["--listen", "127.0.0.1:0", "--print", form]))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        Self { address: address.parse().unwrap(), child, stderr }
    }

    /// Sends a body; the status of the answer.
    fn post(&self, path: &str, headers: &str, body: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\nContent-Length: {length}\r\n\r\n"
        );
        // It may be refused before all of it was sent.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// Everything that was recorded.
    fn post_all(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../obtrace-export/testdata/receive");
        for signal in ["traces", "logs", "metrics"] {
            for (name, form) in [("node", "json"), ("python", "x-protobuf")] {
                let ending = if form == "json" { "json" } else { "pb" };
                let body = fs::read(folder.join(format!("{name}-{signal}.{ending}"))).unwrap();
                let headers = format!("Content-Type: application/{form}\r\nX-API-Key: canary");
                assert_eq!(self.post(&format!("/v1/{signal}"), &headers, &body), 200, "{name} {signal}");
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it; its status, standard output and the rest of standard error.
    fn end(mut self, signal: Signal) -> (ExitStatus, String, String) {
        self.signal(signal);
        let (mut out, mut said) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), out, said)
    }
}

#[test]
fn each_form_prints_everything_and_tells_the_sums() {
    // 4 spans, 2 log records, 8 metrics with a data point each.
    for (form, signal, lines) in [
        ("text", Signal::INT, 14),
        ("jsonl", Signal::TERM, 14),
        ("otlp-json", Signal::INT, 6),
        ("tree", Signal::TERM, 2 + 8 + 2 * (1 + 2 + 1)),
        ("none", Signal::TERM, 0),
    ] {
        let agent = Agent::start(form);
        agent.post_all();
        assert_eq!(agent.post("/v1/logs", "Content-Type: application/json", b"{\"resourceLogs\":7}"), 400);
        let (status, out, said) = agent.end(signal);
        assert_eq!(status.code(), Some(0), "{form}: {said}");
        assert_eq!(out.lines().count(), lines, "{form}:\n{out}");
        assert_eq!(said, "requests 6, spans 4, log records 2, metrics 8, refused requests 1\n", "{form}");
        assert!(!out.contains("canary"));
        if form.contains("json") {
            let valid = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|json| json.is_object());
            assert!(out.lines().all(valid), "{out}");
        }
        if form != "none" {
            assert!(out.contains("SELECT cart") && out.contains("disk full") && out.contains("temperature"), "{out}");
        }
    }
}

#[test]
fn a_tree_does_not_wait_for_the_end() {
    let mut agent = Agent::start("tree");
    agent.post_all();
    let began = Instant::now();
    let mut out = BufReader::new(agent.child.stdout.take().unwrap()).lines();
    assert!(out.by_ref().map(Result::unwrap).any(|line| line.starts_with("trace ")));
    let waited = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
    agent.signal(Signal::TERM);
    assert!(agent.child.wait().unwrap().success());
}

#[test]
fn hostile_senders_do_not_stop_it_nor_fill_its_memory() {
    let agent = Agent::start("text");
    let json = "Content-Type: application/json";
    let deep = format!(r#"{{"resourceSpans":{}"#, "[".repeat(1 << 20));
    assert_eq!(agent.post("/v1/traces", json, deep.as_bytes()), 400);
    // Within the bound of bytes, beyond that of items.
    let many = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(1_000_000));
    assert!(matches!(agent.post("/v1/traces", json, many.as_bytes()), 400 | 413));
    let links = "{},".repeat(1_300_000);
    let span = format!(r#"{{"traceId":"{0}{0}","spanId":"{0}","links":[{links}{{}}]}}"#, "ab".repeat(8));
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
    assert_eq!(agent.post("/v1/traces", json, body.as_bytes()), 413);
    assert_eq!(agent.post("/v1/traces", "Content-Type: text/html", b"<html>"), 415);
    assert_eq!(agent.post("/", json, b"{}"), 404);
    // Some say much and send nothing.
    let head = format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\n{json}\r\nContent-Length: 4000000\r\n\r\n[");
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(agent.address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    agent.post_all();
    let status = fs::read_to_string(format!("/proc/{}/status", agent.child.id())).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_some_and(|peak| peak < 200_000), "{peak:?} kB");
    drop(slow);
    let (status, _, said) = agent.end(Signal::TERM);
    assert!(status.success(), "{said}");
    assert!(said.starts_with("requests 6, ") && said.contains("refused requests"), "{said}");
}

#[test]
fn what_cannot_be_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(&["--listen", &address]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(
        said.contains(&format!("cannot listen on {address}: ")) && said.contains("another program has this port"),
        "{said}"
    );
    for nowhere in ["4318", "localhost", "127.0.0.1:80x", "no.such.name.invalid:4318"] {
        let output = command(&["--listen", nowhere]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("write HOST:PORT"), "{nowhere}: {said}");
    }
    let output = command(&["--print", "xml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_name_is_an_address_too() {
    let agent = Agent::of(&mut command(&["--listen", "localhost:0", "--print", "none"]));
    assert!(agent.address.ip().is_loopback(), "{}", agent.address);
    assert!(agent.end(Signal::INT).0.success());
}

#[test]
fn output_that_cannot_be_written_ends_it_with_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut agent = Agent::of(command(&["--listen", "127.0.0.1:0", "--print", "jsonl"]).stdout(full));
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
    assert_eq!(agent.post("/v1/logs", "Content-Type: application/json", body), 200);
    assert_eq!(agent.child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    agent.stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("error: cannot write to standard output: "), "{said}");
}

#[test]
fn a_reader_that_stops_reading_does_not_keep_it_alive() {
    let mut agent = Agent::start("jsonl");
    let record = format!(r#"{{"body":{{"stringValue":"{}"}}}}"#, "x".repeat(300_000));
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let mut stream = TcpStream::connect(agent.address).unwrap();
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    // Until it waits in the middle of the line: a pipe takes 64 KiB.
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    agent.signal(Signal::TERM);
    assert_eq!(agent.child.wait().unwrap().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let mut said = String::new();
    agent.stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("error: nobody reads standard output"), "{said}");
}

#[test]
fn a_reader_that_goes_away_ends_it_without_a_failure() {
    let mut agent = Agent::start("jsonl");
    drop(agent.child.stdout.take());
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
    assert_eq!(agent.post("/v1/logs", "Content-Type: application/json", body), 200);
    let status = agent.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}
