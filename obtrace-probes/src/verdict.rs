//! What user space tells the kernel about a socket's bytes.

use std::{os::fd::AsFd, sync::Arc};

use crate::{
    Error,
    event::{Direction, SocketId},
    probes::{Control, Order},
};

/// What is captured of one direction of a socket from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything.
    Full,
    /// Nothing until the socket is closed.
    Ignore,
    /// Nothing before this sequence number (modulo 2³², as in [`Data::sequence`](crate::event::Data::sequence)),
    /// everything from it on. For streams only.
    Until(u32),
}

/// Gives verdicts; cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Verdicts {
    pub(crate) control: Arc<Control>,
}

impl Verdicts {
    /// Gives a verdict on one direction of a socket. `key` is the socket's [`Open::own_key`](crate::event::Open::own_key).
    /// Whether the socket was still there.
    ///
    /// # Errors
    ///
    /// The kernel refused the call, or the socket is one of datagrams and was given [`Verdict::Until`]: there are no
    /// places in it.
    pub fn set(&self, socket: SocketId, key: u64, direction: Direction, verdict: Verdict) -> Result<bool, Error> {
        let (kind, until) = match verdict {
            Verdict::Full => (0, 0),
            Verdict::Ignore => (1, 0),
            Verdict::Until(sequence) => (2, u64::from(sequence)),
        };
        let direction = u64::from(direction == Direction::Received);
        let found = self.control.order(Order::Verdict, &[key, socket.get(), direction, kind, until])?;
        match found {
            3 => Err(Error::NoStream(socket)),
            found => Ok(found == 0),
        }
    }
}

impl Control {
    pub(crate) fn order(&self, order: Order, arguments: &[u64]) -> Result<u32, Error> {
        // The program reads six words whatever the order is.
        let mut context = [0u64; 6];
        context[0] = order as u64;
        for (slot, argument) in context.iter_mut().skip(1).zip(arguments) {
            *slot = *argument;
        }
        crate::sys::test_run(self.program.as_fd(), &context).map_err(|e| Error::system("BPF_PROG_TEST_RUN", e))
    }
}
