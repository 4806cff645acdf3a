//! The connections that are open, and which of them can be closed for another.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::Limits;

/// What is known of a connection while it is open. Times are milliseconds since it was.
#[derive(Debug)]
pub(super) struct Link {
    /// Who is at the other end.
    pub(super) peer: IpAddr,
    opened: Instant,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    idle_since: AtomicU64,
    /// When the head of a request began that has not ended yet; 0 if there is none.
    head_since: AtomicU64,
    /// Told to make room for another.
    pub(super) evicted: CancellationToken,
    /// Told that its client has not taken its answers for too long.
    pub(super) untaken: CancellationToken,
}

impl Link {
    fn new(peer: IpAddr) -> Self {
        Self {
            peer,
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            evicted: CancellationToken::new(),
            untaken: CancellationToken::new(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A request has begun; it is answered when the guard goes.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Bytes have come that may be the beginning of a request's head.
    pub(super) fn received(&self) {
        if self.in_flight.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now().max(1), Relaxed);
        }
    }

    /// Whether a request was ever made.
    pub(super) fn was_used(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Until when it may go on as it is, and whether what is late then is a request's head.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, bool) {
        if self.in_flight.load(Relaxed) > 0 {
            return (Instant::now() + limits.idle, false);
        }
        let since = |at: u64, limit: Duration| self.opened + Duration::from_millis(at) + limit;
        match self.head_since.load(Relaxed) {
            // API servers keep connections that they have not needed yet: one that is closed before they do is closed under their next request.
            0 => (since(self.idle_since.load(Relaxed), limits.idle), false),
            head => (since(head, limits.header), true),
        }
    }

    /// Since when it has been idle; `None` if it is not.
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.in_flight.load(Relaxed) == 0 && !self.evicted.is_cancelled();
        idle.then(|| self.opened + Duration::from_millis(self.idle_since.load(Relaxed)))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Link>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Registry {
    links: Mutex<HashMap<u64, Arc<Link>>>,
    next: AtomicU64,
}

impl Registry {
    /// Adds a connection from there, for as long as the entry lives.
    pub(super) fn open(self: &Arc<Self>, peer: IpAddr) -> Entry {
        let id = self.next.fetch_add(1, Relaxed);
        let link = Arc::new(Link::new(peer));
        self.links().insert(id, Arc::clone(&link));
        Entry { registry: Arc::clone(self), id, link }
    }

    /// Closes the connection that has been idle longest; whether there was one.
    pub(super) fn evict(&self) -> bool {
        let links = self.links();
        let idlest = links.values().filter_map(|link| Some((link.idle_since()?, link))).min_by_key(|(since, _)| *since);
        idlest.map(|(_, link)| link.evicted.cancel()).is_some()
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.links().len()
    }

    fn links(&self) -> MutexGuard<'_, HashMap<u64, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection's place among the others.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Arc<Registry>,
    id: u64,
    pub(super) link: Arc<Link>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.links().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_idlest_makes_room_and_the_busy_do_not() {
        let registry = Arc::new(Registry::default());
        let [busy, first, second] = [(); 3].map(|()| registry.open(Ipv4Addr::LOCALHOST.into()));
        let request = busy.link.begin();
        first.link.idle_since.store(30, Relaxed);
        second.link.idle_since.store(20, Relaxed);
        assert!(registry.evict());
        assert!(second.link.evicted.is_cancelled() && !first.link.evicted.is_cancelled());
        assert!(registry.evict());
        assert!(first.link.evicted.is_cancelled());
        assert!(!registry.evict());
        drop(request);
        assert!(registry.evict());
        drop((busy, first));
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn a_head_that_does_not_end_is_late_before_an_idle_connection_is() {
        let (limits, registry) = (Limits::default(), Arc::new(Registry::default()));
        let entry = registry.open(Ipv4Addr::LOCALHOST.into());
        let (unused, late) = entry.link.deadline(&limits);
        assert!(
            !late && unused > Instant::now() + limits.header + limits.handshake,
            "API servers open some in advance"
        );
        entry.link.received();
        assert!(entry.link.deadline(&limits).1);
        drop(entry.link.begin());
        let (idle, late) = entry.link.deadline(&limits);
        assert!(!late && idle > Instant::now() + limits.header);
        entry.link.received();
        let (head, late) = entry.link.deadline(&limits);
        assert!(late && head < idle);
    }
}
