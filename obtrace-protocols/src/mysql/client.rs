//! Reads what the client sends.

use super::{
    attributes::{self, MAX_ATTRIBUTES},
    details::Request,
    handshake::{self, Response},
    packet::{HEAD, Head, MAX_PAYLOAD},
    parser::{MySqlParser, Pace, Source, name},
    queue::{Entry, begin, extend},
    shape::{self, command},
    statements::{Handle, LAST_PREPARED},
};
use crate::{
    Completeness, Stage, Timestamp, TraceContext,
    parser::{Context, Step},
};

/// Read of commands with names in them, and of the response to the greeting.
const NAMES: usize = 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was read: a response to the greeting may come, or a command if the connection was joined.
    #[default]
    Start,
    Commands,
    /// The boundary of packets is not known.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct ClientState {
    pub(super) phase: Phase,
    /// The last packet goes on in the next one, whose number this is.
    continues: Option<u8>,
    /// Number of the next packet of a file that is being sent.
    pub(super) file: Option<u8>,
    /// The session will be compressed once it is accepted, and whether by zlib.
    pub(super) compresses: bool,
    pub(super) zlib: bool,
    /// So many packets were read since the boundary was found again: one alone may be none. `None`: more.
    found: Option<u8>,
    /// Something was pushed that only prepares.
    pub(super) tentative: bool,
}

impl ClientState {
    /// What was begun is not gone on with.
    pub(super) fn forget_packet(&mut self) {
        self.continues = None;
        self.file = None;
    }
}

/// What a packet of the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// More of the packet before it.
    Rest,
    Command(u8),
    /// The response to the greeting.
    Response,
    /// Whatever authenticates.
    Secret,
    /// A part of a file; an empty one ends it.
    File,
}

/// Where a packet lies.
#[derive(Clone, Copy)]
struct Spot {
    head: Head,
    at: usize,
    /// Bytes of it that are shown.
    here: usize,
}

impl MySqlParser {
    pub(super) fn parse_client(&mut self, bytes: &[u8], source: &mut Source<'_, '_>) -> Step {
        let mut at = 0_usize;
        if self.client.phase == Phase::Lost {
            match shape::find_command(bytes) {
                Ok(found) => at = found,
                Err(kept) => return Step::need(kept, bytes.len().saturating_sub(kept).saturating_add(1)),
            }
            (self.client.phase, self.client.found) = (Phase::Commands, Some(0));
        }
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Step::need(at, 1);
            }
            let Some(head) = Head::read(rest) else { return Step::need(at, HEAD) };
            let first = rest.get(HEAD).copied();
            if head.length > 0 && first.is_none() {
                return Step::need(at, HEAD.saturating_add(1));
            }
            let Some(kind) = self.client_kind(head, first) else {
                self.doubt_found();
                self.lose_client();
                return Step::misframed(at);
            };
            let wanted = wanted(kind, source).min(head.length).saturating_add(HEAD);
            let wanted = wanted.min(source.cx.config.max_buffered as usize);
            let Some(payload) = rest.get(HEAD..wanted) else { return Step::need(at, wanted) };
            let spot = Spot { head, at, here: head.size().min(rest.len()) };
            if !self.client_packet(kind, payload, spot, source) {
                self.lose_client();
                return Step::misframed(at);
            }
            self.client.found = self.client.found.map(|found| found.saturating_add(1)).filter(|&found| found < 2);
            at = at.saturating_add(spot.here);
            if self.closed_to_us {
                return Step::skip(at, u64::MAX);
            }
            if spot.here < head.size() {
                return Step::skip(at, head.size().saturating_sub(spot.here) as u64);
            }
        }
    }

    /// What follows is no packet: what was taken for the first one behind a loss was none either.
    fn doubt_found(&mut self) {
        if self.client.found == Some(1)
            && let Some(newest) = self.queue.newest().filter(|newest| !newest.passed)
        {
            newest.damage = Some(Completeness::Gap);
        }
    }

    /// `None`: no packet that may come here.
    fn client_kind(&mut self, head: Head, first: Option<u8>) -> Option<Kind> {
        if let Some(next) = self.client.continues {
            return (head.sequence == next).then_some(Kind::Rest);
        }
        let exact = self.compression.is_none();
        if let Some(next) = self.client.file
            && (!exact || head.sequence == next)
        {
            return Some(Kind::File);
        }
        let newest = self.queue.newest().map(|newest| (newest.kind, newest.sequence));
        if head.sequence == 0 {
            let command = first.filter(|&first| shape::is_command(first, head.length))?;
            return Some(Kind::Command(command));
        }
        match newest {
            Some((Request::Connect | Request::ChangeUser, _)) => Some(Kind::Secret),
            Some((Request::Query | Request::Execute, last)) if !exact || head.sequence == last.wrapping_add(2) => {
                Some(Kind::File)
            }
            // That of a later one of several statements.
            Some((Request::Query, _)) if self.asks_for_file(head.sequence) => Some(Kind::File),
            None | Some(_) if self.client.phase == Phase::Start => Some(Kind::Response),
            _ => None,
        }
    }

    /// Whether it is what it was taken for.
    fn client_packet(&mut self, kind: Kind, payload: &[u8], spot: Spot, source: &mut Source<'_, '_>) -> bool {
        let next = spot.head.sequence.wrapping_add(1);
        self.client.continues = (spot.head.length == MAX_PAYLOAD).then_some(next);
        match kind {
            Kind::Secret => self.belongs(kind, spot, source),
            Kind::Rest => {
                self.belongs(kind, spot, source);
                self.client.file = self.client.file.map(|_| next);
            }
            Kind::File => {
                self.client.file = (spot.head.length > 0).then_some(next);
                self.belongs(kind, spot, source);
            }
            Kind::Response => return self.response(payload, spot, source),
            Kind::Command(command) => {
                self.client.phase = Phase::Commands;
                self.client.file = None;
                self.command(command, payload.get(1..).unwrap_or_default(), payload.len(), spot, source);
            }
        }
        true
    }

    /// The packet belongs to the newest command.
    fn belongs(&mut self, kind: Kind, spot: Spot, source: &Source<'_, '_>) {
        let end = source.end(last_of(spot));
        let loads = self.client.file.is_some();
        let Some(newest) = self.queue.newest() else { return };
        extend(&mut newest.request, spot.head.size() as u64, end);
        newest.several |= kind != Kind::Rest;
        if loads {
            newest.loaded = newest.loaded.saturating_add(spot.head.length as u64);
        } else if kind == Kind::Rest {
            newest.sequence = spot.head.sequence;
        }
    }

    fn response(&mut self, payload: &[u8], spot: Spot, source: &mut Source<'_, '_>) -> bool {
        match Response::parse(payload, spot.head.length) {
            Some(Response::Ssl) => self.closed_to_us = true,
            Some(Response::Login { capabilities, user, database }) => {
                self.agree(capabilities);
                let mut entry = Self::entry(Request::Connect, spot, source);
                entry.several = true;
                entry.user = Some(name(user, None));
                entry.switches = Some(name(database, None));
                entry.database = entry.switches.clone().filter(|database| !database.is_empty());
                self.session.user.clone_from(&entry.user);
                self.push(entry, None, source);
            }
            // Joined while the session was being authenticated.
            None => return spot.head.sequence > 2,
        }
        true
    }

    fn entry(kind: Request, spot: Spot, source: &Source<'_, '_>) -> Entry {
        let mut request = begin(source.mark(spot.at));
        extend(&mut request, spot.head.size() as u64, source.end(last_of(spot)));
        Entry::new(kind, request, spot.head.sequence)
    }

    fn command(&mut self, command: u8, body: &[u8], read: usize, spot: Spot, source: &mut Source<'_, '_>) {
        let id = body.first_chunk().map(|id| u32::from_le_bytes(*id));
        let kind = match command {
            command::STMT_CLOSE => {
                if let Some(id) = id {
                    self.statements.close(id);
                }
                return;
            }
            command::STMT_SEND_LONG_DATA | command::QUIT => return,
            command::BINLOG_DUMP
            | command::TABLE_DUMP
            | command::BINLOG_DUMP_GTID
            | command::CLONE..=command::SUBSCRIBE => {
                self.closed_to_us = true;
                return;
            }
            _ => shape::request(command),
        };
        self.begin_command(source.mark(spot.at).at, source.cx);
        let mut entry = Self::entry(kind, spot, source);
        let mut context = None;
        match kind {
            Request::Query | Request::Prepare => {
                let (text, found) = if kind == Request::Query { attributes::split(body) } else { (Some(body), None) };
                context = found;
                let cut = read < spot.head.length || spot.head.length == MAX_PAYLOAD || text.is_none();
                let text = text.unwrap_or_default();
                entry.statement = self.statements.add(text, cut, self.reading(source.cx.config));
                if kind == Request::Prepare {
                    self.statements.set_last(entry.statement);
                } else if let Some(slot) = self.statements.get(entry.statement).filter(|_| !cut) {
                    let used = shape::switched_to(&slot.digest);
                    entry.switches = used.map(|used| name(used, self.session.database.as_ref()));
                }
            }
            Request::Execute | Request::BulkExecute | Request::Fetch | Request::ResetStatement => {
                entry.statement_id = id.filter(|&id| id != LAST_PREPARED);
                entry.statement = id.map_or(Handle::UNKNOWN, |id| self.statements.find(id));
                if kind == Request::Execute {
                    context = body.get(4..).and_then(attributes::of_execute);
                }
            }
            Request::InitDb => {
                let database = name(body, self.session.database.as_ref());
                entry.database = Some(database.clone());
                entry.switches = Some(database);
            }
            Request::ChangeUser => {
                entry.several = true;
                if let Some((user, database)) = handshake::change_user(body) {
                    entry.user = Some(name(user, self.session.user.as_ref()));
                    entry.switches = Some(name(database, self.session.database.as_ref()));
                }
            }
            _ => {}
        }
        self.push(entry, context, source);
    }

    /// A command begins: of a client that waits for its answers, what was missing of the one before was lost.
    pub(super) fn begin_command(&mut self, at: Timestamp, cx: &Context<'_>) {
        if self.pace == Pace::Turns && self.queue.newest().is_some_and(|newest| newest.asked() >= at) {
            // It came in one piece with the end of the one before.
            self.pace = Pace::Pipelined;
            if self.unsure {
                // What was not seen may be answered first.
                self.lose_pace();
            }
        }
        let unread = !cx.other.readable().is_empty() || cx.other_waits;
        if !unread && self.queue.release(None) {
            self.unsure = self.queue.pending() > 0;
        }
        if self.server.lost && self.pace == Pace::Turns && !unread {
            self.abandon_pending();
        }
    }

    pub(super) fn push(&mut self, mut entry: Entry, context: Option<TraceContext>, source: &mut Source<'_, '_>) {
        entry.id = source.cx.take_id();
        if entry.kind.only_prepares() {
            self.client.tentative = true;
        } else {
            let crate::Message { start, tag, offset, .. } = entry.request;
            source.cx.opened.push(crate::Opened {
                id: entry.id,
                start,
                tag,
                offset,
                sender: crate::Role::Client,
                trace_context: context,
                stage: Stage::Certain,
            });
            (entry.announced, entry.opened) = (true, true);
        }
        self.queue.push(entry);
        if self.pace == Pace::Adrift {
            self.abandon_pending();
        }
        if self.queue.pending() > source.cx.config.max_pending as usize {
            // Their answers will come, and nobody will know which is whose.
            while self.queue.pending() > 0 {
                self.damage_head(Completeness::ResponseMissing);
                self.finish_head();
            }
            self.pace = Pace::Adrift;
            self.server.lost = true;
        }
    }

    /// Bytes of the client were lost: commands, or the rest of one.
    pub(super) fn lose_client(&mut self) {
        if self.session.switched {
            // It may have been changed among what was lost.
            self.session.database = None;
        }
        // What the client lost may have been sent behind the answers to these: the next ones need not be theirs.
        let holed = self.server.lost;
        for entry in self.queue.iter_mut() {
            entry.passed = true;
            if holed {
                entry.damage = Some(entry.damage.unwrap_or(Completeness::Gap));
            }
        }
        let torn = self.client.continues.is_some() || self.client.file.is_some();
        self.client.phase = Phase::Lost;
        self.client.forget_packet();
        if torn && let Some(newest) = self.queue.newest() {
            newest.damage = Some(Completeness::Gap);
        }
        self.lose_pace();
    }
}

/// The last byte of a packet that is shown.
const fn last_of(spot: Spot) -> usize {
    spot.at.saturating_add(spot.here).saturating_sub(1)
}

/// How much of a payload is read: what is asked for of the text, all of what is short, nothing of secrets and data.
fn wanted(kind: Kind, source: &Source<'_, '_>) -> usize {
    let text = source.cx.config.max_text as usize;
    match kind {
        Kind::Rest | Kind::Secret | Kind::File => 0,
        // One more byte than is kept tells whether there is more.
        Kind::Command(command::QUERY) => text.saturating_add(MAX_ATTRIBUTES),
        Kind::Command(command::STMT_PREPARE) => text.saturating_add(2),
        Kind::Command(command::STMT_EXECUTE) => MAX_ATTRIBUTES,
        Kind::Command(command::INIT_DB | command::CHANGE_USER) | Kind::Response => NAMES,
        Kind::Command(_) => 10,
    }
}
