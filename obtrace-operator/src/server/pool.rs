//! Room in memory, shared out among peers.
//!
//! Who finds no room waits: of those who wait the peer is next that holds least, so that no peer stands in the way of another for longer than
//! it takes to be served. And while somebody waits, who has had its place for long and does not get on loses it: clients decide
//! how fast they send and take, and none may decide for the others.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How long a place is kept while others wait.
const KEPT: Duration = Duration::from_secs(3);

/// In which time a place has to be filled beyond that, while others wait, as a multiple of the time that there is: who has come less far than who
/// would take that long loses it. A review has 10 s in all.
const FILLED: f64 = 1.5;

/// How often it is looked for a place to take back.
const LOOK: Duration = Duration::from_millis(100);

/// How many may wait. For one more of another peer, the last of the peer with the most goes.
const WAITING: usize = 1024;

/// Room for so many bytes.
#[derive(Debug)]
pub(super) struct Pool {
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    places: BTreeMap<u64, Holder>,
    /// What peers hold, in bytes; nobody is in it with nothing.
    held: HashMap<IpAddr, usize>,
    waiting: VecDeque<Waiter>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Holder {
    peer: IpAddr,
    bytes: usize,
    /// How much of them has come.
    filled: usize,
    /// Since when its client may be the one who takes long; `None` if it is ours to go on.
    since: Option<Instant>,
    /// When what it is for ends, filled or not.
    deadline: Instant,
    lost: CancellationToken,
}

#[derive(Debug)]
struct Waiter {
    peer: IpAddr,
    bytes: usize,
    deadline: Instant,
    lost: CancellationToken,
    turn: oneshot::Sender<Place>,
}

/// A place in a pool, given back when it goes.
#[derive(Debug)]
pub(super) struct Place {
    pool: Arc<Pool>,
    id: u64,
}

/// There was no room in time.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Full;

impl Pool {
    pub(super) fn new(size: usize) -> Arc<Self> {
        let state = State {
            free: size,
            next: 0,
            places: BTreeMap::new(),
            held: HashMap::new(),
            waiting: VecDeque::new(),
            looked: None,
        };
        Arc::new(Self { size, state: Mutex::new(state) })
    }

    /// A place of so many bytes, or of all there are if there are fewer. `lost` is told if it is taken back.
    pub(super) async fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        bytes: usize,
        lost: CancellationToken,
        deadline: Instant,
    ) -> Result<Place, Full> {
        let bytes = bytes.min(self.size);
        let mut turn = {
            let mut state = self.state();
            state.waiting.retain(|waiter| !waiter.turn.is_closed());
            let (turn, comes) = oneshot::channel();
            let waiter = Waiter { peer, bytes, deadline, lost, turn };
            if state.waiting.is_empty() && state.free >= bytes {
                return Ok(self.give(&mut state, &waiter));
            }
            state.wait(waiter)?;
            comes
        };
        let wait = async {
            loop {
                tokio::select! {
                    place = &mut turn => return place.map_err(|_| Full),
                    () = sleep(LOOK) => self.look(),
                }
            }
        };
        timeout_at(deadline.into(), wait).await.unwrap_or(Err(Full))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(self: &Arc<Self>, state: &mut State, waiter: &Waiter) -> Place {
        let Waiter { peer, bytes, deadline, .. } = *waiter;
        let id = state.next;
        state.next = id.wrapping_add(1);
        state.free = state.free.saturating_sub(bytes);
        let held = state.held.entry(peer).or_default();
        *held = held.saturating_add(bytes);
        let (since, lost) = (Some(Instant::now()), waiter.lost.clone());
        state.places.insert(id, Holder { peer, bytes, filled: 0, since, deadline, lost });
        Place { pool: Arc::clone(self), id }
    }

    /// Gives what is free to those who wait, as long as the next one finds room.
    fn pass_on(self: &Arc<Self>) {
        // A place that nobody takes any more gives itself back, which wants the lock.
        let mut untaken = Vec::new();
        let mut state = self.state();
        while let Some(next) = state.next_waiting() {
            let fits = state.waiting.get(next).is_some_and(|waiter| waiter.bytes <= state.free);
            let Some(waiter) = fits.then(|| state.waiting.remove(next)).flatten() else { break };
            let place = self.give(&mut state, &waiter);
            untaken.extend(waiter.turn.send(place).err());
        }
        drop(state);
        drop(untaken);
    }

    /// Takes back what is to be, and passes on what those who wait no more have left.
    fn look(self: &Arc<Self>) {
        let mut state = self.state();
        if state.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        state.looked = Some(Instant::now());
        state.take_back();
        drop(state);
        self.pass_on();
    }
}

impl State {
    /// Tells those who have had their places for too long until there will be room for the next one: first those of the peers that hold
    /// most, of these those first that have come least far.
    fn take_back(&self) {
        let Some(next) = self.next_waiting().and_then(|next| self.waiting.get(next)) else { return };
        let mut free = self.free;
        let held = |holder: &&Holder| self.held.get(&holder.peer).copied().unwrap_or_default();
        let mut slow: Vec<&Holder> = self.places.values().filter(|holder| holder.is_slow()).collect();
        slow.sort_by(|one, other| held(other).cmp(&held(one)).then(one.progress().total_cmp(&other.progress())));
        for holder in slow {
            if free >= next.bytes {
                break;
            }
            holder.lost.cancel();
            free = free.saturating_add(holder.bytes);
        }
    }

    /// Who is next: of the peers that hold least, the one who has waited longest.
    fn next_waiting(&self) -> Option<usize> {
        let held = |waiter: &Waiter| self.held.get(&waiter.peer).copied().unwrap_or_default();
        let waiting = self.waiting.iter().enumerate().filter(|(_, waiter)| !waiter.turn.is_closed());
        waiting.min_by_key(|(_, waiter)| held(waiter)).map(|(index, _)| index)
    }

    /// Puts one more among those who wait.
    fn wait(&mut self, waiter: Waiter) -> Result<(), Full> {
        if self.waiting.len() >= WAITING {
            let mut counts = HashMap::<IpAddr, usize>::new();
            for waiter in &self.waiting {
                *counts.entry(waiter.peer).or_default() += 1;
            }
            let most = counts.iter().max_by_key(|(_, count)| **count).map(|(peer, count)| (*peer, *count));
            let own = counts.get(&waiter.peer).copied().unwrap_or_default();
            let (peer, _) = most.filter(|(_, count)| *count > own.saturating_add(1)).ok_or(Full)?;
            let last = self.waiting.iter().rposition(|waiter| waiter.peer == peer).ok_or(Full)?;
            self.waiting.remove(last);
        }
        self.waiting.push_back(waiter);
        Ok(())
    }
}

impl Holder {
    /// Whether its client takes too long: a machine that has no time for its clients is not their fault as long as something comes.
    fn is_slow(&self) -> bool {
        let Some(since) = self.since else { return false };
        let (elapsed, time) = (since.elapsed(), self.deadline.saturating_duration_since(since).max(KEPT));
        elapsed >= KEPT && self.progress() * time.as_secs_f64() * FILLED < elapsed.as_secs_f64()
    }

    /// Which part of it is filled.
    fn progress(&self) -> f64 {
        self.filled as f64 / self.bytes.max(1) as f64
    }
}

impl Place {
    /// So much of it is filled.
    pub(super) fn fill(&self, bytes: usize) {
        if let Some(holder) = self.pool.state().places.get_mut(&self.id) {
            holder.filled = bytes;
        }
    }

    /// Nothing more depends on its client: it is not taken back any more.
    pub(super) fn keep(&self) {
        if let Some(holder) = self.pool.state().places.get_mut(&self.id) {
            holder.since = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(Holder { peer, bytes, .. }) = state.places.remove(&self.id) {
            state.free = state.free.saturating_add(bytes);
            if let Some(held) = state.held.get_mut(&peer) {
                *held = held.saturating_sub(bytes);
                if *held == 0 {
                    state.held.remove(&peer);
                }
            }
        }
        let waits = !state.waiting.is_empty();
        drop(state);
        if waits {
            self.pool.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt;

    use super::*;

    fn peer(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    async fn take(pool: &Arc<Pool>, from: u8, bytes: usize) -> Result<Place, Full> {
        let deadline = Instant::now() + Duration::from_secs(60);
        pool.take(peer(from), bytes, CancellationToken::new(), deadline).await
    }

    #[tokio::test]
    async fn room_is_given_back_and_passed_on_in_turn() {
        let pool = Pool::new(10);
        let first = take(&pool, 1, 6).await.unwrap();
        let mut second = Box::pin(take(&pool, 1, 6));
        let mut third = Box::pin(take(&pool, 1, 4));
        // There is room for the third, but it is not its turn.
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(first);
        let _second = second.await.unwrap();
        let _third = third.await.unwrap();
        let late = pool.take(peer(1), 1, CancellationToken::new(), Instant::now()).await;
        assert_eq!(late.unwrap_err(), Full);
    }

    #[tokio::test]
    async fn who_holds_least_is_next_whoever_else_has_waited_longer() {
        let pool = Pool::new(2);
        let held = [take(&pool, 1, 1).await.unwrap(), take(&pool, 1, 1).await.unwrap()];
        let mut many: Vec<_> = (0..50).map(|_| Box::pin(take(&pool, 1, 1))).collect();
        assert!(many.iter_mut().all(|it| it.now_or_never().is_none()));
        let mut other = Box::pin(take(&pool, 2, 1));
        assert!((&mut other).now_or_never().is_none());
        let [first, _second] = held;
        drop(first);
        assert!(other.now_or_never().is_some_and(|place| place.is_ok()));
    }

    #[tokio::test]
    async fn what_was_waited_for_in_vain_is_not_lost() {
        let pool = Pool::new(1);
        let held = take(&pool, 1, 1).await.unwrap();
        let mut gone = Box::pin(take(&pool, 2, 1));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        drop(held);
        assert!(take(&pool, 3, 1).now_or_never().is_some_and(|place| place.is_ok()));
        let state = pool.state();
        assert_eq!((state.free, state.held.len(), state.places.len()), (1, 0, 0));
    }

    #[tokio::test]
    async fn a_place_is_kept_until_others_have_waited_for_it() {
        let pool = Pool::new(2);
        let lost = [(); 2].map(|()| CancellationToken::new());
        let mut slow = Vec::new();
        for lost in &lost {
            slow.push(pool.take(peer(1), 1, lost.clone(), Instant::now()).await.unwrap());
        }
        let mut waits = Box::pin(take(&pool, 2, 1));
        assert!((&mut waits).now_or_never().is_none());
        pool.state().take_back();
        assert!(!lost[0].is_cancelled());
        for holder in pool.state().places.values_mut() {
            holder.since = holder.since.unwrap().checked_sub(KEPT);
        }
        // It gets on: a sixth of its bytes or more has come.
        slow[0].fill(1);
        pool.state().take_back();
        // The other is enough.
        assert!(!lost[0].is_cancelled() && lost[1].is_cancelled());
        drop(slow);
        assert!(waits.await.is_ok());
    }

    #[tokio::test]
    async fn of_one_peer_the_places_go_first_that_have_come_least_far() {
        let pool = Pool::new(3000);
        let lost = [(); 3].map(|()| CancellationToken::new());
        let mut held = Vec::new();
        for (lost, filled) in lost.iter().zip([200, 0, 600]) {
            let deadline = Instant::now() + Duration::from_secs(10);
            let place = pool.take(peer(1), 1000, lost.clone(), deadline).await.unwrap();
            place.fill(filled);
            held.push(place);
        }
        // At its pace the first would take 20 s of the 10 s that there are, the last less than 7.
        for holder in pool.state().places.values_mut() {
            holder.since = holder.since.unwrap().checked_sub(Duration::from_secs(4));
            holder.deadline = holder.since.unwrap() + Duration::from_secs(10);
        }
        let told = || lost.each_ref().map(CancellationToken::is_cancelled);
        let mut one = Box::pin(take(&pool, 1, 1000));
        assert!((&mut one).now_or_never().is_none());
        pool.state().take_back();
        assert_eq!(told(), [false, true, false]);
        drop(one);
        let mut all = Box::pin(take(&pool, 1, 3000));
        assert!((&mut all).now_or_never().is_none());
        pool.state().take_back();
        assert_eq!(told(), [true, true, false], "who gets on keeps its place");
    }

    #[tokio::test]
    async fn a_full_queue_makes_room_for_peers_with_fewer_in_it() {
        let pool = Pool::new(1);
        let _held = take(&pool, 1, 1).await.unwrap();
        let mut many: Vec<_> = (0..WAITING).map(|_| Box::pin(take(&pool, 1, 1))).collect();
        assert!(many.iter_mut().all(|it| it.now_or_never().is_none()));
        assert_eq!(take(&pool, 1, 1).await.unwrap_err(), Full);
        let mut other = Box::pin(take(&pool, 2, 1));
        assert!((&mut other).now_or_never().is_none());
        assert_eq!(many.pop().unwrap().now_or_never().unwrap().unwrap_err(), Full);
    }
}
