//! What lost bytes cost: see [`crate::pairing`]. The unit is a batch, which its ReadyForQuery ends.

use super::{client::Phase, parser::PostgresParser, statements::Space};
use crate::{
    Completeness, Timestamp,
    pairing::{Place, Verdict},
};

impl PostgresParser {
    /// The first message of a client whose connection was joined. If it is not one that batches begin with, it may be
    /// inside one, or others may be under way.
    pub(super) fn join(&mut self, tag: u8) {
        if !stands_alone(tag) && tag != b'P' {
            let verdict = self.pairing.lose(true);
            self.judge(verdict);
            self.client.torn = tag != b'B' && !self.server.heard_orphan;
        }
    }

    /// A batch begins, or what is left of one.
    pub(super) fn begin_batch(&mut self, tag: u8, at: Timestamp) {
        self.server.heard_orphan = false;
        let was_in_step = self.pairing.is_in_step();
        if !was_in_step && !self.pairing.pipelines() {
            // This client has had all its answers before it sends more: of what waits they were lost, or passed before
            // anybody knew where messages of the server begin.
            if core::mem::take(&mut self.server.holed) || self.server.lost {
                self.abandon_pending();
            }
            self.server.orphan = false;
        }
        let torn = core::mem::take(&mut self.client.torn) && !stands_alone(tag);
        if torn {
            self.client.place = Place::Unknown;
            return;
        }
        let idle = self.queue.pending() == 0 && !self.server.orphan;
        let (verdict, place) = self.pairing.begin(idle, at);
        self.judge(verdict);
        self.client.place = place;
    }

    /// An answer to nothing that is known begins: it ends with ReadyForQuery.
    pub(super) fn pass_orphan(&mut self) {
        self.server.orphan = true;
        let verdict = self.pairing.surplus();
        self.judge(verdict);
    }

    /// What was asked before a loss was answered: a batch that begins now begins with its first message.
    pub(super) fn end_of_lost(&mut self) {
        self.server.heard_orphan = true;
        if !self.is_in_batch() {
            self.client.torn = false;
        }
    }

    pub(super) fn judge(&mut self, verdict: Verdict) {
        if verdict == Verdict::Open {
            return;
        }
        let confirmed = verdict == Verdict::Confirmed;
        self.queue.judge(confirmed);
        if self.client.place == Place::OnTrial {
            self.client.place = if confirmed { Place::Certain } else { Place::Unknown };
        }
        self.finish_unknown();
    }

    /// Nobody will know what those that wait are answered.
    fn abandon_pending(&mut self) {
        for entry in self.queue.iter_pending() {
            entry.forget_response();
            entry.place = Place::Unknown;
        }
        if self.client.batch_open {
            self.client.place = Place::Unknown;
        }
        self.finish_unknown();
    }

    /// Bytes of the client were lost: requests, or a part of the batch that is being built.
    pub(super) fn lose_client(&mut self) {
        let verdict = self.pairing.lose(self.queue.pending() == 0);
        self.judge(verdict);
        if core::mem::take(&mut self.server.holed) {
            // The next answer may be to what was lost.
            self.abandon_pending();
        }
        self.client.phase = Phase::Lost;
        self.client.torn = !self.server.heard_orphan || self.is_in_batch();
        self.client.fresh_loss = true;
        // What these stand for may have changed in the lost bytes; named statements hardly ever do.
        self.statements.close(Space::Statement, b"");
        self.statements.close(Space::Portal, b"");
        self.drop_building();
        let batch_open = core::mem::take(&mut self.client.batch_open);
        if let Some(newest) = self.queue.newest().filter(|newest| batch_open || newest.copying) {
            newest.gap = true;
            // Its Sync is lost or yet to come; what is read next is not taken for a part of its batch.
            newest.sync = true;
        }
    }

    /// Bytes of the server were lost: of the answer that comes next, if one is due.
    pub(super) fn lose_server(&mut self) {
        // Requests were lost, too: those that wait may have been answered among what is missing.
        let both = self.pairing.is_adrift() && !self.server.holed;
        let verdict = self.pairing.lose(self.queue.pending() == 0);
        if verdict == Verdict::Refuted {
            // What is not answered yet is a matter of what comes next.
            self.queue.iter_pending().for_each(|entry| entry.place = Place::Certain);
            self.client.place = Place::Certain;
        }
        self.judge(verdict);
        self.server.lost = true;
        self.server.orphan = false;
        // If encryption was agreed on, nothing is found any more; what is found was sent after it was declined.
        self.server.answers_due = 0;
        (self.server.passed_batches, self.server.passed_commands) = (0, 0);
        if both || self.pairing.pipelines() {
            self.abandon_pending();
        }
        for entry in self.queue.iter_pending() {
            entry.gap = true;
            if entry.sync {
                break;
            }
        }
        self.server.holed = self.queue.pending() > 0;
        self.server.heard_orphan = true;
        if !self.is_in_batch() {
            self.client.torn = false;
        }
    }

    /// After a gap: whose answer comes next, which begins with this tag.
    pub(super) fn find_place(&mut self, tag: u8, at: Timestamp) {
        self.server.failed = false;
        if !core::mem::take(&mut self.server.holed) {
            return;
        }
        // A client that waits for each answer has sent its newest batch after all others were answered.
        let mut whole = false;
        while self.batches_before(at) > 1 {
            whole = true;
            self.drop_batch();
        }
        let Some(head) = self.queue.head() else { return };
        if head.request.start > at {
            self.server.orphan = true;
            return;
        }
        if whole {
            head.gap = !opens(head.begins, tag);
        }
        if head.gap && !head.sync {
            // Which of its requests this answers is not known.
            self.drop_batch();
            self.server.orphan = tag != b'Z';
            return;
        }
        self.pairing.try_newest();
        self.queue.iter_pending().for_each(|entry| entry.place = Place::OnTrial);
        self.client.place = Place::OnTrial;
    }

    fn drop_batch(&mut self) {
        while let Some(head) = self.queue.head() {
            let last = head.sync;
            head.forget_response();
            self.finish_head_as(Completeness::Gap);
            if last {
                break;
            }
        }
    }

    /// Batches that began before then.
    fn batches_before(&mut self, at: Timestamp) -> usize {
        let mut batches = 0_usize;
        let mut begins = true;
        for entry in self.queue.iter_pending() {
            if begins && entry.request.start <= at {
                batches = batches.saturating_add(entry.batches());
            }
            begins = entry.sync;
        }
        batches
    }

    /// The connection was silent for long enough.
    pub(super) fn quiet(&mut self) {
        if self.queue.pending() > 0 || self.server.orphan || self.is_in_batch() {
            return self.pairing.wait_longer();
        }
        self.server.holed = false;
        let verdict = self.pairing.settle();
        self.judge(verdict);
    }
}

/// Whether a message with this tag is a batch of its own, and sent when no other is under way.
const fn stands_alone(tag: u8) -> bool {
    matches!(tag, b'Q' | b'F')
}

/// Whether an answer to what began with this frontend message can begin with this backend message.
const fn opens(begins: u8, tag: u8) -> bool {
    match begins {
        b'Q' => matches!(tag, b'T' | b'C' | b'E' | b'I' | b'G' | b'H' | b'W' | b'N' | b'S' | b'A'),
        b'P' => matches!(tag, b'1' | b'E' | b'N' | b'S' | b'A'),
        b'B' => matches!(tag, b'2' | b'E' | b'N' | b'S' | b'A'),
        b'F' => matches!(tag, b'V' | b'E' | b'N' | b'S' | b'A'),
        b'D' => matches!(tag, b't' | b'T' | b'n' | b'E' | b'N' | b'S' | b'A'),
        _ => true,
    }
}
