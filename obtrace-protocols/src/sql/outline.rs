//! Finds the operations and the tables of a statement in its tokens: a small machine with one byte of state a level
//! of parentheses.

use alloc::string::String;

use super::{
    Found, MAX_SUMMARY,
    lexer::{Kind, Token},
    sanitize::push_lossy,
};

/// Levels of parentheses that are told apart; what is deeper counts as the deepest.
const LEVELS: usize = 32;
/// Names of common table expressions that are remembered for one statement.
const EXPRESSIONS: usize = 16;

/// No keyword is longer.
const LONGEST: usize = 17;
/// No keyword is shorter.
const SHORTEST: usize = 2;

/// A verb was seen on this level: FROM, INTO and JOIN are its clauses (and not those of `extract(year FROM …)`).
const CLAUSES: u8 = 1;
/// A list of tables: what follows a comma is the next one.
const LIST: u8 = 2;
/// Between WITH and the verb that uses its expressions.
const WITH: u8 = 4;

/// What the next tokens may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Nothing,
    /// A table's name. Without `call`, a parenthesis behind it makes it a function.
    Name {
        call: bool,
    },
    /// The rest of a qualified name, or its end.
    Dot {
        call: bool,
    },
    Part {
        call: bool,
    },
    /// The kind of object behind CREATE, ALTER, DROP.
    Object,
    /// The name of a common table expression.
    Expression,
    /// TRANSACTION behind START.
    Transaction,
}

/// What kind of statement this is, as far as it decides which words are verbs and clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    /// No verb yet.
    Begin,
    Query,
    /// DELETE and MERGE: USING begins a list of tables.
    Using,
    /// CREATE and the like: a query only behind AS.
    Definition,
    /// PREPARE: any verb behind AS.
    Prepare,
    /// GRANT, REVOKE: verbs are privileges.
    Privilege,
    /// Nothing in the rest of it is of interest.
    Plain,
}

pub(super) struct Outline<'a, 'o> {
    out: &'o mut String,
    found: Found,
    levels: [u8; LEVELS],
    depth: usize,
    /// Levels with WITH set.
    withs: usize,
    expect: Expect,
    statement: Statement,
    /// The next word may be a verb: the statement, or a level, begins.
    verb_next: bool,
    /// The statement has been counted.
    counted: bool,
    /// The next words belong to another statement than the words before.
    separate: bool,
    /// The summary has its full length.
    full: bool,
    /// The last token was a dot.
    dotted: bool,
    /// The last word was DISTINCT, as in IS DISTINCT FROM.
    distinct: bool,
    /// The target was found outside of every WITH.
    target_is_main: bool,
    /// Where in the summary the name that is being read begins.
    name: usize,
    expressions: [&'a [u8]; EXPRESSIONS],
    expression_count: usize,
}

impl<'a, 'o> Outline<'a, 'o> {
    pub(super) fn new(out: &'o mut String) -> Self {
        Self {
            out,
            found: Found::default(),
            levels: [0; LEVELS],
            depth: 0,
            withs: 0,
            expect: Expect::Nothing,
            statement: Statement::Begin,
            verb_next: true,
            counted: false,
            separate: false,
            full: false,
            dotted: false,
            distinct: false,
            target_is_main: false,
            name: 0,
            expressions: [&[]; EXPRESSIONS],
            expression_count: 0,
        }
    }

    pub(super) fn finish(mut self) -> Found {
        self.end_name(b"");
        self.found
    }

    #[inline]
    pub(super) fn push(&mut self, token: Token<'a>) {
        if matches!(token.kind, Kind::Space | Kind::Comment) {
            return;
        }
        if !self.counted && token.text != b";" {
            self.counted = true;
            self.found.statements = self.found.statements.saturating_add(1);
        }
        if let Expect::Dot { call } = self.expect {
            if token.text == b"." {
                self.expect = Expect::Part { call };
                return;
            }
            self.end_name(token.text);
        }
        let dotted = core::mem::replace(&mut self.dotted, false);
        match token.kind {
            Kind::Word if dotted => {}
            Kind::Word => self.word(token.text),
            Kind::Name => self.quoted_name(token.text),
            Kind::Symbol => self.symbol(token.text),
            _ => {
                self.expect = Expect::Nothing;
                self.verb_next = false;
            }
        }
    }

    #[inline]
    fn flags(&self) -> u8 {
        self.levels.get(self.depth.min(LEVELS.saturating_sub(1))).copied().unwrap_or_default()
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags() & flag != 0
    }

    #[inline]
    fn set_flags(&mut self, flags: u8) {
        let Some(level) = self.levels.get_mut(self.depth.min(LEVELS.saturating_sub(1))) else { return };
        let had = core::mem::replace(level, flags) & WITH;
        if had != flags & WITH {
            self.withs = if had == 0 { self.withs.saturating_add(1) } else { self.withs.saturating_sub(1) };
        }
    }

    #[inline]
    fn symbol(&mut self, text: &[u8]) {
        match text {
            b"(" => {
                self.depth = self.depth.saturating_add(1);
                // `FROM (a JOIN b)` or `FROM (SELECT …)`: a table or a verb comes next.
                let table = self.expect == Expect::Name { call: false };
                self.set_flags(if table { CLAUSES | LIST } else { 0 });
                self.verb_next = true;
                if !table {
                    self.expect = Expect::Nothing;
                }
                return;
            }
            b")" => {
                if self.depth > 0 {
                    self.set_flags(0);
                    self.depth = self.depth.saturating_sub(1);
                }
                self.expect = Expect::Nothing;
                // Behind EXPLAIN (options).
                self.verb_next = self.depth == 0 && self.statement == Statement::Begin;
                return;
            }
            b"," if self.has(WITH) => self.expect = Expect::Expression,
            b"," if self.has(LIST) => self.expect = Expect::Name { call: false },
            b";" => return self.next_statement(),
            b"." => {
                self.dotted = true;
                if !matches!(self.expect, Expect::Part { .. }) {
                    self.expect = Expect::Nothing;
                }
            }
            _ => self.expect = Expect::Nothing,
        }
        self.verb_next = false;
    }

    fn next_statement(&mut self) {
        self.levels = [0; LEVELS];
        self.depth = 0;
        self.withs = 0;
        self.expect = Expect::Nothing;
        self.statement = Statement::Begin;
        self.verb_next = true;
        self.separate = true;
        self.counted = false;
        self.expression_count = 0;
    }

    fn quoted_name(&mut self, text: &'a [u8]) {
        self.verb_next = false;
        match self.expect {
            Expect::Name { call } => self.begin_name(text, call),
            Expect::Part { call } => self.extend_name(text, call),
            Expect::Expression => self.remember_expression(text),
            _ => {}
        }
    }

    fn word(&mut self, text: &'a [u8]) {
        let mut upper = [0; LONGEST];
        let keyword = upper_case(text, &mut upper);
        let distinct = core::mem::replace(&mut self.distinct, keyword == b"DISTINCT");
        match self.expect {
            Expect::Part { call } => return self.extend_name(text, call),
            Expect::Expression if keyword != b"RECURSIVE" => return self.remember_expression(text),
            Expect::Expression => return,
            Expect::Transaction => {
                self.expect = Expect::Nothing;
                if keyword == b"TRANSACTION" {
                    self.extend_operation(keyword);
                }
                return;
            }
            Expect::Object => return self.object(keyword, text),
            Expect::Name { call } => match keyword {
                b"SELECT" | b"WITH" | b"VALUES" => self.expect = Expect::Nothing,
                b"ON" if self.statement == Statement::Definition => return,
                b"SET" | b"WHERE" | b"TO" | b"STDIN" | b"STDOUT" | b"IN" => self.expect = Expect::Nothing,
                _ if is_name_modifier(keyword) => return,
                _ => return self.begin_name(text, call),
            },
            _ => {}
        }
        let verb_next = core::mem::replace(&mut self.verb_next, false);
        let begins = verb_next || self.has(WITH);
        if begins && self.begin_verb(keyword) {
            return;
        }
        if verb_next && self.statement == Statement::Begin && self.depth == 0 && !self.has(WITH) {
            self.statement = Statement::Plain;
        }
        self.clause(keyword, distinct);
    }

    /// A word where a verb may stand. Whether it is one.
    fn begin_verb(&mut self, keyword: &[u8]) -> bool {
        if self.depth == 0 && matches!(self.statement, Statement::Plain | Statement::Privilege) {
            return false;
        }
        let nested = self.depth > 0;
        match keyword {
            b"SELECT" => self.query(keyword, Expect::Nothing),
            b"INSERT" | b"UPDATE" | b"DELETE" | b"MERGE" | b"REPLACE" if !nested || self.withs > 0 => {
                let expect = if keyword == b"UPDATE" { Expect::Name { call: false } } else { Expect::Nothing };
                self.query(keyword, expect);
                if matches!(keyword, b"DELETE" | b"MERGE") && !nested {
                    self.statement = Statement::Using;
                }
            }
            b"WITH" if !self.has(WITH) => {
                self.set_flags(self.flags() | WITH);
                self.expect = Expect::Expression;
            }
            b"VALUES" if nested => {}
            _ if nested || self.has(WITH) => return false,
            b"VALUES" => self.query(keyword, Expect::Nothing),
            b"TABLE" => self.query(keyword, Expect::Name { call: false }),
            b"EXPLAIN" => {
                self.append_operation(keyword);
                self.verb_next = true;
            }
            // Behind EXPLAIN.
            b"ANALYZE" | b"VERBOSE" if !self.found.operation.is_empty() && self.statement == Statement::Begin => {
                self.verb_next = true;
            }
            _ => return self.statement_verb(keyword),
        }
        true
    }

    fn query(&mut self, keyword: &[u8], expect: Expect) {
        self.set_flags((self.flags() | CLAUSES) & !(WITH | LIST));
        self.append_operation(keyword);
        self.expect = expect;
        let definition = self.depth == 0 && matches!(self.statement, Statement::Definition | Statement::Prepare);
        if definition || self.statement == Statement::Begin {
            self.statement = Statement::Query;
        }
    }

    /// The verbs that only a statement begins with.
    fn statement_verb(&mut self, keyword: &[u8]) -> bool {
        let (statement, expect) = match keyword {
            b"CREATE" | b"ALTER" | b"DROP" | b"REFRESH" | b"REINDEX" => (Statement::Definition, Expect::Object),
            b"TRUNCATE" | b"LOCK" | b"VACUUM" | b"ANALYZE" | b"CLUSTER" => {
                self.set_flags(LIST);
                (Statement::Plain, Expect::Name { call: true })
            }
            b"COPY" | b"CALL" | b"EXECUTE" => (Statement::Plain, Expect::Name { call: true }),
            b"PREPARE" => (Statement::Prepare, Expect::Nothing),
            b"GRANT" | b"REVOKE" => (Statement::Privilege, Expect::Nothing),
            b"DECLARE" => (Statement::Query, Expect::Nothing),
            b"START" => (Statement::Plain, Expect::Transaction),
            _ if is_plain_verb(keyword) => (Statement::Plain, Expect::Nothing),
            _ => return false,
        };
        self.append_operation(keyword);
        self.statement = statement;
        self.expect = expect;
        true
    }

    /// A word that is no name and begins nothing.
    fn clause(&mut self, keyword: &[u8], distinct: bool) {
        let table = Expect::Name { call: false };
        match keyword {
            b"SELECT" if self.statement == Statement::Query || self.statement == Statement::Using || self.depth > 0 => {
                self.query(keyword, Expect::Nothing);
            }
            b"FROM" if self.has(CLAUSES) && !distinct => {
                self.set_flags(self.flags() | LIST);
                self.expect = table;
            }
            b"JOIN" if self.has(CLAUSES) => self.expect = table,
            b"INTO" if self.has(CLAUSES) => self.expect = Expect::Name { call: true },
            b"USING" if self.statement == Statement::Using && self.has(CLAUSES) => {
                // Only the first: the next ones are conditions of joins.
                self.statement = Statement::Query;
                self.set_flags(self.flags() | LIST);
                self.expect = table;
            }
            b"AS" if matches!(self.statement, Statement::Definition | Statement::Prepare) && self.depth == 0 => {
                self.verb_next = true;
            }
            b"ON" if self.depth == 0 && self.statement == Statement::Definition => {
                self.expect = Expect::Name { call: true }
            }
            b"ON" if self.depth == 0 && self.statement == Statement::Privilege => {
                self.statement = Statement::Plain;
                self.expect = Expect::Name { call: true };
            }
            b"WHERE" | b"GROUP" | b"ORDER" | b"HAVING" | b"LIMIT" | b"WINDOW" | b"RETURNING" | b"UNION"
            | b"INTERSECT" | b"EXCEPT" | b"SET" | b"FOR" | b"OFFSET" | b"FETCH" | b"WHEN" => {
                self.set_flags(self.flags() & !LIST);
            }
            _ => {}
        }
    }

    /// Words between CREATE and the name of what is created.
    fn object(&mut self, keyword: &[u8], text: &'a [u8]) {
        match keyword {
            b"MATERIALIZED" | b"FOREIGN" | b"EVENT" => self.extend_operation(keyword),
            b"TABLE" | b"VIEW" => {
                self.extend_operation(keyword);
                self.expect = Expect::Name { call: true };
            }
            b"INDEX" | b"SEQUENCE" | b"TYPE" | b"FUNCTION" | b"PROCEDURE" | b"TRIGGER" | b"SCHEMA" | b"DOMAIN"
            | b"POLICY" | b"RULE" | b"AGGREGATE" | b"STATISTICS" => {
                self.extend_operation(keyword);
                self.expect = Expect::Nothing;
            }
            b"DATABASE" | b"USER" | b"ROLE" | b"EXTENSION" | b"PUBLICATION" | b"SUBSCRIPTION" | b"SERVER"
            | b"SYSTEM" | b"TABLESPACE" | b"COLLATION" | b"CAST" | b"OPERATOR" | b"LANGUAGE" | b"GROUP"
            | b"CONVERSION" | b"TRANSFORM" => {
                self.extend_operation(keyword);
                self.expect = Expect::Nothing;
                self.statement = Statement::Plain;
            }
            _ if is_object_modifier(keyword) || text.is_empty() => {}
            _ => {
                self.expect = Expect::Nothing;
                self.statement = Statement::Plain;
            }
        }
    }
}

/// Writing the summary.
impl<'a> Outline<'a, '_> {
    /// Adds a word with what separates it from the last one, if there is room.
    fn append(&mut self, word: &[u8]) -> bool {
        let before = self.out.len();
        let separator = match (before, self.separate) {
            (0, _) => "",
            (_, true) => "; ",
            (_, false) => " ",
        };
        self.add(separator, word, before)
    }

    fn add(&mut self, separator: &str, word: &[u8], before: usize) -> bool {
        if self.full || before.saturating_add(separator.len()).saturating_add(word.len()) > MAX_SUMMARY {
            self.full = true;
            return false;
        }
        self.out.push_str(separator);
        push_lossy(self.out, word);
        // Replacement characters are longer than what they replace.
        if self.out.len() > MAX_SUMMARY {
            self.out.truncate(before);
            self.full = true;
            return false;
        }
        self.separate = false;
        true
    }

    /// Whether this is the first statement, outside of its common table expressions.
    fn is_main(&self) -> bool {
        self.withs == 0 && self.found.statements == 1
    }

    fn append_operation(&mut self, keyword: &[u8]) {
        let first = self.is_main() && self.found.operation.is_empty();
        if self.append(keyword) && first {
            let end = self.out.len();
            self.found.operation = end.saturating_sub(keyword.len())..end;
        }
    }

    /// A second word of the operation: CREATE, then TABLE.
    fn extend_operation(&mut self, keyword: &[u8]) {
        let follows = self.found.operation.end == self.out.len();
        if self.append(keyword) && follows {
            self.found.operation.end = self.out.len();
        }
    }

    fn begin_name(&mut self, text: &[u8], call: bool) {
        self.name = self.out.len();
        self.verb_next = false;
        self.expect = if self.append(text) { Expect::Dot { call } } else { Expect::Nothing };
    }

    fn extend_name(&mut self, text: &[u8], call: bool) {
        let before = self.out.len();
        self.expect = if self.add(".", text, before) { Expect::Dot { call } } else { Expect::Nothing };
    }

    /// The name is whole; `next` is what follows it.
    fn end_name(&mut self, next: &[u8]) {
        let Expect::Dot { call } = self.expect else { return };
        self.expect = Expect::Nothing;
        let written = self.out.get(self.name..).unwrap_or_default();
        let name = written.trim_start_matches([';', ' ']);
        let known = self.expressions.get(..self.expression_count).unwrap_or_default();
        let is_expression = known.iter().any(|known| known.eq_ignore_ascii_case(name.as_bytes()));
        if is_expression || (!call && next == b"(") {
            self.out.truncate(self.name);
            return;
        }
        let range = self.out.len().saturating_sub(name.len())..self.out.len();
        let main = self.is_main();
        if (main && !self.target_is_main) || (self.found.statements == 1 && self.found.target.is_empty()) {
            self.found.target = range;
            self.target_is_main = main;
        }
    }

    fn remember_expression(&mut self, name: &'a [u8]) {
        self.expect = Expect::Nothing;
        if let Some(slot) = self.expressions.get_mut(self.expression_count) {
            *slot = name;
            self.expression_count = self.expression_count.saturating_add(1);
        }
    }
}

/// Whether a statement can begin with this word.
pub(super) fn is_verb(word: &[u8]) -> bool {
    let mut upper = [0; LONGEST];
    let keyword = upper_case(word, &mut upper);
    matches!(
        keyword,
        b"SELECT"
            | b"INSERT"
            | b"UPDATE"
            | b"DELETE"
            | b"MERGE"
            | b"REPLACE"
            | b"WITH"
            | b"VALUES"
            | b"TABLE"
            | b"EXPLAIN"
            | b"CREATE"
            | b"ALTER"
            | b"DROP"
            | b"REFRESH"
            | b"REINDEX"
            | b"TRUNCATE"
            | b"LOCK"
            | b"VACUUM"
            | b"ANALYZE"
            | b"CLUSTER"
            | b"COPY"
            | b"CALL"
            | b"EXECUTE"
            | b"PREPARE"
            | b"GRANT"
            | b"REVOKE"
            | b"DECLARE"
            | b"START"
    ) || is_plain_verb(keyword)
}

/// In upper case; empty if it is longer than every keyword, or holds what no keyword does.
#[inline]
fn upper_case<'b>(text: &[u8], buffer: &'b mut [u8; LONGEST]) -> &'b [u8] {
    let Some(upper) = buffer.get_mut(..text.len()) else { return &[] };
    if text.len() < SHORTEST {
        return &[];
    }
    for (to, from) in upper.iter_mut().zip(text) {
        *to = from.to_ascii_uppercase();
    }
    upper
}

/// Words that may stand before a table's name.
fn is_name_modifier(keyword: &[u8]) -> bool {
    matches!(
        keyword,
        b"ONLY"
            | b"LATERAL"
            | b"TABLE"
            | b"IF"
            | b"NOT"
            | b"EXISTS"
            | b"CONCURRENTLY"
            | b"FULL"
            | b"FREEZE"
            | b"VERBOSE"
            | b"ANALYZE"
            | b"LOW_PRIORITY"
            | b"IGNORE"
            | b"UNLOGGED"
            | b"TEMP"
            | b"TEMPORARY"
    )
}

/// Words that may stand between CREATE and the kind of object.
fn is_object_modifier(keyword: &[u8]) -> bool {
    matches!(
        keyword,
        b"OR"
            | b"REPLACE"
            | b"TEMP"
            | b"TEMPORARY"
            | b"UNLOGGED"
            | b"GLOBAL"
            | b"LOCAL"
            | b"UNIQUE"
            | b"RECURSIVE"
            | b"TRUSTED"
            | b"CONSTRAINT"
            | b"DEFAULT"
            | b"CONCURRENTLY"
            | b"TEXT"
            | b"SEARCH"
            | b"PROCEDURAL"
    )
}

/// Verbs of which the summary holds nothing but themselves: what follows is a name that somebody made up, a setting
/// or a condition.
fn is_plain_verb(keyword: &[u8]) -> bool {
    matches!(
        keyword,
        b"BEGIN"
            | b"COMMIT"
            | b"ROLLBACK"
            | b"END"
            | b"ABORT"
            | b"SAVEPOINT"
            | b"RELEASE"
            | b"SET"
            | b"SHOW"
            | b"RESET"
            | b"DISCARD"
            | b"DEALLOCATE"
            | b"FETCH"
            | b"MOVE"
            | b"CLOSE"
            | b"LISTEN"
            | b"NOTIFY"
            | b"UNLISTEN"
            | b"COMMENT"
            | b"DO"
            | b"CHECKPOINT"
            | b"LOAD"
            | b"SECURITY"
            | b"REASSIGN"
            | b"IMPORT"
            | b"USE"
            | b"DESCRIBE"
            | b"DESC"
            | b"HANDLER"
            | b"KILL"
            | b"FLUSH"
            | b"OPTIMIZE"
            | b"CHECK"
            | b"XA"
            | b"START_REPLICATION"
            | b"IDENTIFY_SYSTEM"
    )
}
