//! Packets in, spans out.

use std::{cmp::Reverse, collections::BinaryHeap, fmt};

use obtrace_protocols::{Config, Role, Shared, payload::GenAiEndpoint};

use super::{
    Packet, Skipped, Summary,
    flow::{EntryId, Pair, Patience, Table, TcpFlow, UdpFlow},
    packet::{Datagram, Decoded, Decoder, Segment, Transport},
    spans::Spans,
};
use crate::{
    connections,
    traces::{self, SpanRecord, Traces},
};

const SECOND: u64 = 1_000_000_000;

/// Bounds and choices of a replay. Times are in nanoseconds of the capture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Whose spans are told. Those of the clients.
    pub perspective: Role,
    /// Most TCP connections at a time; those that were silent for longest are given up beyond it. 65,536.
    pub max_tcp_streams: usize,
    /// The same for pairs of addresses that exchange UDP datagrams. 65,536.
    pub max_udp_streams: usize,
    /// How long a TCP connection may be silent. 1 h.
    pub tcp_idle: u64,
    /// How long a pair of UDP addresses may be silent. 60 s.
    pub udp_idle: u64,
    /// How long bytes are waited for that their receiver has acknowledged. 200 ms.
    pub acknowledged_patience: u64,
    /// How long bytes are waited for that may be sent again. 3 s.
    pub lost_patience: u64,
    /// Bytes of a connection that wait behind a hole, bookkeeping included. 1 MiB.
    pub max_waiting: usize,
    /// Bytes that all connections together hold for messages that are not whole. 256 MiB.
    pub max_held: usize,
    /// What the parsers keep; whose side they tell is [`Settings::perspective`].
    pub parsers: Config,
    /// Endpoints of generative AI beside those that are known.
    pub gen_ai_endpoints: Vec<GenAiEndpoint>,
    /// How spans are made.
    pub traces: traces::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            perspective: Role::Client,
            max_tcp_streams: 65_536,
            max_udp_streams: 65_536,
            tcp_idle: 3_600 * SECOND,
            udp_idle: 60 * SECOND,
            acknowledged_patience: SECOND / 5,
            lost_patience: 3 * SECOND,
            max_waiting: 1024 * 1024,
            max_held: 256 * 1024 * 1024,
            parsers: Config::new(),
            gen_ai_endpoints: Vec::new(),
            traces: traces::Settings::new(),
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Settings::perspective`].
    #[must_use]
    pub fn with_perspective(mut self, perspective: Role) -> Self {
        self.perspective = perspective;
        self
    }

    /// Sets [`Settings::max_tcp_streams`] and [`Settings::max_udp_streams`], at least 1 each.
    #[must_use]
    pub fn with_max_streams(mut self, tcp: usize, udp: usize) -> Self {
        (self.max_tcp_streams, self.max_udp_streams) = (tcp.max(1), udp.max(1));
        self
    }

    /// Sets how much the parsers keep and what they look for.
    #[must_use]
    pub fn with_parsers(mut self, parsers: Config) -> Self {
        self.parsers = parsers;
        self
    }

    /// Reads connections as the agent is told to: what its parsers keep, and which hosts speak an API of models.
    #[must_use]
    pub fn with_connections(mut self, connections: &connections::Settings) -> Self {
        self.parsers = connections.parsers().with_datagram_timeout(connections.datagram_timeout);
        self.gen_ai_endpoints.clone_from(&connections.gen_ai_endpoints);
        self
    }

    /// Sets [`Settings::traces`].
    #[must_use]
    pub fn with_traces(mut self, traces: traces::Settings) -> Self {
        self.traces = traces;
        self
    }

    fn parsers(&self) -> Config {
        self.parsers.with_perspective(Some(self.perspective))
    }

    fn patience(&self) -> Patience {
        Patience {
            acknowledged: self.acknowledged_patience,
            lost: self.lost_patience,
            bytes: self.max_waiting,
            segments: 1024,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Tcp(EntryId),
    Udp(EntryId),
}

/// Turns packets into spans, which it gives to `S` with the newest time of the capture.
///
/// ```
/// use obtrace_agent::replay::{CaptureReader, Replay, Settings};
/// # let file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0], &[0; 12][..], &[1, 0, 0, 0]].concat();
/// let mut spans = Vec::new();
/// let mut replay = Replay::new(Settings::new(), |record, _now| spans.push(record.clone()));
/// let mut capture = CaptureReader::new(&file[..]).unwrap();
/// while let Some(packet) = capture.next_packet().unwrap() {
///     replay.packet(&packet);
/// }
/// let summary = replay.finish();
/// assert_eq!(summary.exchanges, spans.len() as u64);
/// ```
pub struct Replay<S> {
    settings: Settings,
    patience: Patience,
    shared: Shared,
    decoder: Decoder,
    spans: Spans<S>,
    tcp: Table<TcpFlow>,
    udp: Table<UdpFlow>,
    timers: BinaryHeap<Reverse<(u64, Timer)>>,
    streams: u64,
}

impl<S> fmt::Debug for Replay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: FnMut(&SpanRecord, u64)> Replay<S> {
    /// Nothing was seen yet.
    pub fn new(settings: Settings, sink: S) -> Self {
        Self {
            patience: settings.patience(),
            shared: Shared::new(settings.max_held).with_gen_ai_endpoints(settings.gen_ai_endpoints.clone()),
            decoder: Decoder::default(),
            spans: Spans::new(Traces::new(settings.traces.clone()), settings.perspective, sink),
            tcp: Table::new(settings.max_tcp_streams),
            udp: Table::new(settings.max_udp_streams),
            timers: BinaryHeap::new(),
            streams: 0,
            settings,
        }
    }

    /// Takes the next packet of the capture.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.spans.summary.packets += 1;
        if packet.time > self.spans.now {
            self.spans.now = packet.time;
            self.run_timers();
            self.expire();
        }
        let now = self.spans.now;
        match self.decoder.decode(packet, now) {
            Decoded::Transport(Transport::Tcp(segment)) => self.segment(&segment, packet.time),
            Decoded::Transport(Transport::Udp(datagram)) => self.datagram(&datagram, packet.time),
            Decoded::Fragment => {}
            Decoded::Skip(reason) => self.spans.summary.skip(reason),
        }
    }

    /// The capture is over: whatever is open ends as it is.
    pub fn finish(mut self) -> Summary {
        while let Some((id, _)) = self.tcp.oldest() {
            self.end_tcp(id);
        }
        while let Some((id, _)) = self.udp.oldest() {
            self.end_udp(id);
        }
        self.spans.summary.fragments_incomplete = self.decoder.incomplete();
        self.spans.summary
    }

    /// What was seen so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.spans.summary
    }

    /// The newest time of the capture.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.spans.now
    }

    fn segment(&mut self, segment: &Segment<'_>, at: u64) {
        let pair = Pair::new(segment.source, segment.destination);
        let mut known = self.tcp.id_of(pair);
        if let Some(id) = known.filter(|_| segment.syn)
            && self.tcp.get_mut(id).is_some_and(|flow| !flow.is_own_syn(segment))
        {
            self.end_tcp(id);
            known = None;
        }
        let id = match known {
            Some(id) => id,
            None if segment.length == 0 && !segment.syn => return self.spans.summary.skip(Skipped::NoConnection),
            None => self.new_tcp(pair, segment, at),
        };
        self.tcp.touch(id, self.spans.now);
        let Some(flow) = self.tcp.get_mut(id) else { return };
        flow.segment(segment, at, &self.patience, &mut self.spans);
        let due = flow.timeout(&self.patience);
        arm(&mut self.timers, &mut flow.armed, due, Timer::Tcp(id));
    }

    fn new_tcp(&mut self, pair: Pair, segment: &Segment<'_>, at: u64) -> EntryId {
        while self.tcp.is_full() {
            let Some((id, _)) = self.tcp.oldest() else { break };
            self.spans.summary.evicted += u64::from(self.tcp.get_mut(id).is_some_and(|flow| !flow.is_closed()));
            self.end_tcp(id);
        }
        self.streams += 1;
        self.spans.summary.tcp_streams += 1;
        let flow = TcpFlow::new(self.streams, segment, &self.settings.parsers(), &self.shared, at);
        self.tcp.insert(pair, flow, self.spans.now)
    }

    fn end_tcp(&mut self, id: EntryId) {
        if let Some(mut flow) = self.tcp.remove(id) {
            flow.close(&mut self.spans);
        }
    }

    fn datagram(&mut self, datagram: &Datagram<'_>, at: u64) {
        let pair = Pair::new(datagram.source, datagram.destination);
        let id = self.udp.id_of(pair).unwrap_or_else(|| self.new_udp(pair, datagram, at));
        self.udp.touch(id, self.spans.now);
        let Some(flow) = self.udp.get_mut(id) else { return };
        flow.datagram(datagram, at, &mut self.spans);
        let due = flow.timeout();
        arm(&mut self.timers, &mut flow.armed, due, Timer::Udp(id));
    }

    fn new_udp(&mut self, pair: Pair, datagram: &Datagram<'_>, at: u64) -> EntryId {
        while self.udp.is_full() {
            let Some((id, _)) = self.udp.oldest() else { break };
            self.spans.summary.evicted += 1;
            self.end_udp(id);
        }
        self.streams += 1;
        self.spans.summary.udp_streams += 1;
        let flow = UdpFlow::new(self.streams, datagram, &self.settings.parsers(), &self.shared, at);
        self.udp.insert(pair, flow, self.spans.now)
    }

    fn end_udp(&mut self, id: EntryId) {
        if let Some(flow) = self.udp.remove(id) {
            flow.close(&mut self.spans);
        }
    }

    /// Calls whoever wanted to be called by now.
    fn run_timers(&mut self) {
        let now = self.spans.now;
        while let Some(Reverse((due, timer))) = self.timers.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.timers.pop();
            match timer {
                Timer::Tcp(id) => {
                    let Some(flow) = self.tcp.get_mut(id).filter(|flow| flow.armed == due) else { continue };
                    flow.armed = u64::MAX;
                    flow.handle_timeout(now, &self.patience, &mut self.spans);
                    let next = flow.timeout(&self.patience).map(|next| next.max(now + 1));
                    arm(&mut self.timers, &mut flow.armed, next, timer);
                }
                Timer::Udp(id) => {
                    let Some(flow) = self.udp.get_mut(id).filter(|flow| flow.armed == due) else { continue };
                    flow.armed = u64::MAX;
                    flow.handle_timeout(now, &mut self.spans);
                    let next = flow.timeout().map(|next| next.max(now + 1));
                    arm(&mut self.timers, &mut flow.armed, next, timer);
                }
            }
        }
    }

    /// Ends what was silent for too long.
    fn expire(&mut self) {
        let now = self.spans.now;
        let idle = self.settings.tcp_idle;
        while let Some((id, _)) = self.tcp.oldest().filter(|(_, used)| used.saturating_add(idle) <= now) {
            self.spans.summary.evicted += u64::from(self.tcp.get_mut(id).is_some_and(|flow| !flow.is_closed()));
            self.end_tcp(id);
        }
        let idle = self.settings.udp_idle;
        while let Some((id, _)) = self.udp.oldest().filter(|(_, used)| used.saturating_add(idle) <= now) {
            self.end_udp(id);
        }
    }
}

/// Sets a timer, unless an earlier one is set: that one looks again when it is due.
fn arm(timers: &mut BinaryHeap<Reverse<(u64, Timer)>>, armed: &mut u64, due: Option<u64>, timer: Timer) {
    if let Some(due) = due.filter(|due| *due < *armed) {
        *armed = due;
        timers.push(Reverse((due, timer)));
    }
}
