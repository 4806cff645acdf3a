use alloc::{string::String, vec::Vec};

use proptest::prelude::*;

use crate::sql::{Dialect, Digest, sanitize};

const DIALECTS: [Dialect; 4] =
    [Dialect::Postgres, Dialect::PostgresBackslash, Dialect::MySql, Dialect::MySqlNoBackslash];

fn clean(sql: impl AsRef<[u8]>, dialect: Dialect) -> String {
    let mut out = String::new();
    sanitize(sql.as_ref(), dialect, &mut out);
    out
}

#[test]
fn words_that_are_passwords_go() {
    for (sql, text) in [
        ("create user bob identified by s3cr3t", "create user bob identified by ?"),
        ("ALTER USER bob IDENTIFIED BY s3cr3t REPLACE s3cr3t", "ALTER USER bob IDENTIFIED BY ? REPLACE ?"),
        (
            "CREATE USER a IDENTIFIED BY p@s3cr3t, b IDENTIFIED BY s3cr3t",
            "CREATE USER a IDENTIFIED BY ? IDENTIFIED BY ?",
        ),
        (
            "GRANT ALL ON *.* TO bob IDENTIFIED BY s3cr3t WITH GRANT OPTION",
            "GRANT ALL ON *.* TO bob IDENTIFIED BY ? WITH GRANT OPTION",
        ),
        ("GRANT USAGE ON x.* TO b IDENTIFIED BY PASSWORD s3cr3t", "GRANT USAGE ON x.* TO b IDENTIFIED BY PASSWORD ?"),
        (
            "CREATE USER bob IDENTIFIED WITH mysql_native_password AS s3cr3t PASSWORD EXPIRE NEVER",
            "CREATE USER bob IDENTIFIED WITH mysql_native_password AS ? PASSWORD EXPIRE NEVER",
        ),
        ("CREATE USER b IDENTIFIED WITH s3cr3t BY s3cr3t", "CREATE USER b IDENTIFIED WITH ? BY ?"),
        ("CREATE USER b IDENTIFIED /* by */ BY -- x\n s3cr3t", "CREATE USER b IDENTIFIED BY ?"),
        ("ALTER USER b IDENTIFIED BY my_password_s3cr3t", "ALTER USER b IDENTIFIED BY ?"),
        ("CREATE USER b IDENTIFIED VIA ed25519 USING s3cr3t", "CREATE USER b IDENTIFIED VIA ? USING ?"),
        (
            "CREATE DATABASE LINK l CONNECT TO b IDENTIFIED BY s3cr3t",
            "CREATE DATABASE LINK l CONNECT TO b IDENTIFIED BY ?",
        ),
        ("SET PASSWORD FOR bob@localhost = s3cr3t", "SET PASSWORD FOR ?@? = ?"),
        ("SET PASSWORD = PASSWORD(s3cr3t); SELECT a", "SET PASSWORD = PASSWORD(?); SELECT a"),
        ("BEGIN; SET app.jwt_secret TO s3cr3t", "BEGIN; SET app.jwt_secret TO ?"),
        (
            "CHANGE MASTER TO MASTER_PASSWORD=s3cr3t, MASTER_USER=bob, MASTER_PORT = 1",
            "CHANGE MASTER TO MASTER_PASSWORD=?, MASTER_USER=?, MASTER_PORT = ?",
        ),
        ("CHANGE MASTER TO MASTER_PASSWORD=master_s3cr3t", "CHANGE MASTER TO MASTER_PASSWORD=?"),
        ("START REPLICA USER = 'a' PASSWORD = s3cr3t", "START REPLICA USER = ? PASSWORD = ?"),
        (
            "CREATE ROLE b WITH LOGIN ENCRYPTED PASSWORD s3cr3t VALID UNTIL 'x'",
            "CREATE ROLE b WITH LOGIN ENCRYPTED PASSWORD ? VALID UNTIL ?",
        ),
        (
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password s3cr3t)",
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password ?)",
        ),
        ("CREATE SUBSCRIPTION s CONNECTION s3cr3t PUBLICATION p", "CREATE SUBSCRIPTION s CONNECTION ? PUBLICATION ?"),
        ("CREATE LOGIN b WITH PASSWORD = s3cr3t", "CREATE LOGIN b WITH PASSWORD = ?"),
        ("SELECT PASSWORD(s3cr3t), OLD_PASSWORD( s3cr3t )", "SELECT PASSWORD(?), OLD_PASSWORD( ? )"),
        ("UPDATE users SET passwd = s3cr3t, api_key := s3cr3t", "UPDATE users SET passwd = ?, api_key := ?"),
        ("UPDATE users SET password = (s3cr3t)", "UPDATE users SET password = (?)"),
    ] {
        for dialect in DIALECTS {
            assert_eq!(clean(sql, dialect), text, "{dialect:?}");
            assert_eq!(clean(text, dialect), text, "again: {dialect:?}");
        }
    }
}

/// A password may hold signs behind which the rest looks like a word of grammar.
#[test]
fn what_touches_a_password_goes() {
    for (sql, text) in [
        ("CREATE USER bob IDENTIFIED BY Adm1n@Password2024", "CREATE USER bob IDENTIFIED BY ?"),
        ("ALTER USER bob IDENTIFIED BY p@secret99 REPLACE a-b", "ALTER USER bob IDENTIFIED BY ? REPLACE ?"),
        (
            "ALTER USER bob IDENTIFIED BY 'a'Password, c IDENTIFIED BY b",
            "ALTER USER bob IDENTIFIED BY ? IDENTIFIED BY ?",
        ),
        ("ALTER USER bob IDENTIFIED BY !a/token", "ALTER USER bob IDENTIFIED BY !?"),
        ("SET PASSWORD FOR b = my-token1", "SET PASSWORD FOR ? = ?"),
        ("SET PASSWORD FOR b=password", "SET PASSWORD FOR ?=?"),
        ("SET PASSWORD = a=login", "SET PASSWORD = ?"),
        ("SET api_key := x.token", "SET api_key := ?"),
        (
            "CHANGE MASTER TO MASTER_PASSWORD=a-master_key,MASTER_USER=b",
            "CHANGE MASTER TO MASTER_PASSWORD=?,MASTER_USER=?",
        ),
        ("CHANGE MASTER TO MASTER_PASSWORD=master_key-2024", "CHANGE MASTER TO MASTER_PASSWORD=?"),
        (
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password a-token)",
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password ?)",
        ),
        ("SET PASSWORD = PASSWORD(a-token)", "SET PASSWORD = PASSWORD(?)"),
        ("UPDATE t SET password = Adm1n@Password2024 WHERE a = b", "UPDATE t SET password = ?@? WHERE a = b"),
        ("UPDATE t SET password = a-1-token, b = c", "UPDATE t SET password = ?-?-?, b = c"),
    ] {
        for dialect in DIALECTS {
            assert_eq!(clean(sql, dialect), text, "{dialect:?}");
            assert_eq!(clean(text, dialect), text, "again: {dialect:?}");
        }
    }
}

/// Where a value has to follow, a word of grammar is one.
#[test]
fn passwords_that_are_words_of_grammar_go() {
    for (sql, text) in [
        ("ALTER USER bob IDENTIFIED BY admin", "ALTER USER bob IDENTIFIED BY ?"),
        ("ALTER USER bob IDENTIFIED BY password", "ALTER USER bob IDENTIFIED BY ?"),
        ("ALTER USER bob IDENTIFIED BY password REPLACE login", "ALTER USER bob IDENTIFIED BY ? REPLACE ?"),
        ("SET PASSWORD = login", "SET PASSWORD = ?"),
        ("SET PASSWORD FOR bob = user", "SET PASSWORD FOR ? = ?"),
        ("CREATE ROLE b PASSWORD grant VALID UNTIL 'x'", "CREATE ROLE b PASSWORD ? VALID UNTIL ?"),
        ("SET PASSWORD = PASSWORD(admin)", "SET PASSWORD = PASSWORD(?)"),
        (
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password admin)",
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (password ?)",
        ),
        ("CHANGE MASTER TO MASTER_PASSWORD = master_password", "CHANGE MASTER TO MASTER_PASSWORD = ?"),
    ] {
        for dialect in DIALECTS {
            assert_eq!(clean(sql, dialect), text, "{dialect:?}");
            assert_eq!(clean(text, dialect), text, "again: {dialect:?}");
        }
    }
}

#[test]
fn words_of_grammar_stay() {
    for sql in [
        "CREATE USER b IDENTIFIED BY PASSWORD ?",
        "CREATE USER b IDENTIFIED BY VALUES ?",
        "ALTER USER b IDENTIFIED BY RANDOM PASSWORD RETAIN CURRENT PASSWORD",
        "ALTER USER b IDENTIFIED WITH mysql_native_password BY ? PASSWORD EXPIRE INTERVAL ? DAY ACCOUNT LOCK",
        "ALTER USER b DISCARD OLD PASSWORD",
        "ALTER USER b PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT OPTIONAL",
        "SET PASSWORD FOR ?@? TO RANDOM",
        "SET PASSWORD = PASSWORD(?)",
        "CREATE ROLE b CONNECTION LIMIT ? PASSWORD NULL VALID UNTIL ?",
        "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (USER ?, PASSWORD ?)",
        "SET app.jwt_secret TO DEFAULT",
    ] {
        for dialect in DIALECTS {
            assert_eq!(clean(sql, dialect), sql, "{dialect:?}");
        }
    }
}

#[test]
fn quoted_names_that_are_passwords_go() {
    for (sql, text) in [
        ("CREATE USER b PASSWORD \"s3cr3t\"", "CREATE USER b PASSWORD ?"),
        ("ALTER USER b IDENTIFIED BY \"s3cr3t\"", "ALTER USER b IDENTIFIED BY ?"),
        ("UPDATE u SET \"Password\" = \"s3cr3t\"", "UPDATE u SET \"Password\" = ?"),
        ("SELECT dblink_connect(\"host=h password=s3cr3t\")", "SELECT dblink_connect(?)"),
        ("CREATE SUBSCRIPTION s CONNECTION \"postgres://b:s3cr3t@h/d\"", "CREATE SUBSCRIPTION s CONNECTION ?"),
        ("SELECT \"postgres://b:s3cr3t@h/d\"", "SELECT ?"),
    ] {
        assert_eq!(clean(sql, Dialect::Postgres), text);
    }
}

#[test]
fn names_stay() {
    for sql in [
        "SELECT password, u.passwd pw FROM users u WHERE password IS NULL AND u.password = v.password",
        "INSERT INTO users (name, password) SELECT name, password FROM old",
        "CREATE TABLE users (id int, password varchar, token text NOT NULL)",
        "UPDATE users SET password = crypt($1, salt), token = NULL, secret = DEFAULT WHERE pw = $2",
        "UPDATE users SET password = EXCLUDED.password WHERE token = (SELECT token FROM t)",
        "CREATE FUNCTION check_it(password text) RETURNS bool LANGUAGE sql",
        "ALTER TABLE users ADD password text",
        "SELECT identified FROM t WHERE identified AND x",
        "SET search_path TO a, b",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET STATEMENT a = b FOR SELECT password FROM users",
        "START TRANSACTION READ ONLY",
        "CREATE USER bob IN ROLE admins",
        "GRANT SELECT (password) ON users TO bob",
        "DELETE FROM sessions WHERE token IN (a)",
        "SELECT \"a b\", \"c:d\" FROM \"t\"",
    ] {
        for dialect in [Dialect::Postgres, Dialect::PostgresBackslash] {
            assert_eq!(clean(sql, dialect), sql);
        }
    }
}

#[test]
fn the_summary_goes_on() {
    let mut digest = Digest::new();
    digest.read(
        b"UPDATE t SET password = s3cr3t WHERE a IN (SELECT b FROM u); CREATE USER a IDENTIFIED BY s3cr3t",
        Dialect::MySql,
    );
    assert_eq!(digest.summary(), "UPDATE t SELECT u; CREATE USER");
    assert_eq!(digest.text(), "UPDATE t SET password = ? WHERE a IN (SELECT b FROM u); CREATE USER a IDENTIFIED BY ?");
}

/// What a first reading changes must not decide what a second one takes for a secret.
#[test]
fn what_is_replaced_decides_nothing() {
    let operator = "=".repeat(63);
    for (sql, text) in [
        // A replacement character is three bytes, where there was one.
        (
            [b"SET password x api_key", &[0xb0; 60][..]].concat(),
            "SET password ? api_key".to_owned() + &"\u{fffd}".repeat(60),
        ),
        // A number behind a word that a sign belongs to, not a part of a name.
        (b"SELECT password = by.5".into(), "SELECT password = ??".into()),
        (b"SELECT password = x.5".into(), "SELECT password = ?.?".into()),
        // An operator that is cut off elsewhere when a placeholder is a part of it.
        ([b"SET password 'a'", operator.as_bytes(), b"token_s3cr3t"].concat(), "SET password ?".into()),
        (
            [b"SET password 'a' 'a'", operator.as_bytes(), b"token_s3cr3t"].concat(),
            "SET password ? ?".to_owned() + &operator + "?",
        ),
        // A value that is dropped from a list, and what touches it.
        (b"SET password = 'a', 'b'@'c', x".into(), "SET password = ?".into()),
        // A placeholder is a part of an operator where it was a value before.
        (b"SET password ='a'-'b' ='c'=\"d\"".into(), "SET password =? =?".into()),
    ] {
        for dialect in DIALECTS {
            let once = clean(&sql, dialect);
            assert_eq!(once, text, "{dialect:?}");
            assert_eq!(clean(&once, dialect), text, "again: {dialect:?}");
        }
    }
}

/// Statements about accounts, of words that mean something here and of what may stand between them.
fn pieces() -> impl Strategy<Value = String> {
    const WORDS: [&str; 40] = [
        "CREATE",
        "ALTER",
        "USER",
        "SET",
        "GRANT",
        "CHANGE",
        "TABLE",
        "IDENTIFIED",
        "BY",
        "WITH",
        "AS",
        "PASSWORD",
        "PASSWORD(",
        "token",
        "MASTER_PASSWORD",
        "MASTER_USER",
        "CONNECTION",
        "TO",
        "FOR",
        "NULL",
        "SELECT",
        "x",
        "'y'",
        "7",
        "-",
        "=",
        ":=",
        "=>",
        "(",
        ")",
        ",",
        ".",
        ";",
        "@",
        "?",
        "\"n\"",
        "\"a=b\"",
        "/* c */",
        "/*!",
        "*/",
    ];
    let word = (prop::sample::select(&WORDS[..]), prop::sample::select(&["", " ", "\n"][..]));
    prop::collection::vec(word, 0..24)
        .prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

/// Words, symbols and whole quotes that decide, and what may be taken for them.
const MATTER: [&str; 83] = [
    "values",
    "random",
    "expire",
    "replace",
    "require",
    "password",
    "PASSWORD(",
    "old_password",
    "identified",
    "by",
    "with",
    "as",
    "via",
    "using",
    "to",
    "for",
    "select",
    "null",
    "default",
    "not",
    "binary",
    "like",
    "in",
    "and",
    "limit",
    "set",
    "create",
    "alter",
    "change",
    "start",
    "begin",
    "user",
    "table",
    "database",
    "master",
    "connection",
    "secret",
    "token",
    "max_tokens",
    "master_user",
    "source_host",
    "role",
    "x",
    "e",
    "u&",
    "_",
    "é",
    "=",
    "=>",
    ":=",
    "==",
    "<>",
    "(",
    ")",
    ",",
    "@",
    ":",
    ".",
    "-",
    "+",
    "/",
    "|",
    "~",
    "[",
    "]",
    "\\",
    "?",
    "??",
    "'a'",
    "'b=c'",
    "\"n\"",
    "\"password\"",
    "\"b=c\"",
    "\"a://b\"",
    "`n`",
    "`b=c`",
    "$1",
    "7",
    "-1",
    ".5",
    "0x1f",
    "/* c */",
    "-- c\n",
];
/// Quotes and comments that have no end or may find one far away, ends of statements, and bytes that are no text.
const UNTAMED: [&[u8]; 20] = [
    b"*",
    b"$$",
    b"$a$",
    b"$",
    b"/*!",
    b"*/",
    b";",
    b"'",
    b"\"",
    b"`",
    b"--",
    b"#",
    b"/*",
    b"/*!50000",
    b"s3cr3t",
    b"\0",
    b"\xb0",
    &[0xb0; 50],
    &[b'='; 50],
    &[b'b'; 50],
];

fn tokens(from: impl Strategy<Value = &'static [u8]>, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let token = (from, prop::sample::select(&["", "", " ", "\n"][..]));
    prop::collection::vec(token, 0..most)
        .prop_map(|tokens| tokens.into_iter().flat_map(|(token, space)| [token, space.as_bytes()].concat()).collect())
}

fn tame() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(&MATTER[..]).prop_map(str::as_bytes)
}

fn begin() -> impl Strategy<Value = &'static str> {
    const BEGIN: [&str; 8] = [
        "",
        "SET password ",
        "CREATE USER b ",
        "x IDENTIFIED BY ",
        "CHANGE MASTER TO ",
        "UPDATE t SET ",
        "x password ",
        "SET ",
    ];
    prop::sample::select(&BEGIN[..])
}

proptest! {
    #[test]
    fn read_again_it_decides_the_same(
        begin in begin(),
        rest in tokens(prop_oneof![6 => tame(), 1 => prop::sample::select(&UNTAMED[..])], 16),
    ) {
        let sql = [begin.as_bytes(), &rest].concat();
        let mut digest = Digest::new();
        for dialect in DIALECTS {
            let once = clean(&sql, dialect);
            prop_assert_eq!(&clean(&once, dialect), &once, "{:?}", dialect);
            digest.read(&sql, dialect);
            prop_assert_eq!(digest.text(), once);
        }
    }

    #[test]
    fn no_word_of_a_statement_of_secrets_survives(
        before in tokens(tame(), 8),
        begin in prop::sample::select(&[
            "CREATE USER b IDENTIFIED BY", "GRANT ALL ON *.* TO b IDENTIFIED WITH", "CREATE USER b PASSWORD",
            "SET PASSWORD", "SET SESSION x.api_key", "CHANGE MASTER TO MASTER_PASSWORD", "START REPLICA PASSWORD",
            "ALTER ROLE b PASSWORD", "CREATE SUBSCRIPTION s CONNECTION",
        ][..]),
        between in tokens(tame(), 8),
        after in tokens(tame(), 8),
    ) {
        let sql = [&before, "\n; ".as_bytes(), begin.as_bytes(), b" ", &between, b" s3cr3t ", &after].concat();
        for dialect in DIALECTS {
            prop_assert!(!clean(&sql, dialect).contains("s3cr3t"), "{}", clean(&sql, dialect));
        }
    }

    /// Passwords whose parts are named like secrets and words of grammar.
    #[test]
    fn no_part_of_a_password_survives(
        before in tokens(tame(), 8),
        begin in prop::sample::select(&[
            "CREATE USER b IDENTIFIED BY ", "GRANT ALL ON *.* TO b IDENTIFIED BY PASSWORD ", "CREATE USER b PASSWORD ",
            "SET PASSWORD FOR b = ", "SET SESSION x.api_key=", "CHANGE MASTER TO MASTER_PASSWORD=", "SET PASSWORD=PASSWORD(",
            "CREATE USER MAPPING FOR b SERVER s OPTIONS (user a, password ", "UPDATE t SET password = ",
        ][..]),
        parts in prop::collection::vec(
            (
                prop::sample::select(&["", "a", "b7", "'c'", "admin", "7"][..]),
                prop::sample::select(&["@", "-", "!", "+", "=", ".", "/", "%", "^", "&", "|", "~", "<", ">", ":", "]"][..]),
            ),
            0..4,
        ),
        word in prop::sample::select(&["Password", "token", "admin_secret_", "master_", "source_", "api_key"][..]),
        after in tokens(tame(), 8),
    ) {
        let parts: String = parts.into_iter().flat_map(|(part, sign)| [part, sign]).collect();
        // Elsewhere a dot makes a name of it.
        let parts = if begin.starts_with("UPDATE") { parts.replace('.', "-") } else { parts };
        let sql = [&before, "\n; ".as_bytes(), begin.as_bytes(), b"z", parts.as_bytes(), word.as_bytes(), b"s3cr3t ", &after];
        for dialect in DIALECTS {
            let text = clean(sql.concat(), dialect);
            prop_assert!(!text.contains("s3cr3t"), "{}", text);
        }
    }

    #[test]
    fn no_value_of_a_secret_survives(
        before in tokens(tame(), 8),
        begin in prop::sample::select(&[
            "UPDATE t SET password =", "SELECT a, api_key :=", "CALL f(token =>", "SELECT PASSWORD(", "SELECT \"b=",
            "SELECT `b=",
        ][..]),
        between in prop::sample::select(&["", " ", "\n", " /* c */ ", " -- c\n"][..]),
        after in tokens(tame(), 8),
    ) {
        let quote = ["\"", "`"].into_iter().find(|&quote| begin.contains(quote)).unwrap_or(" ");
        let sql = [&before, "\n; ".as_bytes(), begin.as_bytes(), between.as_bytes(), b"s3cr3t", quote.as_bytes(), &after];
        for dialect in DIALECTS {
            // What quotes a name in one dialect is an operator in the other.
            if quote != "`" || dialect.is_mysql() {
                let text = clean(sql.concat(), dialect);
                prop_assert!(!text.contains("s3cr3t"), "{}", text);
            }
        }
    }

    #[test]
    fn read_again_it_is_the_same(sql in pieces()) {
        for dialect in DIALECTS {
            let once = clean(&sql, dialect);
            prop_assert_eq!(&clean(&once, dialect), &once);
        }
    }

    #[test]
    fn no_word_behind_by_survives(before in pieces(), between in "[ \n(=,]{1,3}") {
        for end in ["", " WITH GRANT OPTION", ";", ", b IDENTIFIED BY s3cr3t"] {
            let sql = alloc::format!("{before}\n; CREATE USER b IDENTIFIED BY{between}s3cr3t{end}");
            for dialect in DIALECTS {
                prop_assert!(!clean(&sql, dialect).contains("s3cr3t"), "{}", clean(&sql, dialect));
            }
        }
    }
}
