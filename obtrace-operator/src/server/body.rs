//! Reading the bodies of requests, all of them together within a bound.
//!
//! A body takes its place when its first bytes have come: who only announces one holds nothing. Small and large bodies have their own room, so
//! that some large ones do not hold up the many small ones.

use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout_at,
};

use super::Limits;
use crate::telemetry::RefusedRequest;

/// What one permit stands for, in bytes.
const UNIT: usize = 1 << 10;

/// The largest body that counts as small, in bytes.
const SMALL: usize = 64 << 10;

/// How many bodies may wait for room. Each holds what the window of its stream or the buffer of its connection lets through.
const WAITING: usize = 1024;

/// How much of a body that is too large is read and thrown away, in multiples of the largest one: a client that still writes would not see
/// the answer.
const DISCARDED: usize = 4;

/// The room for bodies.
#[derive(Debug)]
pub(super) struct Room {
    largest: usize,
    small: Semaphore,
    large: Semaphore,
    waiting: Semaphore,
}

/// A body in its place.
#[derive(Debug)]
pub(super) struct Held<'r> {
    pub(super) bytes: Bytes,
    _place: Option<SemaphorePermit<'r>>,
}

/// A body that was not read to its end.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) why: RefusedRequest,
    /// Its beginning.
    pub(super) head: Bytes,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        let all = limits.bodies.max(limits.body.saturating_mul(4));
        let units = |bytes: usize| Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS));
        let small = (all / 4).max(SMALL);
        Self {
            largest: limits.body,
            small: units(small),
            large: units(all.saturating_sub(small).max(limits.body.next_multiple_of(UNIT))),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Reads a body whole.
    pub(super) async fn read(&self, body: Body, deadline: Instant) -> Result<Held<'_>, Unread> {
        let announced = body.size_hint().upper().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut body = Reader { body, deadline: deadline.into() };
        let none = |why| Unread { why, head: Bytes::new() };
        let Some(first) = body.next().await.map_err(none)? else {
            return Ok(Held { bytes: Bytes::new(), _place: None });
        };
        let unread = |why| Unread { why, head: first.clone() };
        let size = announced.unwrap_or(self.largest);
        if size > self.largest {
            body.discard(self.largest.saturating_mul(DISCARDED)).await;
            return Err(unread(RefusedRequest::TooLarge));
        }
        let place = self.reserve(size, body.deadline).await.map_err(unread)?;
        let bytes = body.rest(first.clone(), size).await.map_err(unread)?;
        Ok(Held { bytes, _place: Some(place) })
    }

    async fn reserve(
        &self,
        size: usize,
        deadline: tokio::time::Instant,
    ) -> Result<SemaphorePermit<'_>, RefusedRequest> {
        let room = if size <= SMALL { &self.small } else { &self.large };
        let units = u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX);
        if let Ok(place) = room.try_acquire_many(units) {
            return Ok(place);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| RefusedRequest::Overloaded)?;
        match timeout_at(deadline, room.acquire_many(units)).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(RefusedRequest::Overloaded),
        }
    }
}

/// A body, and until when it is read.
struct Reader {
    body: Body,
    deadline: tokio::time::Instant,
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, RefusedRequest> {
        loop {
            let Ok(frame) = timeout_at(self.deadline, self.body.frame()).await else {
                return Err(RefusedRequest::Timeout);
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(RefusedRequest::Broken),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
            }
        }
    }

    /// Everything that comes, `first` before it. Nothing is copied if that is all.
    async fn rest(&mut self, first: Bytes, size: usize) -> Result<Bytes, RefusedRequest> {
        if self.body.is_end_stream() {
            return Ok(first);
        }
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut whole = Vec::with_capacity(size);
        whole.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(data) = next {
            if data.len() > size.saturating_sub(whole.len()) {
                return Err(RefusedRequest::TooLarge);
            }
            whole.extend_from_slice(&data);
            next = self.next().await?;
        }
        Ok(whole.into())
    }

    /// Reads on, up to as many bytes, and keeps nothing.
    async fn discard(&mut self, mut bytes: usize) {
        while let Ok(Some(data)) = self.next().await {
            bytes = bytes.saturating_sub(data.len());
            if bytes == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn room() -> Room {
        let limits = Limits { body: 256 << 10, bodies: 1 << 20, ..Limits::default() };
        Room::new(&limits)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn bodies_are_read_whole_in_one_piece_or_in_many() {
        let room = room();
        let one = room.read(Body::from("text"), soon()).await.unwrap();
        assert_eq!(one.bytes, "text");
        let pieces = ["ab", "", "cd"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let many = room.read(Body::from_stream(futures::stream::iter(pieces)), soon()).await.unwrap();
        assert_eq!(many.bytes, "abcd");
        assert!(room.read(Body::empty(), soon()).await.unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn what_is_too_large_is_told_with_its_beginning() {
        let large = vec![b'x'; (256 << 10) + 1];
        let unread = room().read(Body::from(large), soon()).await.unwrap_err();
        assert_eq!((unread.why, unread.head.first()), (RefusedRequest::TooLarge, Some(&b'x')));
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b'y'; 200 << 10]));
        let stream = futures::stream::iter([piece(), piece()]);
        let unread = room().read(Body::from_stream(stream), soon()).await.unwrap_err();
        assert_eq!((unread.why, unread.head.first()), (RefusedRequest::TooLarge, Some(&b'y')));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room_and_small_ones_do_not_wait_for_them() {
        let room = room();
        let large = || Body::from(vec![b'x'; 256 << 10]);
        let held =
            [room.read(large(), soon()).await, room.read(large(), soon()).await, room.read(large(), soon()).await];
        assert!(held.iter().all(Result::is_ok));
        let unread = room.read(large(), Instant::now()).await.unwrap_err();
        assert_eq!(unread.why, RefusedRequest::Overloaded);
        assert_eq!(room.read(Body::from("small"), soon()).await.unwrap().bytes, "small");
        let (waited, ()) = tokio::join!(room.read(large(), soon()), async { drop(held) });
        assert_eq!(waited.unwrap().bytes.len(), 256 << 10);
    }
}
