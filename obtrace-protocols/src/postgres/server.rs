//! Reads what the server sends.

use alloc::{boxed::Box, string::String};

use super::{
    backend::{Message as Backend, Report, Severity, TransactionStatus},
    chain,
    details::Request,
    frame::{HEAD, Head},
    parser::{PostgresParser, extend},
    queue::{CommandText, Entry, Failure},
};
use crate::{
    Stage, Timestamp,
    pairing::Place,
    parser::{Context, Step, Then},
    sql::{Dialect, Grammar},
    stream::Mark,
};

/// Read of an error when its text is not wanted: severity and SQLSTATE come first.
const REPORT: usize = 512;
/// Read of other messages.
const SHORT: usize = 256;

#[derive(Debug, Default)]
pub(super) struct ServerState {
    /// The boundary of messages is not known.
    pub(super) lost: bool,
    /// Requests for encryption that are not answered yet.
    pub(super) answers_due: u8,
    /// The batch failed: what is left of it is skipped up to its ReadyForQuery.
    pub(super) failed: bool,
    /// The answer to a request that was not seen passes; it ends with ReadyForQuery.
    pub(super) orphan: bool,
    /// Answers were lost, and the newest request that waits may be the one that is answered next.
    pub(super) holed: bool,
    /// An answer to nothing that was seen ended since the last batch began.
    pub(super) heard_orphan: bool,
    /// Batches, and then commands, whose requests were given up.
    pub(super) passed_batches: u32,
    pub(super) passed_commands: u32,
}

impl ServerState {
    /// The answers to so many batches will be passed over.
    pub(super) fn pass_over_batches(&mut self, batches: u32) {
        self.passed_batches = self.passed_batches.saturating_add(batches);
        self.passed_commands = 0;
    }

    /// The answer to the oldest request will be passed over.
    pub(super) fn pass_over(&mut self, sync: bool, answered: bool) {
        if sync {
            self.pass_over_batches(1);
        } else if !answered {
            self.passed_commands = self.passed_commands.saturating_add(1);
        }
    }
}

impl PostgresParser {
    pub(super) fn parse_server(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let mut at = 0_usize;
        if self.server.lost {
            match chain::find_backend(bytes) {
                Ok(found) => at = found,
                Err(kept) => return Step::need(kept, bytes.len().saturating_sub(kept).saturating_add(1)),
            }
            self.server.lost = false;
            let tag = bytes.get(at).copied().unwrap_or_default();
            self.find_place(tag, cx.mark_at(cx.offset.saturating_add(at as u64)).at);
        }
        let step = self.parse_messages(bytes, at, cx);
        if let Some(last) = step.consumed.checked_sub(1)
            && let Some(head) = self.queue.head().filter(|head| head.has_response)
        {
            let end = cx.mark_at(cx.offset.saturating_add(last as u64)).at;
            head.response.end = head.response.end.max(end);
        }
        step
    }

    fn parse_messages(&mut self, bytes: &[u8], mut at: usize, cx: &mut Context<'_>) -> Step {
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(&first) = rest.first() else { return Step::need(at, 1) };
            if cx.other_waits && self.queue.pending() == 0 {
                // What this answers is behind a hole.
                return Step { consumed: at, then: Then::Wait };
            }
            if self.server.answers_due > 0 {
                match first {
                    b'S' | b'G' => {
                        self.encrypted = true;
                        return Step::skip(at.saturating_add(1), u64::MAX);
                    }
                    b'N' => {
                        self.server.answers_due = self.server.answers_due.saturating_sub(1);
                        at = at.saturating_add(1);
                        continue;
                    }
                    _ => self.server.answers_due = 0,
                }
            }
            if matches!(first, b'D' | b'd') {
                let data = self.data(rest, cx.offset.saturating_add(at as u64), cx);
                at = at.saturating_add(data);
                if data > 0 {
                    continue;
                }
            }
            let Some(head) = Head::read(rest) else { return Step::need(at, HEAD) };
            if !chain::is_backend(head) {
                self.lose_server();
                return Step::misframed(at);
            }
            let wanted = wanted(head, cx);
            let Some(body) = rest.get(HEAD..wanted) else { return Step::need(at, wanted) };
            let here = head.size.min(rest.len());
            let offset = cx.offset.saturating_add(at as u64);
            let mark = cx.mark_at(offset);
            let end = cx.mark_at(offset.saturating_add(here.saturating_sub(1) as u64)).at;
            let place = Spot { size: head.size, offset, mark, end };
            self.backend(head.tag, Backend::decode(head.tag, body), place, cx);
            at = at.saturating_add(here);
            if here < head.size {
                return Step::skip(at, head.size.saturating_sub(here) as u64);
            }
        }
    }

    /// Walks over rows and copied data, the bulk of all bytes; how many bytes of whole messages there were.
    fn data(&mut self, bytes: &[u8], offset: u64, cx: &Context<'_>) -> usize {
        let (mut at, mut rows, mut copied) = (0_usize, 0_u64, 0_u64);
        while let Some(head) = bytes.get(at..).and_then(Head::read) {
            let next = at.saturating_add(head.size);
            if next > bytes.len() || head.size < HEAD {
                break;
            }
            match head.tag {
                b'D' => rows = rows.saturating_add(1),
                b'd' => copied = copied.saturating_add(head.size.saturating_sub(HEAD) as u64),
                _ => break,
            }
            at = next;
        }
        if at > 0
            && let Some(entry) = self.answering(b'D', cx.mark_at(offset), offset)
        {
            entry.rows = entry.rows.saturating_add(rows);
            entry.copied_out = entry.copied_out.saturating_add(copied);
            entry.response.size = entry.response.size.saturating_add(at as u64);
        }
        at
    }

    fn backend(&mut self, tag: u8, message: Backend<'_>, place: Spot, cx: &mut Context<'_>) {
        match message {
            Backend::ReadyForQuery(status) => self.ready(status, place),
            Backend::ParameterStatus { name: b"standard_conforming_strings", value } => {
                let dialect = if value == b"off" { Dialect::PostgresBackslash } else { Dialect::Postgres };
                self.grammar = Grammar::of(dialect);
            }
            Backend::NoticeResponse(_) | Backend::NotificationResponse { .. } | Backend::ParameterStatus { .. } => {}
            Backend::ErrorResponse(report) => self.error(report, place, cx),
            // Sent unasked; of their bodies not enough is shown to tell them by more than the tag.
            _ if matches!(tag, b'A' | b'N' | b'S') => {}
            _ => {
                let Some(entry) = self.answering(tag, place.mark, place.offset) else { return };
                extend(&mut entry.response, place.size, place.end);
                match message {
                    Backend::DataRow(_) => entry.rows = entry.rows.saturating_add(1),
                    Backend::CopyData { .. } => {
                        entry.copied_out = entry.copied_out.saturating_add(place.size.saturating_sub(HEAD) as u64);
                    }
                    Backend::CommandComplete(tag) => {
                        let told = if chain::is_command_tag(tag.as_bytes()) { tag.as_bytes() } else { b"" };
                        entry.tag = CommandText::new(told);
                        entry.commands = entry.commands.saturating_add(1);
                        if let Some(rows) = tag.rows() {
                            entry.affected = Some(entry.affected.unwrap_or(0).saturating_add(rows));
                        }
                        self.completed(tag.verb());
                    }
                    Backend::CopyInResponse | Backend::CopyBothResponse => entry.copying = true,
                    Backend::PortalSuspended => {
                        entry.suspended = true;
                        self.completed(b"");
                    }
                    Backend::EmptyQueryResponse | Backend::FunctionCallResponse => self.completed(b""),
                    _ if matches!(tag, b'1' | b'2' | b'3' | b'n' | b'T') => {
                        // Without a Sync behind it, what only prepares is over with its last reply.
                        entry.due = entry.due.saturating_sub(1);
                        if entry.kind == Request::Prepare && !entry.sync && entry.due == 0 {
                            self.finish_head();
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// The request that a message with this tag belongs to.
    fn answering(&mut self, tag: u8, mark: Mark, offset: u64) -> Option<&mut Entry> {
        if self.server.orphan || self.server.failed {
            return None;
        }
        if self.server.passed_batches > 0 {
            return None;
        }
        if self.server.passed_commands > 0 {
            if matches!(tag, b'C' | b's' | b'I') {
                self.server.passed_commands = self.server.passed_commands.saturating_sub(1);
            }
            return None;
        }
        // What was only prepared has no last message: it is over when the answer to the next one begins.
        let over = |entry: &Entry| entry.kind == Request::Prepare && !entry.sync;
        if matches!(tag, b'2' | b'C' | b's' | b'I' | b'D' | b'G' | b'H' | b'W') {
            while self.queue.pending() > 1 && self.queue.head().is_some_and(|head| over(head)) {
                self.finish_head();
            }
        }
        if self.queue.pending() == 0 {
            // In a batch that goes on it is what is left of a lost request; the ReadyForQuery is still due to it.
            if !self.is_in_batch() {
                self.pass_orphan();
            }
            return None;
        }
        if self.is_older(mark) {
            self.server.orphan = true;
            return None;
        }
        let head = self.queue.head()?;
        head.begin_response(mark, offset);
        Some(head)
    }

    /// Whether what comes at this mark was sent before the request that is answered next.
    fn is_older(&mut self, mark: Mark) -> bool {
        self.queue.head().is_some_and(|head| !head.has_response && mark.at < head.request.start)
    }

    /// A command of the head has completed.
    fn completed(&mut self, verb: &[u8]) {
        let statements = &self.statements;
        let Some(head) = self.queue.head() else { return };
        let asked = statements.get(head.statement).map_or("", |slot| slot.digest.operation());
        let twice = head.answered && head.kind == Request::Execute;
        if head.place == Place::OnTrial && (twice || differ(asked.as_bytes(), verb)) {
            return self.pass_orphan();
        }
        // One Execute completes once: the other answer is that of a lost one.
        head.gap |= twice;
        head.answered = true;
        if head.kind == Request::Execute && !head.sync {
            self.finish_head();
        }
    }

    fn error(&mut self, report: Report<'_>, place: Spot, cx: &mut Context<'_>) {
        let failure = Failure::Error { sqlstate: report.sqlstate().unwrap_or(*b"XX000"), severity: report.severity() };
        if self.server.passed_batches == 0 && self.server.passed_commands > 0 {
            self.server.passed_commands = 0;
            self.server.failed = true;
            return;
        }
        if self.queue.pending() == 0 && !self.server.orphan {
            self.flush_building(cx);
        }
        if matches!(report.severity(), Severity::Fatal | Severity::Panic) && self.queue.pending() == 0 {
            // The session was ended from outside: nobody asked.
            return;
        }
        let Some(entry) = self.answering(b'E', place.mark, place.offset) else { return };
        extend(&mut entry.response, place.size, place.end);
        entry.failure = Some(failure);
        entry.answered = true;
        if cx.config.error_text {
            entry.message = report.message().map(|text| Box::from(&*String::from_utf8_lossy(text)));
        }
        let fatal = matches!(report.severity(), Severity::Fatal | Severity::Panic);
        let over = fatal || (entry.kind != Request::Query && !entry.sync);
        if !entry.announced {
            cx.tell(entry.id, &entry.request, Stage::Certain);
            entry.announced = true;
        }
        entry.opened = true;
        if over {
            self.server.failed = !fatal;
            self.finish_head();
        }
    }

    /// A batch is over, with everything in it.
    fn ready(&mut self, status: TransactionStatus, place: Spot) {
        let failed = core::mem::take(&mut self.server.failed);
        self.pairing.hear(place.end);
        if core::mem::take(&mut self.server.orphan) || self.is_older(place.mark) {
            return self.end_of_lost();
        }
        if self.server.passed_batches > 0 {
            self.server.passed_batches = self.server.passed_batches.saturating_sub(1);
            return;
        }
        self.server.passed_commands = 0;
        if self.queue.pending() == 0 {
            let verdict = self.pairing.surplus();
            self.judge(verdict);
            return self.end_of_lost();
        }
        let mut failed = failed;
        while let Some(head) = self.queue.head() {
            let last = head.sync;
            let error = matches!(head.failure, Some(Failure::Error { .. }));
            if last || (failed && !head.answered) {
                head.begin_response(place.mark, place.offset);
                extend(&mut head.response, place.size, place.end);
                head.transaction = Some(status);
            }
            if failed && !head.answered && head.kind != Request::Prepare {
                head.failure = Some(Failure::Skipped);
            }
            // Everything that runs is answered before the ReadyForQuery.
            head.gap |= !failed && !head.answered && !matches!(head.kind, Request::Prepare | Request::Startup);
            // Nothing but the ReadyForQuery is due where nothing runs.
            if last || failed {
                head.answered = true;
            }
            failed |= error;
            let torn = head.gap;
            self.finish_head();
            if last {
                if torn {
                    self.end_of_lost();
                }
                break;
            }
        }
        if self.queue.head().is_some_and(|next| next.request.start < place.end) {
            self.pairing.note_overlap();
        }
    }
}

/// Where a message lies.
#[derive(Clone, Copy)]
struct Spot {
    size: usize,
    offset: u64,
    mark: Mark,
    end: Timestamp,
}

/// Whether this tag cannot be the answer to a statement with this operation. Only among operations whose tag is
/// always their own name.
fn differ(asked: &[u8], verb: &[u8]) -> bool {
    let plain =
        |word: &[u8]| matches!(word, b"SELECT" | b"INSERT" | b"UPDATE" | b"DELETE" | b"COPY" | b"BEGIN" | b"SET");
    plain(asked) && plain(verb) && asked != verb
}

fn wanted(head: Head, cx: &Context<'_>) -> usize {
    let limit = match head.tag {
        b'C' | b'S' | b'Z' => SHORT,
        b'E' if cx.config.error_text => REPORT.max(cx.config.max_text as usize),
        b'E' => REPORT,
        // Their first bytes are not looked at, or never kept.
        _ => HEAD,
    };
    head.size.min(limit).min(cx.config.max_buffered as usize)
}
