//! Datagram sockets: one socket may talk to many peers, each a connection of its own.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
};

use obtrace_probes::event::Datagram;
use obtrace_protocols::{Config, Connection, Shared, State, Timestamp};

use super::{
    Observer, Settings, protocol_direction,
    socket::{Socket, drain},
    table::Table,
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
            let config =
                Config::new().with_max_buffered(settings.max_buffered).with_datagram_timeout(settings.datagram_timeout);
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
        sockets: &mut Table,
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
            let Some(socket) = sockets.get_mut(id) else { continue };
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

#[cfg(test)]
mod tests {
    //! Datagrams are those of DNS.

    use obtrace_probes::event::{self, Direction, SocketId, Task};
    use obtrace_protocols::{Exchange, Opened, Role};

    use super::*;
    use crate::connections::{Account, Connections, Verdict};

    const SOCKET: SocketId = SocketId::new(7);
    const TASK: Task = Task::new(100, 101);
    const SECOND: u64 = 1_000_000_000;

    #[derive(Debug, Default)]
    struct Seen {
        opened: Vec<u64>,
        /// Name asked for, who was asked, completeness, end.
        exchanges: Vec<(String, u16, &'static str, u64)>,
        verdicts: usize,
        /// Id of the connection and offset by which the other end would know each request.
        names: Vec<(u64, u64)>,
    }

    impl Observer for Seen {
        fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
            self.opened.push(info.id);
            self.names.push((info.id, opened.offset));
        }

        fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>) {
            let port = info.remote.map_or(0, |remote| remote.port());
            assert_eq!(info.role, Some(Role::Client), "of whom the datagram was");
            let end = exchange.end().as_nanos();
            self.exchanges.push((exchange.target.to_string(), port, exchange.completeness.name(), end));
        }

        fn closed(&mut self, _: &ConnectionInfo, _: &Account, _: u64) {}

        fn verdict(&mut self, _: &ConnectionInfo, _: Verdict) {
            self.verdicts += 1;
        }
    }

    struct Rig {
        table: Connections,
        seen: Seen,
        time: u64,
    }

    /// A message of DNS: a question for an address, or its answer "no such name".
    fn message(id: u8, name: &str, answer: bool) -> Vec<u8> {
        let flags = if answer { [0x81, 0x83] } else { [0x01, 0] };
        let mut bytes = [&[0, id], &flags[..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes
    }

    impl Rig {
        fn new(settings: Settings) -> Self {
            let mut rig = Self { table: Connections::new(settings), seen: Seen::default(), time: SECOND };
            rig.open(SOCKET);
            rig
        }

        /// An unconnected socket: its peers are told by each datagram.
        fn open(&mut self, socket: SocketId) {
            let mut open = event::Open::new(self.time, socket, TASK, event::Transport::Udp);
            open.local = "0.0.0.0:40000".parse().ok();
            self.table.open(&open, &mut self.seen);
        }

        fn pass(&mut self, direction: Direction, port: u16, bytes: &[u8]) {
            self.time += 1_000;
            let remote = Some(SocketAddr::from(([127, 0, 0, 1], port)));
            let datagram = Datagram::new(self.time, SOCKET, TASK, direction, remote, bytes);
            self.table.datagram(&datagram, &mut self.seen);
        }

        fn tick(&mut self, after: u64) {
            self.time += after;
            self.table.tick(self.time, &mut self.seen);
        }

        fn told(&self) -> Vec<(&str, u16, &str)> {
            self.seen.exchanges.iter().map(|(name, port, completeness, _)| (&**name, *port, *completeness)).collect()
        }
    }

    #[test]
    fn each_peer_of_a_socket_is_a_connection_of_its_own() {
        let mut rig = Rig::new(Settings::default());
        rig.pass(Direction::Sent, 53, &message(1, "a.example", false));
        rig.pass(Direction::Sent, 54, &message(1, "b.example", false));
        assert_ne!(rig.seen.opened[0], rig.seen.opened[1]);
        rig.pass(Direction::Received, 54, &message(1, "b.example", true));
        rig.pass(Direction::Received, 53, &message(1, "a.example", true));
        assert_eq!(rig.told(), [("b.example", 54, "complete"), ("a.example", 53, "complete")]);
        assert_eq!((rig.table.counters().datagrams, rig.table.counters().datagrams_skipped), (4, 0));
    }

    #[test]
    fn both_ends_give_the_same_bytes_the_same_name() {
        let mut rig = Rig::new(Settings::default());
        for (port, id) in [(53, 1), (54, 1), (53, 2)] {
            rig.pass(Direction::Sent, port, &message(id, "a.example", false));
        }
        let [first, same, other] = [0, 1, 2].map(|at: usize| rig.seen.names[at].1);
        assert!(first == same && first != other);
    }

    #[test]
    fn a_query_without_an_answer_ends_after_its_time() {
        let mut rig = Rig::new(Settings { datagram_timeout: 2 * SECOND, ..Settings::default() });
        rig.pass(Direction::Sent, 53, &message(1, "a.example", false));
        rig.tick(SECOND);
        assert_eq!(rig.told(), []);
        rig.tick(SECOND);
        assert_eq!(rig.told(), [("a.example", 53, "response_missing")]);
    }

    #[test]
    fn the_end_of_a_socket_finishes_what_waits() {
        let mut rig = Rig::new(Settings::default());
        rig.pass(Direction::Sent, 53, &message(1, "a.example", false));
        rig.table.close(&event::Close::new(rig.time + 1, SOCKET, [0; 2]), &mut rig.seen);
        assert_eq!(rig.told(), [("a.example", 53, "response_missing")]);
        assert_eq!((rig.table.counters().open, rig.table.peers.len), (0, 0));
    }

    #[test]
    fn what_was_cut_is_counted_and_not_parsed() {
        let mut rig = Rig::new(Settings::default());
        let query = message(1, "a.example", false);
        let mut datagram = Datagram::new(rig.time, SOCKET, TASK, Direction::Sent, None, &query);
        datagram.length += 1;
        rig.table.datagram(&datagram, &mut rig.seen);
        assert_eq!((rig.seen.opened.len(), rig.table.counters().datagrams_skipped), (0, 1));
    }

    #[test]
    fn a_socket_of_another_protocol_is_ignored_after_some_datagrams() {
        let mut rig = Rig::new(Settings::default());
        for _ in 0..40 {
            rig.pass(Direction::Sent, 9, b"not a query at all");
        }
        assert_eq!((rig.seen.verdicts, rig.table.counters().datagrams_skipped), (1, 40));
        assert_eq!(rig.table.peers.len, 0, "its peers are forgotten");
    }

    #[test]
    fn peers_are_bounded_and_those_given_up_are_counted_and_finished() {
        let mut rig = Rig::new(Settings { max_peers: 4, ..Settings::default() });
        for port in 1..=10 {
            rig.pass(Direction::Sent, port, &message(1, "a.example", false));
        }
        rig.tick(1);
        assert_eq!((rig.table.peers.len, rig.table.counters().peers_evicted), (4, 6));
        let oldest: Vec<u16> = rig.seen.exchanges.iter().map(|(_, port, ..)| *port).collect();
        assert_eq!(oldest, [1, 2, 3, 4, 5, 6]);
        assert!(rig.told().iter().all(|(_, _, completeness)| *completeness == "response_missing"));
    }

    #[test]
    fn a_silent_peer_is_forgotten_and_one_that_speaks_is_not() {
        let mut rig = Rig::new(Settings { peer_timeout: 10 * SECOND, ..Settings::default() });
        rig.pass(Direction::Sent, 1, &message(1, "a.example", false));
        rig.pass(Direction::Sent, 2, &message(1, "a.example", false));
        rig.tick(9 * SECOND);
        rig.pass(Direction::Sent, 2, &message(2, "a.example", false));
        rig.tick(2 * SECOND);
        assert_eq!(rig.table.peers.len, 1);
        rig.tick(10 * SECOND);
        assert_eq!((rig.table.peers.len, rig.table.peers.order.len(), rig.table.counters().peers_evicted), (0, 0, 0));
        assert_eq!(rig.seen.exchanges.len(), 3);
    }
}
