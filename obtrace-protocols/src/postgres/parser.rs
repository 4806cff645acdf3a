//! Pairs what the client asks with what the server answers. `client` and `server` read the two sides.

use alloc::{borrow::Cow, boxed::Box};

use super::{
    client::ClientState,
    details::{PostgresDetails, Request},
    queue::{Entry, Failure, Queue},
    server::ServerState,
    statements::{Reading, Statements},
};
use crate::{
    Completeness, Config, Details, Exchange, Message, Protocol, Role, Stage, Timestamp,
    pairing::{Pairing, Place},
    parser::{Context, Parser, Side, Step},
    sql::Grammar,
};

#[derive(Debug)]
pub(super) struct PostgresParser {
    pub(super) client: ClientState,
    pub(super) server: ServerState,
    pub(super) queue: Queue,
    pub(super) statements: Statements,
    pub(super) pairing: Pairing,
    session: Option<Box<Session>>,
    role: Role,
    /// Told by `standard_conforming_strings`.
    pub(super) grammar: Grammar,
    /// Both sides are encrypted from here on.
    pub(super) encrypted: bool,
}

/// What the startup packet said.
#[derive(Debug)]
struct Session {
    database: Box<str>,
    user: Box<str>,
}

impl PostgresParser {
    pub(super) fn new() -> Self {
        Self {
            client: ClientState::default(),
            server: ServerState::default(),
            queue: Queue::default(),
            statements: Statements::new(),
            pairing: Pairing::default(),
            session: None,
            role: Role::Client,
            grammar: Grammar::POSTGRES,
            encrypted: false,
        }
    }

    /// Names are limited to 63 bytes by the server; a longer one is cut as the server does.
    pub(super) fn set_session(&mut self, database: &[u8], user: &[u8]) {
        let keep = |name: &[u8]| alloc::string::String::from_utf8_lossy(name.get(..63).unwrap_or(name)).into();
        // The database is the user's by default.
        let database = if database.is_empty() { user } else { database };
        self.session = Some(Box::new(Session { database: keep(database), user: keep(user) }));
    }

    pub(super) fn reading(&self, config: &Config) -> Reading {
        Reading { grammar: self.grammar, raw: config.raw_sql, max: config.max_text as usize }
    }

    /// The head is over as far as it came.
    pub(super) fn finish_head(&mut self) {
        let Some(head) = self.queue.head() else { return };
        let completeness = head.completeness();
        self.finish_head_as(completeness);
    }

    pub(super) fn finish_head_as(&mut self, completeness: Completeness) {
        self.pass_head(completeness);
        self.finish_unknown();
        self.drop_spent();
    }

    /// Those whose answer nobody knows do not wait for it.
    pub(super) fn finish_unknown(&mut self) {
        while self.queue.head().is_some_and(|head| head.place == Place::Unknown) {
            self.pass_head(Completeness::Gap);
        }
    }

    fn pass_head(&mut self, completeness: Completeness) {
        let statements = &self.statements;
        if let Some(spent) = self.queue.finish_head(completeness, |one, other| statements.are_same(one, other)) {
            self.release(&spent);
        }
    }

    /// Gives up the texts of entries that nobody will see any more.
    fn drop_spent(&mut self) {
        while let Some(spent) = self.queue.take_spent() {
            self.release(&spent);
        }
    }

    fn release(&mut self, spent: &Entry) {
        self.statements.release(spent.statement);
        self.statements.release(spent.portal);
    }

    /// Announces what the client has begun, so that the other end of the connection, which may be observed too, finds
    /// it in time; and tells what came to nothing. Once a call, not a message: what comes to nothing before is not told.
    fn announce(&mut self, cx: &mut Context<'_>) {
        self.queue.announce(cx);
        self.announce_building(cx);
        for (id, request) in self.queue.withdrawn() {
            cx.tell(id, &request, Stage::Withdrawn);
        }
    }
}

impl Parser for PostgresParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = cx.role;
        if self.encrypted {
            return Step::skip(0, u64::MAX);
        }
        let step = match side {
            Side::Client => {
                let step = self.parse_client(bytes, cx);
                self.make_room(cx);
                step
            }
            Side::Server => self.parse_server(bytes, cx),
        };
        self.announce(cx);
        step
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.role = cx.role;
        self.pairing.touch(cx.now);
        match side {
            Side::Client => {
                self.lose_client();
                // Before the protocol was known: what was lost of the server may have passed earlier.
                self.client.torn |= length == 0;
            }
            Side::Server => {
                // It may have been set among what was lost.
                self.grammar = Grammar::POSTGRES;
                self.lose_server();
            }
        }
        self.announce(cx);
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.role = cx.role;
        while let Some(head) = self.queue.head() {
            let completeness = match head.completeness() {
                // The ReadyForQuery is a part of the answer.
                Completeness::Complete if head.sync => Completeness::Truncated,
                other => other,
            };
            self.finish_head_as(completeness);
        }
        let verdict = self.pairing.settle();
        self.judge(verdict);
        self.drop_building();
        self.announce(cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.pairing.quiet_at()
    }

    fn timeout(&mut self, cx: &mut Context<'_>) {
        self.quiet();
        self.announce(cx);
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.drop_spent();
        let (entry, completeness) = self.queue.lend()?;
        Some(exchange(entry, completeness, &self.statements, self.session.as_deref(), self.role))
    }

    fn has_exchange(&self) -> bool {
        self.queue.ready() > 0
    }

    fn memory(&self) -> usize {
        let session = self.session.as_deref();
        let session = session.map_or(0, |session| {
            size_of::<Session>().saturating_add(session.database.len()).saturating_add(session.user.len())
        });
        let parts = self.queue.memory().saturating_add(self.statements.memory());
        size_of::<Self>().saturating_add(session).saturating_add(parts)
    }

    fn shrink(&mut self) {
        self.drop_spent();
        self.queue.shrink();
        self.statements.shrink();
    }
}

/// What an exchange is called whose SQL is not known.
const fn request_name(kind: Request) -> &'static str {
    match kind {
        Request::Query => "QUERY",
        Request::Execute => "EXECUTE",
        Request::FunctionCall => "FUNCTION CALL",
        Request::Prepare => "SYNC",
        Request::Startup => "CONNECT",
    }
}

fn exchange<'a>(
    entry: &'a Entry,
    completeness: Completeness,
    statements: &'a Statements,
    session: Option<&'a Session>,
    role: Role,
) -> Exchange<'a> {
    let slot = statements.get(entry.statement);
    let portal = statements.get(entry.portal);
    let digest = slot.map(|slot| &slot.digest);
    let command_tag = entry.tag.as_str();
    let verb = command_tag.trim_end_matches(|last: char| last.is_ascii_digit() || last == ' ');
    let named = digest.map_or("", |digest| digest.operation());
    let operation = [named, verb].into_iter().find(|name| !name.is_empty()).unwrap_or(request_name(entry.kind));
    let (sqlstate, severity) = match &entry.failure {
        Some(Failure::Error { sqlstate, severity }) => (core::str::from_utf8(sqlstate).ok(), Some(*severity)),
        _ => (None, None),
    };
    let error = match entry.failure {
        Some(Failure::Skipped) => Some("pipeline_aborted"),
        _ => sqlstate,
    };
    let details = PostgresDetails {
        request: entry.kind,
        statement: Cow::Borrowed(digest.map_or("", |digest| digest.text())),
        statement_cut: slot.is_some_and(|slot| slot.cut),
        summary: Cow::Borrowed(digest.map_or("", |digest| digest.summary())),
        statement_name: Cow::Borrowed(slot.map_or("", |slot| &slot.name)),
        portal: Cow::Borrowed(portal.map_or("", |portal| &portal.name)),
        database: Cow::Borrowed(session.map_or("", |session| &session.database)),
        user: Cow::Borrowed(session.map_or("", |session| &session.user)),
        sqlstate: sqlstate.map(Cow::Borrowed),
        severity,
        error_message: entry.message.as_deref().map(Cow::Borrowed),
        command_tag: Cow::Borrowed(command_tag),
        returned_rows: entry.rows,
        affected_rows: entry.affected,
        copied_in: entry.copied_in,
        copied_out: entry.copied_out,
        batch_size: digest.map_or(0, |digest| digest.statements()).max(entry.commands),
        suspended: entry.suspended,
        transaction: entry.transaction,
    };
    Exchange {
        id: entry.id,
        protocol: Protocol::Postgres,
        role,
        operation: Cow::Borrowed(operation),
        target: Cow::Borrowed(digest.map_or("", |digest| digest.target())),
        error: error.map(Cow::Borrowed),
        request: entry.request,
        response: entry.has_response.then_some(entry.response),
        completeness,
        details: Details::Postgres(details),
    }
}

/// Adds bytes to a message whose last one passed then.
pub(super) fn extend(message: &mut Message, size: usize, end: Timestamp) {
    message.size = message.size.saturating_add(size as u64);
    message.end = message.end.max(end);
}
