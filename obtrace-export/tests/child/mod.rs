//! The test's own program as another process, and a receiver that counts what such processes send.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Starts the test of this name in a process of its own, which reads its orders from the environment.
pub(crate) fn start(test: &str, orders: &[(&str, String)]) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env("OBTRACE_TEST_CHILD", test);
    for (name, value) in orders {
        command.env(name, value);
    }
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Whether this process is the one that was started for this test.
pub(crate) fn is(test: &str) -> bool {
    env::var("OBTRACE_TEST_CHILD").is_ok_and(|name| name == test)
}

pub(crate) fn order(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// A number of `/proc/self/status` in bytes.
pub(crate) fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A folder that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("obtrace-child-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An address that nobody listens on yet, and that nobody else can get.
pub(crate) struct Reserved(TcpListener);

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self(socket.into())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// From now on connections are taken.
    pub(crate) fn listen(self) -> TcpListener {
        listen(&self.0, 128).unwrap();
        self.0
    }
}

/// Where nobody ever listens, as long as this process lives.
pub(crate) fn nobody() -> String {
    let reserved = Reserved::new();
    let url = reserved.url();
    std::mem::forget(reserved);
    url
}

/// A receiver that keeps the numbers in the names of the spans it took: `#` and eight digits.
#[derive(Clone)]
pub(crate) struct Counter {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Vec<u32>>>,
    /// What it answers.
    status: AtomicU16,
    active: AtomicUsize,
    most_active: AtomicUsize,
}

impl Counter {
    pub(crate) fn on(listener: TcpListener) -> Self {
        let state = Arc::new(State { status: 200.into(), ..State::default() });
        let counter = Self { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(stream, &state));
            }
        });
        counter
    }

    pub(crate) fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// The numbers of each request that it took.
    pub(crate) fn taken(&self) -> Vec<Vec<u32>> {
        self.state.taken.lock().unwrap().clone()
    }

    pub(crate) fn most_active(&self) -> usize {
        self.state.most_active.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, state: &State) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120))).ok()?;
    let mut reader = BufReader::new(&stream);
    loop {
        let (mut length, mut is_gzip) = (0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("content-encoding", value)) => is_gzip = value == "gzip",
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let active = state.active.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_active.fetch_max(active, Ordering::SeqCst);
        let status = state.status.load(Ordering::SeqCst);
        if status == 200 {
            let mut plain = Vec::new();
            if is_gzip {
                MultiGzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            } else {
                plain = body;
            }
            state.taken.lock().unwrap().push(numbers(&plain));
        }
        state.active.fetch_sub(1, Ordering::SeqCst);
        // In one piece: the second of two would wait for the other side to confirm the first.
        let reply = format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\n{{}}");
        (&stream).write_all(reply.as_bytes()).ok()?;
    }
}

/// The numbers in a body, which must be whole.
fn numbers(body: &[u8]) -> Vec<u32> {
    assert!(body.starts_with(b"{\"resourceSpans\":[") && body.ends_with(b"]}"), "whole JSON");
    let names = body.split(|byte| *byte == b'#').skip(1);
    names.map(|name| std::str::from_utf8(&name[..8]).unwrap().parse().unwrap()).collect()
}
