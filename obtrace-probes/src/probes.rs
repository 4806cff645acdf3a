//! Loading, attaching and asking the probes.

use std::{
    fmt, fs,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness, VerifierLogLevel,
    maps::{HashMap, Map, MapData, PerCpuArray},
    programs::Program,
};

use crate::{Error, Filter, LossCounters, Losses, Reader, Verdicts, btf, object, program};

/// How the bytes are come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// `Fentry` where the kernel allows it, else `Tracepoint`.
    #[default]
    Auto,
    /// At the socket layer's own functions (fentry, fexit): one hook a call, the cheapest; sees io_uring too.
    Fentry,
    /// At system calls: two raw tracepoints for all of them, which need no tracefs.
    Tracepoint,
}

/// Settings of the probes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Size of the ring buffer in bytes, rounded up to a power of two and whole pages. Default 4 MiB.
    pub ring_bytes: u32,
    /// Sockets that are observed at once; past it they are counted as lost by [`Reason::Sockets`](crate::Reason).
    /// Default 32,768, of at most 256 bytes of kernel memory each.
    pub sockets: u32,
    /// Bytes captured of one call; the rest is announced but not copied. Default 256 KiB, at most 1 MiB.
    pub capture_limit: u32,
    /// Bytes in the ring buffer that wake the reader. Default 64 KiB.
    pub wake_bytes: u32,
    /// UDP ports that datagrams are captured of, the local or the peer's; at most 8. Default 53.
    pub datagram_ports: Vec<u16>,
    /// How the bytes are come by. Default [`Backend::Auto`].
    pub backend: Backend,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_bytes: 4 << 20,
            sockets: 32_768,
            capture_limit: 256 << 10,
            wake_bytes: 64 << 10,
            datagram_ports: vec![53],
            backend: Backend::Auto,
        }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Options::ring_bytes`].
    #[must_use]
    pub fn with_ring_bytes(mut self, bytes: u32) -> Self {
        self.ring_bytes = bytes;
        self
    }

    /// Sets [`Options::sockets`].
    #[must_use]
    pub fn with_sockets(mut self, sockets: u32) -> Self {
        self.sockets = sockets;
        self
    }

    /// Sets [`Options::capture_limit`].
    #[must_use]
    pub fn with_capture_limit(mut self, bytes: u32) -> Self {
        self.capture_limit = bytes;
        self
    }

    /// Sets [`Options::backend`].
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets [`Options::datagram_ports`].
    #[must_use]
    pub fn with_datagram_ports(mut self, ports: Vec<u16>) -> Self {
        self.datagram_ports = ports;
        self
    }
}

/// Orders of the control program; the numbers are those of `bpf/probe/control.bpf.c`.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    Loader = 1,
    Trace = 2,
    Verdict = 3,
    Iterate = 4,
    Joined = 5,
    Ended = 6,
    Ports = 7,
}

/// What an iterator does; the numbers are those of `bpf/include/iterate.h`.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    List = 0,
    TraceAll = 1,
    Listeners = 2,
    Join = 3,
    Ports = 4,
}

/// The program that takes orders.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) program: OwnedFd,
}

/// What the handles share; the lock also keeps one iterator's mode from another's.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ebpf: Ebpf,
    /// Programs that are loaded later name it by its descriptor.
    pub(crate) traced: MapData,
    /// The names of the kernel's hooks, as long as something is not loaded.
    later: Option<Btf>,
    files: Files,
}

/// The iterator over open files, which is loaded when it is first needed.
#[derive(Debug)]
enum Files {
    Unloaded,
    Loaded,
    /// What the kernel said.
    Refused(String),
}

impl Shared {
    fn load_files(&mut self) {
        if let (Files::Unloaded, Some(btf)) = (&self.files, &self.later) {
            self.files = match program::load(&mut self.ebpf, btf, FILES.0, FILES.1) {
                Ok(()) => Files::Loaded,
                Err(e) => Files::Refused(e.to_string()),
            };
        }
    }

    /// Goes through the open files of all processes as the last [`Order::Iterate`] said.
    pub(crate) fn iterate_files(&mut self) -> Result<Vec<u8>, Error> {
        self.load_files();
        if let Files::Refused(said) = &self.files {
            let what = "listing the sockets of processes".to_owned();
            return Err(Error::Unsupported { what, said: said.clone(), mend: program::KERNEL });
        }
        program::iterate(&mut self.ebpf, FILES.0)
    }
}

/// The probes, loaded into the kernel. Dropping it (and every [`Filter`] of it) detaches and frees all of them.
pub struct Probes {
    control: Arc<Control>,
    shared: Arc<Mutex<Shared>>,
    losses: LossCounters,
    reader: Option<Reader>,
    backend: Backend,
    /// What is loaded and not attached, in the order in which it is to be attached.
    loaded: Vec<&'static str>,
    refused: Vec<(&'static str, String)>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

/// Hooks of both back ends, by their tracepoints.
const COMMON: [&str; 5] =
    ["sched_process_fork", "sched_process_exit", "sched_process_exec", "tcp_destroy_sock", "inet_sock_set_state"];
/// The data path of each; attached last, so that no byte comes before what explains it.
const CALLS: [&str; 2] = ["sys_exit", "sys_enter"];
const FUNCTIONS: [&str; 3] = ["tcp_sendmsg", "tcp_recvmsg", "inet_accept"];
/// What a kernel may be built without: what else TCP needs.
const TCP: [&str; 1] = ["inet_stream_connect"];
/// And the rest.
const OTHERS: [&str; 11] = [
    "unix_stream_sendmsg",
    "unix_stream_recvmsg",
    "unix_accept",
    "unix_stream_connect",
    "unix_release",
    "udp_sendmsg",
    "udp_recvmsg",
    "udp_destroy_sock",
    "udpv6_sendmsg",
    "udpv6_recvmsg",
    "udpv6_destroy_sock",
];
/// The iterators and what they go through.
const TASKS: (&str, &str) = ("iterate_tasks", "task");
const FILES: (&str, &str) = ("iterate_files", "task_file");

/// The kernel's BTF, as far as an object needs it.
fn kernel_btf(object: &[u8]) -> Result<Btf, Error> {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    let hooks: Vec<&str> = CALLS.iter().chain(&FUNCTIONS).chain(&COMMON).chain(&TCP).chain(&OTHERS).copied().collect();
    let hooks = [&hooks[..], &[TASKS.1, FILES.1]].concat();
    let small = fs::read(PATH).ok().and_then(|kernel| btf::trimmed(&kernel, object, &hooks));
    let read = small.map_or_else(Btf::from_sys_fs, |bytes| Btf::parse(&bytes, Endianness::default()));
    read.map_err(|e| Error::Unsupported { what: format!("reading {PATH}"), said: e.to_string(), mend: program::KERNEL })
}

impl Probes {
    /// Loads the probes, those of TCP at least. Nothing is attached and no process is traced yet.
    ///
    /// # Errors
    ///
    /// A capability or a kernel feature is missing, or the verifier refused a program.
    pub fn load(options: &Options) -> Result<Self, Error> {
        match options.backend {
            Backend::Fentry => Self::load_object(options, Backend::Fentry),
            Backend::Tracepoint => Self::load_object(options, Backend::Tracepoint),
            // A refusal of the first says nothing that the second would not say better.
            Backend::Auto => {
                Self::load_object(options, Backend::Fentry).or_else(|_| Self::load_object(options, Backend::Tracepoint))
            }
        }
    }

    fn load_object(options: &Options, backend: Backend) -> Result<Self, Error> {
        let (object, data): (_, &[&'static str]) = match backend {
            Backend::Fentry => (object::fentry(), &FUNCTIONS),
            _ => (object::syscall(), &CALLS),
        };
        let btf = kernel_btf(object)?;
        let mut ports = [0u16; 8];
        for (slot, port) in ports.iter_mut().zip(&options.datagram_ports) {
            *slot = *port;
        }
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS)
            .override_global("capture_limit", &options.capture_limit.min(1 << 20), true)
            .override_global("wake_bytes", &options.wake_bytes, true)
            .override_global("datagram_ports", &ports, true)
            .map_max_entries("ring", options.ring_bytes)
            .map_max_entries("sockets", options.sockets)
            .load(object)
            .map_err(program::object_error)?;
        // The data path first: it is what a kernel may refuse.
        for name in data.iter().chain(&COMMON) {
            program::load(&mut ebpf, &btf, name, name)?;
        }
        program::load(&mut ebpf, &btf, "control", "")?;
        program::load(&mut ebpf, &btf, TASKS.0, TASKS.1)?;
        let mut loaded: Vec<_> = COMMON.iter().chain(data).copied().collect();
        let mut refused = Vec::new();
        if backend == Backend::Fentry {
            load_optional(&mut ebpf, &btf, &TCP, &mut loaded, &mut refused);
        }

        let Some(Program::RawTracePoint(p)) = ebpf.program("control") else {
            return Err(Error::object("no program control"));
        };
        let fd = p.fd().map_err(|e| program::program_error("control", e))?;
        let control = Control { program: duplicate(fd)? };
        control.order(Order::Loader, &[])?;
        let Map::Array(traced) = take(&mut ebpf, ".bss.traced")? else {
            return Err(Error::object("map .bss.traced is no array"));
        };
        let losses = PerCpuArray::try_from(take(&mut ebpf, "losses")?).map_err(Error::object)?;
        let Map::RingBuf(ring) = take(&mut ebpf, "ring")? else {
            return Err(Error::object("map ring is no ring buffer"));
        };
        let ended = HashMap::try_from(take(&mut ebpf, "ended")?).map_err(Error::object)?;
        let control = Arc::new(control);
        let reader = Reader::new(ring, options.ring_bytes, ended, Arc::clone(&control))?;
        Ok(Self {
            control,
            shared: Arc::new(Mutex::new(Shared { ebpf, traced, later: Some(btf), files: Files::Unloaded })),
            losses: LossCounters(Arc::new(losses)),
            reader: Some(reader),
            backend,
            loaded,
            refused,
        })
    }

    /// Attaches the programs for TCP only: [`Probes::attach`] does the rest. Loading and attaching all of them takes more
    /// than twice as long, time in which events of TCP can be read already.
    ///
    /// # Errors
    ///
    /// The kernel refused a hook.
    pub fn attach_tcp(&mut self) -> Result<(), Error> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut self.loaded).iter().try_for_each(|name| program::attach(&mut shared.ebpf, name))
    }

    /// Attaches every program. What the processes that [`Probes::filter`] allows do is seen from now on. Programs that
    /// the kernel need not have are [left out](Probes::refused) if it refuses them.
    ///
    /// # Errors
    ///
    /// The kernel refused a hook.
    pub fn attach(&mut self) -> Result<(), Error> {
        self.attach_tcp()?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.load_files();
        if let Some(btf) = shared.later.take() {
            if self.backend == Backend::Fentry {
                load_optional(&mut shared.ebpf, &btf, &OTHERS, &mut self.loaded, &mut self.refused);
            }
            if let Files::Refused(said) = &shared.files {
                self.refused.push((FILES.0, said.clone()));
            }
            drop(btf);
            // The kernel's BTF took some 15 MB for a moment.
            crate::sys::release_memory();
        }
        drop(shared);
        self.attach_tcp()
    }

    /// Looks through the open sockets of the traced processes for connections older than the probes: each is told of by
    /// an [`Open`](crate::event::Open) event with `joined` set. To be called once the filter is set.
    ///
    /// # Errors
    ///
    /// The kernel refused to list its files.
    pub fn join(&self) -> Result<(), Error> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for mode in [Mode::Listeners, Mode::Join] {
            self.control.order(Order::Iterate, &[mode as u64])?;
            shared.iterate_files()?;
        }
        self.control.order(Order::Joined, &[])?;
        Ok(())
    }

    /// The reader of the events; `None` when it was taken before. To be kept until [`Probes::attach`] is done at least.
    pub fn reader(&mut self) -> Option<Reader> {
        self.reader.take()
    }

    /// Decides which processes are traced.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter { control: Arc::clone(&self.control), shared: Arc::clone(&self.shared) }
    }

    /// Tells the kernel which bytes nobody reads.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        Verdicts { control: Arc::clone(&self.control) }
    }

    /// What was not captured so far.
    ///
    /// # Errors
    ///
    /// The kernel refused to read the counters.
    pub fn losses(&self) -> Result<Losses, Error> {
        self.losses.read()
    }

    /// The counters of what was not captured, for another thread.
    #[must_use]
    pub fn loss_counters(&self) -> LossCounters {
        self.losses.clone()
    }

    /// Programs that the kernel refused and that the rest does without, with the reason: their part is not observed.
    #[must_use]
    pub fn refused(&self) -> &[(&'static str, String)] {
        &self.refused
    }

    /// The name of the back end that was chosen: `tracepoint` or `fentry`.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        match self.backend {
            Backend::Fentry => "fentry",
            _ => "tracepoint",
        }
    }
}

/// Loads programs that a kernel need not have.
fn load_optional(
    ebpf: &mut Ebpf,
    btf: &Btf,
    names: &[&'static str],
    loaded: &mut Vec<&'static str>,
    refused: &mut Vec<(&'static str, String)>,
) {
    for name in names {
        match program::load(ebpf, btf, name, name) {
            Ok(()) => loaded.push(name),
            Err(e) => refused.push((name, e.to_string())),
        }
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, Error> {
    ebpf.take_map(name).ok_or_else(|| Error::object(format_args!("no map {name}")))
}

fn duplicate(fd: &impl AsFd) -> Result<OwnedFd, Error> {
    fd.as_fd().try_clone_to_owned().map_err(|e| Error::system("duplicating a descriptor", e))
}
