//! One batch from the queue to its end: delivered, rejected or dropped.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::{
    in_flight::{InFlight, Load, Part, halves},
    shared::{Scratch, Shared, count},
    suspects::Suspect,
};
use crate::{
    model::Item,
    retry::Class,
    stats::DropReason,
    transport::{Payload, Reply, SendError},
};

/// Where batches wait on disk, one request alone finds out whether the receiver is back, so it may ask more often than many
/// would: what waited is to be there soon after.
const PROBE: Duration = Duration::from_secs(15);

/// The status of HTTP, which gRPC has no number like.
const TOO_MANY_REQUESTS: u16 = 429;

/// How the attempts to deliver a batch ended.
enum End {
    Accepted {
        rejected: u64,
    },
    /// Too large for our own limit: halves may pass.
    OverLimit,
    /// Too large for the receiver.
    TooLarge,
    Dropped(DropReason),
    /// It would not go for long, nor did others: it is their turn.
    Later,
    /// The shutdown leaves no time for it.
    Cut,
}

/// What a delivery tells the worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) began: Instant,
    /// Others were let overtake it.
    pub(super) aside: bool,
    /// It stays in the spool for the next run.
    pub(super) kept: bool,
}

pub(super) async fn deliver<T: Item>(shared: Arc<Shared<T>>, mut batch: InFlight<T>, began: Instant) -> Delivered {
    batch.begin();
    let on_disk = batch.is_on_disk();
    let mut suspect = None;
    while batch.part().is_some() {
        let end = attempt(&shared, &mut batch, began, &mut suspect).await;
        match end {
            End::Later => return Delivered { began, aside: true, kept: false },
            End::Cut => {
                if !on_disk {
                    shared.log.dropped(DropReason::Shutdown, batch.count(), "");
                }
                // One that would not go says nothing of the others.
                return Delivered { began, aside: suspect.is_some(), kept: on_disk && suspect.is_none() };
            }
            _ => {}
        }
        let Some(part) = batch.take_part() else { break };
        let (count, is_half) = (part.count, part.is_half);
        match end {
            End::Accepted { rejected } => batch.exported(count, rejected),
            // A receiver that finds half a batch too large as well would get ever more requests: split once.
            End::OverLimit | End::TooLarge if !is_half => {
                let refused = matches!(end, End::TooLarge);
                match split(&shared, part, refused) {
                    Ok(halves) => batch.add_parts(halves),
                    Err(count) => too_large(&shared, &mut batch, count),
                }
            }
            End::OverLimit | End::TooLarge => too_large(&shared, &mut batch, count),
            End::Dropped(reason) => batch.dropped(count, reason),
            End::Later | End::Cut => {}
        }
    }
    Delivered { began, aside: suspect.is_some(), kept: false }
}

fn too_large<T: Item>(shared: &Shared<T>, batch: &mut InFlight<T>, count: u64) {
    shared.log.dropped(DropReason::TooLarge, count, "");
    batch.dropped(count, DropReason::TooLarge);
}

/// Both halves of a batch, or its count if it cannot be halved.
fn split<T: Item>(shared: &Shared<T>, part: Part<T>, is_half: bool) -> Result<[Part<T>; 2], u64> {
    let items = match part.load {
        Load::Items(items) => Some(items),
        Load::Record { format, gzip } => shared.reread(format, &gzip),
    };
    let [first, second] = items.and_then(|items| halves(items).ok()).ok_or(part.count)?;
    let of_second = count(&second).min(part.count);
    let half = |items, count| Part { load: Load::Items(items), count, is_half };
    Ok([half(first, part.count - of_second), half(second, of_second)])
}

/// Makes what is to be sent of a batch from the spool what the receiver takes: as an earlier run wrote it, or a half, it may
/// have another form. The end, if it cannot be.
fn prepare<T: Item>(shared: &Shared<T>, part: &mut Part<T>) -> Option<End> {
    let format = shared.transport.format();
    if let Load::Record { format: written, gzip } = &part.load
        && *written != format
    {
        let Some(items) = shared.reread(*written, gzip) else {
            shared.log.dropped(DropReason::SpoolCorrupt, part.count, "a batch of the spool cannot be read");
            return Some(End::Dropped(DropReason::SpoolCorrupt));
        };
        part.load = Load::Items(items);
    }
    if let Load::Items(items) = &part.load {
        // What was refused for its size went out compressed: halves that do not may be larger.
        match shared.pack(items) {
            Some(Ok(gzip)) => part.load = Load::Record { format, gzip },
            Some(Err(_)) => {}
            None => return Some(End::OverLimit),
        }
    }
    None
}

/// An attempt that may be made again.
struct Failure {
    /// How long the receiver asks to wait.
    asked: Option<Duration>,
    /// It is the receiver that cannot now, whatever the batch is.
    is_throttled: bool,
    said: String,
}

/// What an answer means for the part that was sent.
fn judge<T: Item>(
    shared: &Shared<T>,
    answer: Result<Reply, SendError>,
    count: u64,
    on_disk: bool,
) -> Result<End, Failure> {
    let reply = answer.map_err(|error| Failure { asked: None, is_throttled: false, said: error.to_string() })?;
    match reply.class {
        Class::Accepted => {
            if reply.rejected > 0 || !reply.message.is_empty() {
                shared.log.rejected(reply.rejected, count, &reply.message);
            }
            shared.log.delivered(&shared.transport);
            if on_disk {
                shared.delivered();
            }
            Ok(End::Accepted { rejected: reply.rejected })
        }
        Class::TooLarge => Ok(End::TooLarge),
        Class::Refused => {
            shared.log.dropped(DropReason::Refused, count, &reply.described());
            Ok(End::Dropped(DropReason::Refused))
        }
        Class::Retry => {
            let asked = reply.retry_after;
            let is_throttled = asked.is_some() || reply.status == TOO_MANY_REQUESTS;
            Err(Failure { asked, is_throttled, said: reply.described() })
        }
    }
}

/// Tries until there is an end.
async fn attempt<'s, T: Item>(
    shared: &'s Shared<T>,
    batch: &mut InFlight<T>,
    began: Instant,
    suspect: &mut Option<Suspect<'s, T>>,
) -> End {
    let on_disk = batch.is_on_disk();
    let mut policy = shared.config.retry;
    if on_disk {
        policy = policy.with_waits(policy.initial.min(PROBE), policy.max.min(PROBE));
    }
    let mut failures = 0;
    let (mut retrying, mut probing) = (None, None);
    loop {
        while let Some(until) = shared.held_off() {
            if !wait_for_retry(shared, until, true).await {
                return End::Cut;
            }
        }
        let Some(part) = batch.part() else { return End::Later };
        let count = part.count;
        if on_disk && let Some(end) = prepare(shared, part) {
            return end;
        }
        let Some(answer) = send(shared, &part.load, failures > 0).await else { return End::OverLimit };
        let Failure { asked, is_throttled, said } = match judge(shared, answer, count, on_disk) {
            Ok(end) => return end,
            Err(failure) => failure,
        };
        failures += 1;
        let wait = policy.wait(failures, asked, RandomState::new().hash_one(failures));
        let until = Instant::now() + wait;
        if asked.is_some() {
            shared.hold_off(until);
        }
        if !on_disk && until.saturating_duration_since(began) > policy.give_up_after {
            shared.log.dropped(DropReason::Expired, count, &said);
            return End::Dropped(DropReason::Expired);
        }
        shared.log.failing(&shared.transport, &said, wait);
        match suspect {
            Some(suspect) => {
                if !is_throttled && suspect.failed() {
                    shared.log.dropped(DropReason::Expired, count, &said);
                    return End::Dropped(DropReason::Expired);
                }
                if suspect.is_surplus() {
                    if batch.put_last() {
                        return End::Later;
                    }
                    suspect.stays();
                }
            }
            None if on_disk && began.elapsed() >= policy.give_up_after => {
                // Whether it is the batch or the receiver, the next one finds out.
                (retrying, probing) = (None, None);
                *suspect = Some(shared.suspect(began));
            }
            None => {
                retrying.get_or_insert_with(|| shared.retrying());
            }
        }
        if on_disk && suspect.is_none() && probing.is_none() {
            // Of those that failed one finds out when the receiver is back. The semaphore is never closed.
            probing = shared.probe.acquire().await.ok();
        }
        if !wait_for_retry(shared, until, asked.is_some()).await {
            return End::Cut;
        }
    }
}

/// Waits; `false` if the shutdown leaves no time for another attempt. When it begins during a wait that the receiver did not
/// ask for, the last attempt is made at once.
async fn wait_for_retry<T: Item>(shared: &Shared<T>, until: Instant, asked_for: bool) -> bool {
    let wait = until.saturating_duration_since(Instant::now());
    let was_closing = shared.closing.borrow().is_some();
    let closing = async {
        let deadline = shared.closed().await;
        if asked_for || was_closing {
            if until >= deadline {
                return false;
            }
            sleep(until.saturating_duration_since(Instant::now())).await;
        }
        true
    };
    tokio::select! {
        again = closing => again,
        () = sleep(wait) => true,
    }
}

/// One request. `None`: the body would be larger than our limit.
async fn send<T: Item>(shared: &Shared<T>, load: &Load<T>, again: bool) -> Option<Result<Reply, SendError>> {
    // Those that others overtook are sent again besides those that begin. The semaphore is never closed.
    let _slot = shared.slots.acquire().await.ok();
    let items = match load {
        Load::Items(items) => items,
        Load::Record { gzip, .. } => {
            shared.count_request(again);
            return Some(shared.transport.send(Payload::gzip(gzip.clone())).await);
        }
    };
    let mut scratch = shared.scratch();
    scratch.encoder.encode(shared.transport.format(), items, &mut scratch.body);
    if scratch.body.len() > shared.config.max_body {
        shared.recycle(scratch);
        return None;
    }
    shared.count_request(again);
    let Scratch { encoder, body, gzip } = scratch;
    let body = Bytes::from(body);
    let answer = shared.transport.send(Payload::plain(body.clone())).await;
    // The connection may still hold its clone when the answer came before the request was read whole.
    let body = if body.is_unique() { Vec::from(body) } else { Vec::new() };
    shared.recycle(Scratch { encoder, body, gzip });
    Some(answer)
}
