//! Shows bodies to those who look at them ([`payload`](crate::payload)).

use alloc::boxed::Box;

use super::{
    stream::{Grpc, Stream},
    streams::Streams,
};
use crate::{
    Timestamp,
    parser::{Context, Side},
    payload::{self, Observed, Observer, Observers, Response},
};

impl Streams {
    /// The head of a request is over: whether somebody is to look at its bodies. Those of gRPC and of what the server
    /// pushes are none that anybody reads.
    #[inline]
    pub(super) fn observe(&mut self, id: u32, cx: &Context<'_>) {
        let (open, observers) = self.parts();
        let Some(stream) = open.get(id) else { return };
        let method = stream.asked.get(stream.asked.method).unwrap_or_default();
        if method != "POST" || stream.grpc == Grpc::Yes {
            return;
        }
        let target = stream.asked.get(stream.asked.path).unwrap_or_default();
        let request = payload::Request {
            method,
            target,
            host: stream.authority().unwrap_or_default(),
            content_type: stream.asked.get(stream.asked.content_type).unwrap_or_default(),
            coding: stream.asked.coding,
            start: stream.client.message.start,
        };
        match observers.observe(&request, cx.config, cx.shared) {
            Observed::No => {}
            Observed::Yes(observer) => stream.observer = Some(observer),
            Observed::TooMany => stream.truncated = true,
        }
    }

    /// Somebody looks at the bodies of a stream already.
    pub(super) fn adopt_observer(&mut self, id: u32, mut observer: Box<dyn Observer>) {
        let (open, observers) = self.parts();
        observers.adopt(&mut *observer);
        match open.get(id) {
            Some(stream) => {
                stream.unread = observer.has_lost(Side::Client);
                stream.observer = Some(observer);
            }
            None => observers.give_back(observer),
        }
    }

    /// The head of a response is over. What belongs to one whose status is not known is not read.
    pub(super) fn observe_response(&mut self, id: u32) {
        let (open, observers) = self.parts();
        let Some(stream) = open.get(id) else { return };
        let Stream { observer: Some(observer), answered, .. } = stream else { return };
        let Some(status) = answered.status else { return };
        let content_type = answered.get(answered.content_type).unwrap_or_default();
        let head = Response { status, content_type, coding: answered.coding };
        observers.with(&mut **observer, |observer| observer.response(&head));
    }

    /// Shows the next bytes of a body, the newest of which passed at this time.
    pub(super) fn show(&mut self, side: Side, id: u32, bytes: &[u8], at: Timestamp) {
        self.with_observer(id, |observer| observer.body(side, bytes, at));
    }

    /// Bytes of a body were lost.
    pub(super) fn lose_observed(&mut self, side: Side, id: u32) {
        let (open, observers) = self.parts();
        if let Some(stream) = open.get(id) {
            lose(observers, stream, side);
        }
    }

    /// The same of all that are open.
    pub(super) fn lose_all_observed(&mut self, side: Side) {
        let (open, observers) = self.parts();
        if observers.observe_any() {
            open.iter().for_each(|stream| lose(observers, stream, side));
        }
    }

    /// Does something with the observer of a stream, if it has one.
    pub(super) fn with_observer(&mut self, id: u32, act: impl FnOnce(&mut dyn Observer)) {
        let (open, observers) = self.parts();
        if !observers.observe_any() {
            return;
        }
        if let Some(observer) = open.get(id).and_then(|stream| stream.observer.as_mut()) {
            observers.with(&mut **observer, act);
        }
    }
}

fn lose(observers: &mut Observers, stream: &mut Stream, side: Side) {
    if stream.wants(side)
        && let Some(observer) = stream.observer.as_mut()
    {
        observers.with(&mut **observer, |observer| observer.lose(side));
        stream.unread = true;
    }
}

/// A stream is over: what has not ended of its bodies will not come.
pub(super) fn cut(observers: &mut Observers, stream: &mut Stream) {
    for side in [Side::Client, Side::Server] {
        if !stream.has_ended(side)
            && let Some(observer) = stream.observer.as_mut()
        {
            observers.with(&mut **observer, |observer| {
                observer.lose(side);
                observer.end(side);
            });
        }
    }
}

#[cfg(test)]
mod tests;
