//! Requests that wait for their response, and those that are over.

use alloc::{boxed::Box, collections::VecDeque};

use super::{request::Request, response::name_topics};
use crate::{Completeness, Shared};

/// Requests kept for the next ones when they are over.
const MAX_FREE: usize = 16;
/// Most bytes of texts that such a one keeps.
const MAX_KEPT: usize = 8 * 1024;
/// Most requests that are looked at where correlation ids do not count up.
const NEAR: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: VecDeque<Box<Request>>,
    /// Their correlation ids, and whether these do not count up.
    ids: VecDeque<i32>,
    is_mixed: bool,
    done: VecDeque<Box<Request>>,
    free: VecDeque<Box<Request>>,
    current: Option<Box<Request>>,
    /// Heap bytes of all these requests. They do not change while they are here.
    held: usize,
}

fn size_of_one(request: &Request) -> usize {
    size_of::<Request>().saturating_add(request.memory())
}

impl Pending {
    fn comes(&mut self, request: &Request) {
        self.held = self.held.saturating_add(size_of_one(request));
    }

    fn goes(&mut self, request: &Request) {
        self.held = self.held.saturating_sub(size_of_one(request));
    }

    /// A request with nothing in it.
    pub(super) fn fresh(&mut self) -> Box<Request> {
        let Some(request) = self.free.pop_back() else { return Box::default() };
        self.goes(&request);
        request
    }

    fn give_back(&mut self, mut request: Box<Request>) {
        if self.free.len() < MAX_FREE && request.memory() <= MAX_KEPT {
            request.reset();
            self.comes(&request);
            self.free.push_back(request);
        }
    }

    /// Waits for its response; the oldest gives up if there are too many.
    pub(super) fn wait(&mut self, request: Box<Request>, most: usize, shared: &Shared) {
        while self.waiting.len() >= most.max(1) {
            self.drop_front(Completeness::ResponseMissing, shared);
        }
        self.is_mixed = self.ids.back().is_some_and(|last| self.is_mixed || *last >= request.correlation);
        self.ids.push_back(request.correlation);
        self.comes(&request);
        self.waiting.push_back(request);
    }

    fn drop_front(&mut self, otherwise: Completeness, shared: &Shared) {
        self.ids.pop_front();
        let Some(request) = self.waiting.pop_front() else { return };
        self.goes(&request);
        let completeness = if request.gap { Completeness::Gap } else { otherwise };
        self.end(request, completeness, shared);
    }

    /// Is over: the names of topics are known now or never.
    pub(super) fn end(&mut self, mut request: Box<Request>, completeness: Completeness, shared: &Shared) {
        if request.is_token {
            return self.give_back(request);
        }
        request.completeness = completeness;
        name_topics(&mut request, shared);
        self.comes(&request);
        self.done.push_back(request);
    }

    /// Where the request with this correlation id waits: where it has its place if they count up, else among the 64
    /// oldest. The Java client's do not: those of its authentication are the largest, and it numbers requests before it
    /// asks for the broker's versions.
    pub(super) fn find(&self, correlation: i32) -> Option<usize> {
        let distance = correlation.wrapping_sub(*self.ids.front()?);
        let guess = usize::try_from(distance).ok().filter(|at| self.ids.get(*at) == Some(&correlation));
        let found = guess.or_else(|| match self.is_mixed {
            true => self.ids.iter().take(NEAR).position(|id| *id == correlation),
            false => self.ids.binary_search(&correlation).ok(),
        });
        found.filter(|at| self.is_request(*at))
    }

    fn is_request(&self, at: usize) -> bool {
        self.waiting.get(at).is_some_and(|request| !request.is_token)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Request> {
        self.waiting.get(at).map(|request| &**request)
    }

    /// The request at a place. Brokers answer in order: where responses were lost, those of the requests before it
    /// were among them.
    pub(super) fn take(&mut self, at: usize, were_lost: bool, shared: &Shared) -> Option<Box<Request>> {
        let at = if were_lost {
            for _ in 0..at {
                self.drop_front(Completeness::Gap, shared);
            }
            0
        } else {
            at
        };
        self.ids.remove(at);
        let request = self.waiting.remove(at)?;
        self.goes(&request);
        Some(request)
    }

    /// The next response is the answer to bytes of an authentication, which then wait no longer.
    pub(super) fn take_token(&mut self) {
        self.ids.pop_front();
        if let Some(request) = self.waiting.pop_front() {
            self.goes(&request);
            self.give_back(request);
        }
    }

    pub(super) fn expects_token(&self) -> bool {
        self.waiting.front().is_some_and(|request| request.is_token)
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self, otherwise: Completeness, shared: &Shared) {
        while !self.waiting.is_empty() {
            self.drop_front(otherwise, shared);
        }
    }

    pub(super) fn next(&mut self) -> Option<&Request> {
        if let Some(last) = self.current.take() {
            self.goes(&last);
            self.give_back(last);
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

    pub(super) fn memory(&self) -> usize {
        let queues = [&self.waiting, &self.done, &self.free];
        #[cfg(test)]
        {
            let requests = queues.iter().flat_map(|queue| queue.iter()).chain(&self.current);
            assert_eq!(self.held, requests.map(|request| size_of_one(request)).sum::<usize>());
        }
        let places = queues.iter().map(|queue| queue.capacity().saturating_mul(size_of::<usize>())).sum::<usize>();
        let ids = self.ids.capacity().saturating_mul(size_of::<i32>());
        self.held.saturating_add(places).saturating_add(ids)
    }

    pub(super) fn shrink(&mut self) {
        for request in core::mem::take(&mut self.free).into_iter().chain(self.current.take()) {
            self.goes(&request);
        }
        for queue in [&mut self.waiting, &mut self.done] {
            queue.shrink_to_fit();
        }
        self.ids.shrink_to_fit();
    }
}
