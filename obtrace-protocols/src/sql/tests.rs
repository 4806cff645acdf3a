use alloc::{string::String, vec::Vec};

use proptest::prelude::*;

use super::*;

const DIALECTS: [Dialect; 4] =
    [Dialect::Postgres, Dialect::PostgresBackslash, Dialect::MySql, Dialect::MySqlNoBackslash];

fn read(sql: &str) -> (String, String, String) {
    let mut digest = Digest::new();
    digest.read(sql.as_bytes(), Dialect::Postgres);
    (digest.summary().into(), digest.operation().into(), digest.target().into())
}

fn clean(sql: impl AsRef<[u8]>, dialect: Dialect) -> String {
    let mut out = String::from("left over");
    sanitize(sql.as_ref(), dialect, &mut out);
    out
}

#[test]
fn summaries() {
    for (sql, summary, operation, target) in [
        ("SELECT * FROM wuser_table WHERE username = ?", "SELECT wuser_table", "SELECT", "wuser_table"),
        ("SELECT * FROM songs, artists a WHERE songs.artist_id = a.id", "SELECT songs artists", "SELECT", "songs"),
        (
            "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
            "SELECT SELECT orders customers",
            "SELECT",
            "orders",
        ),
        ("SELECT * FROM \"song list\", artists", "SELECT \"song list\" artists", "SELECT", "song list"),
        ("select 1", "SELECT", "SELECT", ""),
        ("SELECT extract(year FROM ts), trim(both from x) FROM public.t", "SELECT public.t", "SELECT", "public.t"),
        ("SELECT a IS DISTINCT FROM b FROM t", "SELECT t", "SELECT", "t"),
        ("SELECT * FROM generate_series(1, 3) g, t", "SELECT t", "SELECT", "t"),
        ("SELECT * FROM (a LEFT JOIN b USING (id)) JOIN c ON true, d", "SELECT a b c d", "SELECT", "a"),
        ("(SELECT 1 FROM a) UNION ALL SELECT 2 FROM b ORDER BY x, y", "SELECT a SELECT b", "SELECT", "a"),
        ("SELECT x FROM t WHERE y IN (SELECT y FROM u) FOR UPDATE", "SELECT t SELECT u", "SELECT", "t"),
        (
            "WITH RECURSIVE a(x, y) AS (SELECT * FROM t), b AS MATERIALIZED (DELETE FROM u RETURNING *) SELECT * FROM a, b, v",
            "SELECT t DELETE u SELECT v",
            "SELECT",
            "v",
        ),
        ("WITH a AS (SELECT 1 FROM t) INSERT INTO w (x) SELECT * FROM a", "SELECT t INSERT w SELECT", "INSERT", "w"),
        ("WITH a AS (SELECT 1 FROM t) SELECT * FROM a", "SELECT t SELECT", "SELECT", "t"),
        ("INSERT INTO s.t AS x (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "INSERT s.t", "INSERT", "s.t"),
        ("UPDATE ONLY t SET a = b FROM u, v WHERE t.i = u.i", "UPDATE t u v", "UPDATE", "t"),
        ("DELETE FROM t USING u JOIN w USING (id), v WHERE true", "DELETE t u w v", "DELETE", "t"),
        ("MERGE INTO t USING s ON t.i = s.i WHEN MATCHED THEN UPDATE SET a = 1", "MERGE t s", "MERGE", "t"),
        ("CREATE TEMP TABLE IF NOT EXISTS t (a int)", "CREATE TABLE t", "CREATE TABLE", "t"),
        ("CREATE TABLE t AS SELECT * FROM u JOIN v ON u.a = v.a", "CREATE TABLE t SELECT u v", "CREATE TABLE", "t"),
        ("create unique index concurrently i on s.t (a)", "CREATE INDEX s.t", "CREATE INDEX", "s.t"),
        ("CREATE POLICY p ON t FOR SELECT USING (true)", "CREATE POLICY t", "CREATE POLICY", "t"),
        ("ALTER TABLE ONLY t ADD COLUMN x int", "ALTER TABLE t", "ALTER TABLE", "t"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW", "v"),
        ("CREATE USER bob PASSWORD 'x'", "CREATE USER", "CREATE USER", ""),
        ("TRUNCATE TABLE a, b CASCADE", "TRUNCATE a b", "TRUNCATE", "a"),
        ("COPY t (a, b) FROM STDIN", "COPY t", "COPY", "t"),
        ("COPY (SELECT * FROM t) TO STDOUT", "COPY SELECT t", "COPY", "t"),
        ("GRANT SELECT, UPDATE ON t TO bob", "GRANT t", "GRANT", "t"),
        ("CALL p(1, 2)", "CALL p", "CALL", "p"),
        ("FETCH FORWARD 100 FROM c1", "FETCH", "FETCH", ""),
        ("DECLARE c CURSOR FOR SELECT * FROM t", "DECLARE SELECT t", "DECLARE", "t"),
        ("PREPARE p AS UPDATE t SET a = $1", "PREPARE UPDATE t", "PREPARE", "t"),
        ("EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t", "EXPLAIN SELECT t", "EXPLAIN", "t"),
        ("EXPLAIN ANALYZE VERBOSE DELETE FROM t", "EXPLAIN DELETE t", "EXPLAIN", "t"),
        ("START TRANSACTION READ ONLY", "START TRANSACTION", "START TRANSACTION", ""),
        ("BEGIN; INSERT INTO t VALUES (1); ;COMMIT;", "BEGIN; INSERT t; COMMIT", "BEGIN", ""),
        ("SET password = hunter2", "SET", "SET", ""),
        ("hunter2 FROM t", "", "", ""),
        ("", "", "", ""),
        ("SELECT replace(replace(a, 'x', 'y'), 'z', '') FROM t", "SELECT t", "SELECT", "t"),
        ("SELECT count(*) FILTER (WHERE a) FROM t GROUP BY x, y LIMIT 1", "SELECT t", "SELECT", "t"),
        ("VALUES (1), (2)", "VALUES", "VALUES", ""),
        ("TABLE t", "TABLE t", "TABLE", "t"),
    ] {
        assert_eq!(read(sql), (summary.into(), operation.into(), target.into()), "{sql}");
    }
}

#[test]
fn summaries_of_mysql() {
    for (sql, summary, operation, target) in [
        ("SELECT `a``b`.c FROM `my db`.`my table` AS t", "SELECT `my db`.`my table`", "SELECT", "`my db`.`my table`"),
        ("SELECT \"x\" FROM t # FROM u\n, v -- FROM w\n WHERE a --1", "SELECT t v", "SELECT", "t"),
        ("/*!40101 SET NAMES utf8 */", "SET", "SET", ""),
        ("SELECT /*! STRAIGHT_JOIN */ a FROM t /*M!100100 , u */, v", "SELECT t u v", "SELECT", "t"),
        ("/*!50003 CREATE*/ /*!50020 TABLE*/ t (a int)", "CREATE TABLE t", "CREATE TABLE", "t"),
        ("INSERT t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", "INSERT t", "INSERT", "t"),
        ("INSERT HIGH_PRIORITY IGNORE INTO t (a) SELECT a FROM u", "INSERT t SELECT u", "INSERT", "t"),
        ("INSERT INTO t SET a = 1, b = 2", "INSERT t", "INSERT", "t"),
        ("REPLACE DELAYED t (a) VALUES (1), (2)", "REPLACE t", "REPLACE", "t"),
        ("UPDATE a, b LEFT JOIN c USING (id) SET a.x = 1, b.y = 2", "UPDATE a b c", "UPDATE", "a"),
        ("DELETE a, b FROM a INNER JOIN b ON a.i = b.i", "DELETE a b", "DELETE", "a"),
        ("SELECT * FROM a STRAIGHT_JOIN b FORCE INDEX FOR JOIN (i) WHERE x", "SELECT a b", "SELECT", "a"),
        ("SELECT STRAIGHT_JOIN x FROM t USE INDEX (i), u", "SELECT t u", "SELECT", "t"),
        ("SELECT a FROM t PARTITION (p0, p1), u LIMIT 5, 10", "SELECT t u", "SELECT", "t"),
        ("SELECT a INTO OUTFILE '/tmp/x' FROM t", "SELECT t", "SELECT", "t"),
        ("SELECT a, b INTO @x, @y FROM t", "SELECT t", "SELECT", "t"),
        ("LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE t FIELDS TERMINATED BY ','", "LOAD t", "LOAD", "t"),
        ("LOCK TABLES a READ, b AS x WRITE", "LOCK a b", "LOCK", "a"),
        ("SELECT * FROM tables", "SELECT tables", "SELECT", "tables"),
        ("RENAME TABLE a TO b", "RENAME TABLE a", "RENAME TABLE", "a"),
        ("RENAME USER bob TO eve", "RENAME USER", "RENAME USER", ""),
        ("OPTIMIZE LOCAL TABLE a, b", "OPTIMIZE a b", "OPTIMIZE", "a"),
        ("UNLOCK TABLES", "UNLOCK", "UNLOCK", ""),
        (
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT * FROM c JOIN t",
            "SELECT SELECT SELECT t",
            "SELECT",
            "t",
        ),
        ("SET @a := 'x'; SELECT @a", "SET; SELECT", "SET", ""),
    ] {
        let mut digest = Digest::new();
        digest.read(sql.as_bytes(), Dialect::MySql);
        assert_eq!((digest.summary(), digest.operation(), digest.target()), (summary, operation, target), "{sql}");
    }
}

#[test]
fn literals_of_mysql_go() {
    for (sql, text) in [
        ("select 'it\\'s', \"it\\\"s\", 'a''b' from t", "select ? from t"),
        ("select _utf8mb4'secret', N'secret', x'5e', b'01', 0x5e, @'secret'", "select _utf8mb4?, @?"),
        ("select a -- secret\n, b # secret\n, c --secret", "select a , b , c --secret"),
        ("/*!40101 SET a = 'secret' */", "SET a = ?"),
        ("select /*!1*/, /*!50000 2*/, /*!500001 'secret' */ a", "select ? a"),
        ("select /*+ MAX_EXECUTION_TIME(1) */ 1 */ 2", "select ? */ ?"),
        ("select /*M!100100 'secret' */ 1", "select ? ?"),
        ("select /*! unterminated 'secret", "select unterminated ?"),
        ("select 'unterminated \\' secret", "select ?"),
        ("limit 5, 10", "limit ?"),
        ("1 , ?/* x */ = ?", "? = ?"),
        ("a ---- secret\nb", "a b"),
        ("a --/**/ secret\n, b---1, c--", "a , b--?, c--"),
        ("a->>'$.secret' and b=-1", "a->>? and b=?"),
    ] {
        assert_eq!(clean(sql, Dialect::MySql), text, "{sql}");
        assert_eq!(clean(text, Dialect::MySql), text, "again: {text}");
    }
    let plain = "select 'it\\', 'secret', \"a\\\", \"secret\"";
    assert_eq!(clean(plain, Dialect::MySqlNoBackslash), "select ?");
}

#[test]
fn statements_are_counted() {
    let mut digest = Digest::new();
    for (sql, count) in
        [("", 0), (";;", 0), ("/* */ --", 0), ("select 1", 1), ("select 1; select ';'", 2), ("a;b;c;", 3)]
    {
        digest.read(sql.as_bytes(), Dialect::Postgres);
        assert_eq!(digest.statements(), count, "{sql}");
    }
}

#[test]
fn literals_go() {
    for (sql, text) in [
        ("select  'a''b' ,E'it\\'s' from t", "select ? from t"),
        ("select E'a'\n'it\\'s secret', 1", "select ? ?"),
        ("select 'it\\', secret", "select ?, secret"),
        ("select $$secret$$, $a$ $b$ secret $a$, $1, foo$x$bar$x$", "select ?, $1, foo$x$bar$x$"),
        (
            "select B'01' || x'ff' || N'é' || U&'d\\0061t' , U&\"n\\0061me\"",
            "select ? || ? || ? || ? , U&\"n\\0061me\"",
        ),
        ("x = -1 and y=-2.5e-3 or z>-.5 and a-1 and b -1", "x = ? and y=? or z>? and a-? and b -?"),
        ("select 0x1F, 1_000, 1.5, .5, 1e10, 5", "select ?"),
        ("select 0x1e-5", "select ?-?"),
        ("select 10.0.0.1abc", "select ?"),
        ("where a in (1,2 , 3) and b in ('x')", "where a in (?) and b in (?)"),
        ("values (1, 'a', null), (2, 'b', null)", "values (?, null), (?, null)"),
        ("values (1, 'a') , (2, 'b'),(3,4)", "values (?)"),
        ("in ($1, $2, 3)", "in ($1, $2, ?)"),
        ("a/* x /* secret */ y */b -- secret\n+ c", "a b + c"),
        ("a --secret", "a"),
        ("a /* secret", "a"),
        ("select 'unterminated secret", "select ?"),
        ("select $x$ unterminated secret", "select ?"),
        ("select a::int, b->>'k', c ? 'd', e ?| array['f']", "select a::int, b->>?, c ? ?, e ?| array[?]"),
        ("select \"it's\" , 'x'", "select \"it's\" , ?"),
        ("  select\t1\r\n;  ", "select ? ;"),
        ("1 , ?/* x */ = ?-- y", "? = ?"),
    ] {
        assert_eq!(clean(sql, Dialect::Postgres), text, "{sql}");
        assert_eq!(clean(text, Dialect::Postgres), text, "again: {text}");
    }
}

#[test]
fn dialects_differ() {
    assert_eq!(clean("select 'it\\'s secret', 1", Dialect::PostgresBackslash), "select ?");
    let sql = "select `a``b`, \"it\\\"s\" # secret\n, x --1, 'it\\'s'";
    assert_eq!(clean(sql, Dialect::MySql), "select `a``b`, ? , x -?");
    let mut digest = Digest::new();
    digest.read(b"REPLACE INTO `my table` VALUES (1) -- x", Dialect::MySql);
    assert_eq!((digest.summary(), digest.operation(), digest.target()), ("REPLACE `my table`", "REPLACE", "my table"));
}

fn clean_as(sql: impl AsRef<[u8]>, grammar: Grammar) -> String {
    let mut digest = Digest::new();
    digest.read_as(sql.as_ref(), grammar, false);
    digest.text().into()
}

/// Nobody said what a backslash is: nothing is told from where that matters on.
#[test]
fn what_a_backslash_may_be_ends_the_text() {
    for (sql, text) in [
        ("UPDATE t SET d = 'C:\\', p = 'hunter2'", "UPDATE t SET d = ?"),
        ("UPDATE t SET d = 'it\\'s hunter2', p = 'hunter2'", "UPDATE t SET d = ?"),
        ("SELECT N'a\\'' hunter2' FROM t", "SELECT ?"),
        ("SELECT 'a\\\\\\' hunter2' FROM t", "SELECT ?"),
        ("SELECT 'it''s', 'a\\\\b', 'a\\n', 'a\\\\', x, 'a\\\"' FROM t", "SELECT ?, x, ? FROM t"),
    ] {
        for grammar in [Grammar::POSTGRES, Grammar::MYSQL, Grammar::UNKNOWN] {
            assert_eq!(clean_as(sql, grammar), text, "{grammar:?}: {sql}");
            assert_eq!(clean_as(text, grammar), text, "again: {grammar:?}: {text}");
        }
    }
    assert_eq!(clean_as("SELECT E'it\\'s', x", Grammar::POSTGRES), "SELECT ?, x");
    assert_eq!(clean_as("SELECT \"a\\\" hunter2, \"x\"", Grammar::MYSQL), "SELECT ?");
}

/// Any dialect may be meant.
#[test]
fn what_no_dialect_is_known_for_ends_the_text() {
    for (sql, text) in [
        ("SELECT q'[O'Neil hunter2]' FROM t", "SELECT q?"),
        ("SELECT a, Nq'!O'Neil hunter2!' FROM t", "SELECT a, Nq?"),
        ("SELECT $$hunter2$$ FROM t", "SELECT ?"),
        ("SELECT a, $a$ hunter2 $a$ FROM t", "SELECT a, ?"),
        ("SELECT a --hunter2\n FROM t", "SELECT a ?"),
        ("SELECT a FROM #it's\n WHERE b = 'hunter2'", "SELECT a FROM ?"),
        ("SELECT a /*! hunter2 */ FROM t", "SELECT a ?"),
        ("SELECT a /* b /* c */ hunter2 */ FROM t", "SELECT a ?"),
        ("SELECT [it's] FROM t WHERE a = 'hunter2'", "SELECT ?"),
        ("SELECT q.a, nq, $1, $a FROM q -- hunter2\n, t /* hunter2 */", "SELECT q.a, nq, $1, $a FROM q , t"),
        ("SELECT [a b], ['hunter2', 'b'] FROM [t] ---", "SELECT [a b], [?] FROM [t] ---"),
    ] {
        assert_eq!(clean_as(sql, Grammar::UNKNOWN), text, "{sql}");
        assert_eq!(clean_as(text, Grammar::UNKNOWN), text, "again: {text}");
    }
}

/// In GBK and the like a backslash may be the second byte of a character.
#[test]
fn half_a_character_ends_the_text() {
    let text = "INSERT INTO t VALUES (?";
    for sql in [
        &b"INSERT INTO t VALUES ('\x95\x5c','hunter2')"[..],
        b"INSERT INTO t VALUES ('a\\n\x95\x5c\\',hunter2', 'hunter2')",
        b"INSERT INTO t VALUES ('\xc3\xa9\\n\x81\x5c','hunter2')",
    ] {
        for dialect in [Dialect::MySql, Dialect::PostgresBackslash] {
            assert_eq!(clean(sql, dialect), text, "{sql:?}");
        }
    }
    assert_eq!(clean(b"SELECT E'\x95\x5c',hunter2'", Dialect::Postgres), "SELECT ?");
    for sql in ["SELECT 'é\\'s', 'é\\\\é\\', x'", "SELECT '\\é\\é', '\\\u{4e2d}\\n'"] {
        assert_eq!(clean(sql, Dialect::MySql), "SELECT ?");
    }
    assert_eq!(clean(b"SELECT '\x95', '\x95\\', x", Dialect::MySqlNoBackslash), "SELECT ?, x");
    assert_eq!(clean(b"SELECT '\x95', '\x95\\', x", Dialect::Postgres), "SELECT ?, x");
}

#[test]
fn summary_is_bounded_and_cut_between_words() {
    let sql: String = (0..100).map(|n| alloc::format!("SELECT * FROM table_{n} UNION ")).collect();
    let (summary, ..) = read(&sql);
    assert!(summary.len() <= MAX_SUMMARY && summary.len() > 230);
    assert!(summary.ends_with(|last: char| last.is_ascii_digit()) || summary.ends_with("SELECT"));
}

#[test]
fn parentheses_may_be_deep() {
    let sql = alloc::format!("SELECT {}SELECT * FROM t{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(read(&sql).0, "SELECT SELECT t");
}

/// The same for MySQL.
fn pieces_of_mysql() -> impl Strategy<Value = Vec<String>> {
    let secret = "[0-9]{0,3}s3cr3t[a-z'\"]{0,4}";
    let literal = prop_oneof![
        secret.prop_map(|s| alloc::format!("'{}'", s.replace('\'', "''"))),
        secret.prop_map(|s| alloc::format!("'{}'", s.replace('\'', "\\'"))),
        secret.prop_map(|s| alloc::format!("\"{}\"", s.replace('"', "\\\""))),
        secret.prop_map(|s| alloc::format!("/* {s} */")),
        secret.prop_map(|s| alloc::format!("-- {s}\n")),
        secret.prop_map(|s| alloc::format!("#{s}\n")),
        "[1-9]s3cr3t[a-z]{0,4}".prop_map(|s| alloc::format!("/*!{s}*/")),
        "[1-9]s3cr3t[a-z]{0,4}".prop_map(|s| alloc::format!("-{s}")),
    ];
    const OTHER: [&str; 18] = [
        "SELECT", "FROM", "t", "`a name`", "(", ")", ",", "=", "*", "/", "WITH", ";", "-", "?", ".", "AS", "/*!", "*/",
    ];
    prop::collection::vec(prop_oneof![literal, prop::sample::select(&OTHER[..]).prop_map(String::from)], 0..40)
}

/// A literal that can be told from everything else, in every form, and text between.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let secret = "[0-9]{0,3}s3cr3t[a-z']{0,4}";
    let literal = prop_oneof![
        secret.prop_map(|s| alloc::format!("'{}'", s.replace('\'', "''"))),
        secret.prop_map(|s| alloc::format!("E'{}\\'{}'", s.replace('\'', "\\'"), s.replace('\'', "''"))),
        secret.prop_map(|s| alloc::format!("$${s}$$")),
        secret.prop_map(|s| alloc::format!("$tag$ $ $t$ {s}$tag$")),
        secret.prop_map(|s| alloc::format!("/* {s} */")),
        secret.prop_map(|s| alloc::format!("-- {s}\n")),
        "[1-9]s3cr3t[a-z]{0,4}".prop_map(|s| alloc::format!("-{s}")),
    ];
    let other = prop_oneof![
        Just("SELECT"),
        Just("FROM"),
        Just("t"),
        Just("\"a name\""),
        Just("("),
        Just(")"),
        Just(","),
        Just("="),
        Just("||"),
        Just("$1"),
        Just("WITH"),
        Just(";"),
        Just("-"),
        Just("?"),
        Just("."),
        Just("AS"),
    ];
    prop::collection::vec(prop_oneof![literal, other.prop_map(String::from)], 0..40)
}

/// Strings of one of the dialects that may be meant, a secret in each.
fn strings(kinds: &'static [u8]) -> impl Strategy<Value = String> {
    let text = "[ab\\\\'\"é\\[\\]#/*-]{0,4}s3cr3t[ab\\\\'\"é$]{0,4}";
    (prop::sample::select(kinds), prop::collection::vec(text, 1..6)).prop_map(|(kind, texts)| {
        let quoted = texts.iter().map(|text| match kind {
            b'\\' => alloc::format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            b'2' => alloc::format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            b'q' => alloc::format!("q'!{text}!'"),
            b'$' => alloc::format!("$b${text} $b$"),
            _ => alloc::format!("'{}'", text.replace('\'', "''")),
        });
        quoted.map(|text| alloc::format!("a, {text} = b.c")).collect()
    })
}

proptest! {
    #[test]
    fn no_string_of_an_unknown_dialect_survives(sql in strings(b"\\2'q$")) {
        prop_assert!(!clean_as(&sql, Grammar::UNKNOWN).contains("s3cr3t"), "{}", sql);
    }

    #[test]
    fn no_string_with_unknown_backslashes_survives(sql in strings(b"\\2'")) {
        for grammar in [Grammar::POSTGRES, Grammar::MYSQL, Grammar::UNKNOWN] {
            let text = clean_as(&sql, grammar);
            prop_assert!(!text.contains("s3cr3t"), "{:?}: {}", grammar, sql);
            prop_assert_eq!(clean_as(&text, grammar), text);
        }
    }

    #[test]
    fn any_bytes_do(sql in prop::collection::vec(any::<u8>(), 0..300)) {
        for dialect in DIALECTS {
            let mut digest = Digest::new();
            digest.read(&sql, dialect);
            prop_assert!(digest.summary().len() <= MAX_SUMMARY);
            let (mut once, mut twice, mut summed) = (String::new(), String::new(), String::new());
            sanitize(&sql, dialect, &mut once);
            sanitize(once.as_bytes(), dialect, &mut twice);
            summary(&sql, dialect, &mut summed);
            prop_assert_eq!(&once, &twice);
            prop_assert_eq!(digest.text(), once);
            prop_assert_eq!(digest.summary(), summed);
        }
    }

    #[test]
    fn sql_like_text_is_idempotent(sql in "[-a-zE0-9 '\"$?(),.;/*+=<>\n\\\\e#`&@|:!M]{0,80}") {
        for dialect in DIALECTS {
            let once = clean(&sql, dialect);
            prop_assert_eq!(&clean(&once, dialect), &once);
        }
    }

    #[test]
    fn no_literal_survives(pieces in pieces()) {
        let sql = pieces.join(" ");
        let mut digest = Digest::new();
        digest.read(sql.as_bytes(), Dialect::Postgres);
        prop_assert!(!digest.text().contains("s3cr3t"), "{}", digest.text());
        prop_assert!(!digest.summary().contains("s3cr3t"), "{}", digest.summary());
    }

    #[test]
    fn no_literal_of_mysql_survives(pieces in pieces_of_mysql(), at in 0_usize..400) {
        let sql = pieces.join(" ");
        let mut digest = Digest::new();
        for sql in [sql.as_bytes(), sql.as_bytes().get(..at).unwrap_or_default()] {
            digest.read(sql, Dialect::MySql);
            prop_assert!(!digest.text().contains("s3cr3t"), "{}", digest.text());
            prop_assert!(!digest.summary().contains("s3cr3t"), "{}", digest.summary());
        }
    }

    #[test]
    fn cut_anywhere_leaks_nothing(pieces in pieces(), at in 0_usize..400) {
        let sql = pieces.join(" ");
        let cut = sql.as_bytes().get(..at).unwrap_or(sql.as_bytes());
        let mut out = String::new();
        sanitize(cut, Dialect::Postgres, &mut out);
        prop_assert!(!out.contains("s3c"), "{out}");
    }
}
