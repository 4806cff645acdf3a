//! What was announced and not handed out yet.
//!
//! Not an [`Alike`](crate::alike::Alike), which keeps a place for each: in a flood even the places need not be kept.

use alloc::collections::VecDeque;

use crate::Opened;

/// Those of one moment, numbered one by one, that lie at equal distances.
#[derive(Debug)]
struct Run {
    first: Opened,
    /// So many more follow the first.
    more: u32,
    /// From one to the next in the stream.
    distance: u64,
}

impl Run {
    /// The distance of the run's parts if this is the next one of them.
    #[inline]
    fn goes_on(&self, next: &Opened) -> Option<u64> {
        let Opened { id, start, tag, offset, sender, trace_context, stage } = self.first;
        let count = u64::from(self.more).wrapping_add(1);
        let distance = if self.more == 0 { next.offset.wrapping_sub(offset) } else { self.distance };
        let is_next = next.id == id.wrapping_add(count)
            && next.offset == offset.wrapping_add(distance.wrapping_mul(count))
            && (next.start, next.tag, next.sender, next.stage) == (start, tag, sender, stage)
            && next.trace_context == trace_context
            && self.more < u32::MAX;
        is_next.then_some(distance)
    }
}

/// First in, first out. What floods with the smallest of requests takes little memory.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    runs: VecDeque<Run>,
}

impl Announced {
    pub(crate) const fn new() -> Self {
        Self { runs: VecDeque::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, opened: Opened) {
        if let Some(newest) = self.runs.back_mut()
            && let Some(distance) = newest.goes_on(&opened)
        {
            newest.more = newest.more.saturating_add(1);
            newest.distance = distance;
        } else {
            self.runs.push_back(Run { first: opened, more: 0, distance: 0 });
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Opened> {
        let run = self.runs.front_mut()?;
        let first = run.first;
        if run.more == 0 {
            self.runs.pop_front();
        } else {
            run.more = run.more.saturating_sub(1);
            run.first.id = first.id.wrapping_add(1);
            run.first.offset = first.offset.wrapping_add(run.distance);
        }
        Some(first)
    }

    /// Heap bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.runs.capacity().saturating_mul(size_of::<Run>())
    }

    /// Gives back memory that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.runs.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Role, Stage, Tag, Timestamp};

    fn opened(id: u64, offset: u64, at: u64) -> Opened {
        let (start, tag) = (Timestamp::from_nanos(at), Tag::new(at));
        Opened { id, start, tag, offset, sender: Role::Client, trace_context: None, stage: Stage::Certain }
    }

    proptest! {
        #[test]
        fn is_a_queue(steps in prop::collection::vec((0_u64..3, 0_u64..3, 0_u64..2, any::<bool>()), 0..200)) {
            let (mut announced, mut plain) = (Announced::new(), VecDeque::new());
            let (mut id, mut offset, mut at) = (0, 0, 0);
            for (by, further, later, pops) in steps {
                if pops {
                    prop_assert_eq!(announced.pop(), plain.pop_front());
                }
                for (sum, more) in [(&mut id, by), (&mut offset, further), (&mut at, later)] {
                    *sum = u64::saturating_add(*sum, more);
                }
                announced.push(opened(id, offset, at));
                plain.push_back(opened(id, offset, at));
            }
            while let Some(wanted) = plain.pop_front() {
                prop_assert_eq!(announced.pop(), Some(wanted));
            }
            prop_assert_eq!(announced.pop(), None);
        }
    }

    #[test]
    fn a_flood_is_kept_once() {
        let mut announced = Announced::new();
        (0..10_000).for_each(|id| announced.push(opened(id, 100 + id * 7, 1)));
        assert_eq!(announced.runs.len(), 1);
        (0..10_000).for_each(|id| assert_eq!(announced.pop(), Some(opened(id, 100 + id * 7, 1))));
        assert_eq!(announced.pop(), None);
    }
}
