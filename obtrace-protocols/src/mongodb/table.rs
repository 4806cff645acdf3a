//! The calls of a connection: those that wait for their answer, those that are over, and memory for the next ones.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};

use super::call::Call;
use crate::{Completeness, Stage, parser::Context};

/// Most calls of which the memory is kept for later ones.
const MAX_SPARE: usize = 16;
/// Most bytes of text that such a call may have.
const MAX_SPARE_TEXT: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Table {
    /// In the order in which they were sent.
    waiting: VecDeque<Box<Call>>,
    /// What each of these awaits: searched for every answer.
    awaited: VecDeque<i32>,
    done: VecDeque<Box<Call>>,
    /// The one that was handed out last.
    current: Option<Box<Call>>,
    #[expect(clippy::vec_box, reason = "they go back where they came from, boxed")]
    spare: Vec<Box<Call>>,
    /// Some that wait have [`Call::may_be_lost`].
    some_may_be_lost: bool,
    /// How many wait for more answers than they had.
    streams: u32,
    /// Heap bytes of all these calls. They do not change while they are here.
    held: usize,
}

fn size_of_one(call: &Call) -> usize {
    size_of::<Call>().saturating_add(call.capacity())
}

impl Table {
    /// An empty call.
    pub(super) fn fresh(&mut self) -> Box<Call> {
        let Some(call) = self.spare.pop() else { return Box::default() };
        self.goes(&call);
        call
    }

    fn comes(&mut self, call: &Call) {
        self.held = self.held.saturating_add(size_of_one(call));
    }

    fn goes(&mut self, call: &Call) {
        self.held = self.held.saturating_sub(size_of_one(call));
    }

    /// A request was read: its answer is to come. If too many wait, the oldest are over.
    pub(super) fn wait(&mut self, mut call: Box<Call>, cx: &mut Context<'_>) {
        call.awaits = call.request_id;
        while self.waiting.len() >= cx.config.max_pending.max(1) as usize {
            self.miss_oldest(cx);
        }
        self.comes(&call);
        self.awaited.push_back(call.awaits);
        self.waiting.push_back(call);
    }

    /// More answers come to this call.
    pub(super) fn wait_on(&mut self, call: Box<Call>) {
        self.comes(&call);
        self.awaited.push_front(call.awaits);
        self.waiting.push_front(call);
        self.streams = self.streams.saturating_add(1);
    }

    /// The call that an answer belongs to. A server answers in order: what was asked before it, and may have been
    /// answered by bytes that were lost, was.
    pub(super) fn claim(&mut self, response_to: i32) -> Option<Box<Call>> {
        let (front, back) = self.awaited.as_slices();
        let within = |ids: &[i32]| ids.iter().position(|&id| id == response_to);
        let index = within(front).or_else(|| within(back).map(|at| at.saturating_add(front.len())));
        let mut call = self.take(index.or_else(|| self.stream(response_to))?);
        if let Some(call) = call.as_mut().filter(|call| call.may_be_lost && call.may_have_several()) {
            // This answer may be a later one.
            call.completeness = Completeness::Gap;
        }
        let index = index.unwrap_or_default();
        if self.some_may_be_lost {
            let mut left = index;
            let mut at = 0_usize;
            while left > 0 {
                left = left.saturating_sub(1);
                if self.waiting.get(at).is_some_and(|call| call.may_be_lost) {
                    if let Some(mut lost) = self.take(at) {
                        lost.completeness = Completeness::Gap;
                        self.finish(lost);
                    }
                } else {
                    at = at.saturating_add(1);
                }
            }
            self.some_may_be_lost = self.waiting.iter().any(|call| call.may_be_lost);
        }
        call
    }

    /// The place of the call that had answers already and was sent as this request: servers differ in what the later ones
    /// say that they answer, the one before them or the request.
    fn stream(&self, request_id: i32) -> Option<usize> {
        if self.streams == 0 {
            return None;
        }
        self.waiting.iter().position(|call| call.response.is_some() && call.request_id == request_id)
    }

    fn take(&mut self, index: usize) -> Option<Box<Call>> {
        self.awaited.remove(index);
        let call = self.waiting.remove(index)?;
        self.goes(&call);
        if call.response.is_some() {
            self.streams = self.streams.saturating_sub(1);
        }
        Some(call)
    }

    /// Another message followed a tentative call, or an answer to it: it was one.
    pub(super) fn confirm(&mut self, id: u64, cx: &mut Context<'_>) {
        let Some(at) = self.tentative(id) else { return };
        let Some(call) = self.waiting.get_mut(at) else { return };
        call.confirm(cx);
        if call.asked.is_unacknowledged
            && let Some(call) = self.take(at)
        {
            self.finish(call);
        }
    }

    /// What followed a tentative call was no message: neither was it.
    pub(super) fn withdraw(&mut self, id: u64, cx: &mut Context<'_>) {
        if let Some(call) = self.tentative(id).and_then(|at| self.take(at)) {
            cx.tell(call.id, &call.request, Stage::Withdrawn);
        }
    }

    fn tentative(&self, id: u64) -> Option<usize> {
        self.waiting.iter().rposition(|call| call.id == id && call.is_tentative)
    }

    /// Answers may have been lost.
    pub(super) fn answers_lost(&mut self) {
        for call in &mut self.waiting {
            call.may_be_lost = true;
            self.some_may_be_lost = true;
        }
    }

    /// The call is over.
    pub(super) fn finish(&mut self, mut call: Box<Call>) {
        call.settle();
        self.comes(&call);
        self.done.push_back(call);
    }

    /// The oldest one that waits will not be answered. Whether there is one.
    pub(super) fn miss_oldest(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(mut call) = self.take(0) else { return false };
        if call.is_tentative && call.completeness != Completeness::Complete {
            // Nothing shows that what was lost in part was a message.
            cx.tell(call.id, &call.request, Stage::Withdrawn);
            return true;
        }
        if call.completeness == Completeness::Complete && !call.asked.is_unacknowledged {
            call.completeness = match (call.may_be_lost, call.response) {
                (true, _) => Completeness::Gap,
                (false, Some(_)) => Completeness::Truncated,
                (false, None) => Completeness::ResponseMissing,
            };
        }
        self.finish(call);
        true
    }

    /// The next one that is over; the one before it is forgotten.
    pub(super) fn take_done(&mut self) -> Option<&Call> {
        if let Some(mut call) = self.current.take() {
            self.goes(&call);
            if self.spare.len() < MAX_SPARE && call.capacity() <= MAX_SPARE_TEXT {
                call.clear();
                self.comes(&call);
                self.spare.push(call);
            }
        }
        self.current = self.done.pop_front();
        self.current.as_deref()
    }

    pub(super) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.done.is_empty()
    }

    /// Heap bytes held.
    pub(super) fn memory(&self) -> usize {
        #[cfg(test)]
        {
            let calls = self.waiting.iter().chain(&self.done).chain(&self.current).chain(&self.spare);
            assert_eq!(self.held, calls.map(|call| size_of_one(call)).sum::<usize>());
        }
        let places = self.waiting.capacity().saturating_add(self.done.capacity()).saturating_add(self.spare.capacity());
        let awaited = self.awaited.capacity().saturating_mul(size_of::<i32>());
        places.saturating_mul(size_of::<Box<Call>>()).saturating_add(self.held).saturating_add(awaited)
    }
}
