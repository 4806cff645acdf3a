//! Finds the operations and the tables of a statement in its tokens: a small machine with one byte of state a level
//! of parentheses.

mod summary;

use alloc::string::String;

use super::{Found, keyword::Keyword, lexer::Sink};

/// Levels of parentheses that are told apart; what is deeper counts as the deepest.
const LEVELS: usize = 32;
/// Names of common table expressions that are remembered for one statement.
const EXPRESSIONS: usize = 16;

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
    /// The next token is the first of its statement, or follows a dot, or what may be the first part of a name.
    attention: bool,
    /// The next words belong to another statement than the words before.
    separate: bool,
    /// The summary has its full length.
    full: bool,
    /// The last token was a dot.
    dotted: bool,
    /// The last word, if it was DISTINCT, as in IS DISTINCT FROM, or FOR, as in USE INDEX FOR JOIN.
    before: Keyword,
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
            attention: true,
            separate: false,
            full: false,
            dotted: false,
            before: Keyword::None,
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

    /// What a token does first where [`Outline::attention`] is set. Whether the last one was a dot.
    fn attend(&mut self, text: &[u8]) -> bool {
        if !self.counted {
            self.counted = true;
            self.found.statements = self.found.statements.saturating_add(1);
        }
        self.end_name(text);
        self.attention = false;
        core::mem::replace(&mut self.dotted, false)
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

    #[inline(always)]
    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'(' => {
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
            b')' => {
                if self.depth > 0 {
                    self.set_flags(0);
                    self.depth = self.depth.saturating_sub(1);
                }
                self.expect = Expect::Nothing;
                // Behind EXPLAIN (options).
                self.verb_next = self.depth == 0 && self.statement == Statement::Begin;
                return;
            }
            b',' if self.has(WITH) => self.expect = Expect::Expression,
            b',' if self.has(LIST) => self.expect = Expect::Name { call: false },
            b';' => return self.next_statement(),
            b'.' => {
                self.dotted = true;
                self.attention = true;
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
        self.attention = true;
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

    fn keyword_or_name(&mut self, keyword: Keyword, text: &'a [u8]) {
        let before = core::mem::replace(&mut self.before, keyword);
        match self.expect {
            Expect::Part { call } => return self.extend_name(text, call),
            Expect::Expression if keyword != Keyword::Recursive => return self.remember_expression(text),
            Expect::Expression => return,
            Expect::Transaction => {
                self.expect = Expect::Nothing;
                if keyword == Keyword::Transaction {
                    self.extend_operation(keyword);
                }
                return;
            }
            Expect::Object => return self.object(keyword, text),
            Expect::Name { call } => match keyword {
                Keyword::Select | Keyword::With | Keyword::Values => self.expect = Expect::Nothing,
                Keyword::On if self.statement == Statement::Definition => return,
                Keyword::Set
                | Keyword::Where
                | Keyword::To
                | Keyword::Stdin
                | Keyword::Stdout
                | Keyword::In
                | Keyword::Outfile
                | Keyword::Dumpfile => self.expect = Expect::Nothing,
                // INSERT and REPLACE may go without it in MySQL.
                Keyword::Into => return,
                Keyword::Tables | Keyword::Local if self.statement == Statement::Plain => return,
                _ if keyword.is_name_modifier() => return,
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
        self.clause(keyword, before);
    }

    /// A word where a verb may stand. Whether it is one.
    fn begin_verb(&mut self, keyword: Keyword) -> bool {
        if self.depth == 0 && matches!(self.statement, Statement::Plain | Statement::Privilege) {
            return false;
        }
        let nested = self.depth > 0;
        match keyword {
            Keyword::Select => self.query(keyword, Expect::Nothing),
            Keyword::Insert | Keyword::Update | Keyword::Delete | Keyword::Merge | Keyword::Replace
                if !nested || self.withs > 0 =>
            {
                let expect = match keyword {
                    Keyword::Update => Expect::Name { call: false },
                    Keyword::Insert | Keyword::Replace => Expect::Name { call: true },
                    _ => Expect::Nothing,
                };
                self.query(keyword, expect);
                if keyword == Keyword::Update {
                    self.set_flags(self.flags() | LIST);
                }
                if matches!(keyword, Keyword::Delete | Keyword::Merge) && !nested {
                    self.statement = Statement::Using;
                }
            }
            Keyword::With if !self.has(WITH) => {
                self.set_flags(self.flags() | WITH);
                self.expect = Expect::Expression;
            }
            Keyword::Values if nested => {}
            _ if nested || self.has(WITH) => return false,
            Keyword::Values => self.query(keyword, Expect::Nothing),
            Keyword::Table => self.query(keyword, Expect::Name { call: false }),
            Keyword::Explain => {
                self.append_operation(keyword);
                self.verb_next = true;
            }
            // Behind EXPLAIN.
            Keyword::Analyze | Keyword::Verbose
                if !self.found.operation.is_empty() && self.statement == Statement::Begin =>
            {
                self.verb_next = true;
            }
            _ => return self.statement_verb(keyword),
        }
        true
    }

    fn query(&mut self, keyword: Keyword, expect: Expect) {
        self.set_flags((self.flags() | CLAUSES) & !(WITH | LIST));
        self.append_operation(keyword);
        self.expect = expect;
        let definition = self.depth == 0 && matches!(self.statement, Statement::Definition | Statement::Prepare);
        if definition || self.statement == Statement::Begin {
            self.statement = Statement::Query;
        }
    }

    /// The verbs that only a statement begins with.
    fn statement_verb(&mut self, keyword: Keyword) -> bool {
        let (statement, expect) = match keyword {
            Keyword::Create
            | Keyword::Alter
            | Keyword::Drop
            | Keyword::Refresh
            | Keyword::Reindex
            | Keyword::Rename => (Statement::Definition, Expect::Object),
            Keyword::Truncate
            | Keyword::Lock
            | Keyword::Vacuum
            | Keyword::Analyze
            | Keyword::Cluster
            | Keyword::Optimize
            | Keyword::Repair
            | Keyword::Check
            | Keyword::Checksum => {
                self.set_flags(LIST);
                (Statement::Plain, Expect::Name { call: true })
            }
            Keyword::Load => {
                // INTO TABLE.
                self.set_flags(CLAUSES);
                (Statement::Plain, Expect::Nothing)
            }
            Keyword::Copy | Keyword::Call | Keyword::Execute => (Statement::Plain, Expect::Name { call: true }),
            Keyword::Prepare => (Statement::Prepare, Expect::Nothing),
            Keyword::Grant | Keyword::Revoke => (Statement::Privilege, Expect::Nothing),
            Keyword::Declare => (Statement::Query, Expect::Nothing),
            Keyword::Start => (Statement::Plain, Expect::Transaction),
            _ if keyword.is_plain_verb() => (Statement::Plain, Expect::Nothing),
            _ => return false,
        };
        self.append_operation(keyword);
        self.statement = statement;
        self.expect = expect;
        true
    }

    /// A word that is no name and begins nothing.
    fn clause(&mut self, keyword: Keyword, before: Keyword) {
        let table = Expect::Name { call: false };
        match keyword {
            Keyword::Select
                if self.statement == Statement::Query || self.statement == Statement::Using || self.depth > 0 =>
            {
                self.query(keyword, Expect::Nothing);
            }
            Keyword::From if self.has(CLAUSES) && before != Keyword::Distinct => {
                self.set_flags(self.flags() | LIST);
                self.expect = table;
            }
            Keyword::Join if self.has(CLAUSES) && before != Keyword::For => self.expect = table,
            Keyword::StraightJoin if self.has(LIST) => self.expect = table,
            Keyword::Into if self.has(CLAUSES) => self.expect = Expect::Name { call: true },
            Keyword::Using if self.statement == Statement::Using && self.has(CLAUSES) => {
                // Only the first: the next ones are conditions of joins.
                self.statement = Statement::Query;
                self.set_flags(self.flags() | LIST);
                self.expect = table;
            }
            Keyword::As if matches!(self.statement, Statement::Definition | Statement::Prepare) && self.depth == 0 => {
                self.verb_next = true;
            }
            Keyword::On if self.depth == 0 && self.statement == Statement::Definition => {
                self.expect = Expect::Name { call: true }
            }
            Keyword::On if self.depth == 0 && self.statement == Statement::Privilege => {
                self.statement = Statement::Plain;
                self.expect = Expect::Name { call: true };
            }
            Keyword::Where
            | Keyword::Group
            | Keyword::Order
            | Keyword::Having
            | Keyword::Limit
            | Keyword::Window
            | Keyword::Returning
            | Keyword::Union
            | Keyword::Intersect
            | Keyword::Except
            | Keyword::Set
            | Keyword::For
            | Keyword::Offset
            | Keyword::Fetch
            | Keyword::When => {
                self.set_flags(self.flags() & !LIST);
            }
            _ => {}
        }
    }

    /// Words between CREATE and the name of what is created.
    fn object(&mut self, keyword: Keyword, text: &'a [u8]) {
        match keyword {
            Keyword::Materialized | Keyword::Foreign | Keyword::Event => self.extend_operation(keyword),
            Keyword::Table | Keyword::View => {
                self.extend_operation(keyword);
                self.expect = Expect::Name { call: true };
            }
            Keyword::Index
            | Keyword::Sequence
            | Keyword::Type
            | Keyword::Function
            | Keyword::Procedure
            | Keyword::Trigger
            | Keyword::Schema
            | Keyword::Domain
            | Keyword::Policy
            | Keyword::Rule
            | Keyword::Aggregate
            | Keyword::Statistics => {
                self.extend_operation(keyword);
                self.expect = Expect::Nothing;
            }
            Keyword::Database
            | Keyword::User
            | Keyword::Role
            | Keyword::Extension
            | Keyword::Publication
            | Keyword::Subscription
            | Keyword::Server
            | Keyword::System
            | Keyword::Tablespace
            | Keyword::Collation
            | Keyword::Cast
            | Keyword::Operator
            | Keyword::Language
            | Keyword::Group
            | Keyword::Conversion
            | Keyword::Transform => {
                self.extend_operation(keyword);
                self.expect = Expect::Nothing;
                self.statement = Statement::Plain;
            }
            _ if keyword.is_object_modifier() || text.is_empty() => {}
            _ => {
                self.expect = Expect::Nothing;
                self.statement = Statement::Plain;
            }
        }
    }
}

impl<'a> Sink<'a> for Outline<'a, '_> {
    #[inline(always)]
    fn space(&mut self, _text: &'a [u8]) {}

    #[inline(always)]
    fn comment(&mut self, _text: &'a [u8]) {}

    #[inline(always)]
    fn word(&mut self, text: &'a [u8]) {
        if self.attention && self.attend(text) {
            return;
        }
        let keyword = Keyword::of(text);
        if (keyword, self.expect, self.verb_next) == (Keyword::None, Expect::Nothing, false) {
            self.before = Keyword::None;
            return;
        }
        self.keyword_or_name(keyword, text);
    }

    #[inline(always)]
    fn name(&mut self, text: &'a [u8]) {
        if self.attention {
            self.attend(text);
        }
        self.quoted_name(text);
    }

    #[inline(always)]
    fn literal(&mut self, text: &'a [u8]) {
        if self.attention {
            self.attend(text);
        }
        self.expect = Expect::Nothing;
        self.verb_next = false;
    }

    #[inline(always)]
    fn symbol(&mut self, text: &'a [u8]) {
        let byte = if let [byte] = text { *byte } else { 0 };
        if self.attention {
            match (byte, self.expect) {
                (b'.', Expect::Dot { call }) => {
                    self.expect = Expect::Part { call };
                    return;
                }
                // Only what stands between them is counted.
                (b';', _) if !self.counted => {
                    self.separate = true;
                    return;
                }
                _ => self.attend(text),
            };
        }
        self.punctuation(byte);
    }
}
