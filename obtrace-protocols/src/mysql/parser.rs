//! Pairs what the client asks with what the server answers. `client` and `server` read the two sides.

use alloc::{borrow::Cow, boxed::Box, string::String, sync::Arc};

use super::{
    client::ClientState,
    compression::Compression,
    details::MySqlDetails,
    handshake::{Greeting, capability},
    queue::{Entry, Queue},
    server::ServerState,
    statements::{Handle, Reading, Statements},
};
use crate::{
    Completeness, Config, Details, Exchange, Protocol, Role, Stage, Timestamp,
    parser::{Context, Parser, Side, Step},
    sql::{Dialect, Grammar},
    stream::Mark,
};

/// After so much silence behind a loss, in nanoseconds, nothing is believed to be under way.
const QUIET: u64 = 1_000_000_000;
/// Longest name of a database or a user that is kept, in bytes: 64 characters are allowed.
const MAX_NAME: usize = 256;

/// The bytes that are shown, and when they passed.
pub(super) struct Source<'a, 'c> {
    pub(super) cx: &'a mut Context<'c>,
    /// The bytes came out of compressed ones.
    pub(super) unpacked: Option<Unpacked>,
}

/// So many bytes in front have the first mark, the others the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpacked {
    pub(super) old: usize,
    pub(super) first: Mark,
    pub(super) second: Mark,
    /// When the newest of them passed.
    pub(super) end: Timestamp,
}

impl Source<'_, '_> {
    /// When the byte at this place of what is shown passed, and where it is in the stream.
    #[inline]
    pub(super) fn mark(&self, at: usize) -> Mark {
        match self.unpacked {
            None => {
                let offset = self.cx.offset.saturating_add(at as u64);
                let mark = self.cx.mark_at(offset);
                Mark::new(offset, mark.at, mark.tag)
            }
            Some(unpacked) if at < unpacked.old => unpacked.first,
            Some(unpacked) => unpacked.second,
        }
    }

    /// When the byte at this place passed, the last one of something.
    #[inline]
    pub(super) fn end(&self, at: usize) -> Timestamp {
        match self.unpacked {
            None => self.cx.mark_at(self.cx.offset.saturating_add(at as u64)).at,
            Some(unpacked) => unpacked.end,
        }
    }
}

/// What is known of the session.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) database: Option<Arc<str>>,
    pub(super) user: Option<Arc<str>>,
    version: Option<Box<str>>,
    mariadb: Option<bool>,
    /// Another database was chosen since the start.
    pub(super) switched: bool,
    /// What the server said it can.
    pub(super) offered: Option<u64>,
    /// Whether no EOF follows definitions.
    pub(super) deprecate_eof: Option<bool>,
    /// Strings in SQL know no escapes: said by what ends an answer.
    pub(super) no_backslash: Option<bool>,
}

/// Whether answers can be told to be those of their requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pace {
    /// No request was seen to be sent before the one before it was answered.
    #[default]
    Turns,
    /// Some were.
    Pipelined,
    /// And something was lost since: nobody knows which answer comes next.
    Adrift,
}

#[derive(Debug)]
pub(super) struct MySqlParser {
    pub(super) client: ClientState,
    pub(super) server: ServerState,
    pub(super) queue: Queue,
    pub(super) statements: Statements,
    pub(super) session: Session,
    pub(super) compression: Option<Box<Compression>>,
    pub(super) pace: Pace,
    /// Something was not seen, and since then no command followed upon the answer to the one before: an answer may be
    /// that to another command. It is told once the next command comes, or after some silence.
    pub(super) unsure: bool,
    /// What is announced under these ids is no exchange.
    pub(super) withdrawn: alloc::vec::Vec<(u64, crate::Message)>,
    /// When something passed last.
    last: Timestamp,
    role: Role,
    /// Nothing is read any more: encrypted, or a replica's stream of events.
    pub(super) closed_to_us: bool,
}

impl MySqlParser {
    pub(super) fn new() -> Self {
        Self {
            client: ClientState::default(),
            server: ServerState::default(),
            queue: Queue::default(),
            statements: Statements::new(),
            session: Session::default(),
            compression: None,
            pace: Pace::Turns,
            unsure: false,
            withdrawn: alloc::vec::Vec::new(),
            last: Timestamp::default(),
            role: Role::Client,
            closed_to_us: false,
        }
    }

    pub(super) fn reading(&self, config: &Config) -> Reading {
        let grammar = match self.session.no_backslash {
            Some(true) => Grammar::of(Dialect::MySqlNoBackslash),
            Some(false) => Grammar::of(Dialect::MySql),
            None => Grammar::MYSQL,
        };
        Reading { grammar, raw: config.raw_sql, max: config.max_text as usize }
    }

    pub(super) fn greet(&mut self, greeting: &Greeting<'_>) {
        let version = String::from_utf8_lossy(greeting.release());
        self.session.version = Some(version.into());
        self.session.mariadb = Some(greeting.is_mariadb());
        self.session.offered = Some(greeting.capabilities);
    }

    /// What the client wants of what the server can.
    pub(super) fn agree(&mut self, wanted: u64) {
        let agreed = self.session.offered.map_or(wanted, |offered| wanted & offered);
        self.session.deprecate_eof = Some(agreed & capability::DEPRECATE_EOF != 0);
        self.client.compresses = agreed & (capability::COMPRESS | capability::ZSTD) != 0;
        self.client.zlib = agreed & capability::COMPRESS != 0;
    }

    /// The head is over as far as it came.
    pub(super) fn finish_head(&mut self) {
        let Some(mut entry) = self.queue.pop() else { return };
        let is_exchange = entry.opened || entry.failure.is_some();
        // What the answers before it left: commands may be read before they are.
        if !entry.answered && entry.database.is_none() {
            entry.database.clone_from(&self.session.database);
        }
        if is_exchange {
            entry.opened = true;
            let statements = &self.statements;
            let same = |one, other| statements.are_same(one, other);
            if let Some(counted) = self.queue.finish(entry, self.unsure, same) {
                self.statements.release(counted.statement);
            }
        } else {
            if entry.announced {
                self.withdrawn.push((entry.id, entry.request));
            }
            self.statements.release(entry.statement);
        }
    }

    /// The head was not seen whole.
    pub(super) fn damage_head(&mut self, damage: Completeness) {
        if let Some(head) = self.queue.head() {
            head.damage = Some(head.damage.unwrap_or(damage));
        }
    }

    /// Nobody will know what those that wait are answered.
    pub(super) fn abandon_pending(&mut self) {
        while self.queue.pending() > 0 {
            self.damage_head(Completeness::Gap);
            self.finish_head();
        }
    }

    /// Bytes of either side were lost: of a client that does not wait for answers nobody knows which come next.
    pub(super) fn lose_pace(&mut self) {
        self.unsure = true;
        if self.pace != Pace::Turns {
            self.pace = Pace::Adrift;
            self.abandon_pending();
        }
    }

    fn release_lent(&mut self) {
        if let Some(entry) = self.queue.take_lent() {
            self.statements.release(entry.statement);
        }
    }

    /// Announces what only prepares and still waits, and tells what came to nothing. Once a call: what comes to
    /// nothing before is not told.
    fn announce(&mut self, cx: &mut Context<'_>) {
        if self.client.tentative {
            self.client.tentative = false;
            self.queue.announce(cx);
        }
        for (id, request) in self.withdrawn.drain(..) {
            cx.tell(id, &request, Stage::Withdrawn);
        }
    }

    fn side(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let may_be = self.client.compresses || self.session.deprecate_eof.is_none();
        if side == Side::Client && may_be && self.compression.is_none() {
            // The start of the session, or its end, was not seen.
            if self.join_compressed(bytes) {
                return Step::need(0, bytes.len().saturating_add(1));
            }
        }
        if self.compression.is_some() {
            return self.unpack(side, bytes, cx);
        }
        let mut source = Source { cx, unpacked: None };
        match side {
            Side::Client => self.parse_client(bytes, &mut source),
            Side::Server => self.parse_server(bytes, &mut source),
        }
    }
}

/// A name as it is kept. One that is kept already is used again.
pub(super) fn name(bytes: &[u8], known: Option<&Arc<str>>) -> Arc<str> {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    match known.filter(|known| known.as_bytes() == bytes) {
        Some(known) => known.clone(),
        None => Arc::from(&*String::from_utf8_lossy(bytes)),
    }
}

impl Parser for MySqlParser {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.role = cx.role;
        self.last = self.last.max(cx.now);
        if self.closed_to_us {
            return Step::skip(0, u64::MAX);
        }
        let step = self.side(side, bytes, cx);
        self.announce(cx);
        step
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.role = cx.role;
        self.last = self.last.max(cx.now);
        if let Some(compression) = self.compression.as_deref_mut() {
            compression.lose(side);
        }
        // It may have been set among what was lost.
        self.session.no_backslash = None;
        match side {
            Side::Client => self.lose_client(),
            Side::Server => {
                if let Some(head) = self.queue.head().filter(|head| head.has_response) {
                    // They were on the wire.
                    head.response.size = head.response.size.saturating_add(length);
                }
                self.lose_server();
            }
        }
        self.announce(cx);
    }

    fn join(&mut self) {
        self.server.lost = true;
        self.unsure = true;
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        self.role = cx.role;
        self.queue.release(None);
        while self.queue.pending() > 0 {
            self.finish_head();
        }
        self.announce(cx);
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        let is_torn = self.server.lost && self.queue.iter().any(|entry| entry.has_response);
        let waits = self.pace == Pace::Adrift || is_torn || self.queue.holds();
        waits.then(|| self.last.saturating_add(QUIET))
    }

    fn timeout(&mut self, cx: &mut Context<'_>) {
        self.queue.release(None);
        if self.server.lost {
            while self.queue.iter().any(|entry| entry.has_response) {
                self.damage_head(Completeness::Gap);
                self.finish_head();
            }
        }
        if self.pace == Pace::Adrift {
            self.pace = Pace::Pipelined;
        }
        self.unsure &= self.queue.pending() > 0;
        self.announce(cx);
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.release_lent();
        let compressed = self.compression.is_some();
        let (entry, completeness) = self.queue.lend()?;
        Some(exchange(entry, completeness, &self.statements, &self.session, compressed, self.role))
    }

    fn has_exchange(&self) -> bool {
        self.queue.ready() > 0
    }

    fn memory(&self) -> usize {
        let names = [&self.session.database, &self.session.user];
        let names = names.into_iter().flatten().map(|name| name.len()).sum::<usize>();
        let version = self.session.version.as_ref().map_or(0, |version| version.len());
        let withdrawn = self.withdrawn.capacity().saturating_mul(size_of::<(u64, crate::Message)>());
        let compression = self.compression.as_ref().map_or(0, |compression| compression.memory());
        let parts = self.queue.memory().saturating_add(self.statements.memory()).saturating_add(compression);
        size_of::<Self>().saturating_add(names).saturating_add(version).saturating_add(withdrawn).saturating_add(parts)
    }

    fn shrink(&mut self) {
        self.release_lent();
        self.queue.shrink();
        self.statements.shrink();
        self.withdrawn.shrink_to_fit();
        if let Some(compression) = self.compression.as_deref_mut() {
            compression.shrink();
        }
    }
}

fn exchange<'a>(
    entry: &'a Entry,
    completeness: Completeness,
    statements: &'a Statements,
    session: &'a Session,
    compressed: bool,
    role: Role,
) -> Exchange<'a> {
    let slot = if entry.statement == Handle::UNKNOWN { None } else { statements.get(entry.statement) };
    let digest = slot.map(|slot| &slot.digest);
    let named = digest.map_or("", |digest| digest.operation());
    let operation = if named.is_empty() { entry.kind.name() } else { named };
    let failure = entry.failure.as_ref();
    let sqlstate = failure.and_then(|failure| core::str::from_utf8(failure.sqlstate.as_ref()?).ok());
    let text = |name: &'a Option<Arc<str>>| Cow::Borrowed(name.as_deref().unwrap_or_default());
    let details = MySqlDetails {
        request: entry.kind,
        statement: Cow::Borrowed(digest.map_or("", |digest| digest.text())),
        statement_cut: slot.is_some_and(|slot| slot.cut),
        summary: Cow::Borrowed(digest.map_or("", |digest| digest.summary())),
        statement_id: entry.statement_id,
        database: text(&entry.database),
        user: text(&session.user),
        server_version: Cow::Borrowed(session.version.as_deref().unwrap_or_default()),
        mariadb: session.mariadb,
        error_code: failure.map(|failure| failure.code),
        sqlstate: sqlstate.map(Cow::Borrowed),
        error_message: failure.and_then(|failure| failure.message.as_deref()).map(Cow::Borrowed),
        returned_rows: entry.rows,
        affected_rows: entry.affected,
        warnings: entry.warnings,
        results: entry.results,
        batch_size: digest.map_or(0, |digest| digest.statements()),
        loaded: entry.loaded,
        cursor: entry.cursor,
        transaction: entry.transaction,
        compressed,
    };
    Exchange {
        id: entry.id,
        protocol: Protocol::MySql,
        role,
        operation: Cow::Borrowed(operation),
        target: Cow::Borrowed(digest.map_or("", |digest| digest.target())),
        error: failure.map(|failure| Cow::Borrowed(failure.digits.as_str())),
        request: entry.request,
        response: entry.has_response.then_some(entry.response),
        completeness,
        details: Details::MySql(details),
    }
}
