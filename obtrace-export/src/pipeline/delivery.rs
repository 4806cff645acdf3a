//! One batch from the queue to its end: delivered, rejected or dropped.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time::sleep;

use super::shared::{InFlight, Scratch, Shared};
use crate::{
    model::Item,
    retry::Class,
    stats::DropReason,
    transport::{Payload, Reply, SendError},
};

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
}

pub(super) async fn deliver<T: Item>(shared: Arc<Shared<T>>, batch: InFlight<T>) {
    let began = Instant::now();
    let mut parts = vec![(batch, false)];
    while let Some((part, was_refused)) = parts.pop() {
        let many = part.items.len() > 1;
        match attempt(&shared, &part, began).await {
            End::Accepted { rejected } => part.exported(rejected),
            // A receiver that finds half a batch too large as well would get ever more requests: split once.
            end @ (End::OverLimit | End::TooLarge) if many && !was_refused => {
                let (first, second) = part.split();
                let refused = matches!(end, End::TooLarge);
                parts.push((second, refused));
                parts.push((first, refused));
            }
            End::OverLimit | End::TooLarge => {
                shared.log.dropped(DropReason::TooLarge, part.count, "");
                part.dropped(DropReason::TooLarge);
            }
            End::Dropped(reason) => part.dropped(reason),
        }
    }
}

/// Tries until there is an end.
async fn attempt<T: Item>(shared: &Shared<T>, batch: &InFlight<T>, began: Instant) -> End {
    let mut failures = 0;
    let mut retrying = None;
    loop {
        let Some(answer) = send(shared, &batch.items, failures > 0).await else { return End::OverLimit };
        let (asked, said) = match answer {
            Ok(reply) => match reply.class {
                Class::Accepted => {
                    if reply.rejected > 0 || !reply.message.is_empty() {
                        shared.log.rejected(reply.rejected, batch.count, &reply.message);
                    }
                    shared.log.delivered(&shared.transport);
                    return End::Accepted { rejected: reply.rejected };
                }
                Class::TooLarge => return End::TooLarge,
                Class::Refused => {
                    shared.log.dropped(DropReason::Refused, batch.count, &said(&reply));
                    return End::Dropped(DropReason::Refused);
                }
                Class::Retry => (reply.retry_after, said(&reply)),
            },
            Err(error) => (None, error.to_string()),
        };
        failures += 1;
        let wait = shared.config.retry.wait(failures, asked, RandomState::new().hash_one(failures));
        if began.elapsed() + wait > shared.config.retry.give_up_after {
            shared.log.dropped(DropReason::Expired, batch.count, &said);
            return End::Dropped(DropReason::Expired);
        }
        shared.log.failing(&shared.transport, &said, wait);
        retrying.get_or_insert_with(|| shared.retrying());
        if !wait_for_retry(shared, wait, asked.is_some()).await {
            shared.log.dropped(DropReason::Shutdown, batch.count, &said);
            return End::Dropped(DropReason::Shutdown);
        }
    }
}

/// Waits; `false` if the shutdown leaves no time for another attempt. When it begins during a wait that the receiver did not
/// ask for, the last attempt is made at once.
async fn wait_for_retry<T: Item>(shared: &Shared<T>, wait: Duration, asked_for: bool) -> bool {
    let until = Instant::now() + wait;
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
async fn send<T: Item>(shared: &Shared<T>, items: &[T], again: bool) -> Option<Result<Reply, SendError>> {
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
