//! The newer format
//! ([draft-ietf-opsawg-pcapng](https://datatracker.ietf.org/doc/html/draft-ietf-opsawg-pcapng)): blocks in sections,
//! each section with a byte order and interfaces of its own.

use std::io::Read;

use super::{CaptureError, Input, MAX_RECORD, Order, Packet};

/// Type of the section header block; reads the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, still to be met.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// Interfaces that a section may have; those beyond are not known, and their packets are damage.
const MAX_INTERFACES: usize = 65_536;

#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Simple packets have no time: they get that of the packet before.
    last_time: u64,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    snap_length: u32,
    /// `if_tsresol`: a power of ten, or of two if the top bit is set.
    resolution: u8,
    /// `if_tsoffset`: seconds to add.
    offset: i64,
}

/// Where a packet's bytes lie in its block.
struct Place {
    time: u64,
    link_type: u16,
    length: u32,
    from: usize,
    captured: u32,
}

impl Pcapng {
    /// Reads what follows the type of the first block.
    pub(super) fn open<R: Read>(input: &mut Input<R>) -> Result<Self, CaptureError> {
        let mut file = Self { order: Order::Little, interfaces: Vec::new(), last_time: 0 };
        file.section(input)?;
        Ok(file)
    }

    fn section<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), CaptureError> {
        let start = input.at.saturating_sub(4);
        let head = input.array::<8>("a section header")?;
        self.order = match Order::Little.u32(&head, 4) {
            Some(BYTE_ORDER) => Order::Little,
            Some(number) if number.swap_bytes() == BYTE_ORDER => Order::Big,
            _ => return Err(CaptureError::Damaged { what: "a section without byte order", at: start }),
        };
        let total = self.order.u32(&head, 0).unwrap_or_default();
        if total < 28 || !total.is_multiple_of(4) {
            return Err(CaptureError::Damaged { what: "the length of a section header", at: start });
        }
        input.skip("a section header", u64::from(total - 12))?;
        self.interfaces.clear();
        Ok(())
    }

    pub(super) fn next_packet<'i, R: Read>(
        &mut self,
        input: &'i mut Input<R>,
    ) -> Result<Option<Packet<'i>>, CaptureError> {
        let place = loop {
            let start = input.at;
            let mut kind = [0; 4];
            if !input.array_or_end("a block header", &mut kind)? {
                return Ok(None);
            }
            let kind = self.order.u32(&kind, 0).unwrap_or_default();
            if kind == SECTION_HEADER {
                self.section(input)?;
                continue;
            }
            if let Some(place) = self.block(kind, start, input)? {
                break place;
            }
        };
        let to = place.from.saturating_add(place.captured as usize);
        let bytes = input.record().get(place.from..to).unwrap_or_default();
        Ok(Some(Packet::new(place.time, place.link_type, bytes).with_length(place.length.max(place.captured))))
    }

    /// Reads one block behind its type.
    fn block<R: Read>(&mut self, kind: u32, start: u64, input: &mut Input<R>) -> Result<Option<Place>, CaptureError> {
        let damaged = |what| CaptureError::Damaged { what, at: start };
        let total = input.array::<4>("a block header")?;
        let total = self.order.u32(&total, 0).unwrap_or_default();
        let body =
            total.checked_sub(12).filter(|body| body.is_multiple_of(4)).ok_or(damaged("the length of a block"))?;
        let wanted = [INTERFACE_DESCRIPTION, PACKET, SIMPLE_PACKET, ENHANCED_PACKET].contains(&kind);
        if !wanted {
            input.skip("a block", u64::from(body))?;
        } else if body > MAX_RECORD {
            return Err(damaged("a block of more than 16 MiB"));
        } else {
            input.read_record("a block", body)?;
        }
        let again = input.array::<4>("the end of a block")?;
        if self.order.u32(&again, 0) != Some(total) {
            return Err(damaged("a block whose two lengths differ"));
        }
        if !wanted {
            return Ok(None);
        }
        let place = match kind {
            INTERFACE_DESCRIPTION => {
                self.interface(input.record()).ok_or(damaged("an interface description"))?;
                return Ok(None);
            }
            PACKET => self.packet(input.record(), true),
            ENHANCED_PACKET => self.packet(input.record(), false),
            _ => self.simple_packet(input.record()),
        };
        let fits = |place: &Place| place.from + place.captured as usize <= input.record().len();
        let place = place.filter(fits).ok_or(damaged("a packet of no interface, or longer than its block"))?;
        self.last_time = place.time;
        Ok(Some(place))
    }

    fn interface(&mut self, body: &[u8]) -> Option<()> {
        let order = self.order;
        let mut interface =
            Interface { link_type: order.u16(body, 0)?, snap_length: order.u32(body, 4)?, resolution: 6, offset: 0 };
        let mut options = body.get(8..)?;
        while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
            let Some(value) = options.get(4..4 + usize::from(length)) else { break };
            match code {
                0 => break,
                OPTION_RESOLUTION => interface.resolution = value.first().copied().unwrap_or(6),
                OPTION_OFFSET => interface.offset = order.i64(value, 0).unwrap_or_default(),
                _ => {}
            }
            options = options.get(4 + usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        }
        if self.interfaces.len() < MAX_INTERFACES {
            self.interfaces.push(interface);
        }
        Some(())
    }

    /// An enhanced packet, or an obsolete one: they differ in the width of the interface's number.
    fn packet(&self, body: &[u8], obsolete: bool) -> Option<Place> {
        let order = self.order;
        let number = if obsolete { u32::from(order.u16(body, 0)?) } else { order.u32(body, 0)? };
        let interface = self.interfaces.get(usize::try_from(number).ok()?)?;
        let units = u64::from(order.u32(body, 4)?) << 32 | u64::from(order.u32(body, 8)?);
        Some(Place {
            time: interface.nanos(units),
            link_type: interface.link_type,
            captured: order.u32(body, 12)?,
            length: order.u32(body, 16)?,
            from: 20,
        })
    }

    fn simple_packet(&self, body: &[u8]) -> Option<Place> {
        let interface = self.interfaces.first()?;
        let length = self.order.u32(body, 0)?;
        let snap = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let here = u32::try_from(body.len().saturating_sub(4)).unwrap_or(u32::MAX);
        Some(Place {
            time: self.last_time,
            link_type: interface.link_type,
            captured: length.min(snap).min(here),
            length,
            from: 4,
        })
    }
}

impl Interface {
    /// The time of a packet in nanoseconds since the Unix epoch.
    fn nanos(&self, units: u64) -> u64 {
        let units = u128::from(units);
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            (units * 1_000_000_000) >> exponent
        } else if let Some(coarser) = 9_u32.checked_sub(exponent) {
            units * 10_u128.pow(coarser)
        } else {
            10_u128.checked_pow(exponent - 9).map_or(0, |divisor| units / divisor)
        };
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let all = nanos.saturating_add(i128::from(self.offset) * 1_000_000_000);
        u64::try_from(all.max(0)).unwrap_or(u64::MAX)
    }
}
