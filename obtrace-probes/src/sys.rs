//! System calls that neither the standard library nor aya wraps. The only unsafe code of the crate.

mod ring;

pub(crate) use ring::{RECORD_HEAD, Ring};

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// `union bpf_attr` as `BPF_PROG_TEST_RUN` reads it (linux/bpf.h, `struct { … } test`).
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
}

/// `union bpf_attr` as the element commands read it.
#[repr(C)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Runs a raw tracepoint program once, here and now, with `arguments` as its context; gives what it returned.
pub(crate) fn test_run(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<u32> {
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd() as u32,
        ctx_size_in: size_of_val(arguments) as u32,
        ctx_in: arguments.as_ptr() as u64,
        ..TestRun::default()
    };
    // SAFETY: `attr` is a live, writable value laid out as the kernel's attribute for this command and the size passed
    // is its own, so the kernel reads and writes inside it. `ctx_in` and `ctx_size_in` describe the slice `arguments`,
    // which outlives the call and is only read.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attr, size_of::<TestRun>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(attr.retval) }
}

/// Reads the one value of an array map of a single entry of `words` 64-bit words.
pub(crate) fn read_words(map: BorrowedFd<'_>, words: usize) -> io::Result<Vec<u64>> {
    let mut value = vec![0u64; words];
    let key = 0u32;
    let mut attr = Element {
        map_fd: map.as_raw_fd() as u32,
        pad: 0,
        key: (&raw const key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: `attr` is laid out as the kernel's attribute for this command and its size is passed. `key` is a live u32,
    // the key size of every array map. `value` has room for `words` words; the callers pass the value size of the map
    // that the compiled object declares, so the kernel writes no more than that.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_ELEM, &raw mut attr, size_of::<Element>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Gives memory that is free back to the system where the C library would keep it: glibc holds on to what lies below
/// anything that is still in use, and to as much as it has once seen in one piece. Elsewhere nothing is done. Worth a
/// call when much was given up at once: it takes about a millisecond for 10 MB.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, may be called from any thread at any time (malloc_trim(3): MT-Safe), and
    // touches only pages of which no allocation is a part.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Waits until `fd` is readable. `false`: the time is over or a signal came.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `poll` is one live, writable pollfd and the count passed is 1.
    let result = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    match result {
        0.. => Ok(result > 0),
        _ => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(false),
            e => Err(e),
        },
    }
}
