//! Reading the bodies of requests, all of them together within a bound.
//!
//! A body takes its place when its first bytes have come: who only announces one holds nothing. Small and large bodies have their own room, so
//! that some large ones do not hold up the many small ones; a large one takes its place there only when as much of it as a small one has really
//! come. Among peers room is shared out by the [`Pool`].

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    pool::{Place, Pool},
};
use crate::telemetry::RefusedRequest;

/// The largest body that counts as small, in bytes.
const SMALL: usize = 64 << 10;

/// How much of a body that is too large is read and thrown away, in multiples of the largest one: a client that still writes would not see
/// the answer.
const DISCARDED: usize = 4;

/// The room for bodies.
#[derive(Debug)]
pub(super) struct Room {
    largest: usize,
    small: Arc<Pool>,
    /// What has come of large ones before they have their place.
    heads: Arc<Pool>,
    large: Arc<Pool>,
}

/// A body in its place.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _place: Option<Place>,
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
        let small = (all / 8).max(SMALL);
        let large = all.saturating_sub(small.saturating_mul(2)).max(limits.body);
        Self { largest: limits.body, small: Pool::new(small), heads: Pool::new(small), large: Pool::new(large) }
    }

    /// Reads a body of that peer whole.
    pub(super) async fn read(&self, body: Body, peer: IpAddr, deadline: Instant) -> Result<Held, Unread> {
        let announced = body.size_hint().upper().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut body = Reader { body, deadline: deadline.into(), lost: CancellationToken::new() };
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
        let (bytes, place) = self.rest(&mut body, first.clone(), size, peer).await.map_err(unread)?;
        place.keep();
        Ok(Held { bytes, _place: Some(place) })
    }

    /// The whole body, and its place.
    async fn rest(
        &self,
        body: &mut Reader,
        first: Bytes,
        size: usize,
        peer: IpAddr,
    ) -> Result<(Bytes, Place), RefusedRequest> {
        let deadline = body.deadline.into_std();
        let take = async |room: &Arc<Pool>, bytes, lost: &CancellationToken| {
            room.take(peer, bytes, lost.clone(), deadline).await.map_err(|_| RefusedRequest::Overloaded)
        };
        if size <= SMALL {
            let place = take(&self.small, size, &body.lost).await?;
            return Ok((body.upto(Whole::new(first), size, size, &place).await?.into(), place));
        }
        let head = take(&self.heads, SMALL, &body.lost).await?;
        let mut whole = body.upto(Whole::new(first), SMALL, size, &head).await?;
        if whole.is_at_end && whole.len() <= SMALL {
            return Ok((whole.into(), head));
        }
        head.keep();
        body.lost = CancellationToken::new();
        let place = take(&self.large, size, &body.lost).await?;
        drop(head);
        whole.all.reserve_exact(size.saturating_sub(whole.len()));
        whole = body.upto(whole, size, size, &place).await?;
        Ok((whole.into(), place))
    }
}

/// As much of a body as has come.
struct Whole {
    first: Bytes,
    /// All of it, as soon as more has come.
    all: Vec<u8>,
    is_at_end: bool,
}

impl Whole {
    fn new(first: Bytes) -> Self {
        Self { first, all: Vec::new(), is_at_end: false }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    /// Adds to it. `size` is what all of it will be.
    fn push(&mut self, data: &[u8], size: usize) {
        if self.all.is_empty() {
            self.all.reserve_exact(size);
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(data);
    }
}

impl From<Whole> for Bytes {
    /// Nothing is copied of what came in one piece.
    fn from(whole: Whole) -> Self {
        if whole.all.is_empty() { whole.first } else { whole.all.into() }
    }
}

/// A body, and until when it is read.
struct Reader {
    body: Body,
    deadline: tokio::time::Instant,
    /// Told when its place is taken back.
    lost: CancellationToken,
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, RefusedRequest> {
        loop {
            let frame = tokio::select! {
                frame = timeout_at(self.deadline, self.body.frame()) => frame.map_err(|_| RefusedRequest::Timeout)?,
                () = self.lost.cancelled() => return Err(RefusedRequest::Overloaded),
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

    /// Reads on until the end, or until there is as much as `enough`. `size` is what all of it may be.
    async fn upto(
        &mut self,
        mut whole: Whole,
        enough: usize,
        size: usize,
        place: &Place,
    ) -> Result<Whole, RefusedRequest> {
        place.fill(whole.len());
        // What has the announced size may still be more.
        while !self.body.is_end_stream() && (whole.len() < enough || enough == size) {
            let Some(data) = self.next().await? else { break };
            if data.len() > size.saturating_sub(whole.len()) {
                return Err(RefusedRequest::TooLarge);
            }
            whole.push(&data, enough.max(whole.len().saturating_add(data.len())));
            place.fill(whole.len());
        }
        whole.is_at_end = enough == size || whole.len() < enough || self.body.is_end_stream();
        Ok(whole)
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

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn bodies_are_read_whole_in_one_piece_or_in_many() {
        let room = room();
        let one = room.read(Body::from("text"), PEER, soon()).await.unwrap();
        assert_eq!(one.bytes, "text");
        let pieces = ["ab", "", "cd"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let many = room.read(Body::from_stream(futures::stream::iter(pieces)), PEER, soon()).await.unwrap();
        assert_eq!(many.bytes, "abcd");
        assert!(room.read(Body::empty(), PEER, soon()).await.unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn what_is_too_large_is_told_with_its_beginning() {
        let large = vec![b'x'; (256 << 10) + 1];
        let unread = room().read(Body::from(large), PEER, soon()).await.unwrap_err();
        assert_eq!((unread.why, unread.head.first()), (RefusedRequest::TooLarge, Some(&b'x')));
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b'y'; 200 << 10]));
        let stream = futures::stream::iter([piece(), piece()]);
        let unread = room().read(Body::from_stream(stream), PEER, soon()).await.unwrap_err();
        assert_eq!((unread.why, unread.head.first()), (RefusedRequest::TooLarge, Some(&b'y')));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room_and_small_ones_do_not_wait_for_them() {
        let room = room();
        let large = || Body::from(vec![b'x'; 256 << 10]);
        let held = [
            room.read(large(), PEER, soon()).await,
            room.read(large(), PEER, soon()).await,
            room.read(large(), PEER, soon()).await,
        ];
        assert!(held.iter().all(Result::is_ok));
        let unread = room.read(large(), PEER, Instant::now()).await.unwrap_err();
        assert_eq!(unread.why, RefusedRequest::Overloaded);
        assert_eq!(room.read(Body::from("small"), PEER, soon()).await.unwrap().bytes, "small");
        let (waited, ()) = tokio::join!(room.read(large(), PEER, soon()), async { drop(held) });
        assert_eq!(waited.unwrap().bytes.len(), 256 << 10);
    }
}
