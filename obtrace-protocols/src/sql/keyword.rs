//! The words of SQL that are told from names, and how a word is looked up among them.

macro_rules! keywords {
    ($($variant:ident $name:literal,)*) => {
        /// A word that means something to the outline.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword {
            /// Every other word.
            None,
            $(
                #[doc = $name]
                $variant,
            )*
        }

        /// Keywords and their names in upper case, in the order of the enum, without `None`.
        static KEYWORDS: [(Keyword, &str); COUNT] = [$((Keyword::$variant, $name)),*];

        const COUNT: usize = [$($name),*].len();
    };
}

keywords! {
    Abort "ABORT",
    Aggregate "AGGREGATE",
    Alter "ALTER",
    Analyze "ANALYZE",
    As "AS",
    Begin "BEGIN",
    Call "CALL",
    Cast "CAST",
    Check "CHECK",
    Checkpoint "CHECKPOINT",
    Checksum "CHECKSUM",
    Close "CLOSE",
    Cluster "CLUSTER",
    Collation "COLLATION",
    Comment "COMMENT",
    Commit "COMMIT",
    Concurrently "CONCURRENTLY",
    Constraint "CONSTRAINT",
    Conversion "CONVERSION",
    Copy "COPY",
    Create "CREATE",
    Database "DATABASE",
    Deallocate "DEALLOCATE",
    Declare "DECLARE",
    Default "DEFAULT",
    Delayed "DELAYED",
    Delete "DELETE",
    Desc "DESC",
    Describe "DESCRIBE",
    Discard "DISCARD",
    Distinct "DISTINCT",
    Do "DO",
    Domain "DOMAIN",
    Drop "DROP",
    Dumpfile "DUMPFILE",
    End "END",
    Event "EVENT",
    Except "EXCEPT",
    Execute "EXECUTE",
    Exists "EXISTS",
    Explain "EXPLAIN",
    Extension "EXTENSION",
    Fetch "FETCH",
    Flush "FLUSH",
    For "FOR",
    Foreign "FOREIGN",
    Freeze "FREEZE",
    From "FROM",
    Full "FULL",
    Function "FUNCTION",
    Global "GLOBAL",
    Grant "GRANT",
    Group "GROUP",
    Handler "HANDLER",
    Having "HAVING",
    HighPriority "HIGH_PRIORITY",
    IdentifySystem "IDENTIFY_SYSTEM",
    If "IF",
    Ignore "IGNORE",
    Import "IMPORT",
    In "IN",
    Index "INDEX",
    Insert "INSERT",
    Intersect "INTERSECT",
    Into "INTO",
    Join "JOIN",
    Kill "KILL",
    Language "LANGUAGE",
    Lateral "LATERAL",
    Limit "LIMIT",
    Listen "LISTEN",
    Load "LOAD",
    Local "LOCAL",
    Lock "LOCK",
    LowPriority "LOW_PRIORITY",
    Materialized "MATERIALIZED",
    Merge "MERGE",
    Move "MOVE",
    Not "NOT",
    Notify "NOTIFY",
    Offset "OFFSET",
    On "ON",
    Only "ONLY",
    Operator "OPERATOR",
    Optimize "OPTIMIZE",
    Or "OR",
    Order "ORDER",
    Outfile "OUTFILE",
    Policy "POLICY",
    Prepare "PREPARE",
    Procedural "PROCEDURAL",
    Procedure "PROCEDURE",
    Publication "PUBLICATION",
    Purge "PURGE",
    Reassign "REASSIGN",
    Recursive "RECURSIVE",
    Refresh "REFRESH",
    Reindex "REINDEX",
    Release "RELEASE",
    Rename "RENAME",
    Repair "REPAIR",
    Replace "REPLACE",
    Reset "RESET",
    Returning "RETURNING",
    Revoke "REVOKE",
    Role "ROLE",
    Rollback "ROLLBACK",
    Rule "RULE",
    Savepoint "SAVEPOINT",
    Schema "SCHEMA",
    Search "SEARCH",
    Security "SECURITY",
    Select "SELECT",
    Sequence "SEQUENCE",
    Server "SERVER",
    Set "SET",
    Show "SHOW",
    Signal "SIGNAL",
    Start "START",
    StartReplication "START_REPLICATION",
    Statistics "STATISTICS",
    Stdin "STDIN",
    Stdout "STDOUT",
    Stop "STOP",
    StraightJoin "STRAIGHT_JOIN",
    Subscription "SUBSCRIPTION",
    System "SYSTEM",
    Table "TABLE",
    Tables "TABLES",
    Tablespace "TABLESPACE",
    Temp "TEMP",
    Temporary "TEMPORARY",
    Text "TEXT",
    To "TO",
    Transaction "TRANSACTION",
    Transform "TRANSFORM",
    Trigger "TRIGGER",
    Truncate "TRUNCATE",
    Trusted "TRUSTED",
    Type "TYPE",
    Union "UNION",
    Unique "UNIQUE",
    Unlisten "UNLISTEN",
    Unlock "UNLOCK",
    Unlogged "UNLOGGED",
    Update "UPDATE",
    Use "USE",
    User "USER",
    Using "USING",
    Vacuum "VACUUM",
    Values "VALUES",
    Verbose "VERBOSE",
    View "VIEW",
    When "WHEN",
    Where "WHERE",
    Window "WINDOW",
    With "WITH",
    Xa "XA",
}

/// No keyword is longer.
const LONGEST: usize = 17;
/// No keyword is shorter.
const SHORTEST: usize = 2;
/// Few are taken, so that most words that are no keywords are told without being compared with one.
const SLOTS: usize = 1024;
/// Where to look for a word: the number of its keyword plus one, by the hash of the word, or in one of the next places.
static INDEX: [u8; SLOTS] = index();

/// Of the length and four letters, whatever their case.
#[inline]
const fn hash(length: usize, [a, b, c, d]: [u8; 4]) -> usize {
    let letters = u32::from_le_bytes([a, b, c, d]) | 0x2020_2020;
    let hash = letters.wrapping_add((length as u32) << 5).wrapping_mul(0x9e37_79b1);
    (hash >> 22) as usize % SLOTS
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs in the compiler, on the table only")]
const fn index() -> [u8; SLOTS] {
    const { assert!(COUNT < 256) };
    let mut index = [0; SLOTS];
    let mut entry = 0;
    while entry < COUNT {
        let name = KEYWORDS[entry].1.as_bytes();
        assert!(name.len() >= SHORTEST && name.len() <= LONGEST);
        let mut slot = hash(name.len(), [name[0], name[1], name[name.len() / 2], name[name.len() - 1]]);
        while index[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        entry += 1;
        index[slot] = entry as u8;
    }
    index
}

impl Keyword {
    /// Which keyword a word is, whatever its case.
    #[inline]
    pub(super) fn of(word: &[u8]) -> Self {
        if !(SHORTEST..=LONGEST).contains(&word.len()) {
            return Self::None;
        }
        let letter = |at: usize| word.get(at).copied().unwrap_or_default();
        let letters = [letter(0), letter(1), letter(word.len() / 2), letter(word.len().wrapping_sub(1))];
        let mut slot = hash(word.len(), letters);
        // There are free places to stop at.
        loop {
            let entry = usize::from(INDEX.get(slot).copied().unwrap_or_default());
            let Some((keyword, name)) = entry.checked_sub(1).and_then(|entry| KEYWORDS.get(entry)) else {
                return Self::None;
            };
            if name.len() == word.len() && name.as_bytes().eq_ignore_ascii_case(word) {
                return *keyword;
            }
            slot = slot.wrapping_add(1) % SLOTS;
        }
    }

    /// In upper case; empty for `None`.
    pub(super) fn name(self) -> &'static str {
        let at = (self as usize).checked_sub(1);
        at.and_then(|at| KEYWORDS.get(at)).map_or("", |(_, name)| name)
    }

    /// Whether a statement can begin with this word.
    pub(super) const fn is_verb(self) -> bool {
        matches!(
            self,
            Self::Select
                | Self::Insert
                | Self::Update
                | Self::Delete
                | Self::Merge
                | Self::Replace
                | Self::With
                | Self::Values
                | Self::Table
                | Self::Explain
                | Self::Create
                | Self::Alter
                | Self::Drop
                | Self::Refresh
                | Self::Reindex
                | Self::Truncate
                | Self::Lock
                | Self::Vacuum
                | Self::Analyze
                | Self::Cluster
                | Self::Copy
                | Self::Call
                | Self::Execute
                | Self::Prepare
                | Self::Grant
                | Self::Revoke
                | Self::Declare
                | Self::Start
                | Self::Rename
                | Self::Optimize
                | Self::Repair
                | Self::Check
                | Self::Checksum
                | Self::Load
        ) || self.is_plain_verb()
    }

    /// Verbs of which the summary holds nothing but themselves: what follows is a name that somebody made up, a
    /// setting or a condition.
    pub(super) const fn is_plain_verb(self) -> bool {
        matches!(
            self,
            Self::Begin
                | Self::Commit
                | Self::Rollback
                | Self::End
                | Self::Abort
                | Self::Savepoint
                | Self::Release
                | Self::Set
                | Self::Show
                | Self::Reset
                | Self::Discard
                | Self::Deallocate
                | Self::Fetch
                | Self::Move
                | Self::Close
                | Self::Listen
                | Self::Notify
                | Self::Unlisten
                | Self::Comment
                | Self::Do
                | Self::Checkpoint
                | Self::Security
                | Self::Reassign
                | Self::Import
                | Self::Use
                | Self::Describe
                | Self::Desc
                | Self::Handler
                | Self::Kill
                | Self::Flush
                | Self::Xa
                | Self::Purge
                | Self::Signal
                | Self::Stop
                | Self::Unlock
                | Self::StartReplication
                | Self::IdentifySystem
        )
    }

    /// Words that may stand before a table's name.
    pub(super) const fn is_name_modifier(self) -> bool {
        matches!(
            self,
            Self::Only
                | Self::Lateral
                | Self::Table
                | Self::If
                | Self::Not
                | Self::Exists
                | Self::Concurrently
                | Self::Full
                | Self::Freeze
                | Self::Verbose
                | Self::Analyze
                | Self::LowPriority
                | Self::HighPriority
                | Self::Delayed
                | Self::Ignore
                | Self::Unlogged
                | Self::Temp
                | Self::Temporary
        )
    }

    /// Words that may stand between CREATE and the kind of object.
    pub(super) const fn is_object_modifier(self) -> bool {
        matches!(
            self,
            Self::Or
                | Self::Replace
                | Self::Temp
                | Self::Temporary
                | Self::Unlogged
                | Self::Global
                | Self::Local
                | Self::Unique
                | Self::Recursive
                | Self::Trusted
                | Self::Constraint
                | Self::Default
                | Self::Concurrently
                | Self::Text
                | Self::Search
                | Self::Procedural
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case() {
        for (place, (keyword, name)) in KEYWORDS.iter().enumerate() {
            assert_eq!(*keyword as usize, place.saturating_add(1));
            assert_eq!((Keyword::of(name.as_bytes()), keyword.name()), (*keyword, *name));
            let mut mixed = name.to_lowercase().into_bytes();
            assert_eq!(Keyword::of(&mixed), *keyword);
            mixed.iter_mut().step_by(2).for_each(u8::make_ascii_uppercase);
            assert_eq!(Keyword::of(&mixed), *keyword);
            mixed.push(b'x');
            assert_eq!(Keyword::of(&mixed), Keyword::None);
        }
        for word in ["", "s", "selec", "selects", "selekt", "start\x7freplication", "users", "user_id"] {
            assert_eq!(Keyword::of(word.as_bytes()), Keyword::None, "{word}");
        }
    }
}
