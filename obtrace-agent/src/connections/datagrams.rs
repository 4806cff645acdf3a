//! Datagram sockets: one socket may talk to many peers, each a connection of its own.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
};

use obtrace_probes::event::Datagram;
use obtrace_protocols::{Config, Connection, Shared, State, Timestamp};
use rustc_hash::FxHashMap;

use super::{
    Observer, Settings, protocol_direction,
    socket::{Socket, drain},
    tag,
};
use crate::traces::ConnectionInfo;

/// The peers of one socket. Outsiders choose their addresses: hashed with a key.
#[derive(Debug, Default)]
pub(super) struct SocketPeers {
    by_address: HashMap<Option<SocketAddr>, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// Tells its exchanges from those of other peers of the same socket.
    id: u64,
    connection: Connection,
    last: u64,
}

/// Ids of peers are counted from here, away from the kernel's ids of sockets.
const FIRST_PEER: u64 = 1 << 63;

impl Peer {
    /// Calls `act` with the socket's description as it is for this peer.
    fn with_info(
        &mut self,
        remote: Option<SocketAddr>,
        info: &mut ConnectionInfo,
        act: impl FnOnce(&mut Connection, &mut ConnectionInfo),
    ) {
        let (id, own_remote, role) = (info.id, info.remote, info.role);
        (info.id, info.remote, info.role) = (self.id, remote, None);
        act(&mut self.connection, info);
        (info.id, info.remote, info.role) = (id, own_remote, role);
    }
}

/// The peers of all sockets, bounded together.
#[derive(Debug, Default)]
pub(super) struct Peers {
    hasher: RandomState,
    /// Socket, peer and when it was queued here; oldest first. Those that were forgotten since are skipped over.
    order: VecDeque<(u64, Option<SocketAddr>, u64)>,
    len: usize,
    made: u64,
}

impl Peers {
    /// Gives a datagram to the parser of its peer. Whether it is of a known protocol.
    pub(super) fn datagram(
        &mut self,
        socket: &mut Socket,
        datagram: &Datagram<'_>,
        settings: &Settings,
        shared: &Shared,
        observer: &mut impl Observer,
    ) -> bool {
        socket.last = datagram.time;
        let remote = datagram.remote.or(socket.info.remote);
        let peers = socket.peers.get_or_insert_with(Box::default);
        let peer = peers.by_address.entry(remote).or_insert_with(|| {
            self.len += 1;
            self.order.push_back((socket.info.id, remote, datagram.time));
            self.made += 1;
            let config = Config::new().with_max_buffered(settings.max_buffered);
            Peer { id: FIRST_PEER | self.made, connection: Connection::new(config, shared), last: datagram.time }
        });
        peer.last = datagram.time;
        let at = Timestamp::from_nanos(datagram.time);
        peer.connection.handle_datagram(protocol_direction(datagram.direction), datagram.bytes, at, tag(datagram.task));
        let known = matches!(peer.connection.state(), State::Known(_));
        if known {
            socket.strange = u8::MAX;
        } else {
            socket.strange = socket.strange.saturating_add(1);
        }
        // Both ends see the same bytes: a digest of them names the request.
        #[expect(clippy::cast_possible_truncation, reason = "a shorter digest")]
        let digest = self.hasher.hash_one(datagram.bytes) as u32;
        peer.with_info(remote, &mut socket.info, |connection, info| {
            drain(connection, info, &mut 0, Some(digest), observer);
        });
        known
    }

    /// Forgets the peers of a socket that is gone.
    pub(super) fn forget(&mut self, of: &mut Socket) {
        if let Some(peers) = of.peers.take() {
            self.len = self.len.saturating_sub(peers.by_address.len());
        }
    }

    /// Gives up peers that were silent for long, and the oldest if there are too many; how many of the latter.
    pub(super) fn trim(
        &mut self,
        sockets: &mut FxHashMap<u64, Box<Socket>>,
        settings: &Settings,
        now: u64,
        observer: &mut impl Observer,
    ) -> u64 {
        let mut evicted = 0;
        // Each queued entry is looked at once at most: those that stay go to the back.
        for _ in 0..self.order.len() {
            let Some(&(id, remote, queued)) = self.order.front() else { break };
            let crowded = self.len > settings.max_peers;
            let old = now.saturating_sub(queued) >= settings.peer_timeout;
            // Entries of sockets that are gone pile up only to the bound.
            if !crowded && !old && self.order.len() <= settings.max_peers.saturating_mul(2) {
                break;
            }
            self.order.pop_front();
            let Some(socket) = sockets.get_mut(&id) else { continue };
            let Some(peers) = socket.peers.as_deref_mut() else { continue };
            let Some(peer) = peers.by_address.get_mut(&remote) else { continue };
            if !crowded && now.saturating_sub(peer.last) < settings.peer_timeout {
                let last = peer.last;
                self.order.push_back((id, remote, last));
                continue;
            }
            evicted += u64::from(crowded);
            peer.with_info(remote, &mut socket.info, |connection, info| {
                connection.handle_close(Timestamp::from_nanos(now));
                drain(connection, info, &mut 0, None, observer);
            });
            peers.by_address.remove(&remote);
            self.len = self.len.saturating_sub(1);
        }
        evicted
    }
}

impl SocketPeers {
    /// Finishes requests that were not answered in time. Whether others wait.
    pub(super) fn tick(&mut self, info: &mut ConnectionInfo, now: Timestamp, observer: &mut impl Observer) -> bool {
        let mut again = false;
        self.each(info, |connection, info| {
            if connection.poll_timeout().is_some_and(|due| due <= now) {
                connection.handle_timeout(now);
                drain(connection, info, &mut 0, None, observer);
            }
            again |= connection.poll_timeout().is_some();
        });
        again
    }

    pub(super) fn finish(&mut self, info: &mut ConnectionInfo, at: Timestamp, observer: &mut impl Observer) {
        self.each(info, |connection, info| {
            connection.handle_close(at);
            drain(connection, info, &mut 0, None, observer);
        });
    }

    fn each(&mut self, info: &mut ConnectionInfo, mut act: impl FnMut(&mut Connection, &mut ConnectionInfo)) {
        for (address, peer) in &mut self.by_address {
            peer.with_info(*address, info, &mut act);
        }
    }
}
