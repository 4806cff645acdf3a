//! SQL text made fit to leave the process: literals replaced, a summary of low cardinality, the operation and the
//! table.
//!
//! Works on tokens, not on a grammar: any bytes are accepted, the cost is linear in their number, and a statement
//! that was cut in the middle gives what its beginning says. Nothing is executed, looked up or guessed.
//!
//! The summary is that of [`db.query.summary`](https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query):
//! at most 255 bytes. Lexical rules are those of [PostgreSQL](https://www.postgresql.org/docs/current/sql-syntax-lexical.html)
//! (§4.1) and [MySQL](https://dev.mysql.com/doc/refman/8.4/en/language-structure.html) (chapter 11).
//!
//! Limits: 32 levels of parentheses are told apart, 16 names of common table expressions remembered for a statement.
//!
//! ```
//! use obtrace_protocols::sql::{Dialect, Digest};
//! let mut digest = Digest::new();
//! digest.read(b"select * from orders o join users u on u.id = o.user_id where o.id in (7, 8, 9)", Dialect::Postgres);
//! assert_eq!(digest.text(), "select * from orders o join users u on u.id = o.user_id where o.id in (?)");
//! assert_eq!(digest.summary(), "SELECT orders users");
//! assert_eq!((digest.operation(), digest.target()), ("SELECT", "orders"));
//! ```

mod guard;
mod keyword;
mod lexer;
mod outline;
mod sanitize;
pub(crate) mod wire;

use alloc::string::String;
use core::ops::Range;

use guard::Guard;
use keyword::Keyword;
use lexer::{Lexer, Sink};
use outline::Outline;
use sanitize::Sanitizer;
pub use wire::SqlDetails;

/// Whose SQL it is: what the dialects disagree on is where a string and a comment end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL: `"name"`, `E'…'`, `$tag$…$tag$`, comments that nest.
    #[default]
    Postgres,
    /// PostgreSQL with `standard_conforming_strings = off`: a backslash escapes in plain strings too.
    PostgresBackslash,
    /// MySQL and MariaDB: `` `name` ``, strings in double quotes too, backslash escapes, `#` comments.
    MySql,
    /// MySQL and MariaDB with `NO_BACKSLASH_ESCAPES`: a backslash is a character like others.
    MySqlNoBackslash,
}

impl Dialect {
    fn backslash_escapes(self) -> bool {
        matches!(self, Self::PostgresBackslash | Self::MySql)
    }

    fn is_mysql(self) -> bool {
        matches!(self, Self::MySql | Self::MySqlNoBackslash)
    }
}

/// How much of a [`Dialect`] is known. What is told of a text ends where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// All of it.
    Dialect,
    /// Not whether a backslash escapes in plain strings.
    Family,
    /// It may be any other, too.
    Nothing,
}

/// A dialect as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grammar {
    dialect: Dialect,
    known: Known,
}

impl Grammar {
    /// Of an unknown protocol.
    pub(crate) const UNKNOWN: Self = Self { dialect: Dialect::MySql, known: Known::Nothing };
    /// PostgreSQL's, as long as nobody says what a backslash is.
    pub(crate) const POSTGRES: Self = Self { dialect: Dialect::Postgres, known: Known::Family };
    /// The same of MySQL.
    pub(crate) const MYSQL: Self = Self { dialect: Dialect::MySql, known: Known::Family };

    pub(crate) const fn of(dialect: Dialect) -> Self {
        Self { dialect, known: Known::Dialect }
    }
}

/// The longest [`Digest::summary`] in bytes, by OpenTelemetry's rule for `db.query.summary`.
pub const MAX_SUMMARY: usize = 255;

/// What can be said about a statement. Made to be used again: [`Digest::read`] keeps the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    text: String,
    summary: String,
    found: Found,
}

/// Where in the summary the parts are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    operation: Range<usize>,
    target: Range<usize>,
    statements: u32,
}

impl Digest {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        let found = Found { operation: 0..0, target: 0..0, statements: 0 };
        Self { text: String::new(), summary: String::new(), found }
    }

    /// Reads a statement, or several separated by `;`. What was read before is forgotten.
    pub fn read(&mut self, sql: &[u8], dialect: Dialect) {
        self.read_as(sql, Grammar::of(dialect), false);
    }

    /// As [`Digest::read`], but [`Digest::text`] is the statement as it is, with everything it says.
    pub fn read_raw(&mut self, sql: &[u8], dialect: Dialect) {
        self.read_as(sql, Grammar::of(dialect), true);
    }

    /// Either of both.
    pub(crate) fn read_as(&mut self, sql: &[u8], grammar: Grammar, raw: bool) {
        self.text.clear();
        self.summary.clear();
        if raw {
            sanitize::push_lossy(&mut self.text, sql);
            self.found = guarded(sql, grammar, Outline::new(&mut self.summary)).finish();
            return;
        }
        let both = (Sanitizer::new(sql, &mut self.text), Outline::new(&mut self.summary));
        let (sanitizer, outline) = guarded(sql, grammar, both);
        sanitizer.finish();
        self.found = outline.finish();
    }

    /// The sanitised text: see [`sanitize`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Operations and tables in their order: see [`summary`].
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What the first statement does: `SELECT`, `CREATE TABLE`. Upper case; behind a `WITH`, the statement that uses
    /// it. Empty if it is not a verb of SQL.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.summary.get(self.found.operation.clone()).unwrap_or_default()
    }

    /// The table (view, procedure) that the first statement is about: its first outside of a `WITH`. Without the
    /// quotes of a name that is one quoted identifier. Empty if there is none.
    #[must_use]
    pub fn target(&self) -> &str {
        let target = self.summary.get(self.found.target.clone()).unwrap_or_default();
        let unquoted =
            |quote: char| target.strip_prefix(quote)?.strip_suffix(quote).filter(|name| !name.contains(quote));
        unquoted('"').or_else(|| unquoted('`')).unwrap_or(target)
    }

    /// How many statements there are.
    #[must_use]
    pub const fn statements(&self) -> u32 {
        self.found.statements
    }

    /// Heap bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.capacity().saturating_add(self.summary.capacity())
    }

    /// Forgets everything and gives the memory back.
    pub fn release(&mut self) {
        *self = Self::new();
    }

    /// Gives back what is not needed to hold the present statement.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.summary.shrink_to_fit();
    }
}

/// Writes `sql` to `out` (which is emptied first) without anything that may be data:
///
/// - every literal becomes `?`: strings of all kinds, numbers with their sign, bit strings;
/// - so do words and quoted names where a password stands, with all that touches them: behind `IDENTIFIED BY`,
///   `PASSWORD`, `password =` and names like it, and all but the known words of a statement that manages accounts or
///   settings from there on. Elsewhere quoted names stay: `VALUES ("hunter2")` names a column in PostgreSQL;
/// - neighbours `?, ?` become one `?`, neighbours `(?), (?)` one `(?)`, so that lists of any length look the same;
/// - comments go, white space becomes one space;
/// - `$1`, keywords, identifiers and operators stay as they are. What is not UTF-8 becomes U+FFFD;
/// - the text ends in a `?` where it cannot be told where a string ends: one with escapes that is not UTF-8 in front of a
///   backslash, which may be half a character.
///
/// Applying it twice changes nothing.
///
/// ```
/// use obtrace_protocols::sql::{Dialect, sanitize};
/// let mut text = String::new();
/// sanitize(b"INSERT INTO t VALUES (-1, E'it\\'s'), (0x2F, $a$b$a$) -- why", Dialect::Postgres, &mut text);
/// assert_eq!(text, "INSERT INTO t VALUES (?)");
/// ```
pub fn sanitize(sql: &[u8], dialect: Dialect, out: &mut String) {
    out.clear();
    guarded(sql, Grammar::of(dialect), Sanitizer::new(sql, out)).finish();
}

/// Writes the `db.query.summary` of `sql` to `out` (which is emptied first): operations and the tables they work on, in the
/// order of the text, statements separated by `; `, at most [`MAX_SUMMARY`] bytes and cut between words
/// ([conventions](https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query)).
/// Names of common table expressions, functions and aliases are not tables. Quoted names keep their quotes.
///
/// ```
/// use obtrace_protocols::sql::{Dialect, summary};
/// let mut text = String::new();
/// summary(b"INSERT INTO shipping_details (a) SELECT a FROM orders WHERE id = 7", Dialect::Postgres, &mut text);
/// assert_eq!(text, "INSERT shipping_details SELECT orders");
/// ```
pub fn summary(sql: &[u8], dialect: Dialect, out: &mut String) {
    out.clear();
    guarded(sql, Grammar::of(dialect), Outline::new(out)).finish();
}

/// Gives all tokens, words that are data as literals.
#[inline]
fn guarded<'a, S: Sink<'a>>(sql: &'a [u8], grammar: Grammar, to: S) -> S {
    let mut guard = Guard::new(sql, to);
    Lexer::new(sql, grammar).give(&mut guard);
    guard.to
}

/// Whether a text begins as a statement does: with a verb of SQL, behind comments, or is empty.
pub(crate) fn is_statement(sql: &[u8], dialect: Dialect) -> bool {
    first_word(sql, dialect).is_none_or(|(is_verb, _)| is_verb)
}

/// The same of a text whose end is missing: only where its first word is there to the end.
pub(crate) fn begins_statement(sql: &[u8], dialect: Dialect) -> bool {
    first_word(sql, dialect).is_some_and(|(is_verb, goes_on)| is_verb && goes_on)
}

/// Whether they are the five characters of an SQLSTATE.
pub(crate) fn is_sqlstate(state: &[u8; 5]) -> bool {
    state.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z'))
}

/// Whether the first word, behind comments, is a verb of SQL, and whether something stands behind it.
fn first_word(sql: &[u8], dialect: Dialect) -> Option<(bool, bool)> {
    let mut first = First::default();
    Lexer::new(sql, Grammar::of(dialect)).give(&mut first);
    Some((first.is_verb?, first.is_followed))
}

/// Looks for the first word.
#[derive(Default)]
struct First {
    is_verb: Option<bool>,
    is_followed: bool,
}

impl First {
    fn take(&mut self, is_verb: Option<bool>) {
        self.is_followed = self.is_verb.is_some();
        self.is_verb = self.is_verb.or(is_verb);
    }
}

impl<'a> Sink<'a> for First {
    fn space(&mut self, _text: &'a [u8]) {
        self.take(None);
    }

    fn comment(&mut self, _text: &'a [u8]) {
        self.take(None);
    }

    fn word(&mut self, text: &'a [u8]) {
        self.take(Some(Keyword::of(text).is_verb()));
    }

    fn name(&mut self, _text: &'a [u8]) {
        self.take(Some(false));
    }

    fn literal(&mut self, _text: &'a [u8]) {
        self.take(Some(false));
    }

    fn symbol(&mut self, text: &'a [u8]) {
        self.take(if matches!(text, b"(" | b";") { None } else { Some(false) });
    }

    fn goes_on(&self) -> bool {
        !self.is_followed
    }
}

#[cfg(test)]
mod tests;
