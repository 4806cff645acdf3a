//! The names of Kafka's topics by their ids (KIP-516), learnt on any connection and read on all of them, without a lock.
//!
//! Ids are random and never change their name, so that a name once learnt is right on every connection to every
//! cluster. A topic has its place among the four of its id's row; the oldest of them makes room. A place is written
//! under a sequence number that is odd meanwhile; who reads it looks at the number before and afterwards, and takes
//! what changed in between as not known.

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// Rows; a power of two.
const ROWS: usize = 256;
/// Places of a row.
const WAYS: usize = 4;
/// Longest name that brokers allow.
const MAX_NAME: usize = 249;
/// Words of a name: its length in the first byte.
const WORDS: usize = 32;
const WORD: usize = 8;

/// A topic's name, copied out of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicName {
    bytes: [u8; WORDS * WORD],
}

impl TopicName {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let [length, name @ ..] = &self.bytes;
        name.get(..usize::from(*length)).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Place {
    /// Odd while it is written. 0: never was.
    sequence: AtomicU64,
    /// When it was written, counted in topics.
    written: AtomicU64,
    id: [AtomicU64; 2],
    name: [AtomicU64; WORDS],
}

impl Place {
    fn new() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            sequence: AtomicU64::new(0),
            written: AtomicU64::new(0),
            id: [0, 1].map(zero),
            name: core::array::from_fn(zero),
        }
    }

    fn holds(&self, id: [u64; 2]) -> bool {
        let [high, low] = &self.id;
        [high.load(Ordering::Relaxed), low.load(Ordering::Relaxed)] == id
    }

    fn read(&self, id: [u64; 2]) -> Option<TopicName> {
        let before = self.sequence.load(Ordering::Acquire);
        if before == 0 || before & 1 != 0 || !self.holds(id) {
            return None;
        }
        let mut bytes = [0; WORDS * WORD];
        for (target, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(&self.name) {
            *target = word.load(Ordering::Relaxed).to_le_bytes();
        }
        // What was read is what stood there if the number did not change.
        fence(Ordering::Acquire);
        (self.sequence.load(Ordering::Relaxed) == before).then_some(TopicName { bytes })
    }

    /// Whether the topic stands there now; not if somebody else writes.
    fn write(&self, id: [u64; 2], name: &[u8], written: u64) -> bool {
        let before = self.sequence.load(Ordering::Relaxed);
        let taken = before & 1 == 0
            && self
                .sequence
                .compare_exchange(before, before.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !taken {
            return false;
        }
        fence(Ordering::Release);
        let mut bytes = [0; WORDS * WORD];
        let [length, rest @ ..] = &mut bytes;
        *length = u8::try_from(name.len()).unwrap_or(0);
        for (target, byte) in rest.iter_mut().zip(name) {
            *target = *byte;
        }
        for (target, part) in self.id.iter().zip(id) {
            target.store(part, Ordering::Relaxed);
        }
        for (target, word) in self.name.iter().zip(bytes.as_chunks::<WORD>().0) {
            target.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        self.written.store(written, Ordering::Relaxed);
        self.sequence.store(before.wrapping_add(2), Ordering::Release);
        true
    }
}

/// See the module. Has its places from the first topic on.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    places: Lazy,
    written: AtomicU64,
    forgotten: AtomicUsize,
}

#[cfg(feature = "std")]
type Lazy = std::sync::OnceLock<Box<[Place]>>;
#[cfg(not(feature = "std"))]
type Lazy = eager::Places;

fn places() -> Box<[Place]> {
    (0..ROWS.saturating_mul(WAYS)).map(|_| Place::new()).collect::<Vec<_>>().into()
}

/// Without the standard library nothing makes a value once for several threads: it is made at the beginning.
#[cfg(not(feature = "std"))]
mod eager {
    use super::{Box, Place, places};

    #[derive(Debug)]
    pub(super) struct Places(Box<[Place]>);

    impl Default for Places {
        fn default() -> Self {
            Self(places())
        }
    }

    impl Places {
        pub(super) fn get(&self) -> Option<&Box<[Place]>> {
            Some(&self.0)
        }

        pub(super) fn get_or_init(&self, _: fn() -> Box<[Place]>) -> &Box<[Place]> {
            &self.0
        }
    }
}

impl Topics {
    /// The name of a topic, if it was learnt.
    pub(crate) fn name(&self, id: [u8; 16]) -> Option<TopicName> {
        let words = words(id);
        row(self.places.get()?, words).iter().find_map(|place| place.read(words))
    }

    /// Learns a topic. One that is known costs no more than to look.
    pub(crate) fn learn(&self, id: [u8; 16], name: &[u8]) {
        if id == [0; 16] || name.is_empty() || name.len() > MAX_NAME {
            return;
        }
        let words = words(id);
        let row = row(self.places.get_or_init(places), words);
        if row.iter().any(|place| place.sequence.load(Ordering::Acquire) != 0 && place.holds(words)) {
            return;
        }
        let Some(oldest) = row.iter().min_by_key(|place| place.written.load(Ordering::Relaxed)) else { return };
        let makes_room = oldest.sequence.load(Ordering::Relaxed) != 0;
        let written = self.written.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if oldest.write(words, name, written) && makes_room {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Topics that made room for others.
    pub(crate) fn forgotten(&self) -> usize {
        self.forgotten.load(Ordering::Relaxed)
    }
}

fn words(id: [u8; 16]) -> [u64; 2] {
    let id = u128::from_be_bytes(id);
    [(id >> 64) as u64, id as u64]
}

/// The places of an id's row. Ids are random but for the bits of their version.
fn row(places: &[Place], [high, low]: [u64; 2]) -> &[Place] {
    let hash = (high ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    let start = (hash as usize & ROWS.wrapping_sub(1)).saturating_mul(WAYS);
    places.get(start..start.saturating_add(WAYS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn id(number: u64) -> [u8; 16] {
        let mixed = u128::from(number.wrapping_mul(0xd6e8_feb8_6659_fd93)) << 64 | u128::from(number);
        mixed.to_be_bytes()
    }

    #[test]
    fn what_was_learnt_is_known() {
        let topics = Topics::default();
        assert!(topics.name(id(1)).is_none());
        topics.learn(id(1), b"orders");
        topics.learn(id(2), &[b'x'; MAX_NAME]);
        topics.learn(id(3), &[b'x'; MAX_NAME + 1]);
        topics.learn(id(4), b"");
        topics.learn([0; 16], b"none");
        let name = |id| topics.name(id).map(|name| name.as_bytes().to_vec());
        assert_eq!(name(id(1)).as_deref(), Some(&b"orders"[..]));
        assert_eq!(name(id(2)).map(|name| name.len()), Some(MAX_NAME));
        assert_eq!([id(3), id(4), [0; 16]].map(name), [None, None, None]);
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let topics = Topics::default();
        let many = 4 * ROWS as u64 * WAYS as u64;
        for number in 1..=many {
            topics.learn(id(number), format!("topic-{number}").as_bytes());
            assert!(topics.name(id(number)).is_some(), "{number}");
        }
        let known = (1..=many).filter(|number| topics.name(id(*number)).is_some()).count();
        assert_eq!(known + topics.forgotten(), many as usize);
        assert!(known <= ROWS * WAYS && known > ROWS * WAYS * 9 / 10, "{known}");
        for number in 1..=many {
            if let Some(name) = topics.name(id(number)) {
                assert_eq!(name.as_bytes(), format!("topic-{number}").as_bytes());
            }
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn readers_never_see_half_a_name() {
        let topics = Topics::default();
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let topics = &topics;
                scope.spawn(move || {
                    for round in 0..40_000_u64 {
                        let number = 1 + (round.wrapping_mul(7) + thread) % 6000;
                        topics.learn(id(number), format!("topic-{number}-{number}").as_bytes());
                        if let Some(name) = topics.name(id(number)) {
                            assert_eq!(name.as_bytes(), format!("topic-{number}-{number}").as_bytes());
                        }
                    }
                });
            }
        });
        assert!(topics.forgotten() > 0);
    }
}
