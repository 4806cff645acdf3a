//! Redis: RESP2 and RESP3, inline commands, pipelines, subscriptions, transactions.
//!
//! Every command is an exchange of its own, also inside a pipeline and inside `MULTI` … `EXEC` (the queued ones are
//! answered by `QUEUED`; errors inside the answer of `EXEC` make the `EXEC` fail). What a server sends unasked
//! (messages, invalidations, the lines of `MONITOR`, the stream of a replica) is no exchange.
//!
//! Values never leave the parser, so that no secret can: of a command its name and its keys are kept, of an answer
//! its kind, its size and the first word of an error.
//!
//! Limits: keys are cut after 1 KiB, statements at [`Config::max_text`]; an inline command has 64 KiB, as servers have it,
//! or [`Config::max_buffered`](crate::Config::max_buffered). Aggregates with a count may be nested as deep as they like,
//! streamed ones 8 levels. As many commands wait as [`Config::max_pending`](crate::Config::max_pending) says, and 256
//! answers that nobody is known to wait for.
//!
//! Sources: the [protocol](https://redis.io/docs/latest/develop/reference/protocol-spec/),
//! [pub/sub](https://redis.io/docs/latest/develop/pubsub/), [transactions](https://redis.io/docs/latest/develop/using-commands/transactions/).

mod command;
mod detect;
mod half;
mod loss;
mod reply;
mod request;
pub mod resp;
mod session;
mod table;
#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
mod text;

use alloc::{borrow::Cow, boxed::Box};

pub(crate) use detect::matches;
use half::{Half, Progress};
use reply::Reading;
use request::{Building, OTHER};
use session::{Queue, Request, Session};

use crate::{
    Config, Details, Exchange, Protocol, Role, Timestamp,
    exchange::own,
    parser::{Context, Parser, Side, Step},
};

/// What only Redis has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RedisDetails<'a> {
    /// The first key, where the command has one. Control characters and what is not UTF-8 are written as `\xNN`; cut
    /// after 1 KiB.
    pub key: Option<Cow<'a, str>>,
    /// The command with its keys and with `?` for every other argument: `SET session:7 ? ? ?`. Ends in ` ...` if it is
    /// longer than [`Config::max_text`].
    pub statement: Cow<'a, str>,
    /// How many arguments the command has, without its name's first word.
    pub arguments: u32,
    /// The selected database, once a `SELECT` or a `RESET` was seen; of a `SELECT` the one that it selects.
    pub database: Option<u32>,
    /// The word in capitals that an error begins with: `ERR`, `WRONGTYPE`, `MOVED`, … Of an `EXEC` the first one in its
    /// answer. `None` also if an error does not follow the convention.
    pub error_prefix: Option<Cow<'a, str>>,
    /// What kind of value the answer is. `None` without an answer.
    pub reply: Option<resp::Kind>,
    /// Bytes of a string, elements of an aggregate (a pair of a map is one), as the answer declares them.
    pub reply_length: Option<u64>,
    /// How many errors the answer has inside.
    pub nested_errors: u32,
    /// Part of a `MULTI` … `EXEC` block, these two included.
    pub in_transaction: bool,
}

impl RedisDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> RedisDetails<'static> {
        RedisDetails {
            key: self.key.map(own),
            statement: own(self.statement),
            arguments: self.arguments,
            database: self.database,
            error_prefix: self.error_prefix.map(own),
            reply: self.reply,
            reply_length: self.reply_length,
            nested_errors: self.nested_errors,
            in_transaction: self.in_transaction,
        }
    }
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::<RedisParser>::default()
}

/// Longest head of a command that a search for the next command has to see at once.
const MAX_HEAD: usize = 96;

#[derive(Debug, Default)]
struct RedisParser {
    session: Session,
    client: Half,
    server: Half,
    /// An answer was read: the server does speak Redis.
    has_spoken: bool,
    role: Option<Role>,
    /// What exists while something is in flight.
    work: Option<Box<Work>>,
}

#[derive(Debug, Default)]
struct Work {
    building: Building,
    reading: Reading,
    queue: Queue,
}

impl RedisParser {
    fn parse_client(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let Work { building, reading, queue } = &mut **self.work.get_or_insert_with(Box::default);
        let (half, session) = (&mut self.client, &mut self.session);
        let start = cx.offset;
        half.arrive(start);
        let mut at = 0_usize;
        let step = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            cx.offset = start.saturating_add(at as u64);
            half.position = cx.offset;
            if session.is_replication {
                break Step::skip(at, u64::MAX);
            }
            let progress = if half.lost {
                next_command(half, rest)
            } else {
                request::step(half, building, queue, session, rest, cx)
            };
            match progress {
                Progress::Consumed(used) => at = at.saturating_add(used),
                Progress::Need(need) => break Step::need(at, need),
                Progress::Skip(used, skip) => break Step::skip(at.saturating_add(used), skip),
                Progress::Misframed => {
                    let is_named = building.abandon(queue);
                    queue.requests_lost(is_named, session);
                    half.lose();
                    break Step::misframed(at);
                }
            }
        };
        half.position = start.saturating_add(step.consumed as u64);
        if core::mem::take(&mut queue.is_settled) && self.server.lost {
            self.server.lost = false;
            *reading = Reading::default();
        }
        step
    }

    fn parse_server(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let Work { reading, queue, .. } = &mut **self.work.get_or_insert_with(Box::default);
        let (half, session) = (&mut self.server, &mut self.session);
        let start = cx.offset;
        half.arrive(start);
        let mut at = 0_usize;
        let step = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            cx.offset = start.saturating_add(at as u64);
            half.position = cx.offset;
            if session.is_replication {
                break Step::skip(at, u64::MAX);
            }
            if half.lost {
                let older = queue.older_than_front(rest.len(), cx);
                if older > 0 {
                    at = at.saturating_add(older);
                    continue;
                }
                // A server writes whole answers if it can: one may begin where the loss ended, nowhere else.
                match resp::head(rest) {
                    _ if rest.is_empty() => break Step::need(at, 1),
                    _ if queue.expects_answer() => {}
                    _ if cx.offset != half.resume => {
                        if let Some(segment) = queue.segment.as_deref_mut() {
                            segment.add_unread(cx.now);
                        }
                        break Step::need(bytes.len(), 1);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) if rest.len() <= MAX_HEAD => break Step::need(at, rest.len().saturating_add(1)),
                    _ => break Step::need(bytes.len(), 1),
                }
                half.lost = false;
            }
            match reply::step(half, reading, queue, session, rest, cx) {
                Progress::Consumed(used) => at = at.saturating_add(used),
                Progress::Need(need) => break Step::need(at, need),
                Progress::Skip(used, skip) => break Step::skip(at.saturating_add(used), skip),
                Progress::Misframed => {
                    let begun = reading.abandon();
                    half.lose();
                    // Joined in the middle of an answer to a command that was not seen: no fault of the protocol's.
                    if queue.older_than_front(1, cx) > 0 || (!self.has_spoken && queue.is_idle()) {
                        at = at.saturating_add(1).min(bytes.len());
                        continue;
                    }
                    queue.answers_lost(begun.as_ref(), (u64::MAX, cx.mark_at(cx.offset).at), session);
                    break Step::misframed(at);
                }
            }
        };
        self.has_spoken |= at > 0;
        queue.mid_reply = reading.active;
        half.position = start.saturating_add(step.consumed as u64);
        step
    }
}

/// Looks for the next command after a loss: an array of strings with the name of a known command in front, or where
/// the loss ended of any.
fn next_command(half: &mut Half, rest: &[u8]) -> Progress {
    let mut from = 0_usize;
    while let Some(found) = rest.get(from..).and_then(|rest| rest.iter().position(|&byte| byte == b'*')) {
        let at = from.saturating_add(found);
        let after_line = at.checked_sub(1).map_or(half.after_line, |before| rest.get(before) == Some(&b'\n'));
        let resumes = half.position.saturating_add(at as u64) == half.resume;
        let candidate = rest.get(at..).unwrap_or_default();
        let candidate = candidate.get(..MAX_HEAD.min(candidate.len())).unwrap_or_default();
        let is_command = match detect::command(candidate) {
            detect::Found::Known => after_line || resumes,
            detect::Found::Plausible => resumes,
            detect::Found::Partial if (after_line || resumes) && candidate.len() < MAX_HEAD => {
                if at == 0 {
                    return Progress::Need(rest.len().saturating_add(1));
                }
                half.after_line = after_line;
                return Progress::Consumed(at);
            }
            _ => false,
        };
        if is_command {
            half.lost = false;
            return Progress::Consumed(at);
        }
        from = at.saturating_add(1);
    }
    let Some(last) = rest.last() else { return Progress::Need(1) };
    half.after_line = *last == b'\n';
    Progress::Consumed(rest.len())
}

impl Parser for RedisParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = Some(cx.role);
        match side {
            Side::Client => self.parse_client(bytes, cx),
            Side::Server => self.parse_server(bytes, cx),
        }
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        if self.session.is_replication {
            return;
        }
        let Work { building, reading, queue } = &mut **self.work.get_or_insert_with(Box::default);
        match side {
            Side::Client => {
                let was_wanted = self.client.want > 0;
                if self.client.survives(cx.offset, length) {
                    building.damaged(was_wanted, queue, cx);
                } else {
                    let is_named = building.abandon(queue);
                    queue.requests_lost(is_named, &mut self.session);
                    self.client.lose();
                    self.client.resume = cx.offset;
                }
            }
            Side::Server => {
                if self.server.survives(cx.offset, length) {
                    reading.answer.gap = true;
                } else {
                    let begun = reading.abandon();
                    let waits = !cx.assembler.readable().is_empty();
                    let resumed = if waits { cx.mark_at(cx.offset).at } else { cx.now };
                    queue.answers_lost(begun.as_ref(), (cx.offset, resumed), &mut self.session);
                    queue.mid_reply = false;
                    self.server.lose();
                    self.server.resume = cx.offset;
                }
            }
        }
    }

    fn join(&mut self) {
        self.work.get_or_insert_with(Box::default).queue.joined();
    }

    fn close(&mut self, _cx: &mut Context<'_>) {
        let Some(Work { building, reading, queue }) = self.work.as_deref_mut() else { return };
        if building.active && !building.abandon(queue) {
            queue.requests.pop_back();
        }
        let begun = reading.abandon();
        queue.close(begun.as_ref(), self.client.lost, &mut self.session);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.work.as_ref()?.queue.quiet_at()
    }

    fn timeout(&mut self, _cx: &mut Context<'_>) {
        let Some(work) = self.work.as_deref_mut() else { return };
        if work.building.active || work.reading.active {
            return work.queue.wait_longer();
        }
        work.queue.quiet(self.client.lost, &mut self.session);
        self.server.lost = false;
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        let role = self.role.unwrap_or(Role::Client);
        let queue = &mut self.work.as_deref_mut()?.queue;
        queue.take_done()?;
        let queue = &*queue;
        queue.current.as_ref().map(|request| exchange(request, queue, role))
    }

    fn has_exchange(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.queue.has_done())
    }

    fn memory(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |work| size_of::<Work>().saturating_add(work.queue.memory()));
        size_of::<Self>().saturating_add(work)
    }

    fn shrink(&mut self) {
        if self.work.as_ref().is_some_and(|w| w.queue.is_idle() && !w.building.active && !w.reading.active) {
            self.work = None;
        }
    }
}

fn exchange<'a>(request: &'a Request, queue: &'a Queue, role: Role) -> Exchange<'a> {
    let operation = match request.spec {
        Some(spec) => spec.name,
        None => match queue.texts.get(request.statement.first(request.name_length)) {
            "" => OTHER,
            name => name,
        },
    };
    let answer = request.answer.as_ref();
    let is_exec = request.spec.is_some_and(|spec| spec.special == command::Special::Exec);
    let error = answer.filter(|answer| answer.kind.is_error() || is_exec).and_then(|answer| answer.error.as_ref());
    let prefix = error.map(command::Word::as_str);
    Exchange {
        id: request.id,
        protocol: Protocol::Redis,
        role,
        operation: Cow::Borrowed(operation),
        target: Cow::Borrowed(""),
        error: prefix.map(|prefix| Cow::Borrowed(if prefix.is_empty() { OTHER } else { prefix })),
        request: request.message,
        response: answer.map(|answer| answer.message),
        completeness: request.completeness,
        details: Details::Redis(RedisDetails {
            key: request.key.map(|key| Cow::Borrowed(queue.texts.get(key))),
            statement: Cow::Borrowed(queue.texts.get(request.statement)),
            arguments: request.arguments,
            database: request.database,
            error_prefix: prefix.filter(|prefix| !prefix.is_empty()).map(Cow::Borrowed),
            reply: answer.map(|answer| answer.kind),
            reply_length: answer.and_then(|answer| answer.length),
            nested_errors: answer.map_or(0, |answer| answer.nested_errors),
            in_transaction: request.in_transaction,
        }),
    }
}
