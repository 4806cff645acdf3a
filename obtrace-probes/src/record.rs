//! From the bytes of a record to an [`Event`]: the mirror of `bpf/include/event.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::event::{
    Close, ConnectFailed, Data, Datagram, Direction, Event, Exec, Exit, Fork, Missing, Open, Role, SocketId, Task,
    TaskName, Transport,
};

/// A record that is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than its operation demands.
    #[error("record of {0} bytes is shorter than its operation demands")]
    Short(usize),
    /// The operation is unknown.
    #[error("record with unknown operation {0}")]
    Operation(u8),
    /// The transport is unknown.
    #[error("record with unknown transport {0}")]
    Transport(u32),
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) op: u8,
    pub(crate) flags: u8,
    pub(crate) pad: u16,
    pub(crate) size: u32,
    pub(crate) time: u64,
    pub(crate) socket: u64,
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Address {
    pub(crate) family: u16,
    pub(crate) port: u16,
    pub(crate) pad: u32,
    pub(crate) ip: [u8; 16],
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct OpenRecord {
    pub(crate) head: Head,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) inode: u64,
    pub(crate) peer_key: u64,
    pub(crate) own_key: u64,
    pub(crate) netns: u32,
    pub(crate) transport: u8,
    pub(crate) role: u8,
    pub(crate) pad: u16,
    pub(crate) start: [u32; 2],
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DataRecord {
    pub(crate) head: Head,
    pub(crate) sequence: u32,
    pub(crate) length: u32,
    pub(crate) skipped: u64,
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct DatagramRecord {
    pub(crate) head: Head,
    pub(crate) remote: Address,
    pub(crate) length: u32,
    pub(crate) pad: u32,
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct CloseRecord {
    pub(crate) head: Head,
    pub(crate) skipped: [u64; 2],
    pub(crate) end: [u32; 2],
    pub(crate) records: [u32; 2],
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct ConnectFailedRecord {
    pub(crate) head: Head,
    pub(crate) remote: Address,
    pub(crate) started: u64,
    pub(crate) netns: u32,
    pub(crate) error: u32,
    pub(crate) transport: u32,
    pub(crate) pad: u32,
}

#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct ProcessRecord {
    pub(crate) head: Head,
    pub(crate) child_tgid: u32,
    pub(crate) child_tid: u32,
    pub(crate) local_tgid: u32,
    pub(crate) pad: u32,
    pub(crate) name: [u8; 16],
}

/// A value of the map of sockets whose end is still to be told: an open and a close record behind a word. Only its size
/// is of interest here.
pub(crate) type EndedEntry = [u64; 1 + size_of::<OpenRecord>() / 8 + size_of::<CloseRecord>() / 8];

// The sizes and offsets that tests/layout.rs finds in the BTF of the objects.
const _: () = {
    assert!(size_of::<Head>() == 32 && size_of::<Address>() == 24);
    assert!(size_of::<OpenRecord>() == 120 && std::mem::offset_of!(OpenRecord, transport) == 108);
    assert!(size_of::<DataRecord>() == 48 && std::mem::offset_of!(DataRecord, skipped) == 40);
    assert!(size_of::<DatagramRecord>() == 64 && std::mem::offset_of!(DatagramRecord, length) == 56);
    assert!(size_of::<CloseRecord>() == 64 && std::mem::offset_of!(CloseRecord, records) == 56);
    assert!(size_of::<ConnectFailedRecord>() == 80 && std::mem::offset_of!(ConnectFailedRecord, error) == 68);
    assert!(size_of::<ProcessRecord>() == 64 && std::mem::offset_of!(ProcessRecord, name) == 48);
};

const RECEIVED: u8 = 1;
const MISSING_SHIFT: u8 = 1;
const JOINED: u8 = 8;
const TRACED: u8 = 16;

/// The fixed part of a record; copied, since a record may stand at any address. `rest` are the bytes behind it.
fn fixed<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), Malformed> {
    T::read_from_prefix(bytes).map_err(|_| Malformed::Short(bytes.len()))
}

/// The part of a record that its event takes.
pub(crate) fn event(record: &[u8]) -> &[u8] {
    let size = fixed::<Head>(record).map_or(record.len(), |(head, _)| head.size as usize);
    record.get(..size).unwrap_or(record)
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Event<'_>, Malformed> {
    let (head, _) = fixed::<Head>(bytes)?;
    let bytes = bytes.get(..head.size as usize).ok_or(Malformed::Short(bytes.len()))?;
    let (time, socket) = (head.time, SocketId::new(head.socket));
    let task = Task::new(head.tgid, head.tid);
    let direction = if head.flags & RECEIVED == 0 { Direction::Sent } else { Direction::Received };
    Ok(match head.op {
        1 => open(bytes)?,
        2 => {
            let (r, bytes) = fixed::<DataRecord>(bytes)?;
            let missing = match head.flags >> MISSING_SHIFT & 3 {
                1 => Some(Missing::Budget),
                2 => Some(Missing::Fault),
                3 => Some(Missing::Kernel),
                _ => None,
            };
            let (sequence, length, skipped) = (r.sequence, r.length, r.skipped);
            Event::Data(Data { time, socket, task, direction, sequence, length, missing, skipped, bytes })
        }
        3 => {
            let (r, bytes) = fixed::<DatagramRecord>(bytes)?;
            let remote = address(&r.remote);
            Event::Datagram(Datagram { time, socket, task, direction, remote, length: r.length, bytes })
        }
        4 => {
            let (r, _) = fixed::<CloseRecord>(bytes)?;
            Event::Close(Close { time, socket, skipped: r.skipped, end: r.end, records: r.records })
        }
        5 => {
            let (r, _) = fixed::<ConnectFailedRecord>(bytes)?;
            Event::ConnectFailed(ConnectFailed {
                time,
                started: r.started,
                task,
                transport: transport(r.transport)?,
                remote: address(&r.remote),
                netns: r.netns,
                errno: r.error,
            })
        }
        6 => {
            let (r, _) = fixed::<ProcessRecord>(bytes)?;
            let child = Task::new(r.child_tgid, r.child_tid);
            Event::Fork(Fork { time, parent: task, child, local_tgid: r.local_tgid, name: TaskName::new(&r.name) })
        }
        7 => {
            let (r, _) = fixed::<ProcessRecord>(bytes)?;
            let (traced, name) = (head.flags & TRACED != 0, TaskName::new(&r.name));
            Event::Exec(Exec { time, task, local_tgid: r.local_tgid, traced, name })
        }
        8 => Event::Exit(Exit { time, task }),
        op => return Err(Malformed::Operation(op)),
    })
}

fn open(bytes: &[u8]) -> Result<Event<'_>, Malformed> {
    let (r, _) = fixed::<OpenRecord>(bytes)?;
    Ok(Event::Open(Open {
        time: r.head.time,
        socket: SocketId::new(r.head.socket),
        task: Task::new(r.head.tgid, r.head.tid),
        transport: transport(r.transport.into())?,
        role: match r.role {
            1 => Some(Role::Client),
            2 => Some(Role::Server),
            _ => None,
        },
        local: address(&r.local),
        remote: address(&r.remote),
        netns: r.netns,
        inode: r.inode,
        peer_key: r.peer_key,
        own_key: r.own_key,
        joined: r.head.flags & JOINED != 0,
        start: r.start,
    }))
}

fn transport(number: u32) -> Result<Transport, Malformed> {
    match number {
        1 => Ok(Transport::Tcp),
        2 => Ok(Transport::Udp),
        3 => Ok(Transport::Unix),
        n => Err(Malformed::Transport(n)),
    }
}

fn address(a: &Address) -> Option<SocketAddr> {
    let ip = match i32::from(a.family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::new(a.ip[0], a.ip[1], a.ip[2], a.ip[3])),
        libc::AF_INET6 => {
            let v6 = Ipv6Addr::from(a.ip);
            v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, a.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_unknown_records_are_errors() {
        assert_eq!(parse(&[]), Err(Malformed::Short(0)));
        let mut record = [0u8; 32];
        record[4] = 32;
        assert_eq!(parse(&record), Err(Malformed::Operation(0)));
        record[0] = 2;
        assert_eq!(parse(&record), Err(Malformed::Short(32)));
        record[4] = 200;
        assert_eq!(parse(&record), Err(Malformed::Short(32)));
    }

    #[test]
    fn data_borrows_its_bytes() {
        let mut record = vec![0u8; 64];
        record[0] = 2;
        record[1] = RECEIVED | 1 << MISSING_SHIFT;
        record[4] = 51;
        record[16] = 9;
        record[36] = 200;
        record[48..51].copy_from_slice(b"abc");
        let Ok(Event::Data(d)) = parse(&record) else { panic!() };
        assert_eq!((d.socket.get(), d.length, d.bytes), (9, 200, &b"abc"[..]));
        assert_eq!((d.direction, d.missing), (Direction::Received, Some(Missing::Budget)));
    }
}
