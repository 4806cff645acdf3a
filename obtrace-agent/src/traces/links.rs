//! Both ends of a local call in one trace: what a client socket of this machine sent is recognised where a server
//! socket of this machine receives it. A WebSocket session begins with the server's answer: there the server's end comes
//! first, and waits for the client's.

use std::{collections::VecDeque, net::SocketAddr};

use rustc_hash::FxHashMap;

use super::{ConnectionInfo, Settings, SpanContext, Transport};

/// The first byte of a request, named so that both ends give it the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The address pair and TCP's sequence number.
    Tcp { client: SocketAddr, server: SocketAddr, sequence: u32 },
    /// The two ends of a Unix stream connection and the byte count.
    Unix { client: u64, server: u64, offset: u32 },
    /// The port pair and a digest of the datagram: an unconnected socket has no local address.
    Udp { client: u16, server: u16, digest: u32 },
}

/// Which end of the connection asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl Key {
    #[expect(clippy::cast_possible_truncation, reason = "the key is the offset modulo 2^32, as in TCP's header")]
    fn of(end: End, info: &ConnectionInfo, offset: u64) -> Option<Self> {
        let ends = |own, peer| match end {
            End::Client => (own, peer),
            End::Server => (peer, own),
        };
        match info.transport {
            Transport::Tcp => {
                let (client, server) = ends(info.local?, info.remote?);
                Some(Self::Tcp { client, server, sequence: offset as u32 })
            }
            Transport::Unix => {
                let known = info.own_key != 0 && info.peer_key != 0;
                let (client, server) = match end {
                    End::Client => (info.own_key, info.peer_key),
                    End::Server => (info.peer_key, info.own_key),
                };
                known.then_some(Self::Unix { client, server, offset: offset as u32 })
            }
            Transport::Udp => {
                let (client, server) = ends(info.local?, info.remote?);
                Some(Self::Udp { client: client.port(), server: server.port(), digest: offset as u32 })
            }
        }
    }
}

/// What one end knows of a request and the other is to take, bounded in number.
#[derive(Debug)]
struct Waiting<V> {
    held: FxHashMap<Key, (V, u64)>,
    /// The keys of `held` and some that were taken out, oldest first.
    order: VecDeque<(Key, u64)>,
}

impl<V> Default for Waiting<V> {
    fn default() -> Self {
        Self { held: FxHashMap::default(), order: VecDeque::new() }
    }
}

impl<V> Waiting<V> {
    fn put(&mut self, key: Key, value: V, now: u64, limit: usize) {
        self.held.insert(key, (value, now));
        self.order.push_back((key, now));
        while self.order.len() > limit.max(1) {
            let Some((oldest, time)) = self.order.pop_front() else { break };
            if self.held.get(&oldest).is_some_and(|(_, newer)| *newer == time) {
                self.held.remove(&oldest);
            }
        }
    }

    /// What waits under that key for not more than `max_age`. It waits no more.
    fn take(&mut self, key: Key, now: u64, max_age: u64) -> Option<V> {
        if self.held.is_empty() {
            return None;
        }
        let (value, since) = self.held.remove(&key)?;
        (now.saturating_sub(since) <= max_age).then_some(value)
    }
}

/// An open exchange: its connection and its id there.
pub(super) type Expecting = (u64, u64);

/// Client requests that no local server has received yet, and server requests whose client may come later, each bounded in
/// number and age.
#[derive(Debug, Default)]
pub(super) struct Links {
    sent: Waiting<SpanContext>,
    expected: Waiting<Expecting>,
}

impl Links {
    /// A client socket sent a request. The server's end of it, if that waits.
    pub(super) fn sent(
        &mut self,
        info: &ConnectionInfo,
        offset: u64,
        now: u64,
        context: SpanContext,
        settings: &Settings,
    ) -> Option<Expecting> {
        let key = Key::of(End::Client, info, offset)?;
        let expecting = self.expected.take(key, now, settings.max_link_age);
        if expecting.is_none() {
            self.sent.put(key, context, now, settings.max_links);
        }
        expecting
    }

    /// What a client socket began to send was no request.
    pub(super) fn withdrawn(&mut self, info: &ConnectionInfo, offset: u64, context: SpanContext) {
        if let Some(key) = Key::of(End::Client, info, offset)
            && self.sent.held.get(&key).is_some_and(|(waiting, _)| *waiting == context)
        {
            self.sent.held.remove(&key);
        }
    }

    /// A server socket received a request: the context of the client that sent it not more than `max_link_age` ago.
    pub(super) fn received(
        &mut self,
        info: &ConnectionInfo,
        offset: u64,
        now: u64,
        settings: &Settings,
    ) -> Option<SpanContext> {
        if self.sent.held.is_empty() {
            return None;
        }
        self.sent.take(Key::of(End::Server, info, offset)?, now, settings.max_link_age)
    }

    /// A server socket has a request whose client was not seen yet, the open exchange `id` of its connection.
    pub(super) fn expect(&mut self, info: &ConnectionInfo, offset: u64, now: u64, id: u64, settings: &Settings) {
        if let Some(key) = Key::of(End::Server, info, offset) {
            self.expected.put(key, (info.id, id), now, settings.max_links);
        }
    }
}

#[cfg(test)]
mod tests {
    use obtrace_export::model::{SpanId, TraceId};

    use super::*;

    /// Links of at most that age, and so many.
    fn settings(age: u64, many: usize) -> Settings {
        let mut settings = Settings::default();
        (settings.max_link_age, settings.max_links) = (age, many);
        settings
    }

    fn context(number: u8) -> SpanContext {
        let (trace_id, span_id) = (TraceId::from_bytes([number; 16]), SpanId::from_bytes([number; 8]));
        SpanContext { trace_id, span_id, sampled: true }
    }

    fn ends(transport: Transport) -> (ConnectionInfo, ConnectionInfo) {
        let a: SocketAddr = "127.0.0.1:40000".parse().unwrap();
        let b: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let client = ConnectionInfo::new(1, transport).with_addresses(Some(a), Some(b)).with_keys(7, 8);
        let server = ConnectionInfo::new(2, transport).with_addresses(Some(b), Some(a)).with_keys(8, 7);
        (client, server)
    }

    #[test]
    fn both_ends_name_a_request_alike() {
        for transport in [Transport::Tcp, Transport::Unix, Transport::Udp] {
            let (client, server) = ends(transport);
            let mut links = Links::default();
            // The two ends need not agree on how often the sequence number has wrapped.
            links.sent(&client, 5 << 32 | 1234, 10, context(1), &settings(1_000, 100));
            assert_eq!(links.received(&server, 1 << 32 | 1235, 11, &settings(1_000, 100)), None);
            assert_eq!(
                links.received(&server, 1 << 32 | 1234, 11, &settings(1_000, 100)),
                Some(context(1)),
                "{transport:?}"
            );
            assert_eq!(links.received(&server, 1 << 32 | 1234, 11, &settings(1_000, 100)), None, "only once");
        }
    }

    #[test]
    fn a_unix_socket_whose_peer_is_not_known_has_no_name() {
        let (client, server) = ends(Transport::Unix);
        let mut links = Links::default();
        links.sent(&client.with_keys(7, 0), 0, 10, context(1), &settings(1_000, 100));
        assert_eq!(links.received(&server.with_keys(0, 7), 0, 11, &settings(1_000, 100)), None);
    }

    #[test]
    fn old_and_many_links_are_forgotten() {
        let (client, server) = ends(Transport::Tcp);
        let mut links = Links::default();
        links.sent(&client, 1, 10, context(1), &settings(1_000, 100));
        assert_eq!(links.received(&server, 1, 2_000, &settings(1_000, 100)), None);
        for offset in 0..1_000 {
            links.sent(&client, offset, 10, context(1), &settings(1_000, 16));
        }
        assert_eq!((links.sent.held.len(), links.sent.order.len()), (16, 16));
        assert_eq!(links.received(&server, 983, 11, &settings(1_000, 100)), None);
        assert_eq!(links.received(&server, 984, 11, &settings(1_000, 100)), Some(context(1)));
    }

    #[test]
    fn a_server_may_come_first() {
        let (client, server) = ends(Transport::Tcp);
        let mut links = Links::default();
        let settings = settings(1_000, 16);
        links.expect(&server, 7, 10, 3, &settings);
        assert_eq!(links.sent(&client, 8, 11, context(1), &settings), None);
        assert_eq!(links.sent(&client, 7, 11, context(1), &settings), Some((2, 3)));
        assert_eq!(links.received(&server, 7, 12, &settings), None, "only once");
        links.expect(&server, 9, 10, 3, &settings);
        assert_eq!(links.sent(&client, 9, 2_000, context(1), &settings), None);
        for offset in 0..1_000 {
            links.expect(&server, offset, 10, offset, &settings);
        }
        assert_eq!((links.expected.held.len(), links.expected.order.len()), (16, 16));
    }
}
