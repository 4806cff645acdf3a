//! What is inside the outer packets.

use super::Flow;
#[cfg(feature = "deflate")]
use super::{Inflater, Outer, PIECE};
use crate::{
    Timestamp,
    mysql::parser::{MySqlParser, Source, Unpacked},
    parser::{Context, Side, Then},
};

impl MySqlParser {
    /// Undoes a piece; how many bytes were read for it. `None`: these are no compressed bytes.
    #[cfg(feature = "deflate")]
    pub(super) fn inflate(
        &mut self,
        side: Side,
        flow: &mut Flow,
        bytes: &[u8],
        now: Timestamp,
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        use miniz_oxide::{MZFlush, MZStatus, inflate::stream::inflate};

        let mut piece = [0_u8; PIECE];
        let Outer::Deflated { left } = &mut flow.outer else { return None };
        let Inflater(state) = flow.inflater.as_deref_mut()?;
        let here = bytes.get(..(*left).min(bytes.len()))?;
        let result = inflate(state, here, &mut piece, MZFlush::None);
        let is_over = match result.status {
            Ok(MZStatus::StreamEnd) => true,
            Ok(_) => false,
            // Nothing more can be done with what is here, while more is to come.
            Err(miniz_oxide::MZError::Buf) if here.len() < *left => false,
            Err(_) => return None,
        };
        *left = left.checked_sub(result.bytes_consumed)?;
        flow.more = !is_over && result.bytes_written == PIECE;
        if *left == 0 && is_over {
            flow.outer = Outer::Head;
        } else if is_over || (*left == 0 && result.bytes_written == 0) {
            return None;
        }
        let piece = piece.get(..result.bytes_written)?;
        self.feed(side, flow, piece, now, cx).then_some(result.bytes_consumed)
    }

    /// Parses inner bytes. Whether they were what they should be.
    pub(super) fn feed(
        &mut self,
        side: Side,
        flow: &mut Flow,
        bytes: &[u8],
        now: Timestamp,
        cx: &mut Context<'_>,
    ) -> bool {
        let skipped = usize::try_from(flow.skip).unwrap_or(usize::MAX).min(bytes.len());
        flow.skip = flow.skip.saturating_sub(skipped as u64);
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return true;
        }
        let old = flow.inner.len();
        let mut inner = core::mem::take(&mut flow.inner);
        inner.extend_from_slice(bytes);
        let mut at = 0_usize;
        let mut is_right = true;
        while at < inner.len() && inner.len().saturating_sub(at) >= flow.need {
            let unpacked = Unpacked { old: old.saturating_sub(at), first: flow.first, second: flow.mark, end: now };
            let mut source = Source { cx, unpacked: Some(unpacked) };
            let rest = inner.get(at..).unwrap_or_default();
            let step = match side {
                Side::Client => self.parse_client(rest, &mut source),
                Side::Server => self.parse_server(rest, &mut source),
            };
            at = at.saturating_add(step.consumed);
            let left = inner.len().saturating_sub(at);
            match step.then {
                Then::Need(need) => {
                    flow.need = need.max(left.saturating_add(1));
                    break;
                }
                Then::Skip(n) => {
                    let here = usize::try_from(n).unwrap_or(usize::MAX).min(left);
                    at = at.saturating_add(here);
                    flow.skip = n.saturating_sub(here as u64);
                    flow.need = 0;
                }
                Then::Wait => break,
                // This protocol gives its connection to no other.
                Then::Switch | Then::Misframed => {
                    is_right = false;
                    at = inner.len();
                    flow.need = 0;
                }
            }
        }
        if at >= old {
            flow.first = flow.mark;
        }
        inner.drain(..at.min(inner.len()));
        flow.inner = inner;
        is_right
    }
}
