//! Events made by hand, to drive what reads them without a kernel.

use std::net::SocketAddr;

use crate::event::{
    Close, ConnectFailed, Data, Datagram, Direction, Exec, Exit, Fork, Open, SocketId, Task, TaskName, Transport,
};

impl Open {
    /// A socket of which only this is known.
    #[must_use]
    pub const fn new(time: u64, socket: SocketId, task: Task, transport: Transport) -> Self {
        let (role, local, remote) = (None, None, None);
        let (netns, inode, peer_key, own_key, joined, start) = (0, 0, 0, 0, false, [0; 2]);
        Self { time, socket, task, transport, role, local, remote, netns, inode, peer_key, own_key, joined, start }
    }
}

impl<'a> Data<'a> {
    /// A chunk that was captured whole.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a chunk is shorter than 4 GiB")]
    pub const fn new(
        time: u64,
        socket: SocketId,
        task: Task,
        direction: Direction,
        sequence: u32,
        bytes: &'a [u8],
    ) -> Self {
        let length = bytes.len() as u32;
        Self { time, socket, task, direction, sequence, length, missing: None, skipped: 0, bytes }
    }
}

impl<'a> Datagram<'a> {
    /// A datagram that was captured whole.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a datagram is shorter than 64 KiB")]
    pub const fn new(
        time: u64,
        socket: SocketId,
        task: Task,
        direction: Direction,
        remote: Option<SocketAddr>,
        bytes: &'a [u8],
    ) -> Self {
        Self { time, socket, task, direction, remote, length: bytes.len() as u32, bytes }
    }
}

impl Close {
    /// The end of a socket whose bytes ended there, sent and received; none was skipped.
    #[must_use]
    pub const fn new(time: u64, socket: SocketId, end: [u32; 2]) -> Self {
        Self { time, socket, skipped: [0; 2], end, records: [0; 2] }
    }
}

impl ConnectFailed {
    /// A connect that failed with `errno`.
    #[must_use]
    pub const fn new(started: u64, time: u64, task: Task, transport: Transport, errno: u32) -> Self {
        Self { time, started, task, transport, remote: None, netns: 0, errno }
    }
}

impl Fork {
    /// `parent` made `child`.
    #[must_use]
    pub fn new(time: u64, parent: Task, child: Task) -> Self {
        Self { time, parent, child, local_tgid: child.tgid, name: TaskName::default() }
    }
}

impl Exec {
    /// A traced process began to run another program.
    #[must_use]
    pub fn new(time: u64, task: Task) -> Self {
        Self { time, task, local_tgid: task.tgid, traced: true, name: TaskName::default() }
    }
}

impl Exit {
    /// A process ended.
    #[must_use]
    pub const fn new(time: u64, task: Task) -> Self {
        Self { time, task }
    }
}
