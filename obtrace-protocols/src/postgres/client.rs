//! Reads what the client sends.

use super::{
    chain,
    details::Request,
    frame::{HEAD, Head},
    frontend::{Message as Frontend, Object, Startup},
    parser::{PostgresParser, extend},
    queue::{Entry, begin},
    statements::{Handle, Space},
};
use crate::{
    Completeness, Message, Stage, Timestamp,
    pairing::Place,
    parser::{Context, Step},
};

/// Room for names before a text, or for the parts that are read of other messages.
const NAMES: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was read: a startup packet may come, or a message if the connection was joined.
    #[default]
    Start,
    Messages,
    /// The boundary of messages is not known.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct ClientState {
    pub(super) phase: Phase,
    /// Messages since the last Execute or Sync, which belong to what comes next.
    pub(super) building: Option<Building>,
    /// The newest entry's batch is not ended by a Sync yet.
    pub(super) batch_open: bool,
    /// What is known of which answers are those of the batch that is being read.
    pub(super) place: Place,
    /// What is read next may be the rest of a batch whose beginning was lost.
    pub(super) torn: bool,
    /// Bytes were lost, and no batch was read since.
    pub(super) fresh_loss: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Building {
    begins: u8,
    request: Message,
    /// The statement that its Parse named, with a reference.
    pub(super) parsed: Handle,
    /// Messages of it that are replied to.
    due: u32,
    /// Its id, once it was announced.
    announced: Option<u64>,
}

impl Building {
    /// What the server answers, as far as it is known here.
    fn entry(&self, kind: Request) -> Entry {
        let mut entry = Entry::new(kind, self.begins, self.request);
        entry.announced = self.announced.is_some();
        entry.id = self.announced.unwrap_or(0);
        entry
    }
}

/// Where a message lies.
#[derive(Clone, Copy)]
struct Spot {
    tag: u8,
    size: usize,
    /// Bytes of the body that are read.
    read: usize,
    offset: u64,
    end: Timestamp,
}

impl PostgresParser {
    /// What is being built will not be sent to its end.
    pub(super) fn drop_building(&mut self) {
        let Some(building) = self.client.building.take() else { return };
        self.statements.release(building.parsed);
        if let Some(id) = building.announced {
            self.queue.withdraw(id, building.request);
        }
    }

    /// Announces what is being built, as far as it was sent: the server may already refuse it.
    pub(super) fn announce_building(&mut self, cx: &mut Context<'_>) {
        if let Some(building) = self.client.building.as_mut().filter(|building| building.announced.is_none()) {
            let id = cx.take_id();
            cx.tell(id, &building.request, Stage::Tentative);
            building.announced = Some(id);
        }
    }

    pub(super) fn parse_client(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let mut at = 0_usize;
        if self.client.phase == Phase::Lost {
            match chain::find_frontend(bytes) {
                Ok(found) => at = found,
                Err(kept) => return Step::need(kept, bytes.len().saturating_sub(kept).saturating_add(1)),
            }
            self.client.phase = Phase::Messages;
        }
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(&first) = rest.first() else { return Step::need(at, 1) };
            if self.client.phase == Phase::Start && first == 0 {
                match self.startup(rest, at, cx) {
                    Ok(size) if self.encrypted => return Step::skip(at.saturating_add(size), u64::MAX),
                    Ok(size) => at = at.saturating_add(size),
                    Err(step) => return step,
                }
                continue;
            }
            if self.client.phase == Phase::Start && first == 0x16 && self.server.answers_due > 0 {
                // A ClientHello that did not wait for the answer.
                self.encrypted = true;
                return Step::skip(at, u64::MAX);
            }
            let Some(head) = Head::read(rest) else { return Step::need(at, HEAD) };
            if !chain::is_frontend(head) {
                self.lose_client();
                return Step::misframed(at);
            }
            let wanted = wanted(head, cx);
            let Some(body) = rest.get(HEAD..wanted) else { return Step::need(at, wanted) };
            if self.client.phase == Phase::Start {
                self.join(head.tag);
            }
            self.client.phase = Phase::Messages;
            let here = head.size.min(rest.len());
            let offset = cx.offset.saturating_add(at as u64);
            let last = offset.saturating_add(here.saturating_sub(1) as u64);
            let (tag, size) = (head.tag, head.size);
            let place = Spot { tag, size, read: body.len(), offset, end: cx.mark_at(last).at };
            self.frontend(Frontend::decode(head.tag, body), place, cx);
            at = at.saturating_add(here);
            if here < head.size {
                return Step::skip(at, head.size.saturating_sub(here) as u64);
            }
        }
    }

    /// A packet of the startup phase: its size, or what to do.
    fn startup(&mut self, bytes: &[u8], at: usize, cx: &mut Context<'_>) -> Result<usize, Step> {
        match Startup::parse(bytes) {
            Ok(None) => Err(Step::need(at, bytes.len().saturating_add(1))),
            Err(_) => {
                self.lose_client();
                Err(Step::misframed(at))
            }
            Ok(Some((packet, size))) => {
                let offset = cx.offset.saturating_add(at as u64);
                match packet {
                    Startup::Ssl | Startup::Gss => self.server.answers_due = self.server.answers_due.saturating_add(1),
                    Startup::Cancel { .. } => {}
                    Startup::Startup { parameters, .. } => {
                        let value =
                            |wanted: &[u8]| parameters.clone().find(|&(name, _)| name == wanted).map(|pair| pair.1);
                        self.set_session(value(b"database").unwrap_or_default(), value(b"user").unwrap_or_default());
                        let mut request = begin(cx.mark_at(offset), offset);
                        let last = offset.saturating_add(size.saturating_sub(1) as u64);
                        extend(&mut request, size, cx.mark_at(last).at);
                        let mut entry = Entry::new(Request::Startup, 0, request);
                        entry.sync = true;
                        self.push(entry, cx);
                        self.client.phase = Phase::Messages;
                    }
                }
                Ok(size)
            }
        }
    }

    fn frontend(&mut self, message: Frontend<'_>, place: Spot, cx: &mut Context<'_>) {
        if !self.is_in_batch() && begins_batch(place.tag) {
            self.begin_batch(place.tag, cx.mark_at(place.offset).at);
        }
        match message {
            Frontend::Query { text } => self.query(text, place, cx),
            Frontend::Parse { statement, text } => {
                self.build(place, cx);
                let cut = statement.len().saturating_add(1).saturating_add(text.len()) >= place.read;
                let handle = self.statements.add(statement, text, cut, self.reading(cx.config));
                self.statements.retain(handle);
                self.statements.name(statement, handle);
                if let Some(building) = &mut self.client.building {
                    let old = core::mem::replace(&mut building.parsed, handle);
                    self.statements.release(old);
                }
            }
            Frontend::Bind { portal, statement } => {
                self.build(place, cx);
                self.statements.bind(portal, statement);
            }
            Frontend::Describe(_) => self.build(place, cx),
            Frontend::Close(object) => {
                match object {
                    Object::Statement(name) => self.statements.close(Space::Statement, name),
                    Object::Portal(name) => self.statements.close(Space::Portal, name),
                }
                self.belongs(place);
            }
            Frontend::Execute { portal, .. } => self.execute(portal, place, cx),
            Frontend::FunctionCall { .. } => {
                let mut entry = Entry::new(Request::FunctionCall, place.tag, self.message(place, cx));
                entry.sync = true;
                self.open(entry, cx);
                self.end_batch();
            }
            Frontend::Sync => self.sync(place, cx),
            Frontend::Flush => {
                self.belongs(place);
                self.flush_building(cx);
            }
            Frontend::CopyData { .. } | Frontend::CopyDone | Frontend::CopyFail => self.copy(place),
            Frontend::Authentication | Frontend::Terminate | Frontend::Unknown { .. } | Frontend::Malformed { .. } => {}
        }
    }

    fn message(&self, place: Spot, cx: &Context<'_>) -> Message {
        let mut message = begin(cx.mark_at(place.offset), place.offset);
        extend(&mut message, place.size, place.end);
        message
    }

    fn query(&mut self, text: &[u8], place: Spot, cx: &mut Context<'_>) {
        self.flush_building(cx);
        let mut entry = Entry::new(Request::Query, place.tag, self.message(place, cx));
        entry.sync = true;
        entry.statement = self.statements.add(b"", text, text.len() >= place.read, self.reading(cx.config));
        let forgets = self.statements.get(entry.statement).is_some_and(|slot| {
            let all = |word: &str| word.trim_end_matches(';').eq_ignore_ascii_case("all");
            matches!(slot.digest.operation(), "DISCARD" | "DEALLOCATE")
                && slot.digest.text().split_whitespace().any(all)
        });
        if forgets {
            self.statements.close_all();
        }
        self.open(entry, cx);
        self.end_batch();
    }

    /// The message belongs to what the next Execute or Sync makes.
    fn build(&mut self, place: Spot, cx: &Context<'_>) {
        match &mut self.client.building {
            Some(building) => {
                building.due = building.due.saturating_add(1);
                extend(&mut building.request, place.size, place.end);
            }
            None => {
                let request = self.message(place, cx);
                self.client.building =
                    Some(Building { begins: place.tag, request, parsed: Handle::UNKNOWN, due: 1, announced: None });
            }
        }
    }

    /// The message belongs to what is being built, else to the newest of its batch.
    fn belongs(&mut self, place: Spot) {
        if let Some(building) = &mut self.client.building {
            building.due = building.due.saturating_add(u32::from(place.tag == b'C'));
            extend(&mut building.request, place.size, place.end);
        } else if self.client.batch_open
            && let Some(newest) = self.queue.newest()
        {
            extend(&mut newest.request, place.size, place.end);
        }
    }

    fn execute(&mut self, portal: &[u8], place: Spot, cx: &mut Context<'_>) {
        self.build(place, cx);
        let Some(building) = self.client.building.take() else { return };
        self.statements.release(building.parsed);
        let mut entry = building.entry(Request::Execute);
        (entry.statement, entry.portal) = self.statements.execute(portal);
        // The Parse or the Bind that would tell were lost.
        entry.gap = self.client.fresh_loss && entry.statement == Handle::UNKNOWN;
        self.open(entry, cx);
        self.client.batch_open = true;
    }

    /// What was built so far is answered on its own, because the client asked for the answer or went on without it.
    pub(super) fn flush_building(&mut self, cx: &mut Context<'_>) {
        let Some(building) = self.client.building.take() else { return };
        let mut entry = building.entry(Request::Prepare);
        entry.statement = building.parsed;
        entry.due = building.due;
        self.push(entry, cx);
        self.client.batch_open = true;
    }

    fn sync(&mut self, place: Spot, cx: &mut Context<'_>) {
        self.belongs(place);
        self.flush_building(cx);
        if self.client.place == Place::Unknown {
            self.end_batch();
            return;
        }
        let newest = if self.client.batch_open { self.queue.newest() } else { None };
        if let Some(newest) = newest {
            newest.sync = true;
        } else {
            let request = self.message(place, cx);
            // What is only counted needs no room before the end of the call.
            if !self.queue.repeat(&request, self.client.place, cx) {
                let mut entry = Entry::new(Request::Prepare, place.tag, request);
                entry.sync = true;
                self.push(entry, cx);
            }
        }
        self.end_batch();
    }

    fn end_batch(&mut self) {
        self.client.batch_open = false;
        self.client.torn = false;
        self.client.fresh_loss = false;
    }

    /// A batch was begun that no Sync has ended yet.
    pub(super) fn is_in_batch(&self) -> bool {
        self.client.building.is_some() || self.client.batch_open
    }

    /// Copied data belongs to the newest request. The server ignores the Sync between an Execute and its data: the
    /// one behind CopyDone counts.
    fn copy(&mut self, place: Spot) {
        let Some(newest) = self.queue.newest() else { return };
        extend(&mut newest.request, place.size, place.end);
        if place.tag == b'd' {
            newest.copied_in = newest.copied_in.saturating_add(place.size.saturating_sub(HEAD) as u64);
        }
        if newest.kind == Request::Execute && newest.sync {
            newest.sync = false;
            self.client.batch_open = true;
        }
    }

    fn open(&mut self, mut entry: Entry, cx: &mut Context<'_>) {
        let stage = if entry.announced { Stage::Confirmed } else { Stage::Certain };
        if !entry.announced {
            entry.id = cx.take_id();
            entry.announced = true;
        }
        cx.tell(entry.id, &entry.request, stage);
        entry.opened = true;
        self.push(entry, cx);
    }

    fn push(&mut self, mut entry: Entry, cx: &mut Context<'_>) {
        if !entry.announced {
            entry.id = cx.take_id();
        }
        entry.place = self.client.place;
        self.queue.push(entry);
        self.finish_unknown();
        self.make_room(cx);
    }

    pub(super) fn make_room(&mut self, cx: &Context<'_>) {
        loop {
            let surplus = self.queue.pending().saturating_sub(cx.config.max_pending as usize);
            if surplus == 0 {
                return;
            }
            let skipped = if self.pairing.is_on_trial() { None } else { self.queue.skip_repeats(surplus) };
            match skipped {
                Some(batches) => self.server.pass_over_batches(batches),
                None => self.give_up_oldest(),
            }
        }
    }

    /// Its answer will come and has to be passed over.
    fn give_up_oldest(&mut self) {
        if self.pairing.is_on_trial() {
            let verdict = self.pairing.surplus();
            return self.judge(verdict);
        }
        let Some(head) = self.queue.head() else { return };
        let (sync, answered, gap) = (head.sync, head.answered, head.gap);
        self.server.pass_over(sync, answered);
        self.finish_head_as(if gap { Completeness::Gap } else { Completeness::ResponseMissing });
    }
}

/// Whether a message with this tag can be the first of a batch.
const fn begins_batch(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'C' | b'E' | b'F' | b'H' | b'S')
}

/// How much of a message is read: what is asked for of the text, all of what is short, nothing of secrets and data.
fn wanted(head: Head, cx: &Context<'_>) -> usize {
    let text = cx.config.max_text as usize;
    let limit = match head.tag {
        // One more byte than is kept tells whether there is more.
        b'Q' => text.saturating_add(HEAD).saturating_add(1),
        b'P' => text.saturating_add(NAMES),
        b'B' | b'E' | b'D' | b'C' | b'F' => NAMES,
        _ => HEAD,
    };
    head.size.min(limit).min(cx.config.max_buffered as usize)
}
