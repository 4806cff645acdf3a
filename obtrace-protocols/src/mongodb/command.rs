//! Commands, and what is read of them and of their answers.

use super::bson::{Head, Kind};

/// What is known of a command.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// What its first value is.
    pub(super) first: First,
    pub(super) kind: Class,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The collection.
    Collection,
    /// The collection with its database in front.
    Namespace,
    /// A cursor; the collection is in `collection`.
    Cursor,
    /// Another command.
    Command,
    /// Nothing that is read.
    Other,
}

/// Commands that are told apart by what their answers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Answers with documents, or with nothing that is counted.
    Plain,
    /// Has documents, and answers how many were affected.
    Write,
    /// Answers an unending number of times, each time on its own.
    Hello,
    /// Names how it authenticates.
    Sasl,
}

macro_rules! commands {
    ($($name:literal $first:ident $class:ident),* $(,)?) => {
        /// The command of that name, if something is known of it.
        pub(super) fn known(name: &[u8]) -> Option<&'static Command> {
            $({
                const NAME: &str = $name;
                static COMMAND: Command = Command { name: NAME, first: First::$first, kind: Class::$class };
                if name == NAME.as_bytes() {
                    return Some(&COMMAND);
                }
            })*
            None
        }
    };
}

// The common ones first. Of a command that is not here the first value is never read: it may be a user's name.
commands! {
    "find" Collection Plain,
    "insert" Collection Write,
    "update" Collection Write,
    "aggregate" Collection Plain,
    "getMore" Cursor Plain,
    "delete" Collection Write,
    "findAndModify" Collection Write,
    "hello" Other Hello,
    "isMaster" Other Hello,
    "ismaster" Other Hello,
    "count" Collection Plain,
    "distinct" Collection Plain,
    "bulkWrite" Other Write,
    "killCursors" Collection Plain,
    "saslStart" Other Sasl,
    "explain" Command Plain,
    "findandmodify" Collection Write,
    "mapReduce" Collection Plain,
    "mapreduce" Collection Plain,
    "create" Collection Plain,
    "drop" Collection Plain,
    "createIndexes" Collection Plain,
    "dropIndexes" Collection Plain,
    "deleteIndexes" Collection Plain,
    "listIndexes" Collection Plain,
    "reIndex" Collection Plain,
    "collMod" Collection Plain,
    "collStats" Collection Plain,
    "collstats" Collection Plain,
    "compact" Collection Plain,
    "convertToCapped" Collection Plain,
    "validate" Collection Plain,
    "group" Other Plain,
    "geoNear" Collection Plain,
    "geoSearch" Collection Plain,
    "parallelCollectionScan" Collection Plain,
    "planCacheClear" Collection Plain,
    "planCacheClearFilters" Collection Plain,
    "planCacheListFilters" Collection Plain,
    "planCacheSetFilter" Collection Plain,
    "createSearchIndexes" Collection Plain,
    "dropSearchIndex" Collection Plain,
    "listSearchIndexes" Collection Plain,
    "updateSearchIndex" Collection Plain,
    "renameCollection" Namespace Plain,
    "shardCollection" Namespace Plain,
    "reshardCollection" Namespace Plain,
    "refineCollectionShardKey" Namespace Plain,
}

/// The commands that the older opcodes stand for.
pub(super) mod legacy {
    use super::{Class, Command, First};

    pub(in super::super) static FIND: Command = Command { name: "find", first: First::Other, kind: Class::Plain };
    pub(in super::super) static INSERT: Command = Command { name: "insert", first: First::Other, kind: Class::Write };
    pub(in super::super) static UPDATE: Command = Command { name: "update", first: First::Other, kind: Class::Write };
    pub(in super::super) static DELETE: Command = Command { name: "delete", first: First::Other, kind: Class::Write };
    pub(in super::super) static GET_MORE: Command =
        Command { name: "getMore", first: First::Other, kind: Class::Plain };
    pub(in super::super) static KILL_CURSORS: Command =
        Command { name: "killCursors", first: First::Other, kind: Class::Plain };
}

/// The mechanisms of authentication that have a name
/// ([authentication](https://github.com/mongodb/specifications/blob/master/source/auth/auth.md)).
const MECHANISMS: [&str; 8] =
    ["SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-CR", "GSSAPI", "PLAIN"];

pub(super) fn mechanism(text: &[u8]) -> Option<&'static str> {
    MECHANISMS.into_iter().find(|known| known.as_bytes() == text)
}

/// Whether an array, or a section, of this name holds what a write is made of.
pub(super) fn is_items(name: &[u8]) -> bool {
    matches!(name, b"documents" | b"updates" | b"deletes" | b"ops")
}

/// Where in a message an element is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing in it is read.
    #[default]
    Nothing,
    /// The document of an `OP_QUERY`: a command, or `$query` with one.
    Query,
    Command,
    /// The command that is explained.
    Explained,
    /// What a write is made of.
    Items,
    /// An answer's document.
    Answer,
    Cursor,
    /// Documents that are counted.
    Batch,
    WriteErrors,
    WriteError,
    WriteConcernError,
    LastError,
}

/// What is read of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// Its value.
    Field(Field),
    /// What is in its document.
    Inside(Scope),
    /// Its name is that of the command, its value may be a field.
    Name(Option<Field>),
    /// The first value of the command that is explained.
    Explained(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Collection,
    Namespace,
    Database,
    Mechanism,
    AutoCommit,
    AskedCursor,
    Ok,
    Affected,
    Modified,
    Code,
    CodeName,
    ErrorText,
    WriteErrors,
    WriteErrorCode,
    ConcernCode,
    AnsweredCursor,
}

/// What is wanted of an element of a command behind the first one.
#[inline]
pub(super) fn of_command(command: Option<&Command>, head: &Head<'_>) -> Wanted {
    match head.name {
        b"$db" => Wanted::Field(Field::Database),
        b"autocommit" => Wanted::Field(Field::AutoCommit),
        b"collection" if command.is_some_and(|it| it.first == First::Cursor) => Wanted::Field(Field::Collection),
        b"mechanism" if command.is_some_and(|it| it.kind == Class::Sasl) => Wanted::Field(Field::Mechanism),
        name if head.kind == Kind::Array && is_items(name) && command.is_some_and(|it| it.kind == Class::Write) => {
            Wanted::Inside(Scope::Items)
        }
        _ => Wanted::Nothing,
    }
}

/// What is wanted of an element of an answer.
#[inline]
pub(super) fn of_answer(head: &Head<'_>) -> Wanted {
    let inside = |kind, scope| if head.kind == kind { Wanted::Inside(scope) } else { Wanted::Nothing };
    match head.name {
        b"ok" => Wanted::Field(Field::Ok),
        b"cursor" => inside(Kind::Document, Scope::Cursor),
        b"n" | b"nInserted" | b"nMatched" | b"nUpserted" | b"nDeleted" => Wanted::Field(Field::Affected),
        b"nModified" => Wanted::Field(Field::Modified),
        b"code" => Wanted::Field(Field::Code),
        b"codeName" => Wanted::Field(Field::CodeName),
        b"errmsg" | b"$err" => Wanted::Field(Field::ErrorText),
        b"nErrors" => Wanted::Field(Field::WriteErrors),
        b"writeErrors" => inside(Kind::Array, Scope::WriteErrors),
        b"writeConcernError" => inside(Kind::Document, Scope::WriteConcernError),
        b"lastErrorObject" => inside(Kind::Document, Scope::LastError),
        b"values" => inside(Kind::Array, Scope::Batch),
        _ => Wanted::Nothing,
    }
}

/// What is wanted of an element inside an answer.
#[inline]
pub(super) fn of_part(scope: Scope, head: &Head<'_>) -> Wanted {
    match (scope, head.name) {
        (Scope::Cursor, b"id") => Wanted::Field(Field::AnsweredCursor),
        (Scope::Cursor, b"firstBatch" | b"nextBatch") if head.kind == Kind::Array => Wanted::Inside(Scope::Batch),
        (Scope::WriteError, b"code") => Wanted::Field(Field::WriteErrorCode),
        (Scope::WriteError, b"errmsg") => Wanted::Field(Field::ErrorText),
        (Scope::WriteConcernError, b"code") => Wanted::Field(Field::ConcernCode),
        (Scope::WriteConcernError, b"codeName") => Wanted::Field(Field::CodeName),
        (Scope::WriteConcernError, b"errmsg") => Wanted::Field(Field::ErrorText),
        (Scope::LastError, b"n") => Wanted::Field(Field::Affected),
        _ => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_their_names() {
        assert_eq!(known(b"find").map(|it| (it.name, it.first)), Some(("find", First::Collection)));
        assert_eq!(known(b"refineCollectionShardKey").map(|it| it.first), Some(First::Namespace));
        assert!(known(b"Find").is_none() && known(b"createUser").is_none() && known(b"").is_none());
    }

    #[test]
    fn mechanisms_are_those_that_have_a_name() {
        assert_eq!(mechanism(b"PLAIN"), Some("PLAIN"));
        assert_eq!(mechanism(b"hunter2"), None);
    }
}
