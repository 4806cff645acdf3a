//! Fetch sessions ([KIP-227](https://cwiki.apache.org/confluence/x/oQhFB)): a consumer tells the broker once what it
//! reads, and from then on only what changes.

use alloc::{string::String, vec::Vec};

use super::request::{MAX_TOPICS, Part, Request, Span, bit};

/// Most sessions of a connection. Clients have one with each broker.
const MAX_SESSIONS: usize = 4;
/// Most bytes of the names of a session's topics; beyond it those that are gone make room.
const MAX_NAMES: usize = 8 * 1024;

#[derive(Debug, Default)]
struct Session {
    id: i32,
    text: String,
    parts: Vec<Part>,
    topics: u32,
    /// The part whose partitions are being forgotten.
    at: Option<usize>,
}

/// The sessions of a connection, the newest last.
#[derive(Debug, Default)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    fn find(&mut self, id: i32) -> Option<&mut Session> {
        self.0.iter_mut().find(|session| session.id == id)
    }

    /// The broker has made a session of what a request asks for.
    pub(super) fn create(&mut self, id: i32, request: &Request) {
        let known = self.0.iter().position(|session| session.id == id);
        let oldest = (self.0.len() >= MAX_SESSIONS).then_some(0);
        let mut session = known.or(oldest).map(|at| self.0.remove(at)).unwrap_or_default();
        session.fill(id, request);
        self.0.push(session);
    }

    /// An incremental request names a partition of the topic that it named last.
    pub(super) fn add(&mut self, request: &Request, partition: i32) {
        let Some(session) = request.session.and_then(|id| self.find(id)) else { return };
        let Some(part) = request.parts.last().filter(|_| request.topic_count as usize <= MAX_TOPICS) else { return };
        session.add(part.name.get(&request.text), part.id().unwrap_or_default(), partition);
    }

    /// The next partitions that are forgotten are of this topic.
    pub(super) fn seek(&mut self, id: i32, name: Option<&[u8]>, topic: [u8; 16]) {
        let Some(session) = self.find(id) else { return };
        let name = name.and_then(|name| core::str::from_utf8(name).ok());
        session.at = session.parts.iter().position(|part| part.is(&session.text, name, topic));
    }

    pub(super) fn forget(&mut self, id: i32, partition: i32) {
        if let Some(session) = self.find(id) {
            session.forget(partition);
        }
    }

    /// Gives an incremental request all that its session reads.
    pub(super) fn tell(&mut self, request: &mut Request) {
        let Some(session) = request.session.and_then(|id| self.find(id)) else { return };
        request.parts.clear();
        request.partition_count = 0;
        for part in &session.parts {
            let name = part.name.get(&session.text).map(|name| Span::push(&mut request.text, name.as_bytes()));
            request.parts.push(Part { name: name.unwrap_or_default(), ..*part });
            request.partition_count = request.partition_count.saturating_add(part.partitions);
        }
        request.topic_count = session.topics;
    }

    pub(super) fn close(&mut self, id: i32) {
        self.0.retain(|session| session.id != id);
    }

    /// Requests were lost: nobody knows what they changed.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn memory(&self) -> usize {
        let held = |session: &Session| {
            session.text.capacity().saturating_add(session.parts.capacity().saturating_mul(size_of::<Part>()))
        };
        let sessions = self.0.capacity().saturating_mul(size_of::<Session>());
        self.0.iter().map(held).sum::<usize>().saturating_add(sessions)
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl Session {
    fn fill(&mut self, id: i32, request: &Request) {
        self.id = id;
        self.text.clear();
        self.parts.clear();
        self.topics = request.topic_count;
        for part in &request.parts {
            let name = part.name.get(&request.text).map(|name| Span::push(&mut self.text, name.as_bytes()));
            self.parts.push(Part { name: name.unwrap_or_default(), ..*part });
        }
    }

    fn add(&mut self, name: Option<&str>, topic: [u8; 16], partition: i32) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.is(&self.text, name, topic)) {
            let bit = bit(partition);
            // Named again where something of it changes. Beyond the 64th it is not known whether it is new.
            if bit != 0 && part.low & bit == 0 {
                part.add(partition);
            }
            return;
        }
        if self.parts.len() >= MAX_TOPICS {
            return;
        }
        if self.text.len() > MAX_NAMES {
            self.compact();
        }
        let name = name.map(|name| Span::push(&mut self.text, name.as_bytes())).unwrap_or_default();
        let mut part = Part::new(name, topic);
        part.add(partition);
        self.parts.push(part);
        self.topics = self.topics.saturating_add(1);
    }

    /// Drops the names that no topic has any more.
    fn compact(&mut self) {
        let old = core::mem::take(&mut self.text);
        for part in &mut self.parts {
            let name = part.name.get(&old).map(|name| Span::push(&mut self.text, name.as_bytes()));
            part.name = name.unwrap_or_default();
        }
    }

    fn forget(&mut self, partition: i32) {
        let Some((at, part)) = self.at.and_then(|at| Some((at, self.parts.get_mut(at)?))) else { return };
        let bit = bit(partition);
        if bit != 0 && part.low & bit == 0 {
            return;
        }
        part.low &= !bit;
        part.partitions = part.partitions.saturating_sub(1);
        if part.partition == Some(partition) {
            part.partition = (part.low != 0).then(|| part.low.trailing_zeros().cast_signed());
        }
        if part.partitions == 0 {
            self.parts.remove(at);
            self.at = None;
            self.topics = self.topics.saturating_sub(1);
        }
    }
}
