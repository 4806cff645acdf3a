//! The older format
//! ([draft-ietf-opsawg-pcap](https://datatracker.ietf.org/doc/html/draft-ietf-opsawg-pcap)): one header, then packets.

use std::io::Read;

use super::{CaptureError, Input, MAX_RECORD, Order, Packet};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's variant: eight more bytes in each record header.
const MODIFIED: u32 = 0xa1b2_cd34;

#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    nanos_per_unit: u64,
    link_type: u16,
    extra: u64,
}

impl Pcap {
    pub(super) fn open<R: Read>(magic: [u8; 4], input: &mut Input<R>) -> Result<Self, CaptureError> {
        let known = |number| [MICROSECONDS, NANOSECONDS, MODIFIED].contains(&number);
        let (order, number) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (number, _) if known(number) => (Order::Little, number),
            (_, number) if known(number) => (Order::Big, number),
            _ => return Err(CaptureError::NotACapture(magic)),
        };
        let header = input.array::<20>("the file header")?;
        let major = order.u16(&header, 0).unwrap_or_default();
        if major != 2 {
            return Err(CaptureError::Version(major, order.u16(&header, 2).unwrap_or_default()));
        }
        Ok(Self {
            order,
            nanos_per_unit: if number == NANOSECONDS { 1 } else { 1_000 },
            // The upper half says how long the frame check sequence is, which the packets' own lengths tell, too.
            link_type: (order.u32(&header, 16).unwrap_or_default() & 0xffff) as u16,
            extra: if number == MODIFIED { 8 } else { 0 },
        })
    }

    pub(super) fn next_packet<'i, R: Read>(
        &mut self,
        input: &'i mut Input<R>,
    ) -> Result<Option<Packet<'i>>, CaptureError> {
        let start = input.at;
        let mut head = [0; 16];
        if !input.array_or_end("a packet header", &mut head)? {
            return Ok(None);
        }
        input.skip("a packet header", self.extra)?;
        let word = |at| self.order.u32(&head, at).unwrap_or_default();
        let (seconds, fraction, captured, length) = (word(0), word(4), word(8), word(12));
        if captured > MAX_RECORD {
            return Err(CaptureError::Damaged { what: "a packet of more than 16 MiB", at: start });
        }
        input.read_record("a packet", captured)?;
        let time = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanos_per_unit;
        Ok(Some(Packet::new(time, self.link_type, input.record()).with_length(length.max(captured))))
    }
}
