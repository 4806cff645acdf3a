//! An OTLP receiver that does what a script says, request by request, and remembers what it was sent.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What to do with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A whole reply: status, further header lines, body.
    Reply(u16, String, Vec<u8>),
    /// This status, and the head of the request as the body.
    Echo(u16),
    /// Part of a head, then a reset.
    ResetInHead,
    /// The head with this status, part of the body, then a reset.
    ResetInBody(u16),
    /// One byte of the reply each so often.
    Slow(Duration),
    /// Status 200 and a body of 10 GB.
    Huge,
    /// Header lines without end.
    EndlessHead,
    /// No answer for so long, then 200.
    Late(Duration),
    /// No answer for so long, then this status.
    LateStatus(Duration, u16),
}

impl Act {
    pub(crate) fn status(status: u16) -> Self {
        Self::Reply(status, String::new(), Vec::new())
    }

    pub(crate) fn retry_after(status: u16, value: &str) -> Self {
        Self::Reply(status, format!("Retry-After: {value}\r\n"), Vec::new())
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Reply(status, "Content-Type: application/json\r\n".to_owned(), body.as_bytes().to_vec())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// The connection that it came on, by the other end.
    pub(crate) peer: SocketAddr,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body without its compression.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        if self.head.to_ascii_lowercase().contains("content-encoding: gzip") {
            flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut plain).expect("the body is gzip");
            return plain;
        }
        self.body.clone()
    }

    /// Names of the spans of a JSON body, in order.
    pub(crate) fn span_names(&self) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.plain()).expect("the body is JSON");
        let mut names = Vec::new();
        for resource in body["resourceSpans"].as_array().expect("resourceSpans") {
            for scope in resource["scopeSpans"].as_array().expect("scopeSpans") {
                for span in scope["spans"].as_array().expect("spans") {
                    names.push(span["name"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
        names
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Act>>,
    /// What is answered to bodies that hold this.
    refused: Mutex<Option<(String, Act)>>,
    requests: Mutex<Vec<Request>>,
    active: AtomicUsize,
    most_active: AtomicUsize,
    written: AtomicUsize,
}

impl Server {
    /// A server on a free port; after the script it answers every request with 200 and `{}`.
    pub(crate) fn start(script: impl IntoIterator<Item = Act>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a loopback port"), script)
    }

    pub(crate) fn on(listener: TcpListener, script: impl IntoIterator<Item = Act>) -> Self {
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State { script: Mutex::new(script.into_iter().collect()), ..State::default() });
        let server = Self { address, state: Arc::clone(&state) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                // What the kernel would hold for us otherwise hides how much the peer reads.
                let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, 16 * 1024);
                thread::spawn(move || while serve(&stream, &state) {});
            }
        });
        server
    }

    /// From now on it does this to every request whose body holds the text, whatever the script says.
    pub(crate) fn refuse(&self, text: &str, act: Act) {
        *self.state.refused.lock().unwrap() = Some((text.to_owned(), act));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Most requests that were being served at once.
    pub(crate) fn most_active(&self) -> usize {
        self.state.most_active.load(Ordering::SeqCst)
    }

    /// Bytes of replies that the connection took.
    pub(crate) fn written(&self) -> usize {
        self.state.written.load(Ordering::SeqCst)
    }
}

/// Serves one request; `false` ends the connection.
fn serve(mut stream: &TcpStream, state: &State) -> bool {
    let Some(head) = read_head(stream) else { return false };
    let length: usize = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().parse().unwrap()))
        .expect("a content length");
    let active = state.active.fetch_add(1, Ordering::SeqCst) + 1;
    state.most_active.fetch_max(active, Ordering::SeqCst);
    let act = state.script.lock().unwrap().pop_front().unwrap_or_else(|| Act::json(200, "{}"));
    // A reset happens when a socket is closed with bytes unread, so those acts leave one.
    let unread = usize::from(matches!(act, Act::ResetInHead | Act::ResetInBody(_)));
    let mut body = vec![0; length - unread];
    let at = Instant::now();
    if stream.read_exact(&mut body).is_err() {
        return false;
    }
    let echo = head.clone();
    let request = Request { at, peer: stream.peer_addr().expect("a peer"), head, body };
    let act = match &*state.refused.lock().unwrap() {
        Some((text, act)) if String::from_utf8_lossy(&request.plain()).contains(text) => act.clone(),
        _ => act,
    };
    state.requests.lock().unwrap().push(request);
    let is_late = matches!(act, Act::Late(_) | Act::LateStatus(..));
    if let Act::Late(pause) | Act::LateStatus(pause, _) = act {
        thread::sleep(pause);
        // The next request may come as soon as this one is answered.
        state.active.fetch_sub(1, Ordering::SeqCst);
    }
    let mut write = |bytes: &[u8]| {
        let sent = stream.write_all(bytes).is_ok();
        state.written.fetch_add(if sent { bytes.len() } else { 0 }, Ordering::SeqCst);
        sent
    };
    let keep = match act {
        Act::Reply(status, headers, body) => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
            write(head.as_bytes()) && write(&body)
        }
        Act::Echo(status) => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: text/html\r\nContent-Length: {}", echo.len());
            write(format!("{head}\r\n\r\n{echo}").as_bytes())
        }
        Act::ResetInHead => {
            write(b"HTTP/1.1 200 OK\r\nContent-Le");
            false
        }
        Act::ResetInBody(status) => {
            write(format!("HTTP/1.1 {status} Said\r\nContent-Length: 1000\r\n\r\n{{\"partial").as_bytes());
            false
        }
        Act::Slow(pause) => {
            let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            reply.iter().all(|byte| {
                thread::sleep(pause);
                write(&[*byte])
            })
        }
        Act::Huge => {
            write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n");
            while write(&[b' '; 65_536]) {}
            false
        }
        Act::EndlessHead => {
            write(b"HTTP/1.1 200 OK\r\n");
            while write(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n") {}
            false
        }
        Act::Late(_) => write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        Act::LateStatus(_, status) => write(format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n").as_bytes()),
    };
    if !is_late {
        state.active.fetch_sub(1, Ordering::SeqCst);
    }
    keep
}

fn read_head(mut stream: &TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    Some(String::from_utf8(head).expect("an ASCII head"))
}
