//! Command names, and what the parser has to know of a command.

use super::{resp::Kind, table::GROUPS};

/// Which arguments are keys. Arguments are counted as in the server's own table: 0 is the name of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    None,
    /// First, last (negative: counted from the end, -1 is the last argument), step.
    Range(u8, i8, u8),
    /// The argument with this number says how many keys follow it.
    Counted(u8),
    /// Argument 1 is a key, argument 2 says how many more follow it.
    StoredCounted,
    /// After the word `STREAMS`, looked for from this argument on, half of the arguments are keys.
    Streams(u8),
}

/// What a command answers when it succeeds. Used to check a pairing that had to be inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Any,
    /// Anything but an aggregate.
    Scalar,
    Status,
    Integer,
    Bulk,
    Aggregate,
    /// An aggregate with neither aggregates nor nulls inside, or null.
    List,
    /// An aggregate with no aggregates inside, but maybe nulls.
    Sparse,
    /// Anything but an aggregate, unless there are more arguments than the key.
    OneOrMore,
}

impl Answer {
    /// Whether no part of the answer could be taken for an answer.
    pub(super) const fn is_single(self, arguments: u32) -> bool {
        match self {
            Self::Any | Self::Aggregate | Self::List | Self::Sparse => false,
            Self::Scalar | Self::Status | Self::Integer | Self::Bulk => true,
            Self::OneOrMore => arguments <= 1,
        }
    }

    /// Whether an answer of this kind may belong to the command. Any command may fail or be queued.
    pub(super) const fn allows(self, kind: Kind, is_queued: bool) -> bool {
        if kind.is_error() || is_queued {
            return true;
        }
        match self {
            Self::Any | Self::OneOrMore => true,
            Self::Scalar => !kind.is_aggregate(),
            Self::Status => matches!(kind, Kind::SimpleString),
            Self::Integer => matches!(kind, Kind::Integer),
            Self::Bulk => matches!(kind, Kind::BulkString | Kind::VerbatimString | Kind::Null),
            Self::Sparse => kind.is_aggregate(),
            Self::Aggregate | Self::List => kind.is_aggregate() || matches!(kind, Kind::Null),
        }
    }
}

/// Commands that change how the connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Plain,
    /// The next word belongs to the name.
    Container,
    Multi,
    Exec,
    Discard,
    Select,
    Hello,
    Subscribe,
    Unsubscribe,
    Monitor,
    Sync,
    ClientReply,
    Reset,
    Ping,
    Quit,
}

impl Special {
    /// Whether the answers are one a channel, with the name of the command in front.
    pub(super) const fn is_subscription(self) -> bool {
        matches!(self, Self::Subscribe | Self::Unsubscribe)
    }
}

/// A line of the table.
pub(super) struct Group {
    pub(super) keys: Keys,
    pub(super) answer: Answer,
    pub(super) special: Special,
    pub(super) names: &'static str,
}

/// A command that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) keys: Keys,
    pub(super) answer: Answer,
    pub(super) special: Special,
}

impl Spec {
    /// Whether there may be errors inside the answer: transactions and what scripts make up.
    pub(super) fn nests_errors(&self) -> bool {
        self.special == Special::Exec
            || matches!(self.name, "EVAL" | "EVALSHA" | "EVALSHA_RO" | "EVAL_RO" | "FCALL" | "FCALL_RO")
    }

    /// Whether the server may hold the answer back until something happens elsewhere.
    pub(super) fn blocks(&self) -> bool {
        matches!(
            self.name,
            "BLPOP"
                | "BRPOP"
                | "BLMOVE"
                | "BRPOPLPUSH"
                | "BLMPOP"
                | "BZPOPMIN"
                | "BZPOPMAX"
                | "BZMPOP"
                | "XREAD"
                | "XREADGROUP"
                | "WAIT"
                | "WAITAOF"
        )
    }
}

/// Longest name, two words and the space between them.
pub(super) const MAX_NAME: usize = 32;

/// A name in upper case, without a place on the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    bytes: [u8; MAX_NAME],
    length: u8,
}

impl Word {
    /// `bytes` in upper case. `None` if no command would be called that: none has a digit, as passwords have that were sent
    /// by mistake.
    #[inline]
    pub(super) fn name(bytes: &[u8]) -> Option<Self> {
        let is_name = |&byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-');
        if !bytes.first()?.is_ascii_alphabetic() || !bytes.iter().all(is_name) {
            return None;
        }
        let mut word = Self::default();
        word.push(bytes).then_some(word)
    }

    /// This word and the next one of a two-word name.
    pub(super) fn with(mut self, next: &[u8]) -> Option<Self> {
        let next = Self::name(next)?;
        (self.push(b" ") && self.push(next.as_bytes())).then_some(self)
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        let from = usize::from(self.length);
        let Some(to) = from.checked_add(bytes.len()) else { return false };
        let Some(place) = self.bytes.get_mut(from..to) else { return false };
        for (place, byte) in place.iter_mut().zip(bytes) {
            *place = byte.to_ascii_uppercase();
        }
        self.length = u8::try_from(to).unwrap_or(u8::MAX);
        true
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// What is known of the command with this name.
    #[inline]
    pub(super) fn spec(&self) -> Option<&'static Spec> {
        let name = self.as_bytes();
        let mut slot = hash(name);
        // The table is at most half full, so that there is a free place to stop at.
        for _ in 0..SLOTS {
            let entry = usize::from(INDEX.get(slot).copied().unwrap_or(0));
            let spec = SPECS.get(entry.checked_sub(1)?)?;
            if spec.name.as_bytes() == name {
                return Some(spec);
            }
            slot = slot.wrapping_add(1) % SLOTS;
        }
        None
    }
}

const COUNT: usize = count();
const SLOTS: usize = 1024;
static SPECS: [Spec; COUNT] = specs();
/// Where to look for a name: the number of its entry plus one, by the hash of the name, or in one of the next places.
static INDEX: [u16; SLOTS] = index();

#[inline]
const fn hash(name: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut rest = name;
    while let [byte, after @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = after;
    }
    ((hash ^ (hash >> 15)) as usize) % SLOTS
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs in the compiler, on the table only")]
const fn count() -> usize {
    let mut count = 0;
    let mut group = 0;
    while group < GROUPS.len() {
        let names = GROUPS[group].names.as_bytes();
        let mut at = 0;
        while at < names.len() {
            count += (names[at] == b',') as usize;
            at += 1;
        }
        count += 1;
        group += 1;
    }
    count
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs in the compiler, on the table only")]
const fn specs() -> [Spec; COUNT] {
    let nothing = Spec { name: "", keys: Keys::None, answer: Answer::Any, special: Special::Plain };
    let mut specs = [nothing; COUNT];
    let mut filled = 0;
    let mut group = 0;
    while group < GROUPS.len() {
        let Group { keys, answer, special, names } = GROUPS[group];
        let mut rest = names;
        while !rest.is_empty() {
            let bytes = rest.as_bytes();
            let mut end = 0;
            while end < bytes.len() && bytes[end] != b',' {
                end += 1;
            }
            let (name, after) = rest.split_at(end);
            specs[filled] = Spec { name, keys, answer, special };
            filled += 1;
            rest = if after.is_empty() { after } else { after.split_at(1).1 };
        }
        group += 1;
    }
    specs
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs in the compiler, on the table only")]
const fn index() -> [u16; SLOTS] {
    const { assert!(COUNT * 2 <= SLOTS) };
    let mut index = [0; SLOTS];
    let mut entry = 0;
    while entry < COUNT {
        assert!(SPECS[entry].name.len() <= MAX_NAME);
        let mut slot = hash(SPECS[entry].name.as_bytes());
        while index[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        entry += 1;
        index[slot] = entry as u16;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_table_is_found_in_any_case() {
        for spec in &SPECS {
            let mut words = spec.name.split(' ');
            let first = Word::name(words.next().unwrap().to_ascii_lowercase().as_bytes()).unwrap();
            let word = words.next().map_or(Some(first), |second| first.with(second.to_lowercase().as_bytes())).unwrap();
            assert_eq!(word.spec().map(|found| found.name), Some(spec.name));
            if spec.name.contains(' ') {
                assert_eq!(first.spec().unwrap().special, Special::Container, "{}", spec.name);
            }
        }
        assert!(SPECS.len() > 400);
    }

    #[test]
    fn what_is_no_command_is_not_found() {
        assert!(Word::name(b"NOSUCH").unwrap().spec().is_none());
        for bad in [&b""[..], b"1GET", b"GE T", b"\xffGET", &[b'A'; MAX_NAME + 1]] {
            assert_eq!(Word::name(bad), None);
        }
    }
}
