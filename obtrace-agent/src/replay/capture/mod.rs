//! Capture files, read as a stream: pcap (both byte orders, microseconds and nanoseconds) and pcapng (any number of
//! sections and interfaces).
//!
//! One packet is in memory at a time, and what a file declares as a length is only believed as far as bytes come.

mod input;
mod pcap;
mod pcapng;

use std::io::{self, Read};

use input::Input;
use pcap::Pcap;
use pcapng::Pcapng;

/// A record that says it is larger is not read: the file is damaged. libpcap itself writes at most 256 KiB (128 MiB
/// on USB links).
const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// One packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// Nanoseconds since the Unix epoch, as the capture has it.
    pub time: u64,
    /// What `bytes` begin with, by the [numbers of tcpdump.org](https://www.tcpdump.org/linktypes.html).
    pub link_type: u16,
    /// Length of the packet on the wire.
    pub length: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A packet that was captured whole.
    #[must_use]
    pub fn new(time: u64, link_type: u16, bytes: &'a [u8]) -> Self {
        Self { time, link_type, length: u32::try_from(bytes.len()).unwrap_or(u32::MAX), bytes }
    }

    /// Sets the length on the wire, for a packet that the snap length cut.
    #[must_use]
    pub const fn with_length(mut self, length: u32) -> Self {
        self.length = length;
        self
    }
}

/// Why a capture could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There are no bytes at all.
    #[error("the capture is empty: not even a file header; was it still being written (tcpdump -U writes at once)?")]
    Empty,
    /// Something else.
    #[error("not a capture: it begins with {0:02x?}; what is read is pcap and pcapng{hint}", hint = hint(.0))]
    NotACapture([u8; 4]),
    /// A pcap version other than 2.x.
    #[error("pcap version {0}.{1} cannot be read, only 2.x; convert it with: editcap FILE NEW")]
    Version(u16, u16),
    /// The file ends inside a record.
    #[error(
        "the capture is cut off inside {what}, after byte {at}; all before it was read; if it is still being written or copied, replay it once that is over"
    )]
    Truncated {
        /// What should have been there.
        what: &'static str,
        /// How many bytes there are.
        at: u64,
    },
    /// A record cannot be right.
    #[error("the capture is damaged at byte {at}: {what}; all before it was read; capture or copy it again")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where the record begins.
        at: u64,
    },
    /// Reading failed.
    #[error(
        "reading the capture failed at byte {at}: {source}; all before it was read; check the disk, or copy the file elsewhere and replay that"
    )]
    Io {
        /// How many bytes had been read.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(magic: &[u8; 4]) -> &'static str {
    match magic {
        [0x1f, 0x8b, ..] => "; this is gzip: decompress it first (gzip -d)",
        [0x28, 0xb5, 0x2f, 0xfd] => "; this is zstd: decompress it first (zstd -d)",
        [0x04, 0x22, 0x4d, 0x18] => "; this is lz4: decompress it first (lz4 -d)",
        _ => "",
    }
}

/// Reads packets one after the other.
///
/// ```
/// use obtrace_agent::replay::CaptureReader;
/// // A pcap header (little-endian, microseconds, Ethernet) and one packet of three bytes at 1.5 s.
/// let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
/// file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
/// for word in [1_u32, 500_000, 3, 60] {
///     file.extend(word.to_le_bytes());
/// }
/// file.extend(b"abc");
/// let mut reader = CaptureReader::new(&file[..]).unwrap();
/// let packet = reader.next_packet().unwrap().unwrap();
/// assert_eq!((packet.time, packet.link_type, packet.length, packet.bytes), (1_500_000_000, 1, 60, &b"abc"[..]));
/// assert!(reader.next_packet().unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct CaptureReader<R> {
    input: Input<R>,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl<R: Read> CaptureReader<R> {
    /// Reads the head of a capture.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if it is not one.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(reader);
        let mut magic = [0; 4];
        if !input.array_or_end("the file header", &mut magic)? {
            return Err(CaptureError::Empty);
        }
        let format = match u32::from_le_bytes(magic) {
            pcapng::SECTION_HEADER => Format::Pcapng(Pcapng::open(&mut input)?),
            _ => Format::Pcap(Pcap::open(magic, &mut input)?),
        };
        Ok(Self { input, format })
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the file is cut off or damaged; there is nothing after it.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.input.release();
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next_packet(&mut self.input),
            Format::Pcapng(pcapng) => pcapng.next_packet(&mut self.input),
        }
    }

    /// Bytes of the file read so far.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.input.at
    }

    /// How often more of the file was asked for.
    pub(super) const fn reads(&self) -> u64 {
        self.input.reads
    }
}

/// The byte order of a file or a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) })
    }

    fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Little { i64::from_le_bytes(*bytes) } else { i64::from_be_bytes(*bytes) })
    }
}
