//! Both ends of a local call in one trace: what a client socket of this machine sent is recognised where a server
//! socket of this machine receives it.

use std::{collections::VecDeque, net::SocketAddr};

use rustc_hash::FxHashMap;

use super::{ConnectionInfo, SpanContext, Transport};

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

/// Client requests that no local server has received yet, bounded in number and age.
#[derive(Debug, Default)]
pub(super) struct Links {
    waiting: FxHashMap<Key, (SpanContext, u64)>,
    /// The keys of `waiting` and some that were taken out, oldest first.
    order: VecDeque<(Key, u64)>,
}

impl Links {
    /// A client socket sent a request.
    pub(super) fn sent(&mut self, info: &ConnectionInfo, offset: u64, now: u64, context: SpanContext, limit: usize) {
        let Some(key) = Key::of(End::Client, info, offset) else { return };
        self.waiting.insert(key, (context, now));
        self.order.push_back((key, now));
        while self.order.len() > limit.max(1) {
            let Some((oldest, time)) = self.order.pop_front() else { break };
            if self.waiting.get(&oldest).is_some_and(|(_, newer)| *newer == time) {
                self.waiting.remove(&oldest);
            }
        }
    }

    /// What a client socket began to send was no request.
    pub(super) fn withdrawn(&mut self, info: &ConnectionInfo, offset: u64, context: SpanContext) {
        if let Some(key) = Key::of(End::Client, info, offset)
            && self.waiting.get(&key).is_some_and(|(waiting, _)| *waiting == context)
        {
            self.waiting.remove(&key);
        }
    }

    /// A server socket received a request: the context of the client that sent it not more than `max_age` ago.
    pub(super) fn received(
        &mut self,
        info: &ConnectionInfo,
        offset: u64,
        now: u64,
        max_age: u64,
    ) -> Option<SpanContext> {
        if self.waiting.is_empty() {
            return None;
        }
        let (context, sent) = self.waiting.remove(&Key::of(End::Server, info, offset)?)?;
        (now.saturating_sub(sent) <= max_age).then_some(context)
    }
}

#[cfg(test)]
mod tests {
    use obtrace_export::model::{SpanId, TraceId};

    use super::*;

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
            links.sent(&client, 5 << 32 | 1234, 10, context(1), 100);
            assert_eq!(links.received(&server, 1 << 32 | 1235, 11, 1_000), None);
            assert_eq!(links.received(&server, 1 << 32 | 1234, 11, 1_000), Some(context(1)), "{transport:?}");
            assert_eq!(links.received(&server, 1 << 32 | 1234, 11, 1_000), None, "only once");
        }
    }

    #[test]
    fn a_unix_socket_whose_peer_is_not_known_has_no_name() {
        let (client, server) = ends(Transport::Unix);
        let mut links = Links::default();
        links.sent(&client.with_keys(7, 0), 0, 10, context(1), 100);
        assert_eq!(links.received(&server.with_keys(0, 7), 0, 11, 1_000), None);
    }

    #[test]
    fn old_and_many_links_are_forgotten() {
        let (client, server) = ends(Transport::Tcp);
        let mut links = Links::default();
        links.sent(&client, 1, 10, context(1), 100);
        assert_eq!(links.received(&server, 1, 2_000, 1_000), None);
        for offset in 0..1_000 {
            links.sent(&client, offset, 10, context(1), 16);
        }
        assert_eq!((links.waiting.len(), links.order.len()), (16, 16));
        assert_eq!(links.received(&server, 983, 11, 1_000), None);
        assert_eq!(links.received(&server, 984, 11, 1_000), Some(context(1)));
    }
}
