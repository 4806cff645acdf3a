//! Which processes are traced.

use std::{
    ops::RangeInclusive,
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
};

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{
    Error,
    probes::{Control, Mode, Order, Shared},
    program, sys,
};

/// Words of the bitmap: one bit for each number below the kernel's `PID_MAX_LIMIT`.
const WORDS: usize = (4 << 20) / 64;

/// Words of the bitmap of ports.
const PORT_WORDS: usize = (1 << 16) / 64;

/// A process, by its number here and in the initial PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
#[non_exhaustive]
pub struct Process {
    /// Its number in the initial PID namespace, as in [`Task::tgid`](crate::event::Task::tgid).
    pub tgid: u32,
    /// Its number in the caller's PID namespace.
    pub local_tgid: u32,
    /// When it started, in nanoseconds since boot.
    pub start: u64,
}

/// Decides which processes are traced, at any time; cheap to clone, usable from any thread.
///
/// Processes are named by their number in the PID namespace of whoever loaded the probes. Children of a traced process
/// are traced from their first instruction on. The process that loaded the probes is never traced.
#[derive(Clone, Debug)]
pub struct Filter {
    pub(crate) control: Arc<Control>,
    pub(crate) shared: Arc<Mutex<Shared>>,
}

impl Filter {
    /// Every process that is visible in the caller's PID namespace but the caller itself. Processes that begin later
    /// are traced if their parent is.
    ///
    /// # Errors
    ///
    /// The kernel refused to list its processes.
    pub fn allow_all(&self) -> Result<Vec<Process>, Error> {
        self.list(Mode::TraceAll)
    }

    /// Traces these processes. Gives the number of those that exist.
    ///
    /// # Errors
    ///
    /// The kernel refused the order or to list its processes.
    pub fn allow(&self, pids: &[u32]) -> Result<usize, Error> {
        self.set(pids, true)
    }

    /// Traces the processes that listen on one of these TCP ports or are connected to one, and from now on those that
    /// begin to: from the very call on by which they do, which an [`Exec`](crate::event::Exec) event tells of. Ports add
    /// up over calls. Only processes that are visible in the caller's PID namespace are traced.
    ///
    /// # Errors
    ///
    /// The kernel refused the order or to list its files.
    pub fn allow_ports(&self, ports: &[RangeInclusive<u16>]) -> Result<(), Error> {
        let mut words = [0_u64; PORT_WORDS];
        for port in ports.iter().cloned().flatten() {
            words[usize::from(port / 64)] |= 1 << (port % 64);
        }
        for (index, word) in words.into_iter().enumerate().filter(|(_, word)| *word != 0) {
            self.control.order(Order::Ports, &[index as u64, word])?;
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for mode in [Mode::Listeners, Mode::Ports] {
            self.control.order(Order::Iterate, &[mode as u64])?;
            shared.iterate_files()?;
        }
        Ok(())
    }

    /// Traces these processes no longer; their children that exist stay as they are. Gives the number of those that
    /// exist.
    ///
    /// # Errors
    ///
    /// The kernel refused the order or to list its processes.
    pub fn block(&self, pids: &[u32]) -> Result<usize, Error> {
        self.set(pids, false)
    }

    /// The processes that are traced now.
    ///
    /// # Errors
    ///
    /// The kernel refused to list its processes.
    pub fn current(&self) -> Result<Vec<Process>, Error> {
        let bits = {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let map = shared.traced.fd().as_fd();
            sys::read_words(map, WORDS).map_err(|e| Error::system("reading the process filter", e))?
        };
        let mut processes = self.processes()?;
        processes.retain(|p| bits.get(p.tgid as usize / 64).is_some_and(|w| w >> (p.tgid % 64) & 1 == 1));
        Ok(processes)
    }

    /// The processes that are visible in the caller's PID namespace.
    ///
    /// # Errors
    ///
    /// The kernel refused to list its processes.
    pub fn processes(&self) -> Result<Vec<Process>, Error> {
        self.list(Mode::List)
    }

    fn set(&self, pids: &[u32], on: bool) -> Result<usize, Error> {
        let mut count = 0;
        for process in self.processes()? {
            if pids.contains(&process.local_tgid) {
                self.control.order(Order::Trace, &[process.tgid.into(), on.into()])?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn list(&self, mode: Mode) -> Result<Vec<Process>, Error> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.control.order(Order::Iterate, &[mode as u64])?;
        let bytes = program::iterate(&mut shared.ebpf, "iterate_tasks")?;
        Ok(bytes.chunks_exact(size_of::<Process>()).filter_map(|b| Process::read_from_bytes(b).ok()).collect())
    }
}
