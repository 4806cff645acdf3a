//! Puts the segments of a TCP connection into the order in which its ends saw them: each direction by sequence
//! numbers, and the two against each other by acknowledgements. A response is not handed on before the request that
//! its acknowledgement number says its sender had read.
//!
//! What is missing is waited for: for a short while if its receiver has acknowledged it (then it passed, and at most
//! the capture has it late), for longer if not (then it was lost on the way and is sent again). After that it is a
//! gap.

use std::collections::BTreeMap;

/// How long a hole is waited for, and how much behind it is kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::replay) struct Patience {
    /// For bytes whose receiver has acknowledged them, in nanoseconds.
    pub(in crate::replay) acknowledged: u64,
    /// For bytes that may be sent again, in nanoseconds.
    pub(in crate::replay) lost: u64,
    /// Bytes of a connection that wait at most.
    pub(in crate::replay) bytes: usize,
    /// Segments of a connection that wait at most.
    pub(in crate::replay) segments: usize,
}

/// One end of a connection, and the bytes it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum End {
    /// The one that was made the observed one.
    Local,
    /// Its peer.
    Remote,
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Local => Self::Remote,
            Self::Remote => Self::Local,
        }
    }
}

/// What is handed on, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Delivery<'a> {
    Bytes {
        from: End,
        offset: u64,
        bytes: &'a [u8],
        at: u64,
    },
    /// So many bytes are missing; they come before any later delivery of this end.
    Gap {
        from: End,
        offset: u64,
        length: u64,
        at: u64,
    },
}

/// What a segment says, for [`Order::push`].
#[derive(Clone, Copy, Debug)]
pub(in crate::replay) struct Piece<'a> {
    pub(in crate::replay) from: End,
    /// Of its first byte of data.
    pub(in crate::replay) sequence: u32,
    pub(in crate::replay) acknowledged: Option<u32>,
    pub(in crate::replay) bytes: &'a [u8],
    pub(in crate::replay) length: usize,
    pub(in crate::replay) at: u64,
}

/// Bookkeeping of a waiting segment, counted so that empty ones cannot pile up.
const SEGMENT_COST: usize = 128;
/// No window is larger ([RFC 7323 §2.3](https://www.rfc-editor.org/rfc/rfc7323#section-2.3)): numbers farther off
/// than this are of another connection, or damaged.
const MAX_WINDOW: u64 = 1 << 30;

#[derive(Debug, Default)]
pub(in crate::replay) struct Order {
    local: Stream,
    remote: Stream,
    held_bytes: usize,
    arrivals: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Stream {
    /// Offset of the next byte to hand on; `None` until the first is known.
    next: Option<u64>,
    /// The other end has acknowledged all before this offset.
    acknowledged: u64,
    /// Where it ends, once its FIN was seen.
    end: Option<u64>,
    /// By offset, then by arrival.
    held: BTreeMap<(u64, u64), Held>,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    length: u64,
    /// What its sender had read of the other direction.
    needs: u64,
    at: u64,
}

/// The first waiting segment of a direction.
#[derive(Clone, Copy)]
struct Head {
    key: (u64, u64),
    needs: u64,
    at: u64,
}

impl Stream {
    /// A sequence number as an offset: the lower half is the number itself.
    fn offset(&self, sequence: u32) -> u64 {
        match self.next {
            // Room for what comes late from before the first segment seen.
            None => (1 << 32) + u64::from(sequence),
            Some(next) => {
                let distance = i64::from(sequence.wrapping_sub(next as u32).cast_signed());
                next.saturating_add_signed(distance)
            }
        }
    }

    fn head(&self) -> Option<Head> {
        let (key, held) = self.held.first_key_value()?;
        Some(Head { key: *key, needs: held.needs, at: held.at })
    }

    fn has_reached(&self, offset: u64) -> bool {
        self.next.is_none_or(|next| next >= offset)
    }
}

impl Order {
    const fn stream(&self, end: End) -> &Stream {
        match end {
            End::Local => &self.local,
            End::Remote => &self.remote,
        }
    }

    fn stream_mut(&mut self, end: End) -> &mut Stream {
        match end {
            End::Local => &mut self.local,
            End::Remote => &mut self.remote,
        }
    }

    /// Says where a direction begins: after a SYN. The offset; no effect once it is known.
    pub(in crate::replay) fn begin(&mut self, from: End, sequence: u32) -> u64 {
        let stream = self.stream_mut(from);
        let offset = stream.offset(sequence);
        *stream.next.get_or_insert(offset)
    }

    /// The offset that a sequence number of this direction stands for.
    pub(in crate::replay) fn offset(&self, from: End, sequence: u32) -> u64 {
        self.stream(from).offset(sequence)
    }

    /// Where a direction has been handed on to.
    pub(in crate::replay) fn next(&self, from: End) -> Option<u64> {
        self.stream(from).next
    }

    /// A direction ends at this offset: the number of its FIN stands for no byte.
    pub(in crate::replay) fn fin(&mut self, from: End, offset: u64) {
        self.stream_mut(from).end.get_or_insert(offset);
    }

    /// Up to where the other end has acknowledged a direction, the end of the stream included unless its FIN was seen.
    pub(in crate::replay) fn acknowledged(&self, from: End) -> u64 {
        self.stream(from).acknowledged
    }

    /// Takes a segment; hands on what is in order now. Whether there was anything new in it.
    pub(in crate::replay) fn push(
        &mut self,
        piece: Piece<'_>,
        patience: &Patience,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) -> bool {
        let (from, other) = (piece.from, piece.from.other());
        let needs = piece.acknowledged.map_or(0, |number| self.acknowledge(other, number));
        if piece.length == 0 {
            return false;
        }
        let offset = self.begin_at(from, piece.sequence);
        let next = self.stream(from).next.unwrap_or(offset);
        let end = offset.saturating_add(piece.length as u64);
        if end <= next || offset.saturating_sub(next) > MAX_WINDOW {
            return false;
        }
        if offset <= next && self.stream(other).has_reached(needs) {
            self.hand_on(from, offset, piece.bytes, piece.length as u64, piece.at, deliver);
        } else {
            self.arrivals += 1;
            let (bytes, length) = (piece.bytes.to_vec(), piece.length as u64);
            self.held_bytes += bytes.len() + SEGMENT_COST;
            let held = Held { bytes, length, needs, at: piece.at };
            let key = (offset, self.arrivals);
            self.stream_mut(from).held.insert(key, held);
        }
        self.release(deliver);
        while self.held_bytes > patience.bytes || self.waiting() > patience.segments {
            self.force(deliver);
        }
        true
    }

    /// A direction that nothing is known of begins with the first segment seen of it.
    fn begin_at(&mut self, from: End, sequence: u32) -> u64 {
        let stream = self.stream_mut(from);
        let offset = stream.offset(sequence);
        stream.next.get_or_insert(offset);
        offset
    }

    /// Notes what an end has read of the other's bytes; the offset.
    fn acknowledge(&mut self, of: End, number: u32) -> u64 {
        let offset = self.begin_at(of, number);
        let stream = self.stream_mut(of);
        let offset = offset.min(stream.end.unwrap_or(u64::MAX));
        if stream.next.is_some_and(|next| offset.saturating_sub(next) > MAX_WINDOW) {
            return 0;
        }
        stream.acknowledged = stream.acknowledged.max(offset);
        offset
    }

    fn waiting(&self) -> usize {
        self.local.held.len() + self.remote.held.len()
    }

    /// Whether the first waiting segment of a direction is waited for no longer.
    fn is_ready(&self, end: End) -> bool {
        let head = self.stream(end).head();
        head.is_some_and(|head| {
            self.stream(end).has_reached(head.key.0) && self.stream(end.other()).has_reached(head.needs)
        })
    }

    /// Hands on what waits no longer.
    fn release(&mut self, deliver: &mut impl FnMut(Delivery<'_>)) {
        while self.held_bytes > 0 {
            // Of two the one that was captured first.
            let ready = [End::Local, End::Remote].into_iter().filter(|end| self.is_ready(*end));
            let ready = ready.min_by_key(|end| self.stream(*end).head().map(|head| head.key.1));
            let Some(end) = ready else { return };
            self.take_head(end, deliver);
        }
    }

    fn take_head(&mut self, from: End, deliver: &mut impl FnMut(Delivery<'_>)) {
        let Some(((offset, _), held)) = self.stream_mut(from).held.pop_first() else { return };
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes.len() + SEGMENT_COST);
        self.hand_on(from, offset, &held.bytes, held.length, held.at, deliver);
    }

    /// Hands on what is new of a segment that begins no later than the next byte.
    fn hand_on(
        &mut self,
        from: End,
        offset: u64,
        bytes: &[u8],
        length: u64,
        at: u64,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) {
        let stream = self.stream_mut(from);
        let next = stream.next.unwrap_or(offset);
        let end = offset.saturating_add(length);
        if end <= next {
            return;
        }
        stream.next = Some(end);
        let old = usize::try_from(next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let fresh = bytes.get(old..).unwrap_or_default();
        if !fresh.is_empty() {
            deliver(Delivery::Bytes { from, offset: next, bytes: fresh, at });
        }
        let seen = next.saturating_add(fresh.len() as u64);
        if seen < end {
            // The snap length cut the rest.
            deliver(Delivery::Gap { from, offset: seen, length: end - seen, at });
        }
    }

    /// When the first wait is over.
    pub(in crate::replay) fn timeout(&self, patience: &Patience) -> Option<u64> {
        let due = |end: End| {
            let head = self.stream(end).head()?;
            let stream = self.stream(end);
            let passed = stream.has_reached(head.key.0) || stream.acknowledged >= head.key.0;
            Some(head.at.saturating_add(if passed { patience.acknowledged } else { patience.lost }))
        };
        [due(End::Local), due(End::Remote)].into_iter().flatten().min()
    }

    /// Gives up what has been waited for for too long.
    pub(in crate::replay) fn handle_timeout(
        &mut self,
        now: u64,
        patience: &Patience,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) {
        while self.timeout(patience).is_some_and(|due| due <= now) {
            self.force(deliver);
        }
    }

    /// Nothing more will come: hands on all that waits.
    pub(in crate::replay) fn finish(&mut self, deliver: &mut impl FnMut(Delivery<'_>)) {
        while self.held_bytes > 0 {
            self.force(deliver);
        }
    }

    /// The bytes of a direction before this offset passed; those that were not seen are a gap.
    pub(in crate::replay) fn ends_at(
        &mut self,
        from: End,
        offset: u64,
        at: u64,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) {
        let Some(next) = self.stream(from).next else { return };
        if offset > next && offset - next <= MAX_WINDOW {
            self.stream_mut(from).next = Some(offset);
            deliver(Delivery::Gap { from, offset: next, length: offset - next, at });
        }
    }

    /// Hands on one waiting segment, with a gap for what is missing before it.
    fn force(&mut self, deliver: &mut impl FnMut(Delivery<'_>)) {
        let from = match (self.local.head(), self.remote.head()) {
            (None, None) => return,
            (Some(_), None) => End::Local,
            (None, Some(_)) => End::Remote,
            (Some(local), Some(remote)) => first_of(local, remote),
        };
        let Some(head) = self.stream(from).head() else { return };
        // What is missing passed before this segment did, however long it was waited for.
        let at = head.at;
        self.ends_at(from, head.key.0, at, deliver);
        // What its sender had read came before it, as far as no waiting segment has it.
        let other = from.other();
        let known = self.stream(other).head().map_or(head.needs, |waits| waits.key.0.min(head.needs));
        self.ends_at(other, known, at, deliver);
        self.take_head(from, deliver);
        self.release(deliver);
    }
}

/// Which of two waiting segments was sent first: the one that the other's sender had read, if exactly one was; else
/// the one that was captured first.
fn first_of(local: Head, remote: Head) -> End {
    let remote_read_local = remote.needs > local.key.0;
    let local_read_remote = local.needs > remote.key.0;
    match (remote_read_local, local_read_remote) {
        (true, false) => End::Local,
        (false, true) => End::Remote,
        _ if local.key.1 <= remote.key.1 => End::Local,
        _ => End::Remote,
    }
}
