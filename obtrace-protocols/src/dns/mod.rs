//! DNS.

use alloc::boxed::Box;
use core::marker::PhantomData;

use crate::{
    Config, Exchange,
    detect::Verdict,
    parser::{Context, Parser, Side, Step},
};

/// What only DNS has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DnsDetails<'a> {
    /// Not filled yet.
    pub borrow: PhantomData<&'a ()>,
}

impl DnsDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> DnsDetails<'static> {
        DnsDetails { borrow: PhantomData }
    }
}

pub(crate) fn matches(_client: &[u8], _server: &[u8]) -> Verdict {
    Verdict::No
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::new(DnsParser)
}

struct DnsParser;

impl Parser for DnsParser {
    fn parse(&mut self, _side: Side, bytes: &[u8], _cx: &mut Context<'_>) -> Step {
        Step::need(bytes.len(), 1)
    }
    fn gap(&mut self, _side: Side, _length: u64, _cx: &mut Context<'_>) {}
    fn close(&mut self, _cx: &mut Context<'_>) {}
    fn poll_exchange(&mut self) -> Option<Exchange<'_>> {
        None
    }
    fn has_exchange(&self) -> bool {
        false
    }
    fn memory(&self) -> usize {
        0
    }
    fn shrink(&mut self) {}
}

/// Whether a datagram is a DNS message, and if so whether it is a query.
pub(crate) fn matches_datagram(_bytes: &[u8]) -> Option<bool> {
    None
}
