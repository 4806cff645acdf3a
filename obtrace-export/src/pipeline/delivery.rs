//! One batch from the queue to its end: delivered, rejected or dropped.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::{
    in_flight::{InFlight, Load},
    shared::{Scratch, Shared, count},
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
    /// The shutdown leaves no time for it.
    Cut,
}

/// What a delivery tells the worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) began: Instant,
    /// It stays in the spool for the next run.
    pub(super) kept: bool,
}

/// A batch, or half of one.
struct Part<T> {
    load: Load<T>,
    count: u64,
    /// The receiver found the whole too large.
    is_half: bool,
}

pub(super) async fn deliver<T: Item>(shared: Arc<Shared<T>>, mut batch: InFlight<T>, began: Instant) -> Delivered {
    let whole = Part { load: batch.take_load(), count: batch.count(), is_half: false };
    let mut parts = vec![whole];
    while let Some(mut part) = parts.pop() {
        match attempt(&shared, &mut part, batch.is_on_disk(), began).await {
            End::Accepted { rejected } => batch.exported(part.count, rejected),
            // A receiver that finds half a batch too large as well would get ever more requests: split once.
            end @ (End::OverLimit | End::TooLarge) if !part.is_half => {
                let refused = matches!(end, End::TooLarge);
                match split(&shared, part, refused) {
                    Ok([first, second]) => parts.extend([second, first]),
                    Err(count) => too_large(&shared, &mut batch, count),
                }
            }
            End::OverLimit | End::TooLarge => too_large(&shared, &mut batch, part.count),
            End::Dropped(reason) => batch.dropped(part.count, reason),
            End::Cut => {
                let kept = batch.is_on_disk();
                if !kept {
                    shared.log.dropped(DropReason::Shutdown, batch.count(), "");
                }
                return Delivered { began, kept };
            }
        }
    }
    Delivered { began, kept: false }
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
    let mut first = items.filter(|items| items.len() > 1).ok_or(part.count)?;
    let second = first.split_off(first.len() / 2);
    let of_second = count(&second).min(part.count);
    let half = |items, count| Part { load: Load::Items(items), count, is_half };
    Ok([half(first, part.count - of_second), half(second, of_second)])
}

/// Tries until there is an end.
async fn attempt<T: Item>(shared: &Shared<T>, part: &mut Part<T>, on_disk: bool, began: Instant) -> End {
    let count = part.count;
    // What an earlier run wrote may have another form than the receiver takes now.
    if let Load::Record { format, gzip } = &part.load
        && *format != shared.transport.format()
    {
        match shared.reread(*format, gzip) {
            Some(items) => part.load = Load::Items(items),
            None => {
                shared.log.dropped(DropReason::SpoolCorrupt, count, "a batch of the spool cannot be read");
                return End::Dropped(DropReason::SpoolCorrupt);
            }
        }
    }
    let mut policy = shared.config.retry;
    if on_disk {
        policy = policy.with_waits(policy.initial.min(PROBE), policy.max.min(PROBE));
    }
    let mut failures = 0;
    let (mut retrying, mut probing) = (None, None);
    loop {
        let Some(answer) = send(shared, &part.load, failures > 0).await else { return End::OverLimit };
        let (asked, said) = match answer {
            Ok(reply) => match reply.class {
                Class::Accepted => {
                    if reply.rejected > 0 || !reply.message.is_empty() {
                        shared.log.rejected(reply.rejected, count, &reply.message);
                    }
                    shared.log.delivered(&shared.transport);
                    return End::Accepted { rejected: reply.rejected };
                }
                Class::TooLarge => return End::TooLarge,
                Class::Refused => {
                    shared.log.dropped(DropReason::Refused, count, &said(&reply));
                    return End::Dropped(DropReason::Refused);
                }
                Class::Retry => (reply.retry_after, said(&reply)),
            },
            Err(error) => (None, error.to_string()),
        };
        failures += 1;
        let wait = policy.wait(failures, asked, RandomState::new().hash_one(failures));
        if !on_disk && began.elapsed() + wait > policy.give_up_after {
            shared.log.dropped(DropReason::Expired, count, &said);
            return End::Dropped(DropReason::Expired);
        }
        shared.log.failing(&shared.transport, &said, wait);
        retrying.get_or_insert_with(|| shared.retrying());
        let until = Instant::now() + wait;
        if on_disk && probing.is_none() {
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
    let items = match load {
        Load::Items(items) => items,
        Load::Record { gzip, .. } => {
            shared.count_request(again);
            return Some(shared.transport.send(Payload::gzip(gzip.clone())).await);
        }
    };
    let Scratch { mut encoder, mut body } = shared.scratch();
    encoder.encode(shared.transport.format(), items, &mut body);
    if body.len() > shared.config.max_body {
        shared.recycle(Scratch { encoder, body });
        return None;
    }
    shared.count_request(again);
    let body = Bytes::from(body);
    let answer = shared.transport.send(Payload::plain(body.clone())).await;
    // The connection may still hold its clone when the answer came before the request was read whole.
    let body = if body.is_unique() { Vec::from(body) } else { Vec::new() };
    shared.recycle(Scratch { encoder, body });
    Some(answer)
}

fn said(reply: &Reply) -> String {
    reply.described()
}
