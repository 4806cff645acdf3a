//! Both directions of a connection. `client` and `server` read them, and find messages again behind a loss.

use alloc::{borrow::Cow, boxed::Box};

use super::{
    client::Client,
    details::{KafkaDetails, Topics},
    error::ErrorCode,
    pending::Pending,
    request::{Request, has_records},
    schema,
    server::Server,
    session::Sessions,
};
use crate::{
    Completeness, Details, Exchange, Protocol, Role, Timestamp,
    parser::{Context, Parser, Side, Step},
};

#[derive(Debug, Default)]
pub(super) struct KafkaParser {
    pub(super) client: Client,
    pub(super) server: Server,
    role: Option<Role>,
    /// The connection was there before.
    pub(super) joined: bool,
    /// What exists while something is in flight.
    pub(super) work: Option<Box<Work>>,
}

#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) pending: Pending,
    pub(super) sessions: Sessions,
}

/// How far a direction got with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes are done with; go on after them.
    Consumed(usize),
    /// So many are done with, and so many must then be there to go on.
    Need(usize, usize),
    /// So many are done with, and after them so many are of no interest.
    Skip(usize, u64),
    /// Not before more of the other side was read.
    Wait,
    /// These bytes are not Kafka.
    Misframed,
}

impl Parser for KafkaParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        let start = cx.offset;
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            cx.offset = start.saturating_add(at as u64);
            let progress = match side {
                Side::Client => self.read_client(rest, cx),
                Side::Server => self.read_server(rest, cx),
            };
            match progress {
                Progress::Consumed(used) => at = at.saturating_add(used),
                Progress::Need(used, need) => return Step::need(at.saturating_add(used), need),
                Progress::Skip(used, skip) => return Step::skip(at.saturating_add(used), skip),
                Progress::Wait => return Step { consumed: at, then: crate::parser::Then::Wait },
                Progress::Misframed => return Step::misframed(at),
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        match side {
            Side::Client => self.lose_client(length, cx),
            Side::Server => self.lose_server(length, cx),
        }
    }

    fn join(&mut self) {
        self.joined = true;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        let were_lost = self.server.were_lost;
        let Work { pending, .. } = &mut **self.work.get_or_insert_with(Box::default);
        if let Some(request) = self.server.answering.take() {
            let completeness = if request.gap { Completeness::Gap } else { Completeness::Truncated };
            pending.end(request, completeness, cx.shared);
        }
        let missing = if were_lost { Completeness::Gap } else { Completeness::ResponseMissing };
        pending.close(missing, cx.shared);
        if let Some(request) = self.client.building.take() {
            let completeness = if request.gap { Completeness::Gap } else { Completeness::ResponseMissing };
            pending.end(request, completeness, cx.shared);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        let role = self.role.unwrap_or(Role::Client);
        self.work.as_deref_mut()?.pending.next().map(|request| exchange(request, role))
    }

    fn has_exchange(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.pending.has_done())
    }

    fn memory(&self) -> usize {
        let held = |request: &Request| size_of::<Request>().saturating_add(request.memory());
        let requests =
            [&self.client.building, &self.server.answering].into_iter().flatten().map(|one| held(one)).sum::<usize>();
        let work = self.work.as_ref().map_or(0, |work| {
            size_of::<Work>().saturating_add(work.pending.memory()).saturating_add(work.sessions.memory())
        });
        size_of::<Self>().saturating_add(requests).saturating_add(work).saturating_add(self.client.memory())
    }

    fn shrink(&mut self) {
        let Some(work) = self.work.as_deref_mut() else { return };
        if work.pending.is_idle() && work.sessions.memory() == 0 {
            self.work = None;
        } else {
            work.pending.shrink();
            work.sessions.shrink();
        }
    }
}

/// What an exchange is called whose kind came after Kafka 4.1.
const OTHER: &str = "_OTHER";

fn exchange(request: &Request, role: Role) -> Exchange<'_> {
    let text = request.text.as_str();
    let name = |span: super::request::Span| span.get(text).filter(|name| !name.is_empty()).map(Cow::Borrowed);
    let (topic, group) = (name(request.first.name), name(request.group));
    let error_code = request.error.map(ErrorCode::new);
    let records = &request.records;
    // Of what was not seen to its end nobody knows how many there are.
    let was_seen = match request.key {
        schema::FETCH => request.completeness == Completeness::Complete,
        _ => !request.gap,
    };
    let has_records = has_records(request.key) && !records.is_unknown && was_seen;
    Exchange {
        id: request.id,
        protocol: Protocol::Kafka,
        role,
        operation: Cow::Borrowed(schema::find(request.key).map_or(OTHER, |api| api.name)),
        target: topic.clone().or_else(|| group.clone()).unwrap_or_default(),
        error: error_code.map(|code| Cow::Borrowed(code.name().unwrap_or(OTHER))),
        request: request.message,
        response: request.response,
        completeness: request.completeness,
        details: Details::Kafka(KafkaDetails {
            api_key: request.key,
            api_version: request.version,
            correlation_id: request.correlation,
            client_id: name(request.client),
            topics: Topics::new(text, &request.parts),
            topic_count: request.topic_count,
            partition_count: request.partition_count,
            topic,
            topic_id: request.first.id(),
            partition: request.first.partition,
            offset: request.offset,
            records: has_records.then_some(records.count),
            record_bytes: records.bytes,
            batches: records.batches,
            group,
            member: name(request.member),
            generation: request.generation,
            transactional_id: name(request.transaction),
            acks: request.acks,
            session_id: request.session,
            replica: request.replica,
            sasl_mechanism: name(request.mechanism),
            error_code,
            errors: request.errors,
            throttle_time_ms: request.throttle,
        }),
    }
}
