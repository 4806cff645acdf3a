//! The memory of a BPF ring buffer (`kernel/bpf/ringbuf.c`), mapped once.
//!
//! The kernel lets its data be mapped twice in a row, so that a record that goes on at the beginning reads as one piece.
//! Both would count as memory of this process; the few records that wrap are joined here instead.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence},
};

/// `BPF_RINGBUF_HDR_SZ`: what stands before each record.
pub(crate) const RECORD_HEAD: usize = 8;
/// `BPF_RINGBUF_BUSY_BIT`: the record is being written.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: it was given up.
const DISCARDED: u32 = 1 << 30;

/// Memory shared with the kernel.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; it is only read, or written by atomic stores.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes from `offset` on of what `fd` stands for, shared.
    fn new(fd: BorrowedFd<'_>, offset: usize, length: usize, writable: bool) -> io::Result<Self> {
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: without MAP_FIXED the kernel chooses the place, so nothing that exists is replaced.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, length })
    }

    /// The place of `length` bytes at `at`, which the callers keep inside.
    fn place(&self, at: usize, length: usize) -> NonNull<u8> {
        assert!(at <= self.length && length <= self.length - at, "outside the ring buffer");
        // SAFETY: `at` is not beyond the end of the mapping (asserted), which is one object and smaller than isize::MAX.
        unsafe { self.start.add(at) }
    }

    /// The word at its beginning.
    fn first(&self) -> &AtomicUsize {
        // SAFETY: the place has a whole word (asserted) that is mapped as long as `self` lives and aligned, as a mapping
        // begins with a page. The kernel accesses this word atomically, and nobody here otherwise.
        unsafe { self.place(0, size_of::<AtomicUsize>()).cast().as_ref() }
    }

    /// The 32-bit word at `at`.
    fn half(&self, at: usize) -> &AtomicU32 {
        assert_eq!(at % align_of::<AtomicU32>(), 0, "records are aligned");
        // SAFETY: inside the mapping (asserted by `place`) that lives as long as `self`, and aligned (asserted).
        unsafe { self.place(at, size_of::<AtomicU32>()).cast().as_ref() }
    }

    /// The bytes at `at`.
    ///
    /// # Safety
    /// Nobody writes them as long as the slice is used.
    unsafe fn bytes(&self, at: usize, length: usize) -> &[u8] {
        // SAFETY: inside the mapping (asserted by `place`), initialised by the kernel, unchanged by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.place(at, length).as_ptr(), length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, is owned, and every borrow of it has ended.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// The reading end of a ring buffer.
#[derive(Debug)]
pub(crate) struct Ring {
    /// One page, written here: how far was read.
    consumer: Mapping,
    /// One page that says how far was written, and the data.
    producer: Mapping,
    /// Where the data begins in `producer`.
    data: usize,
    /// Bytes of data, a power of two.
    size: usize,
    read: usize,
    /// How far was written when it was looked last.
    written: usize,
    /// A record that wrapped.
    joined: Vec<u8>,
}

impl Ring {
    /// Maps the ring buffer that `fd` stands for, of `size` bytes.
    pub(crate) fn new(fd: BorrowedFd<'_>, size: u32) -> io::Result<Self> {
        let size = size as usize;
        if !size.is_power_of_two() {
            return Err(io::Error::other("the size of a ring buffer is a power of two"));
        }
        let page = page_size();
        let consumer = Mapping::new(fd, 0, page, true)?;
        let producer = Mapping::new(fd, page, page + size, false)?;
        let read = consumer.first().load(Ordering::Acquire);
        let written = producer.first().load(Ordering::Acquire);
        Ok(Self { consumer, producer, data: page, size, read, written, joined: Vec::new() })
    }

    /// Hands the oldest record to `take`; its room is free again once that returns. `None`: there is none that is whole.
    pub(crate) fn next<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        loop {
            if self.read == self.written {
                // A record submitted without flags wakes the reader if this is not seen before it: as the kernel's side.
                fence(Ordering::SeqCst);
                self.written = self.producer.first().load(Ordering::Acquire);
                if self.read == self.written {
                    return None;
                }
            }
            let at = self.read & (self.size - 1);
            // The kernel ends a record by clearing this bit; what it wrote before is seen from here on.
            let head = self.producer.half(self.data + at).load(Ordering::Acquire);
            if head & BUSY != 0 {
                return None;
            }
            let length = (head & !DISCARDED) as usize;
            if head & DISCARDED == 0 {
                let result = take(self.record((at + RECORD_HEAD) & (self.size - 1), length));
                self.consume(length);
                return Some(result);
            }
            self.consume(length);
        }
    }

    /// The bytes of the record that begins at `at`.
    fn record(&mut self, at: usize, length: usize) -> &[u8] {
        let first = length.min(self.size - at);
        // SAFETY: a record that is not busy is not written again until `consume` gives back its room, which needs
        // `self` mutably: the borrow has ended by then.
        let (head, tail) =
            unsafe { (self.producer.bytes(self.data + at, first), self.producer.bytes(self.data, length - first)) };
        if tail.is_empty() {
            return head;
        }
        self.joined.clear();
        self.joined.extend_from_slice(head);
        self.joined.extend_from_slice(tail);
        &self.joined
    }

    /// Gives back the room of a record.
    fn consume(&mut self, length: usize) {
        self.read = self.read.wrapping_add((RECORD_HEAD + length).next_multiple_of(RECORD_HEAD));
        self.consumer.first().store(self.read, Ordering::Release);
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf takes a number and gives one.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::{fd::AsFd, unix::fs::FileExt},
    };

    use super::*;

    /// The kernel's side, in a file of the same layout.
    struct Producer {
        file: File,
        size: usize,
        written: usize,
    }

    impl Producer {
        fn new(name: &str, size: usize) -> Self {
            let path = std::env::temp_dir().join(format!("obtrace-ring-{name}-{}", std::process::id()));
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            file.set_len((2 * page_size() + size) as u64).unwrap();
            Self { file, size, written: 0 }
        }

        fn put(&self, at: usize, bytes: &[u8]) {
            for (index, byte) in bytes.iter().enumerate() {
                let place = 2 * page_size() + (at + index) % self.size;
                self.file.write_at(&[*byte], place as u64).unwrap();
            }
        }

        fn room(&self) -> usize {
            let mut read = [0; size_of::<usize>()];
            self.file.read_exact_at(&mut read, 0).unwrap();
            self.size - (self.written - usize::from_ne_bytes(read))
        }

        /// Where the record's head is.
        fn submit(&mut self, bytes: &[u8], flags: u32) -> usize {
            let at = self.written;
            let needed = (RECORD_HEAD + bytes.len()).next_multiple_of(8);
            assert!(needed <= self.room());
            self.put(at, &(bytes.len() as u32 | flags).to_ne_bytes());
            self.put(at + RECORD_HEAD, bytes);
            self.written += needed;
            self.file.write_at(&self.written.to_ne_bytes(), page_size() as u64).unwrap();
            at
        }
    }

    #[test]
    fn records_come_whole_and_in_order_however_often_the_ring_goes_around() {
        let mut producer = Producer::new("order", 4096);
        let mut ring = Ring::new(producer.file.as_fd(), 4096).unwrap();
        let (mut expected, mut got, mut wrapped) = (Vec::new(), Vec::new(), 0);
        for number in 0..2_000_usize {
            let length = number * 37 % 1_500;
            let record: Vec<u8> = (0..length).map(|index| (number + index) as u8).collect();
            while producer.room() < (RECORD_HEAD + length).next_multiple_of(8) {
                got.push(ring.next(<[u8]>::to_vec).unwrap());
            }
            wrapped += usize::from(producer.written % 4096 + RECORD_HEAD + length > 4096);
            producer.submit(&record, 0);
            expected.push(record);
        }
        while let Some(record) = ring.next(<[u8]>::to_vec) {
            got.push(record);
        }
        assert!(got == expected && wrapped > 100);
        assert_eq!(producer.room(), 4096, "all room is given back");
    }

    #[test]
    fn what_is_being_written_holds_up_the_rest_and_what_was_given_up_is_left_out() {
        let mut producer = Producer::new("busy", 4096);
        let mut ring = Ring::new(producer.file.as_fd(), 4096).unwrap();
        assert_eq!(ring.next(<[u8]>::len), None);
        producer.submit(b"given up", DISCARDED);
        let busy = producer.submit(b"first", BUSY);
        producer.submit(b"2nd", 0);
        assert_eq!(ring.next(<[u8]>::to_vec), None);
        producer.put(busy, &5_u32.to_ne_bytes());
        assert_eq!(ring.next(<[u8]>::to_vec), Some(b"first".to_vec()));
        assert_eq!(ring.next(<[u8]>::to_vec), Some(b"2nd".to_vec()));
        assert_eq!(ring.next(<[u8]>::to_vec), None);
    }

    #[test]
    fn a_reader_goes_on_where_the_last_one_ended() {
        let mut producer = Producer::new("again", 4096);
        let mut ring = Ring::new(producer.file.as_fd(), 4096).unwrap();
        producer.submit(b"first", 0);
        producer.submit(b"2nd", 0);
        assert_eq!(ring.next(<[u8]>::len), Some(5));
        drop(ring);
        let mut ring = Ring::new(producer.file.as_fd(), 4096).unwrap();
        assert_eq!(ring.next(<[u8]>::len), Some(3));
    }

    #[test]
    fn a_size_that_is_none_is_refused() {
        let producer = Producer::new("size", 4096);
        assert!(Ring::new(producer.file.as_fd(), 5000).is_err());
    }
}
