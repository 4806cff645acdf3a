//! PostgreSQL.

use alloc::boxed::Box;
use core::marker::PhantomData;

use crate::{
    Config, Exchange,
    detect::Verdict,
    parser::{Context, Parser, Side, Step},
};

/// What only PostgreSQL has.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PostgresDetails<'a> {
    /// Not filled yet.
    pub borrow: PhantomData<&'a ()>,
}

impl PostgresDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> PostgresDetails<'static> {
        PostgresDetails { borrow: PhantomData }
    }
}

pub(crate) fn matches(_client: &[u8], _server: &[u8]) -> Verdict {
    Verdict::No
}

pub(crate) fn new_parser(_config: &Config) -> Box<dyn Parser> {
    Box::new(PostgresParser)
}

struct PostgresParser;

impl Parser for PostgresParser {
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
