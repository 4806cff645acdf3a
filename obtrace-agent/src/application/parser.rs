//! The heart of the pipeline: records in, spans out.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use obtrace_probes::{
    Event, Process, Verdicts,
    event::{self, Direction, SocketId},
};
use obtrace_protocols::{Exchange, Opened};
use rustix::time::{ClockId, clock_gettime};

use super::{Settings, accounts::Accounts, summary::Results};
use crate::{
    connections::{Account, Connections, Observer, Verdict},
    discovery::Question,
    enrich::{Enricher, Told},
    pipeline::{BoxError, Input, Output, PooledBatch, Received},
    traces::{ConnectionInfo, FailedConnect, SpanRecord, Strand, Traces, Transport},
};

/// How often timers are looked at and counters published.
const TICK: u64 = 100_000_000;
/// How often the distance between the kernel's clock and the time of day is measured.
const CLOCK: u64 = 10_000_000_000;
/// When so many sockets gave back memory, the system gets it: some megabytes, of which the C library would keep what lies
/// between pieces that are still in use.
const WORTH_RELEASING: usize = 1024;
/// The same after so many spans, looked at as often as the clock: a burst leaves free memory in many places.
const SPANS_RELEASING: u64 = 16 * 1024;
/// Spans gathered before they are sent on: as many as are worth waking another thread for. What waits there is bounded by
/// the number of such batches.
const SPANS: usize = 64;

/// Makes spans of records.
#[derive(Debug)]
pub(super) struct Parser {
    connections: Connections,
    work: Work,
    channels: Channels,
    /// An empty list for the spans that come next.
    spare: Vec<SpanRecord>,
    results: Arc<Mutex<Results>>,
    unreported: u64,
    malformed: u64,
    next_tick: u64,
    next_clock: u64,
    /// Spans there were when memory was given back last.
    released_at: u64,
}

/// What the parser tells and is told beside the wires.
#[derive(Debug)]
pub(super) struct Channels {
    /// Processes that discovery is to look at.
    pub(super) ask: SyncSender<Question>,
    /// Spans that were printed: their memory is used again.
    pub(super) used: Receiver<Vec<SpanRecord>>,
}

/// How many of the processes that ran before the agent are read when it begins, in some 60 ms; others when something is seen of them.
const READ_AT_START: usize = 1024;

/// What the connection table tells its findings to.
#[derive(Debug)]
struct Work {
    traces: Traces,
    enricher: Enricher,
    verdicts: Verdicts,
    accounts: Option<Accounts>,
    spans: Vec<SpanRecord>,
    /// Nobody wants spans: they are only counted.
    counted_only: bool,
    /// Spans that somebody else reports.
    elsewhere: u64,
}

impl Work {
    /// Takes a span, unless it is not ours to report.
    fn take(&mut self, mut record: SpanRecord, told: Told, peer: Option<SocketAddr>) {
        match told {
            Told::AllBut(kinds) if !kinds.has(record.span.kind) => {}
            _ => {
                self.elsewhere += 1;
                return;
            }
        }
        if self.counted_only {
            return;
        }
        if let Some(peer) = self.enricher.cluster().zip(peer).and_then(|(cluster, peer)| cluster.peer(peer.ip())) {
            record.span.push("service.peer.name", peer.name);
            record.span.push("service.peer.namespace", peer.namespace);
        }
        self.spans.push(record);
    }
}

impl Observer for Work {
    fn opened(&mut self, info: &ConnectionInfo, opened: &Opened) {
        let mut opened = *opened;
        opened.tag = self.enricher.strand(Strand::from_tag(opened.tag)).tag();
        self.traces.opened(info, &opened);
    }

    fn exchange(&mut self, info: &ConnectionInfo, exchange: &Exchange<'_>) {
        let (resource, told) = self.enricher.report(Strand::from_tag(exchange.request.tag).process);
        let mut made = None;
        self.traces.exchange(info, &resource, exchange, &mut |record| made = Some(record));
        made.into_iter().for_each(|record| self.take(record, told, info.remote));
    }

    fn closed(&mut self, info: &ConnectionInfo, account: &Account, time: u64) {
        self.traces.closed(info, time);
        if let Some(accounts) = &mut self.accounts
            && info.transport == Transport::Tcp
        {
            accounts.write(info, account);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a sequence number is an offset modulo 2^32")]
    fn verdict(&mut self, info: &ConnectionInfo, verdict: Verdict) {
        let socket = SocketId::new(info.id);
        let set = |direction, verdict| {
            // A socket that has just been closed is no error; nor is one more event of one that is ignored.
            if let Err(error) = self.verdicts.set(socket, info.own_key, direction, verdict) {
                tracing::debug!("the verdict on socket {socket} was not taken: {error}");
            }
        };
        match verdict {
            Verdict::Ignore => {
                set(Direction::Sent, obtrace_probes::Verdict::Ignore);
                set(Direction::Received, obtrace_probes::Verdict::Ignore);
            }
            Verdict::Until(direction, offset) => set(direction, obtrace_probes::Verdict::Until(offset as u32)),
        }
    }
}

impl Parser {
    pub(super) fn new(
        settings: &Settings,
        verdicts: Verdicts,
        known: &[Process],
        accounts: Option<Accounts>,
        results: Arc<Mutex<Results>>,
        channels: Channels,
    ) -> Self {
        let mut enricher = Enricher::new(settings.enrich.clone());
        for (index, process) in known.iter().enumerate() {
            if index < READ_AT_START {
                // As one that has just begun: it may end before its first event is looked at.
                enricher.executed(process.tgid, process.local_tgid, "");
            } else {
                enricher.started(process.tgid, process.local_tgid);
            }
        }
        let work = Work {
            traces: Traces::new(settings.traces.clone()),
            enricher,
            verdicts,
            accounts,
            spans: Vec::with_capacity(SPANS),
            counted_only: false,
            elsewhere: 0,
        };
        let connections = Connections::new(settings.connections.clone());
        Self {
            connections,
            work,
            channels,
            spare: Vec::new(),
            results,
            unreported: 0,
            malformed: 0,
            next_tick: 0,
            next_clock: 0,
            released_at: 0,
        }
    }

    /// Parses batches until there are no more, then finishes what waits.
    pub(super) fn run(
        mut self,
        input: &Input<PooledBatch>,
        output: Option<&Output<Vec<SpanRecord>>>,
    ) -> Result<(), BoxError> {
        self.work.counted_only = output.is_none();
        loop {
            self.tick();
            match input.receive_within(Duration::from_nanos(TICK)) {
                Received::Item(item) => {
                    for record in item.iter() {
                        self.record(record);
                        if self.work.spans.len() >= SPANS {
                            self.send(output)?;
                        }
                    }
                }
                Received::Nothing => {}
                Received::Closed => break,
            }
            self.send(output)?;
        }
        self.connections.finish(monotonic(), &mut self.work);
        self.publish();
        self.send(output)
    }

    fn send(&mut self, output: Option<&Output<Vec<SpanRecord>>>) -> Result<(), BoxError> {
        let Some(output) = output.filter(|_| !self.work.spans.is_empty()) else { return Ok(()) };
        while let Ok(mut used) = self.channels.used.try_recv() {
            used.drain(..).for_each(|record| self.work.traces.give_back(record.span.attributes));
            self.spare = used;
        }
        let mut next = std::mem::take(&mut self.spare);
        next.reserve(SPANS);
        Ok(output.send(std::mem::replace(&mut self.work.spans, next))?)
    }

    fn tick(&mut self) {
        let now = monotonic();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        if now >= self.next_clock {
            self.next_clock = now + CLOCK;
            self.work.traces.set_clock_offset(nanos(ClockId::Realtime).wrapping_sub(now));
            let spans = self.work.traces.counters().spans;
            if spans - self.released_at >= SPANS_RELEASING {
                self.released_at = spans;
                obtrace_probes::release_memory();
            }
        }
        self.connections.tick(now, &mut self.work);
        if self.connections.take_freed() >= WORTH_RELEASING {
            obtrace_probes::release_memory();
        }
        self.publish();
    }

    fn publish(&mut self) {
        if let Some(accounts) = &mut self.work.accounts {
            accounts.flush();
        }
        *self.results.lock().unwrap_or_else(PoisonError::into_inner) = Results {
            traces: self.work.traces.counters(),
            connections: self.connections.counters(),
            unreported: self.unreported,
            elsewhere: self.work.elsewhere,
            malformed: self.malformed,
        };
    }

    fn record(&mut self, record: &[u8]) {
        let Ok(event) = Event::parse(record) else {
            self.malformed += 1;
            return;
        };
        match event {
            Event::Open(open) => {
                if !open.joined {
                    // Its owner is read at once: it may not live until its first span.
                    let _ = self.work.enricher.resource(open.task.tgid);
                }
                self.connections.open(&open, &mut self.work);
            }
            Event::Data(data) => self.connections.data(&data, &mut self.work),
            Event::Datagram(datagram) => self.connections.datagram(&datagram, &mut self.work),
            Event::Close(close) => self.connections.close(&close, &mut self.work),
            Event::ConnectFailed(failed) => self.connect_failed(&failed),
            Event::Fork(fork) => {
                let parent = self.work.enricher.strand(strand(fork.parent));
                self.work.traces.forked(parent, strand(fork.child), fork.time);
                if fork.child.tgid != fork.parent.tgid {
                    self.work.enricher.forked(fork.parent.tgid, fork.child.tgid, fork.local_tgid);
                }
            }
            Event::Exec(exec) => {
                if exec.traced {
                    let name = exec.name.to_string();
                    self.work.enricher.executed(exec.task.tgid, exec.local_tgid, &name);
                }
                if exec.local_tgid != 0 {
                    // If discovery is behind, its next look through /proc finds the process.
                    let _ = self.channels.ask.try_send(Question { pid: exec.local_tgid, traced: exec.traced });
                }
            }
            Event::Exit(exit) => self.work.enricher.exited(exit.task.tgid, exit.time),
            _ => self.malformed += 1,
        }
    }

    fn connect_failed(&mut self, failed: &event::ConnectFailed) {
        let Some(transport) = called(failed) else {
            self.unreported += 1;
            return;
        };
        if !self.connections.is_wanted_port(failed.remote.map(|address| address.port())) {
            return;
        }
        let strand = self.work.enricher.strand(strand(failed.task));
        let connect =
            FailedConnect::new(failed.started, failed.time, strand, transport, failed.errno).with_remote(failed.remote);
        let (resource, told) = self.work.enricher.report(strand.process);
        let mut made = None;
        self.work.traces.connect_failed(&connect, &resource, &mut |record| made = Some(record));
        made.into_iter().for_each(|record| self.work.take(record, told, failed.remote));
    }
}

/// What a connect that failed was to call; `None` if nobody misses an answer.
const fn called(failed: &event::ConnectFailed) -> Option<Transport> {
    const NO_SUCH_FILE: u32 = 2;
    match failed.transport {
        // The kernel is asked for a route: nobody was called.
        event::Transport::Udp => None,
        // The C library tries sockets that need not exist, the name service cache's, again and again.
        event::Transport::Unix if failed.errno == NO_SUCH_FILE => None,
        event::Transport::Unix => Some(Transport::Unix),
        _ => Some(Transport::Tcp),
    }
}

const fn strand(task: event::Task) -> Strand {
    Strand::new(task.tgid, task.tid)
}

/// The clock of the events.
fn monotonic() -> u64 {
    nanos(ClockId::Monotonic)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_to_what_need_not_be_there_is_no_call() {
        const REFUSED: u32 = 111;
        let failed =
            |transport, errno| called(&event::ConnectFailed::new(1, 2, event::Task::new(7, 7), transport, errno));
        assert_eq!(failed(event::Transport::Tcp, REFUSED), Some(Transport::Tcp));
        assert_eq!(failed(event::Transport::Unix, REFUSED), Some(Transport::Unix));
        assert_eq!(failed(event::Transport::Unix, 2), None);
        assert_eq!(failed(event::Transport::Udp, 101), None);
    }
}
