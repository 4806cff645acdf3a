//! Ctrl-C and SIGTERM set a flag; what waits looks at it, so that guards run and nothing is left behind.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(false)));

/// Makes SIGINT and SIGTERM set the flag; the second one ends the process at once.
pub(crate) fn install() {
    for signal in [SIGINT, SIGTERM] {
        // Both fail only for signals that cannot be caught.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&INTERRUPTED));
        let _ = signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED));
    }
}

/// An error once an interruption was asked for.
pub(crate) fn check() -> Result<(), Error> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Asks `ready` every 50 ms for at most `limit`: its first answer, or `None` when time is up.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut ready: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let end = Instant::now() + limit;
    loop {
        check()?;
        if let Some(answer) = ready()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(50));
    }
}
