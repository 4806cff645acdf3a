//! The connection table: events of sockets in, requests and exchanges out, every byte accounted for.

mod datagrams;
mod settings;
mod socket;
mod stream;
mod table;
mod tally;

use obtrace_probes::event::{self, Close, Data, Datagram, Open, SocketId};
use obtrace_protocols::{Direction, Exchange, Interest, Opened, Role, Shared, State};
use rustc_hash::FxHashSet;

use crate::traces::{ConnectionInfo, Strand, Transport};

pub use settings::Settings;
pub use tally::{Account, Counters, Tally};

use datagrams::Peers;
use socket::{Socket, Use};
use table::Table;

/// What the kernel need not capture of a socket any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing of it is of interest.
    Ignore,
    /// Nothing of one direction before this stream offset is; its low 32 bits are the sequence number.
    Until(event::Direction, u64),
}

/// Takes what the connection table finds out, in the order it happened.
pub trait Observer {
    /// A request began.
    fn opened(&mut self, info: &ConnectionInfo, opened: &Opened);
    /// A request and its response are over.
    fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>);
    /// The connection ended at this time; what became of its bytes.
    fn closed(&mut self, info: &ConnectionInfo, account: &Account, time: u64);
    /// The kernel may leave out a part of a socket.
    fn verdict(&mut self, info: &ConnectionInfo, verdict: Verdict);
}

/// A skip that saves less than this is not worth a system call.
const WORTH_SKIPPING: u64 = 16 * 1024;

/// All sockets that are observed.
#[derive(Debug)]
pub struct Connections {
    settings: Settings,
    shared: Shared,
    sockets: Table,
    /// Sockets whose parsers want to be called at some time.
    timers: FxHashSet<u64>,
    peers: Peers,
    counters: Counters,
    last_sweep: u64,
    /// Sockets there were at the last sweep.
    last_len: usize,
    /// Sockets that gave back memory since it was asked last.
    freed: usize,
}

impl Connections {
    /// An empty table.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            shared: Shared::new(settings.memory).with_gen_ai_endpoints(settings.gen_ai_endpoints.clone()),
            sockets: Table::default(),
            timers: FxHashSet::default(),
            peers: Peers::default(),
            counters: Counters::default(),
            last_sweep: 0,
            last_len: 0,
            freed: 0,
            settings,
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { open: self.sockets.len() as u64, given_up_bytes: self.shared.given_up() as u64, ..self.counters }
    }

    /// Bytes held for messages that are not whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.held()
    }

    /// How many sockets gave back memory since it was asked last: became idle, or are gone without others in their place.
    pub fn take_freed(&mut self) -> usize {
        std::mem::take(&mut self.freed)
    }

    /// A socket is observed from now on.
    pub fn open(&mut self, open: &Open, observer: &mut impl Observer) {
        let transport = match open.transport {
            event::Transport::Udp => Transport::Udp,
            event::Transport::Unix => Transport::Unix,
            _ => Transport::Tcp,
        };
        let info = ConnectionInfo::new(open.socket.get(), transport)
            .with_role(open.role.map(role))
            .with_addresses(open.local, open.remote)
            .with_keys(open.own_key, open.peer_key);
        let wanted = self.is_wanted(&info);
        let is_stream = info.transport != Transport::Udp;
        if let Some(known) = self.sockets.get_mut(info.id) {
            // An event of it came before, or its role became known.
            known.info = info;
            return;
        }
        let mut socket = Socket::new(info, open.time);
        if is_stream {
            socket.begin(open.start);
        }
        if open.joined {
            socket.join();
        }
        self.insert(socket, observer);
        if !wanted {
            self.ignore(open.socket, observer);
        }
    }

    /// Whether connections to this server port were asked for.
    #[must_use]
    pub fn is_wanted_port(&self, port: Option<u16>) -> bool {
        let ports = &self.settings.ports;
        ports.is_empty() || port.is_some_and(|port| ports.iter().any(|range| range.contains(&port)))
    }

    fn is_wanted(&self, info: &ConnectionInfo) -> bool {
        let has = |address: Option<std::net::SocketAddr>| self.is_wanted_port(address.map(|address| address.port()));
        match info.role {
            Some(Role::Server) => has(info.local),
            Some(Role::Client) => has(info.remote),
            None => has(info.local) || has(info.remote),
        }
    }

    fn insert(&mut self, socket: Socket, observer: &mut impl Observer) -> bool {
        if self.sockets.len() >= self.settings.max_connections {
            self.counters.refused += 1;
            observer.verdict(&socket.info, Verdict::Ignore);
            return false;
        }
        self.counters.opened += 1;
        self.sockets.insert(socket);
        true
    }

    /// Finds the socket of an event; one whose open event was lost is observed all the same.
    fn find(&mut self, id: SocketId, transport: Transport, time: u64, observer: &mut impl Observer) -> bool {
        if self.sockets.contains(id.get()) {
            return true;
        }
        if !self.settings.ports.is_empty() {
            // Its ports are not known: it cannot be told whether it was asked for.
            self.counters.unannounced += 1;
            return false;
        }
        let mut socket = Socket::new(ConnectionInfo::new(id.get(), transport), time);
        socket.join();
        let inserted = self.insert(socket, observer);
        self.counters.unannounced += u64::from(inserted);
        inserted
    }

    /// Bytes of a stream.
    pub fn data(&mut self, data: &Data<'_>, observer: &mut impl Observer) {
        if !self.find(data.socket, Transport::Tcp, data.time, observer) {
            return;
        }
        let Some(socket) = self.sockets.get_mut(data.socket.get()) else { return };
        let before = socket.stream_mut(data.direction).bytes;
        let ignored = socket.data(data, &self.settings, &self.shared);
        self.counters.bytes.replace(&before, &socket.stream_mut(data.direction).bytes);
        if ignored {
            return;
        }
        socket.drain(observer);
        self.after(data.socket, data.direction, observer);
    }

    /// Takes the verdict on a socket and its timers after something was pushed.
    fn after(&mut self, id: SocketId, direction: event::Direction, observer: &mut impl Observer) {
        let Some(socket) = self.sockets.get_mut(id.get()) else { return };
        let Use::Parsed(connection) = &socket.traffic else { return };
        if connection.poll_timeout().is_some() {
            self.timers.insert(id.get());
        }
        let interests = [Direction::Sent, Direction::Received].map(|direction| connection.interest(direction));
        if interests == [Interest::Ignore, Interest::Ignore] {
            match connection.state() {
                State::Tls => self.counters.tls += 1,
                State::Unknown => self.counters.unknown_protocol += 1,
                _ => {}
            }
            return self.ignore(id, observer);
        }
        let Interest::Until(until) = connection.interest(protocol_direction(direction)) else { return };
        let stream = socket.stream_mut(direction);
        if until.saturating_sub(stream.end().max(stream.verdict)) >= WORTH_SKIPPING {
            stream.verdict = until;
            observer.verdict(&socket.info, Verdict::Until(direction, until));
        }
    }

    /// Nothing of a socket is of interest: what it held is finished, its bytes are only counted from now on.
    fn ignore(&mut self, id: SocketId, observer: &mut impl Observer) {
        if let Some(socket) = self.sockets.get_mut(id.get()) {
            socket.finish(socket.last, false, observer);
            socket.traffic = Use::Ignored;
            self.peers.forget(socket);
            observer.verdict(&socket.info, Verdict::Ignore);
        }
    }

    /// A datagram.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, observer: &mut impl Observer) {
        self.counters.datagrams += 1;
        if !self.find(datagram.socket, Transport::Udp, datagram.time, observer) {
            self.counters.datagrams_skipped += 1;
            return;
        }
        let Some(socket) = self.sockets.get_mut(datagram.socket.get()) else { return };
        let whole = datagram.bytes.len() as u64 >= u64::from(datagram.length);
        if matches!(socket.traffic, Use::Ignored) || !whole {
            self.counters.datagrams_skipped += 1;
            return;
        }
        let parsed = self.peers.datagram(socket, datagram, &self.settings, &self.shared, observer);
        self.counters.datagrams_skipped += u64::from(!parsed);
        if socket.is_hopeless() {
            self.counters.unknown_protocol += 1;
            return self.ignore(datagram.socket, observer);
        }
        self.timers.insert(datagram.socket.get());
        self.counters.peers_evicted += self.peers.trim(&mut self.sockets, &self.settings, datagram.time, observer);
    }

    /// A socket is gone.
    pub fn close(&mut self, close: &Close, observer: &mut impl Observer) {
        let Some(mut socket) = self.sockets.remove(close.socket.get()) else { return };
        self.timers.remove(&close.socket.get());
        let before = socket.account();
        socket.close(close);
        let after = socket.account();
        self.counters.bytes.replace(&before.sent, &after.sent);
        self.counters.bytes.replace(&before.received, &after.received);
        self.end(socket, close.time, true, observer);
    }

    fn end(&mut self, mut socket: Socket, time: u64, is_over: bool, observer: &mut impl Observer) {
        socket.finish(time, is_over, observer);
        self.peers.forget(&mut socket);
        observer.closed(&socket.info, &socket.account(), time);
    }

    /// Does what is due: holes that stayed open, datagrams that were not answered, memory of idle connections. Call
    /// it several times a second, `now` in the clock of the events.
    pub fn tick(&mut self, now: u64, observer: &mut impl Observer) {
        let (sockets, timers) = (&mut self.sockets, &mut self.timers);
        timers.retain(|id| sockets.get_mut(*id).is_some_and(|socket| socket.tick(now, observer)));
        self.counters.peers_evicted += self.peers.trim(&mut self.sockets, &self.settings, now, observer);
        if now.saturating_sub(self.last_sweep) >= self.settings.idle_after / 2 {
            self.sweep(now, observer);
            self.last_sweep = now;
        }
    }

    fn sweep(&mut self, now: u64, observer: &mut impl Observer) {
        let crowded = self.sockets.len() > self.settings.max_connections / 4 * 3;
        let mut dead = Vec::new();
        for socket in self.sockets.iter_mut() {
            let idle = now.saturating_sub(socket.last);
            if idle >= self.settings.idle_after {
                self.freed += usize::from(self.last_sweep.saturating_sub(socket.last) < self.settings.idle_after);
                socket.rest();
            }
            if crowded && idle >= self.settings.evict_after {
                dead.push(socket.info.id);
            }
        }
        for id in dead {
            if let Some(socket) = self.sockets.remove(id) {
                self.counters.evicted += 1;
                self.timers.remove(&id);
                self.end(socket, now, false, observer);
            }
        }
        self.freed += self.last_len.saturating_sub(self.sockets.len());
        self.last_len = self.sockets.len();
    }

    /// The end: every connection is finished as it is.
    pub fn finish(&mut self, now: u64, observer: &mut impl Observer) {
        self.timers.clear();
        for socket in self.sockets.drain() {
            self.end(socket, now, false, observer);
        }
    }
}

const fn role(role: event::Role) -> Role {
    match role {
        event::Role::Client => Role::Client,
        event::Role::Server => Role::Server,
    }
}

const fn protocol_direction(direction: event::Direction) -> Direction {
    match direction {
        event::Direction::Sent => Direction::Sent,
        event::Direction::Received => Direction::Received,
    }
}

/// The tag of what a thread did.
const fn tag(task: event::Task) -> obtrace_protocols::Tag {
    Strand::new(task.tgid, task.tid).tag()
}

#[cfg(test)]
mod tests;
