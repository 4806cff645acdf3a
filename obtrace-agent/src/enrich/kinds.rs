//! The kinds of span that a loader in the process reports.

use obtrace_export::model::SpanKind;

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

const NAMES: [(&str, SpanKind); 4] = [
    ("server", SpanKind::Server),
    ("client", SpanKind::Client),
    ("producer", SpanKind::Producer),
    ("consumer", SpanKind::Consumer),
];

impl Kinds {
    /// Reads `OBTRACE_TRACED`: names separated by commas; one that is not known has no effect.
    pub(crate) fn parse(text: &str) -> Self {
        let names = || text.split(',').map(str::trim);
        let bits = NAMES.iter().enumerate().filter(|(_, (name, _))| names().any(|other| other == *name));
        Self(bits.map(|(bit, _)| 1 << bit).sum())
    }

    pub(crate) fn has(self, kind: SpanKind) -> bool {
        NAMES.iter().position(|(_, other)| *other == kind).is_some_and(|bit| self.0 >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_kinds() {
        let both = Kinds::parse("server, client");
        assert!(both.has(SpanKind::Server) && both.has(SpanKind::Client) && !both.has(SpanKind::Producer));
        assert_eq!(Kinds::parse("server,server,else"), Kinds::parse("server"));
        assert_eq!(Kinds::parse(""), Kinds::default());
        assert!(!Kinds::default().has(SpanKind::Internal));
    }
}
