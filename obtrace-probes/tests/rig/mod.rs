//! Runs a Python script under the probes and keeps what they saw of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use obtrace_probes::{
    Error, Event, Losses, Options, Probes, Reader,
    event::{Close, ConnectFailed, Direction, Exec, Fork, Missing, Open, SocketId, Transport},
};

/// Bytes of one direction of a socket, by their offset from the first one seen.
#[derive(Default)]
pub(crate) struct Stream {
    first: Option<u32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) holes: u64,
    pub(crate) skipped: u64,
    pub(crate) captured: u64,
    pub(crate) records: usize,
    pub(crate) missing: Vec<Missing>,
}

impl Stream {
    /// The sequence number behind the last byte.
    pub(crate) fn next(&self) -> u32 {
        self.first.unwrap().wrapping_add(self.bytes.len() as u32)
    }

    fn add(&mut self, sequence: u32, length: u32, bytes: &[u8], skipped: u64) {
        let first = *self.first.get_or_insert(sequence);
        let at = sequence.wrapping_sub(first) as usize;
        let end = at + length as usize;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.holes += u64::from(length) - bytes.len() as u64;
        self.skipped += skipped;
        self.captured += bytes.len() as u64;
        self.records += 1;
    }
}

/// What was seen of one socket.
#[derive(Default)]
pub(crate) struct Socket {
    pub(crate) open: Option<Open>,
    pub(crate) streams: [Stream; 2],
    pub(crate) datagrams: Vec<(Direction, Option<SocketAddr>, u32, Vec<u8>)>,
    pub(crate) closed: Option<Close>,
    pub(crate) after_close: usize,
    pub(crate) tgids: Vec<u32>,
}

impl Socket {
    pub(crate) fn sent(&self) -> &[u8] {
        &self.streams[0].bytes
    }

    pub(crate) fn received(&self) -> &[u8] {
        &self.streams[1].bytes
    }

    /// Bytes that the socket moved by what its first and its last event say: captured or not.
    pub(crate) fn moved(&self, direction: Direction) -> u64 {
        let (open, close) = (self.open.expect("an open event"), self.closed.expect("a close event"));
        let index = usize::from(direction == Direction::Received);
        close.end[index].wrapping_sub(open.start[index]).into()
    }
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    pub(crate) failed: Vec<ConnectFailed>,
    pub(crate) exits: Vec<u32>,
    pub(crate) forks: Vec<Fork>,
    pub(crate) execs: Vec<Exec>,
    pub(crate) bad: Vec<String>,
}

impl Seen {
    pub(crate) fn add(&mut self, event: Event<'_>) {
        match event {
            Event::Open(o) => {
                let socket = self.sockets.entry(o.socket).or_default();
                if socket.open.replace(o).is_some() {
                    self.bad.push(format!("{} opened twice", o.socket));
                }
            }
            Event::Data(d) => {
                let socket = self.sockets.entry(d.socket).or_default();
                if socket.open.is_none() {
                    self.bad.push(format!("data of {} before its open", d.socket));
                }
                socket.after_close += usize::from(socket.closed.is_some());
                socket.tgids.push(d.task.tgid);
                let stream = &mut socket.streams[usize::from(d.direction == Direction::Received)];
                stream.add(d.sequence, d.length, d.bytes, d.skipped);
                stream.missing.extend(d.missing);
            }
            Event::Datagram(d) => {
                let socket = self.sockets.entry(d.socket).or_default();
                socket.datagrams.push((d.direction, d.remote, d.length, d.bytes.to_vec()));
            }
            Event::Close(c) => {
                let socket = self.sockets.entry(c.socket).or_default();
                if socket.closed.replace(c).is_some() {
                    self.bad.push(format!("{} closed twice", c.socket));
                }
            }
            Event::ConnectFailed(f) => self.failed.push(f),
            Event::Exit(e) => self.exits.push(e.task.tgid),
            Event::Fork(f) => self.forks.push(f),
            Event::Exec(e) => self.execs.push(e),
            _ => {}
        }
    }

    /// The sockets of a transport, in the order of their first sight.
    pub(crate) fn of(&self, transport: Transport) -> Vec<&Socket> {
        self.sockets.values().filter(|s| s.open.is_some_and(|o| o.transport == transport)).collect()
    }

    /// The socket that sent exactly these bytes.
    pub(crate) fn sender(&self, bytes: &[u8]) -> &Socket {
        self.sockets.values().find(|s| s.sent() == bytes).expect("no socket sent these bytes")
    }

    /// The socket that received exactly these bytes.
    pub(crate) fn receiver(&self, bytes: &[u8]) -> &Socket {
        self.sockets.values().find(|s| s.received() == bytes).expect("no socket received these bytes")
    }
}

pub(crate) struct Rig {
    pub(crate) probes: Probes,
    pub(crate) reader: Reader,
    pub(crate) seen: Seen,
}

/// A script that waits for its start.
pub(crate) struct Script(pub(crate) Child);

impl Script {
    pub(crate) fn new(code: &str) -> Self {
        let code = format!(
            "import os,sys,socket,time,threading,struct\nprint('started',flush=True)\nsys.stdin.readline()\n{code}\nsys.stdout.flush()\nos._exit(0)\n"
        );
        let child = Command::new("python3")
            .args(["-c", &code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut script = Self(child);
        // `python3` may be a shell script that makes calls of its own before it becomes Python.
        assert_eq!(script.line(), "started");
        script
    }

    /// The next line that the script prints; read byte by byte, so that nothing behind it is taken.
    pub(crate) fn line(&mut self) -> String {
        let out = self.0.stdout.as_mut().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            out.read_exact(&mut byte).expect("the script prints a line");
            match byte[0] {
                b'\n' => return String::from_utf8(line).unwrap(),
                other => line.push(other),
            }
        }
    }

    /// Waits for its end while nobody reads the ring buffer.
    pub(crate) fn end(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
            if Instant::now() > deadline {
                self.0.kill().unwrap();
                panic!("the script hangs");
            }
        }
    }

    pub(crate) fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Rig {
    /// Loads and attaches; `None`, with the reason printed, where this machine cannot.
    pub(crate) fn new(options: &Options) -> Option<Self> {
        let mut probes = match Probes::load(options) {
            Ok(probes) => probes,
            Err(e @ Error::Permission { .. }) => {
                eprintln!("SKIPPED: {e}");
                return None;
            }
            Err(e) => panic!("{e}"),
        };
        let reader = probes.reader().unwrap();
        probes.attach().unwrap();
        Some(Self { probes, reader, seen: Seen::default() })
    }

    pub(crate) fn read(&mut self) -> usize {
        let seen = &mut self.seen;
        self.reader.events(Duration::from_millis(10), |e| seen.add(e.expect("an event"))).unwrap()
    }

    /// Runs a script to its end and reads until nothing comes any more; gives what it printed.
    pub(crate) fn run(&mut self, code: &str) -> String {
        let mut script = Script::new(code);
        assert_eq!(self.probes.filter().allow(&[script.0.id()]).unwrap(), 1);
        script.go();
        self.finish(script)
    }

    pub(crate) fn finish(&mut self, mut script: Script) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        while script.0.try_wait().unwrap().is_none() {
            self.read();
            assert!(Instant::now() < deadline, "the script hangs");
        }
        let mut quiet = 0;
        while quiet < 5 {
            quiet = if self.read() == 0 { quiet + 1 } else { 0 };
        }
        let out = script.0.wait_with_output().unwrap();
        assert!(out.status.success());
        assert!(self.seen.bad.is_empty(), "{:?}", self.seen.bad);
        String::from_utf8(out.stdout).unwrap()
    }

    pub(crate) fn losses(&self) -> Losses {
        self.probes.losses().unwrap()
    }
}

/// Two connected TCP sockets `c` and `s` in Python.
pub(crate) const PAIR: &str = "
l=socket.socket(); l.bind(('127.0.0.1',0)); l.listen(); c=socket.create_connection(l.getsockname()); s,_=l.accept()
def take(k,n):
    b=b''
    while len(b)<n: b+=k.recv(n-len(b))
    return b
";
