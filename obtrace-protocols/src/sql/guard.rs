//! Words that are data: a password need not stand in quotes. What a [`Guard`] takes for a secret is given on as a
//! literal:
//!
//! - every word behind `IDENTIFIED BY` and the like, and behind `PASSWORD` and names like it in a statement that
//!   manages accounts or settings (`CREATE USER`, `SET`, `CHANGE MASTER`), up to the end of the statement, but those
//!   words that such statements are made of. They have to stand by themselves, and where a value has to follow only
//!   what may stand for one is kept: `PASSWORD 'x'`, `RANDOM`, `DEFAULT`, `NULL`. A value reaches to white space, a
//!   comma or a parenthesis;
//! - in any statement the word behind `password =` with what touches it, unless it is a part of a name or a function,
//!   and in `PASSWORD(…)`;
//! - a quoted name that has `=` or `://` inside: a connection string in the wrong quotes.
//!
//! Other quoted names stay, also where a value would stand: `VALUES ("hunter2")` names a column in PostgreSQL.

mod account;
mod words;

use super::lexer::Sink;
use crate::credential::{SHORTEST, is_secret};
use words::{ACCOUNTS, CHANGES, EXPRESSIONS, FUNCTIONS, IDENTIFIED, METHODS, OBJECTS, QUERIES, SETTINGS, is_one_of};

/// What kind of statement it is, as far as it decides which words are secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    /// No word yet.
    Begin,
    /// CREATE or ALTER, and so many words behind it that do not say of what.
    Made(u8),
    /// It manages accounts, servers, settings.
    Account,
    /// It does not.
    Other,
    /// From here on words are data.
    Secret,
}

/// What the last token was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    /// A word or a name; a colon may follow it.
    Name,
    /// A name and `=`, or a function of passwords and `(`.
    Equals,
    /// A secret without quotes; what touches it belongs to it.
    Assigned,
    /// IDENTIFIED.
    Identified,
    /// In [`Statement::Secret`] what a value follows: `BY`, `=`.
    Value,
    /// There what a value is named by. Some words may stand in between.
    Option,
    /// There a value.
    Told,
    /// There a value and a comma: what follows may become one with it.
    Listed,
}

/// Words between CREATE and the kind of object that are passed at most.
const MAX_MADE: u8 = 8;

/// Bytes of the shortest word that says what is created.
const SHORTEST_OBJECT: usize = 3;

pub(super) struct Guard<'a, S> {
    pub(super) to: S,
    sql: &'a [u8],
    /// Where the next token begins.
    at: usize,
    statement: Statement,
    after: After,
    /// The last word or name, and where it ended.
    name: &'a [u8],
    name_end: usize,
    /// Where the last value ended, of which everything is data.
    value_end: usize,
    /// Where the last token ended that makes data of a word that touches it.
    bound_end: usize,
}

impl<'a, S: Sink<'a>> Guard<'a, S> {
    pub(super) const fn new(sql: &'a [u8], to: S) -> Self {
        Self {
            to,
            sql,
            at: 0,
            statement: Statement::Begin,
            after: After::Nothing,
            name: &[],
            name_end: 0,
            value_end: usize::MAX,
            bound_end: usize::MAX,
        }
    }

    #[inline(always)]
    fn pass(&mut self, text: &[u8]) {
        // Tokens follow each other in one text.
        self.at = self.at.wrapping_add(text.len());
    }

    #[inline(always)]
    fn remember(&mut self, text: &'a [u8]) {
        self.after = After::Name;
        self.name = text;
        self.name_end = self.at;
    }

    /// Whether the token that was read last begins here.
    fn begins_at(&self, text: &[u8], place: usize) -> bool {
        self.at.wrapping_sub(text.len()) == place
    }

    /// What follows the token.
    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Whether a word is a secret, where its place or itself may say so; not in [`Statement::Secret`].
    fn is_secret_word(&mut self, text: &'a [u8]) -> bool {
        let after = core::mem::replace(&mut self.after, After::Nothing);
        let is_expression = after == After::Equals && is_one_of(text, &EXPRESSIONS);
        if !is_expression && self.is_assigned(text, after) {
            return true;
        }
        if after == After::Identified && is_one_of(text, &METHODS) {
            self.statement = Statement::Secret;
            self.after = if text.eq_ignore_ascii_case(b"with") { After::Nothing } else { After::Value };
            return false;
        }
        self.look(text);
        if self.statement != Statement::Secret {
            self.remember(text);
            if text.eq_ignore_ascii_case(IDENTIFIED) {
                self.after = After::Identified;
            }
        }
        false
    }

    /// Whether what follows a name and `=` is a value of its own that has the name of a secret, or goes on with one.
    fn is_assigned(&mut self, text: &[u8], after: After) -> bool {
        let is_part = match self.rest() {
            [b'(', ..] => true,
            // What a number makes of it, which goes, must not decide.
            [b'.', next @ ..] => !next.first().is_some_and(u8::is_ascii_digit),
            _ => false,
        };
        let is_assigned = match after {
            After::Equals => is_secret(self.name),
            After::Assigned => self.begins_at(text, self.bound_end),
            _ => false,
        };
        if is_assigned && !is_part {
            self.after = After::Assigned;
            self.bound_end = self.at;
            return true;
        }
        false
    }

    /// What a word says of its statement.
    fn look(&mut self, text: &[u8]) {
        self.statement = match self.statement {
            Statement::Begin if is_one_of(text, &CHANGES) => Statement::Made(0),
            Statement::Begin if is_one_of(text, &SETTINGS) => Statement::Account,
            Statement::Begin if text.eq_ignore_ascii_case(b"begin") => Statement::Begin,
            Statement::Begin => Statement::Other,
            Statement::Made(words) if text.len() < SHORTEST_OBJECT && words < MAX_MADE => {
                Statement::Made(words.saturating_add(1))
            }
            Statement::Made(_) if is_one_of(text, &ACCOUNTS) => Statement::Account,
            Statement::Made(words) if words >= MAX_MADE || is_one_of(text, &OBJECTS) => Statement::Other,
            Statement::Made(words) => Statement::Made(words.saturating_add(1)),
            // SET STATEMENT … FOR SELECT.
            Statement::Account if self.name.eq_ignore_ascii_case(b"for") && is_one_of(text, &QUERIES) => {
                Statement::Other
            }
            Statement::Account if text.len() < SHORTEST => Statement::Account,
            Statement::Account if text.eq_ignore_ascii_case(b"connection") || is_secret(text) => {
                self.after = After::Option;
                Statement::Secret
            }
            other => other,
        };
    }

    /// Whether a quoted name is a secret; not in [`Statement::Secret`].
    fn is_secret_name(&mut self, text: &'a [u8]) -> bool {
        let after = core::mem::replace(&mut self.after, After::Nothing);
        if self.is_assigned(text, after) || text.contains(&b'=') || text.windows(3).any(|three| three == b"://") {
            return true;
        }
        self.remember(text);
        false
    }

    /// What a symbol says of the next token, not in [`Statement::Secret`].
    #[inline(always)]
    fn punctuation(&mut self, text: &[u8]) -> After {
        match (text, self.after) {
            (_, After::Assigned) => self.go_on(text),
            ([b'='] | [b'=', b'>'], After::Name) if self.name.len() >= SHORTEST => After::Equals,
            ([b':'], After::Name) => After::Name,
            ([b'('], After::Equals) => After::Equals,
            ([b'('], After::Name) if self.is_function() => After::Equals,
            _ => After::Nothing,
        }
    }

    /// What a symbol or a literal behind a secret says: what touches it is still the secret.
    fn go_on(&mut self, text: &[u8]) -> After {
        if matches!(text, [b'(' | b')' | b',']) || !self.begins_at(text, self.bound_end) {
            return After::Nothing;
        }
        self.bound_end = self.at;
        After::Assigned
    }

    /// Whether the parenthesis that was read last follows the name of a function of passwords.
    fn is_function(&self) -> bool {
        self.name_end.wrapping_add(1) == self.at && is_one_of(self.name, &FUNCTIONS)
    }
}

impl<'a, S: Sink<'a>> Sink<'a> for Guard<'a, S> {
    #[inline(always)]
    fn space(&mut self, text: &'a [u8]) {
        self.pass(text);
        self.to.space(text);
    }

    #[inline(always)]
    fn comment(&mut self, text: &'a [u8]) {
        self.pass(text);
        self.to.comment(text);
    }

    #[inline(always)]
    fn word(&mut self, text: &'a [u8]) {
        self.pass(text);
        let is_plain = self.statement == Statement::Other && matches!(self.after, After::Nothing | After::Name);
        if is_plain && text.len() != IDENTIFIED.len() {
            self.remember(text);
            return self.to.word(text);
        }
        if self.statement == Statement::Secret {
            return self.tell_word(text);
        }
        if self.is_secret_word(text) { self.to.literal(text) } else { self.to.word(text) }
    }

    #[inline(always)]
    fn name(&mut self, text: &'a [u8]) {
        self.pass(text);
        if self.statement == Statement::Secret {
            return self.tell_value(text);
        }
        if self.is_secret_name(text) { self.to.literal(text) } else { self.to.name(text) }
    }

    #[inline(always)]
    fn literal(&mut self, text: &'a [u8]) {
        self.pass(text);
        if self.statement == Statement::Secret {
            return self.tell_value(text);
        }
        self.after = if self.after == After::Assigned { self.go_on(text) } else { After::Nothing };
        self.to.literal(text);
    }

    #[inline(always)]
    fn symbol(&mut self, text: &'a [u8]) {
        self.pass(text);
        if matches!(text, [b';']) {
            self.statement = Statement::Begin;
            self.after = After::Nothing;
        } else if self.statement == Statement::Secret {
            return self.tell_symbol(text);
        } else if self.after != After::Nothing {
            self.after = self.punctuation(text);
        }
        self.to.symbol(text);
    }

    #[inline(always)]
    fn goes_on(&self) -> bool {
        self.to.goes_on()
    }
}

#[cfg(test)]
mod tests;
