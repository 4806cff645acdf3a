//! The `traceparent` headers that were seen, so that one stale header cannot build a giant trace.

use std::collections::{HashMap, VecDeque};

use obtrace_protocols::TraceContext;

use super::{Settings, keyed::KeyedState};

/// What is known of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// It was not seen before: its span id belongs to nobody that we know.
    New,
    /// It was seen before, coming in or going out.
    Known,
    /// It was adopted too often or for too long; it is not to be used.
    Stale,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    first: u64,
    spans: u32,
}

type Key = ([u8; 16], [u8; 8]);

#[derive(Debug, Default)]
pub(super) struct Headers {
    uses: HashMap<Key, Use, KeyedState>,
    /// The keys of `uses`, oldest first.
    order: VecDeque<Key>,
}

impl Headers {
    /// Notes that a span wants to use a header at this time.
    pub(super) fn adopt(&mut self, context: &TraceContext, now: u64, settings: &Settings) -> Header {
        let key = (context.trace_id, context.span_id);
        if let Some(known) = self.uses.get_mut(&key) {
            known.spans = known.spans.saturating_add(1);
            let age = now.saturating_sub(known.first);
            let stale = known.spans > settings.max_adopted_spans || age > settings.max_adopted_age;
            return if stale { Header::Stale } else { Header::Known };
        }
        self.uses.insert(key, Use { first: now, spans: 1 });
        self.order.push_back(key);
        while self.order.len() > settings.max_headers.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.uses.remove(&oldest);
            }
        }
        Header::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(number: u32) -> TraceContext {
        let text = format!("00-{:032x}-{:016x}-01", number + 1, number + 1);
        TraceContext::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_header_goes_stale_by_use_and_by_age() {
        let settings = Settings { max_adopted_spans: 3, max_adopted_age: 100, ..Settings::default() };
        let mut headers = Headers::default();
        let seen: Vec<_> = (0..4).map(|_| headers.adopt(&context(1), 10, &settings)).collect();
        assert_eq!(seen, [Header::New, Header::Known, Header::Known, Header::Stale]);
        assert_eq!(headers.adopt(&context(2), 10, &settings), Header::New);
        assert_eq!(headers.adopt(&context(2), 110, &settings), Header::Known);
        assert_eq!(headers.adopt(&context(2), 111, &settings), Header::Stale);
    }

    #[test]
    fn the_table_is_bounded() {
        let settings = Settings { max_headers: 10, ..Settings::default() };
        let mut headers = Headers::default();
        for number in 0..100 {
            headers.adopt(&context(number), 1, &settings);
        }
        assert_eq!((headers.uses.len(), headers.order.len()), (10, 10));
    }
}
