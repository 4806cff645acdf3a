//! The compressed protocol: packets inside of packets
//! ([compression](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html)).
//!
//! Each outer packet has seven bytes in front: the length of what it holds, its own number, and the length before
//! compression, 0 where it was not worth it. What they hold, one behind the other, is the plain protocol. It is undone
//! piece by piece: no more is kept than of a connection that is not compressed, and the window of the decompression
//! while an outer packet is not whole.

mod inflate;

use alloc::vec::Vec;

use super::{
    client::Phase,
    details::Request,
    packet::{HEAD, Head},
    parser::{MySqlParser, Source},
    queue::{Entry, begin, extend},
    shape,
};
use crate::{
    Completeness, Timestamp,
    parser::{Context, Side, Step},
    stream::Mark,
};

/// Bytes in front of what an outer packet holds.
pub(super) const OUTER: usize = 7;
/// What a decompression gives at once.
const PIECE: usize = 4 * 1024;

/// Both sides of a compressed session.
#[derive(Debug, Default)]
pub(super) struct Compression {
    client: Flow,
    server: Flow,
    zlib: bool,
}

/// One side.
#[derive(Debug, Default)]
struct Flow {
    outer: Outer,
    /// Inner bytes that are not parsed yet, and where they came from.
    inner: Vec<u8>,
    first: Mark,
    /// So many inner bytes are needed to go on.
    need: usize,
    /// So many inner bytes are of no interest.
    skip: u64,
    /// A decompression has more to give without more bytes.
    more: bool,
    /// The boundary of outer packets is not known.
    lost: bool,
    /// Something was not undone: the boundary of inner packets is not known before a command begins.
    unread: bool,
    sequence: u8,
    /// Where the outer packet began.
    mark: Mark,
    #[cfg(feature = "deflate")]
    inflater: Option<alloc::boxed::Box<Inflater>>,
}

#[cfg(feature = "deflate")]
struct Inflater(miniz_oxide::inflate::stream::InflateState);

#[cfg(feature = "deflate")]
impl core::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Inflater")
    }
}

/// What is left of an outer packet.
#[derive(Debug, Default)]
enum Outer {
    #[default]
    Head,
    Stored {
        left: usize,
    },
    #[cfg(feature = "deflate")]
    Deflated {
        left: usize,
    },
    Unread {
        left: usize,
    },
}

/// What is in front of an outer packet.
#[derive(Clone, Copy)]
struct OuterHead {
    length: usize,
    sequence: u8,
    /// Length before compression, 0: it was not compressed.
    unpacked: usize,
}

impl OuterHead {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, sequence, d, e, f], _) = bytes.split_first_chunk::<OUTER>()?;
        let number = |a, b, c| u32::from_le_bytes([a, b, c, 0]) as usize;
        Some(Self { length: number(a, b, c), sequence, unpacked: number(d, e, f) })
    }
}

impl Compression {
    fn flow(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Outer bytes of this side were lost.
    pub(super) fn lose(&mut self, side: Side) {
        let flow = self.flow(side);
        flow.outer = Outer::Head;
        flow.lost = true;
        flow.reset();
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>().saturating_add(self.client.memory()).saturating_add(self.server.memory())
    }

    pub(super) fn shrink(&mut self) {
        self.client.shrink();
        self.server.shrink();
    }
}

impl Flow {
    fn reset(&mut self) {
        self.inner.clear();
        (self.need, self.skip, self.more) = (0, 0, false);
    }

    fn memory(&self) -> usize {
        #[cfg(feature = "deflate")]
        let inflater = self.inflater.as_ref().map_or(0, |_| size_of::<Inflater>());
        #[cfg(not(feature = "deflate"))]
        let inflater = 0;
        self.inner.capacity().saturating_add(inflater)
    }

    fn shrink(&mut self) {
        self.inner.shrink_to_fit();
        #[cfg(feature = "deflate")]
        if !matches!(self.outer, Outer::Deflated { .. }) {
            self.inflater = None;
        }
    }

    /// What follows is compressed.
    #[cfg(feature = "deflate")]
    fn begin_deflated(&mut self, left: usize) {
        use miniz_oxide::{DataFormat, inflate::stream::InflateState};

        match self.inflater.as_deref_mut() {
            Some(Inflater(state)) => state.reset(DataFormat::Zlib),
            None => self.inflater = Some(alloc::boxed::Box::new(Inflater(InflateState::new(DataFormat::Zlib)))),
        }
        self.outer = Outer::Deflated { left };
    }
}

impl MySqlParser {
    /// The session was accepted: what follows is compressed if both agreed on it.
    pub(super) fn begin_compression(&mut self) {
        if self.client.compresses && self.compression.is_none() {
            let zlib = self.client.zlib;
            self.compression = Some(alloc::boxed::Box::new(Compression { zlib, ..Compression::default() }));
        }
    }

    /// Begins the session as a compressed one, if what the client sends is. `true`: more of it tells whether it is an
    /// outer packet, and it is no whole command.
    pub(super) fn join_compressed(&mut self, bytes: &[u8]) -> bool {
        if self.client.phase == Phase::Commands {
            return false;
        }
        let is_outer = is_outer(bytes, Side::Client);
        if is_outer == Some(true) && !shape::is_command_at(bytes) {
            let zlib = self.client.zlib || !self.client.compresses;
            let mut compression = Compression { zlib, ..Compression::default() };
            compression.server.lost = self.server.lost;
            self.compression = Some(alloc::boxed::Box::new(compression));
        }
        is_outer.is_none() && bytes.len() > HEAD && !is_whole_command(bytes)
    }

    pub(super) fn unpack(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let Some(compression) = self.compression.as_deref_mut() else { return Step::need(0, 1) };
        let zlib = compression.zlib;
        let mut flow = core::mem::take(compression.flow(side));
        let step = self.outer_packets(side, &mut flow, zlib, bytes, cx);
        if let Some(compression) = self.compression.as_deref_mut() {
            *compression.flow(side) = flow;
        }
        step
    }

    fn outer_packets(&mut self, side: Side, flow: &mut Flow, zlib: bool, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        let mut at = 0_usize;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if flow.lost {
                match find_outer(rest, side) {
                    Ok(found) => at = at.saturating_add(found),
                    Err(kept) => {
                        let at = at.saturating_add(kept);
                        return Step::need(at, bytes.len().saturating_sub(at).saturating_add(1));
                    }
                }
                flow.lost = false;
                continue;
            }
            if rest.is_empty() && !core::mem::take(&mut flow.more) {
                return Step::need(at, 1);
            }
            let newest = if rest.is_empty() { at.saturating_sub(1) } else { at };
            let now = cx.mark_at(cx.offset.saturating_add(newest as u64)).at;
            match &mut flow.outer {
                Outer::Head => {
                    let Some(head) = OuterHead::read(rest) else { return Step::need(at, OUTER) };
                    let offset = cx.offset.saturating_add(at as u64);
                    let mark = cx.mark_at(offset);
                    flow.mark = Mark::new(offset, mark.at, mark.tag);
                    at = at.saturating_add(OUTER);
                    self.begin_outer(side, flow, head, zlib, cx);
                }
                Outer::Stored { left } => {
                    let here = rest.get(..(*left).min(rest.len()).min(PIECE)).unwrap_or_default();
                    *left = left.saturating_sub(here.len());
                    if *left == 0 {
                        flow.outer = Outer::Head;
                    }
                    at = at.saturating_add(here.len());
                    let end = cx.mark_at(cx.offset.saturating_add(at.saturating_sub(1) as u64)).at;
                    if !self.feed(side, flow, here, end, cx) {
                        return Step::misframed(at);
                    }
                }
                #[cfg(feature = "deflate")]
                Outer::Deflated { .. } => match self.inflate(side, flow, rest, now, cx) {
                    Some(read) => at = at.saturating_add(read),
                    None => {
                        // No such data: the boundary of outer packets is not where it was thought to be.
                        (flow.outer, flow.lost) = (Outer::Head, true);
                        flow.reset();
                        self.lose(side);
                        return Step::misframed(at);
                    }
                },
                Outer::Unread { left } => {
                    let left = core::mem::take(left);
                    flow.outer = Outer::Head;
                    let here = left.min(rest.len());
                    let end = cx.mark_at(cx.offset.saturating_add(at.saturating_add(here).saturating_sub(1) as u64)).at;
                    self.pass_unread(side, left, end.max(now));
                    at = at.saturating_add(here);
                    if here < left {
                        return Step::skip(at, left.saturating_sub(here) as u64);
                    }
                }
            }
            if self.closed_to_us {
                return Step::skip(at, u64::MAX);
            }
        }
    }

    #[cfg(feature = "deflate")]
    fn lose(&mut self, side: Side) {
        match side {
            Side::Client => self.lose_client(),
            Side::Server => self.lose_server(),
        }
    }

    fn begin_outer(&mut self, side: Side, flow: &mut Flow, head: OuterHead, zlib: bool, cx: &mut Context<'_>) {
        let wrapped = core::mem::replace(&mut flow.sequence, head.sequence) == u8::MAX;
        let is_command = side == Side::Client && head.sequence == 0 && !wrapped;
        if is_command && core::mem::take(&mut flow.unread) {
            flow.reset();
            self.client.resume();
        }
        let left = head.length;
        let is_stored = head.unpacked == 0;
        let is_skipped = !is_stored && flow.inner.is_empty() && flow.skip >= head.unpacked as u64;
        if is_skipped {
            // Nobody reads what it holds.
            flow.skip = flow.skip.saturating_sub(head.unpacked as u64);
        }
        flow.outer = match left {
            0 => Outer::Head,
            _ if is_stored => Outer::Stored { left },
            _ if is_skipped => Outer::Unread { left },
            #[cfg(feature = "deflate")]
            _ if zlib => return flow.begin_deflated(left),
            _ => {
                let _ = zlib;
                self.begin_unread(side, flow, is_command, cx);
                Outer::Unread { left }
            }
        };
    }

    /// What is compressed cannot be undone: a command, or (a part of) an answer.
    fn begin_unread(&mut self, side: Side, flow: &mut Flow, is_command: bool, cx: &mut Context<'_>) {
        flow.reset();
        flow.unread = true;
        match side {
            Side::Client if is_command => {
                self.begin_command(flow.mark.at, cx);
                let mut entry = Entry::new(Request::Unread, begin(flow.mark), 0);
                entry.several = true;
                entry.damage = Some(Completeness::Truncated);
                let mut source = Source { cx, unpacked: None };
                self.push(entry, None, &mut source);
            }
            Side::Client => {}
            Side::Server => {
                if let Some(head) = self.queue.head() {
                    head.hear(flow.mark, 0, flow.mark.at);
                }
                self.damage_head(Completeness::Truncated);
                self.server.lost = true;
            }
        }
    }

    /// Bytes that are not undone belong to what is under way.
    fn pass_unread(&mut self, side: Side, length: usize, end: Timestamp) {
        match side {
            Side::Client => {
                if let Some(newest) = self.queue.newest() {
                    extend(&mut newest.request, length as u64, end);
                }
            }
            Side::Server => {
                if let Some(head) = self.queue.head().filter(|head| head.has_response) {
                    extend(&mut head.response, length as u64, end);
                }
            }
        }
    }
}

/// The first place where an outer packet begins; `Err`: nowhere, and how many bytes in front need not be looked at
/// again.
fn find_outer(bytes: &[u8], side: Side) -> Result<usize, usize> {
    for at in 0..bytes.len() {
        let candidate = bytes.get(at..).unwrap_or_default();
        match is_outer(candidate, side) {
            Some(true) => return Ok(at),
            Some(false) => {}
            None => return Err(at),
        }
    }
    Err(bytes.len())
}

/// Bytes of zlib around a short text that is not made shorter.
const MAX_AROUND: usize = 16;

/// Whether an outer packet begins in front, of a client with a command in it.
pub(super) fn is_outer(bytes: &[u8], side: Side) -> Option<bool> {
    let Some(head) = OuterHead::read(bytes) else {
        let is_numbered = bytes.get(3).is_none_or(|&sequence| sequence == u8::from(side == Side::Server));
        return if is_numbered { None } else { Some(false) };
    };
    let sequence = u8::from(side == Side::Server);
    if head.sequence != sequence || head.length == 0 {
        return Some(false);
    }
    let held = bytes.get(OUTER..).unwrap_or_default();
    if head.unpacked > 0 {
        // The two bytes that zlib begins with.
        let begins = |magic: &[u8; 2]| magic[0] == 0x78 && u16::from_be_bytes(*magic).is_multiple_of(31);
        // Some compress what that makes longer, by what zlib needs around stored bytes.
        let most = head.unpacked.saturating_add(head.unpacked / 1024).saturating_add(MAX_AROUND);
        return held.first_chunk().map(|magic| begins(magic) && head.length <= most);
    }
    let inner = Head::read(held)?;
    let &first = held.get(HEAD)?;
    Some(match side {
        Side::Client => inner.sequence == 0 && inner.size() <= head.length && shape::is_command(first, inner.length),
        Side::Server => inner.length > 0 && inner.sequence == 1,
    })
}

/// Whether a packet of a session that is not compressed is there, which is a command.
fn is_whole_command(bytes: &[u8]) -> bool {
    let head = Head::read(bytes).filter(|head| head.size() <= bytes.len());
    head.is_some_and(|head| bytes.get(HEAD).is_some_and(|&first| shape::is_command(first, head.length)))
}

impl super::client::ClientState {
    /// A command begins, whatever was before it.
    fn resume(&mut self) {
        self.phase = Phase::Commands;
        self.forget_packet();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zlib_makes_longer_is_a_packet_too() {
        // A query of 70 bytes in 73, and the answer to another.
        assert_eq!(is_outer(b"\x49\0\0\0\x46\0\0\x78\x9csb```", Side::Client), Some(true));
        assert_eq!(is_outer(b"\x7f\0\0\x01\xba\0\0\x78\x9cccd", Side::Server), Some(true));
        assert_eq!(is_outer(b"\x49\0\0\0\x26\0\0\x78\x9csb```", Side::Client), Some(false));
        assert_eq!(is_outer(b"\x49\0\0\0\x46\0\0\x78\x9dsb```", Side::Client), Some(false));
    }
}
