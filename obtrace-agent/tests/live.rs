//! The real agent on the real traffic of a small server and client. Needs root; says so where it has to be skipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const REQUESTS: usize = 20;

/// Answers each connection's requests until it is closed.
fn serve(listener: TcpListener) {
    for stream in listener.incoming().take(2) {
        let Ok(mut stream) = stream else { return };
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = String::new();
            while lines.read_line(&mut head).is_ok_and(|n| n > 2) {}
            if head.is_empty() {
                break;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    }
}

/// The requests of one connection, every second one sent one byte at a time.
fn drive(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    for number in 0..REQUESTS {
        let request = format!("GET /items/{number}?n={number} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        let step = if number % 2 == 0 { request.len() } else { 1 };
        request.as_bytes().chunks(step).for_each(|chunk| stream.write_all(chunk).unwrap());
        let mut answer = [0; 40];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.ends_with(b"ok"));
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

fn wait_for_line(agent: &mut Child, what: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(agent.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let found = line.contains(what);
        lines.push(line);
        if found {
            return lines;
        }
    }
    panic!("the agent ended without saying '{what}': {lines:?}");
}

#[test]
fn every_request_is_seen_once_at_both_ends_in_one_trace() {
    if !is_root() {
        eprintln!("skipped: the agent loads BPF programs, which needs root");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_obtrace-agent"))
        .args(["run", "--print", "jsonl", "--port", &port.to_string(), "--pid", &std::process::id().to_string()])
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_line(&mut agent, "watching 1 process");
    let server = thread::spawn(move || serve(listener));
    drive(port);
    drive(port);
    server.join().unwrap();
    thread::sleep(Duration::from_millis(500));
    let stopped = Instant::now();
    let ended = Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().unwrap();
    assert!(ended.success());
    let mut text = String::new();
    agent.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(agent.wait().unwrap().success());
    assert!(stopped.elapsed() < Duration::from_secs(5));

    let spans: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(spans.len(), 4 * REQUESTS, "two connections, two ends:\n{text}");
    let clients: HashSet<_> =
        spans.iter().filter(|s| s["kind"] == "client").map(|s| s["span_id"].to_string()).collect();
    assert_eq!(clients.len(), 2 * REQUESTS);
    for span in &spans {
        assert_eq!((&span["protocol"], &span["completeness"]), (&"http".into(), &"complete".into()), "{span}");
        assert_eq!((&span["name"], &span["status"]), (&"GET /items/{id}".into(), &"ok".into()), "{span}");
        assert_eq!(span["attributes"]["http.response.status_code"], 200);
        assert_eq!(span["attributes"]["server.port"], port);
        assert_eq!(span["resource"]["process.pid"], std::process::id());
        if span["kind"] == "server" {
            assert!(clients.contains(&span["parent_span_id"].to_string()), "{span}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_away_ends_it_quietly() {
    if !is_root() {
        eprintln!("skipped: the agent loads BPF programs, which needs root");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_obtrace-agent"))
        .args(["run", "--print", "text", "--port", &port.to_string(), "--pid", &std::process::id().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(agent.stdout.take());
    let mut said = BufReader::new(agent.stderr.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(first.starts_with("watching 1 process"), "{first}");
    let server = thread::spawn(move || serve(listener));
    drive(port);
    drive(port);
    server.join().unwrap();
    assert!(agent.wait().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("ERROR") && !rest.contains("error"), "{rest}");
}

#[test]
fn what_cannot_be_is_one_clear_message_and_the_right_code() {
    let agent = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_obtrace-agent")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said, out) = agent(&["run", "--frobnicate"]);
    assert!(code == Some(2) && said.contains("--frobnicate") && out.is_empty(), "{said}");
    let (code, said, _) = agent(&["run", "--port", "http"]);
    assert!(code == Some(2) && said.contains("ports such as 80"), "{said}");
    let (code, said, _) = agent(&["run", "--config", "/nowhere.yaml"]);
    assert!(code == Some(2) && said.contains("/nowhere.yaml"), "{said}");
    let (code, said, out) = agent(&["replay", "/nowhere.pcap"]);
    assert!(code == Some(1) && said.contains("/nowhere.pcap") && out.is_empty(), "{said}");
    if is_root() {
        let (code, said, _) = agent(&["run", "--pid", "4194303"]);
        assert!(code == Some(1) && said.contains("there is no process 4194303"), "{said}");
    } else {
        let (code, said, _) = agent(&["run"]);
        assert!(code == Some(77) && said.contains("root"), "{said}");
    }
}
