//! Where the dialects disagree: what decides only where none of them is known.

use super::{Class, Kind, Lexer, block_comment, class, is_word, run};

/// The longest name in brackets: 128 characters in SQL Server, of up to four bytes.
const MAX_BRACKETED: usize = 514;

impl Lexer<'_> {
    /// Whether a token of no known dialect may end elsewhere than it does in MySQL.
    #[cold]
    pub(super) fn is_doubtful(&self, first: u8, second: Option<u8>) -> bool {
        let rest = self.rest;
        match (first, second) {
            // Oracle's q'[…]' and nq'[…]'.
            (b'\'', _) => self.last.is_some_and(|last| {
                last.kind == Kind::Word && [&b"q"[..], b"nq"].iter().any(|word| last.text.eq_ignore_ascii_case(word))
            }),
            // $$…$$, $tag$…$tag$.
            (b'$', Some(second)) if !second.is_ascii_digit() => {
                let after = rest.get(1..).unwrap_or_default();
                after.get(run(after, |byte| byte != b'$' && is_word(byte))) == Some(&b'$')
            }
            // A comment, or the beginning of a name.
            (b'#', _) => true,
            // A comment only where no white space has to follow.
            (b'-', Some(b'-')) => {
                let next = rest.get(run(rest, |byte| byte == b'-'));
                next.is_some_and(|&next| class(next) != Class::Space)
            }
            // A comment whose text may be run, or that may nest.
            (b'/', Some(b'*')) => {
                let text = rest.get(2..block_comment(rest, false)).unwrap_or_default();
                self.is_conditional() || text.windows(2).any(|pair| pair == b"/*")
            }
            // A name with a quote inside.
            (b'[', _) => {
                let name = rest.iter().take(MAX_BRACKETED).position(|&byte| byte == b']');
                let name = rest.get(..name.unwrap_or(0)).unwrap_or_default();
                let is_odd = |quote: u8| name.iter().filter(|&&byte| byte == quote).count() & 1 == 1;
                is_odd(b'\'') || is_odd(b'"') || is_odd(b'`')
            }
            _ => false,
        }
    }
}
