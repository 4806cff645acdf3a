//! What the BPF programs write into the ring buffer, and its safe view.
//!
//! The layout is `bpf/include/event.h`; a test compares it with the BTF of the compiled object. Numbers of operations
//! and flags are never used again for something else.

use std::{fmt, net::SocketAddr};

use crate::record::{self, Malformed};

/// Names a socket from its first sight until it is closed; never used again while the probes are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(u64);

impl SocketId {
    /// The id with this number, as the kernel side gave it out.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The thread that a thing happened on, by its numbers in the initial PID namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Task {
    /// Process (thread group) id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
}

impl Task {
    /// A thread of a process.
    #[must_use]
    pub const fn new(tgid: u32, tid: u32) -> Self {
        Self { tgid, tid }
    }
}

/// The name of a thread, as in `/proc/PID/comm`: at most 15 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskName([u8; 16]);

impl TaskName {
    /// A name; what is longer than 15 bytes is cut off.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().take(15).zip(name).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

/// Which way bytes went, seen from the owner of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a socket has two directions")]
pub enum Direction {
    /// Written by the owner.
    Sent,
    /// Read by the owner.
    Received,
}

/// Who opened the connection: from accept, connect and listen, never from port numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// The owner connected.
    Client,
    /// The owner accepted.
    Server,
}

/// The transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// UDP over IPv4 or IPv6.
    Udp,
    /// A Unix stream socket.
    Unix,
}

impl<'a> Event<'a> {
    /// The event in a record of the ring buffer.
    ///
    /// # Errors
    ///
    /// The record is shorter than its operation demands, or the operation is unknown.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        record::parse(bytes)
    }
}

/// One event, borrowed from the ring buffer or from a copy of its record.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A socket is observed from now on.
    Open(Open),
    /// Bytes of a stream.
    Data(Data<'a>),
    /// One datagram.
    Datagram(Datagram<'a>),
    /// The socket is gone; its id will not be seen again.
    Close(Close),
    /// A connection could not be opened.
    ConnectFailed(ConnectFailed),
    /// A traced process or thread began.
    Fork(Fork),
    /// A process runs another program now, or is traced from now on.
    Exec(Exec),
    /// A traced process ended.
    Exit(Exit),
}

/// A socket is observed from now on. Comes before every other event of it, unless the ring buffer was full.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Open {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// Its id.
    pub socket: SocketId,
    /// Who used it first.
    pub task: Task,
    /// Its transport.
    pub transport: Transport,
    /// Who opened the connection; `None` if that was before the probes and cannot be told.
    pub role: Option<Role>,
    /// The address of the observed end as the application knows it.
    pub local: Option<SocketAddr>,
    /// The address of the peer as the application knows it.
    pub remote: Option<SocketAddr>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the socket, as in `/proc/PID/fd` and `/proc/net/tcp`.
    pub inode: u64,
    /// The other end of a Unix stream connection, in [`Open::own_key`]'s terms; 0 if it is not known.
    pub peer_key: u64,
    /// Tells this socket from all others that exist now; only to be compared with [`Open::peer_key`].
    pub own_key: u64,
    /// The socket was connected before it was observed: what it said before was not seen.
    pub joined: bool,
    /// Where the bytes sent and received that are observed begin, as in [`Data::sequence`]. Without meaning for UDP.
    pub start: [u32; 2],
}

/// Bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Data<'a> {
    /// Nanoseconds of `CLOCK_MONOTONIC`: when a send was called, when a receive returned.
    pub time: u64,
    /// The socket.
    pub socket: SocketId,
    /// The thread that called.
    pub task: Task,
    /// Which way.
    pub direction: Direction,
    /// Where the first byte is in the stream, modulo 2³²: TCP's own sequence number, the same at both ends of a
    /// connection that nothing rewrites; a byte count for other streams.
    pub sequence: u32,
    /// How many bytes of the stream this event stands for. What is not in `bytes` was not captured.
    pub length: u32,
    /// Why `bytes` is shorter than `length`, where it is.
    pub missing: Option<Missing>,
    /// Bytes of this direction before `sequence` that were left out by the verdict on the socket since its last event.
    pub skipped: u64,
    /// The first bytes of the chunk.
    pub bytes: &'a [u8],
}

/// Why bytes of a chunk were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Missing {
    /// The transfer is larger than what is captured of one call.
    Budget,
    /// The memory could not be read at that moment (it was paged out).
    Fault,
    /// The bytes never were in user memory (`sendfile`, `splice`).
    Kernel,
}

/// One datagram of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The socket.
    pub socket: SocketId,
    /// The thread that called.
    pub task: Task,
    /// Which way.
    pub direction: Direction,
    /// The peer of this datagram, where the call or the connected socket names it.
    pub remote: Option<SocketAddr>,
    /// The size of the datagram.
    pub length: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
}

/// A socket is gone. Comes after every other event of it, however long after: where the ring buffer was full it is told
/// when there is room again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Close {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The socket.
    pub socket: SocketId,
    /// Bytes sent and received that were left out by the verdict and that no [`Data`] event has told of.
    pub skipped: [u64; 2],
    /// Where the bytes sent and received ended, as in [`Data::sequence`]: what lies between [`Open::start`] and here and
    /// is in no [`Data`] event was left out by the verdict or lost. Exact as long as no 2 GiB in a row are lost. Without
    /// meaning for UDP.
    pub end: [u32; 2],
    /// Records of bytes sent and received that the ring buffer had no room for: one for each call that moved bytes, if
    /// none of its records was written.
    pub records: [u32; 2],
}

/// A connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectFailed {
    /// When it failed, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// When the connect was called.
    pub started: u64,
    /// The thread that called.
    pub task: Task,
    /// The transport.
    pub transport: Transport,
    /// The address that was asked for.
    pub remote: Option<SocketAddr>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The error number (`ECONNREFUSED`, …), positive.
    pub errno: u32,
}

/// A traced process or thread began.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fork {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The thread that made it.
    pub parent: Task,
    /// The new one; a new thread has its parent's `tgid`.
    pub child: Task,
    /// The process id of the child in the PID namespace of whoever loaded the probes; 0 if it is not visible there.
    pub local_tgid: u32,
    /// Its name: that of the parent.
    pub name: TaskName,
}

/// A process runs another program now, or is traced from now on because of a port that it uses
/// ([`Filter::allow_ports`](crate::Filter::allow_ports)).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exec {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The process.
    pub task: Task,
    /// As in [`Fork::local_tgid`].
    pub local_tgid: u32,
    /// Whether the process is traced. One that is not is told of so that it can be allowed.
    pub traced: bool,
    /// Its name now: the program's file name as a rule.
    pub name: TaskName,
}

/// A traced process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exit {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// The process.
    pub task: Task,
}
