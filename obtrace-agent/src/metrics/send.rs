//! From a collection to the exporters' queues, which it may be larger than.

use std::{
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use obtrace_export::{
    batch::Limits,
    model::{Item as _, Metric},
    pipeline::Exporter,
};

/// How long to wait before looking again whether there is room, or whether it is time to end.
const LOOK: Duration = Duration::from_millis(50);

/// Hands metrics over in parts of half a queue, and waits between them for room, at each exporter for `patience` at most over all
/// of them. What finds no room then is dropped and counted by the exporter. Once nobody holds the other end of `running` it ends:
/// another collection follows.
pub(super) fn hand_over(
    metrics: Vec<Metric>,
    exporters: &[Exporter<Metric>],
    queue: &Limits,
    patience: Duration,
    running: Option<&Receiver<()>>,
) {
    let [others @ .., last] = exporters else { return };
    let mut left = vec![patience; exporters.len()];
    let (mut items, mut bytes) = (0, 0);
    for metric in metrics {
        let size = metric.memory();
        if items > 0 && (items >= queue.queue_items.div_ceil(2) || bytes + size > queue.queue_bytes / 2) {
            (items, bytes) = (0, 0);
            if !is_running(running) {
                return;
            }
            for (exporter, left) in exporters.iter().zip(&mut left) {
                *left = left.saturating_sub(wait_for_room(exporter, *left, running));
            }
        }
        (items, bytes) = (items + 1, bytes + size);
        for exporter in others {
            // They count what they have no room for.
            let _ = exporter.try_send(metric.clone());
        }
        let _ = last.try_send(metric);
    }
}

/// Waits until the queue is empty; how long that took.
fn wait_for_room(exporter: &Exporter<Metric>, at_most: Duration, running: Option<&Receiver<()>>) -> Duration {
    let begin = Instant::now();
    while exporter.stats().queued > 0 && is_running(running) {
        let left = at_most.saturating_sub(begin.elapsed());
        if left.is_zero() {
            break;
        }
        exporter.force_flush_blocking(left.min(LOOK));
    }
    begin.elapsed()
}

fn is_running(running: Option<&Receiver<()>>) -> bool {
    running.is_none_or(|running| running.try_recv() == Err(TryRecvError::Empty))
}
