//! What is left of the parser while its connection is idle.

use alloc::boxed::Box;

use super::{Half, HttpParser, State};
use crate::{
    Exchange, Timestamp,
    pairing::Pairing,
    parser::{Context, Parser, Side, Step, Successor},
};

/// The parser of a connection, which is next to nothing while the connection is idle.
#[derive(Debug, Default)]
pub(super) struct Resting {
    parser: Option<Box<HttpParser>>,
    /// A message was seen whole, so that the next byte begins one.
    settled: bool,
    pairing: Pairing,
}

impl Resting {
    fn parser(&mut self) -> &mut HttpParser {
        let (settled, pairing) = (self.settled, self.pairing);
        self.parser.get_or_insert_with(|| {
            let state = if settled { State::Start } else { State::Lost };
            let half = || Half { state, torn: !settled, ..Half::default() };
            Box::new(HttpParser { client: half(), server: half(), pairing, joined: !settled, ..HttpParser::default() })
        })
    }
}

impl Parser for Resting {
    fn parse(&mut self, side: Side, bytes: &[u8], cx: &mut Context<'_>) -> Step {
        self.parser().parse(side, bytes, cx)
    }

    fn gap(&mut self, side: Side, length: u64, cx: &mut Context<'_>) {
        self.parser().gap(side, length, cx);
    }

    fn join(&mut self) {
        let parser = self.parser();
        let verdict = parser.pairing.lose(true);
        parser.judge(verdict);
    }

    fn leave(&mut self) {
        if let Some(parser) = self.parser.as_mut() {
            parser.left = true;
        }
    }

    fn close(&mut self, cx: &mut Context<'_>) {
        if let Some(parser) = self.parser.as_mut() {
            parser.close(cx);
        }
    }

    fn successor(&mut self) -> Option<Successor> {
        self.parser.as_mut()?.successor.take()
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.parser.as_ref()?.pairing.quiet_at()
    }

    fn timeout(&mut self, _cx: &mut Context<'_>) {
        if let Some(parser) = self.parser.as_mut() {
            parser.quiet();
        }
    }

    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        self.parser.as_mut()?.poll_exchange()
    }

    fn has_exchange(&self) -> bool {
        self.parser.as_ref().is_some_and(|parser| parser.queue.has_finished())
    }

    fn memory(&self) -> usize {
        self.parser.as_ref().map_or(0, |parser| parser.memory()).saturating_add(size_of::<Self>())
    }

    fn shrink(&mut self) {
        let Some(parser) = self.parser.as_mut() else { return };
        parser.shrink();
        if parser.is_idle() {
            self.settled = true;
            self.pairing = parser.pairing;
            self.parser = None;
        }
    }
}
