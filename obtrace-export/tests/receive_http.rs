//! The receiver as senders see it, the hostile ones too.
#![cfg(feature = "receive")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use obtrace_export::receive::{Counts, Format, Limits, Receiver, Request, Running, Signal};

const BODY: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{}]}]}]}"#;
const JSON: &str = "Content-Type: application/json\r\n";

struct World {
    running: Running,
    requests: mpsc::Receiver<Request>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let (sender, requests) = mpsc::channel();
        let receiver = Receiver::bind(("127.0.0.1", 0), limits).unwrap();
        let running = receiver.spawn_thread(move |request| sender.send(request).unwrap()).unwrap();
        Self { running, requests }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.local_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// What is answered to these bytes, up to the end of the connection.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // It may be closed before all of it was sent.
        let _ = stream.write_all(bytes);
        rest(stream)
    }

    /// What is answered to one request.
    fn send(&self, line: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.say(&[head.as_bytes(), body].concat())
    }

    fn stop(self) -> Counts {
        self.running.stop(Duration::from_secs(5))
    }
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset behind the answer is no matter of the answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.body = 64 << 10;
    limits.decompressed = 256 << 10;
    (limits.head_time, limits.body_time) = (Duration::from_millis(600), Duration::from_millis(600));
    limits
}

#[test]
fn both_paths_both_forms_and_gzip_are_taken() {
    let world = World::new(Limits::default());
    for prefix in ["", "/otlp"] {
        for signal in ["traces", "logs", "metrics"] {
            let line = format!("POST {prefix}/v1/{signal}?x=1");
            let answer = world.send(&line, &format!("{JSON}X-Obtrace-Source: zero-agent-nodejs\r\n"), b"{}");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
            assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
            let request = world.requests.recv().unwrap();
            assert_eq!((&*request.path, request.signal.name()), (&line[5..line.len() - 4], signal));
            assert_eq!(request.header("x-obtrace-source"), Some("zero-agent-nodejs"));
            let answer = world.send(&line, "Content-Type: application/x-protobuf\r\n", b"");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
            assert!(answer.contains("content-type: application/x-protobuf\r\n"), "{answer}");
            assert_eq!(world.requests.recv().unwrap().format, Format::Protobuf);
        }
    }
    let headers = "Content-Type: Application/JSON; charset=utf-8\r\nContent-Encoding: gzip\r\n";
    assert_eq!(status(&world.send("POST /v1/logs", headers, &gzip(BODY.as_bytes()))), 200);
    let request = world.requests.recv().unwrap();
    assert_eq!((request.signal, request.telemetry.items(), &request.body[..]), (Signal::Logs, 2, BODY.as_bytes()));
    let chunked = format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n");
    let chunks =
        BODY.as_bytes().chunks(10).map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap()));
    let chunked = format!(
        "{chunked}{}0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        chunks.collect::<String>()
    );
    let answer = world.say(chunked.as_bytes());
    assert!(status(&answer) == 200 && answer.contains("HTTP/1.1 404 Not Found"), "on one connection: {answer}");
    let counts = world.stop();
    assert_eq!((counts.requests, counts.logs, counts.spans, counts.refused), (14, 4, 0, 1));
}

#[cfg(feature = "zstd")]
#[test]
fn zstandard_is_taken_and_opened_no_further_than_the_bound() {
    use obtrace_export::compress::{Compressor, Method};

    let zstd = |bytes: &[u8]| {
        let mut out = Vec::new();
        Compressor::new(Method::Zstd).unwrap().compress(bytes, &mut out).unwrap();
        out
    };
    let world = World::new(small());
    let headers = format!("{JSON}Content-Encoding: zstd\r\n");
    assert_eq!(status(&world.send("POST /v1/logs", &headers, &zstd(BODY.as_bytes()))), 200);
    assert_eq!(world.requests.recv().unwrap().body, BODY.as_bytes());
    assert_eq!(status(&world.send("POST /v1/logs", &headers, &zstd(&vec![b' '; 64 << 20]))), 413);
    assert_eq!(status(&world.send("POST /v1/logs", &headers, BODY.as_bytes())), 400);
    assert_eq!(world.stop().refused, 2);
}

#[test]
fn what_is_not_taken_is_refused_in_the_senders_own_form() {
    let world = World::new(small());
    let protobuf = "Content-Type: application/x-protobuf\r\n";
    let mut refused = 0;
    for (line, headers, body, code, what) in [
        ("POST /v1/spans", JSON, &b"{}"[..], 404, r#"{"code":5,"message":"only /v1/traces"#),
        ("GET /v1/traces", JSON, b"", 405, r#"{"code":12,"message":"only POST"#),
        ("DELETE /otlp/v1/logs", "", b"", 405, r#"{"code":12,"#),
        ("POST /v1/logs", "", b"{}", 415, r#"{"code":3,"message":"Content-Type must be"#),
        ("POST /v1/logs", "Content-Type: text/plain\r\n", b"{}", 415, r#"{"code":3,"#),
        (
            "POST /v1/logs",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            b"{}",
            415,
            r#"{"code":3,"message":"Content-Encoding"#,
        ),
        ("POST /v1/logs", JSON, b"{", 400, r#"{"code":3,"message":"text expected at byte 1"}"#),
        ("POST /v1/logs", JSON, b"", 400, r#"{"code":3,"message":"an object expected"#),
        (
            "POST /v1/logs",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            b"{}",
            400,
            r#"{"code":3,"message":"the body is no gzip"#,
        ),
        (
            "POST /v1/logs",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            &gzip(b"{}")[..12],
            400,
            "it is cut off",
        ),
        ("POST /v1/logs", protobuf, b"\x0a\x05a", 400, "\x08\x03\x12"),
        ("POST /v1/nothing", protobuf, b"", 404, "\x08\x05\x12"),
    ] {
        let answer = world.send(line, headers, body);
        assert!(status(&answer) == code && answer.contains(what), "{line} {headers}: {answer}");
        assert_eq!(answer.contains("allow: POST"), code == 405, "{answer}");
        refused += 1;
    }
    // Nobody of them stopped it.
    assert_eq!(status(&world.send("POST /v1/logs", JSON, BODY.as_bytes())), 200);
    assert_eq!(world.requests.try_iter().count(), 1);
    let counts = world.stop();
    assert_eq!((counts.requests, counts.refused), (1, refused));
}

#[test]
fn too_much_is_refused() {
    let world = World::new(small());
    let head = format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\n{JSON}");
    // Announced: not a byte of it is waited for.
    let began = Instant::now();
    for length in ["65537", "9223372036854775807"] {
        let answer = world.say(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes());
        let what = r#"{"code":8,"message":"the body is larger than 65536 bytes"}"#;
        assert!(status(&answer) == 413 && answer.ends_with(what), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_millis(500));
    // Not announced.
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let answer = world.say(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(8)).as_bytes());
    assert_eq!(status(&answer), 413, "{answer}");
    // A bomb: 64 MiB in 64 KiB.
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 64 << 10);
    let answer = world.send("POST /v1/logs", &format!("{JSON}Content-Encoding: gzip\r\n"), &bomb);
    assert!(status(&answer) == 413 && answer.contains("larger than 262144 bytes"), "{answer}");
    let deep = format!(r#"{{"resourceLogs":{}"#, "[".repeat(50_000));
    assert_eq!(status(&world.send("POST /v1/logs", JSON, deep.as_bytes())), 400);
    let heads = format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    assert_eq!(status(&world.say(heads.as_bytes())), 431);
    assert_eq!(status(&world.say(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03TLS is not spoken here\r\n\r\n")), 400);
    assert_eq!(status(&world.send("POST /v1/logs", JSON, BODY.as_bytes())), 200);
    assert_eq!(world.stop().refused, 7);
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let world = World::new(small());
    let open = |text: &str| {
        let mut stream = world.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let began = Instant::now();
    let body = open(&format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\n{JSON}Content-Length: 100\r\n\r\n{{"));
    let head = open("POST /v1/logs HTTP/1.1\r\nHost: a\r\n");
    let nothing = open("");
    // Meanwhile others are served.
    assert_eq!(status(&world.send("POST /v1/logs", JSON, BODY.as_bytes())), 200);
    let answer = rest(body);
    assert!(
        status(&answer) == 408 && answer.contains(r#"{"code":4,"message":"the body did not come within 0.6 s"#),
        "{answer}"
    );
    assert!(matches!(status(&rest(head)), 0 | 408) && rest(nothing).is_empty());
    let took = began.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

#[test]
fn what_is_held_at_a_time_is_bounded() {
    let mut limits = small();
    limits.held = 100 << 10;
    limits.body_time = Duration::from_secs(10);
    let world = World::new(limits);
    let half = |stream: &mut TcpStream| {
        let head =
            format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{JSON}Content-Length: 60001\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &[b' '; 60_000]].concat()).unwrap();
    };
    let (mut first, mut second) = (world.connect(), world.connect());
    half(&mut first);
    // Until its bytes are held.
    std::thread::sleep(Duration::from_millis(300));
    half(&mut second);
    let answer = rest(second);
    assert!(status(&answer) == 503 && answer.contains("retry-after: 1\r\n"), "{answer}");
    drop(first);
    std::thread::sleep(Duration::from_millis(300));
    let padded = format!("{}{BODY}", " ".repeat(60_000));
    assert_eq!(status(&world.send("POST /v1/logs", JSON, padded.as_bytes())), 200, "what was held is free again");
}

#[test]
fn more_connections_than_allowed_wait() {
    let mut limits = small();
    limits.connections = 2;
    limits.head_time = Duration::from_secs(1);
    let world = World::new(limits);
    let idle = [world.connect(), world.connect()];
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    assert_eq!(status(&world.send("POST /v1/logs", JSON, BODY.as_bytes())), 200);
    let waited = began.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    drop(idle);
}

#[test]
fn a_port_in_use_is_told_and_a_stopped_receiver_frees_it() {
    let world = World::new(Limits::default());
    let address = world.running.local_address();
    assert!(Receiver::bind(address, Limits::default()).is_err());
    // A request that has begun is waited for.
    let mut stream = world.connect();
    stream
        .write_all(format!("POST /v1/logs HTTP/1.1\r\nHost: a\r\n{JSON}Content-Length: 2\r\n\r\n").as_bytes())
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(b"{}").unwrap();
        rest(stream)
    });
    assert_eq!(world.stop().requests, 1);
    assert_eq!(status(&late.join().unwrap()), 200);
    drop(Receiver::bind(address, Limits::default()).unwrap());
}
