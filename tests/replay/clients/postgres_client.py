"""PostgreSQL by psycopg2, psycopg 3 and asyncpg: `postgres_client.py PORT...`."""

import asyncio
import io
import socket
import struct
import sys
import threading
import time

import asyncpg
import psycopg
import psycopg2
from truth import log, operation, token

ERRORS = [("SELECT {0} FROM nowhere", "42P01"), ("SELEC {0}", "42601"), ("SELECT {0}()", "42883")]


def names(port):
    return {"host": "127.0.0.1", "port": port, "user": "postgres", "password": "secret", "dbname": "postgres"}


def simple(port):
    """psycopg2 speaks the simple protocol only."""
    connection = psycopg2.connect(**names(port))
    connection.autocommit = True
    cursor = connection.cursor()

    def run(word, sql, state=None):
        with operation("postgres", port, *word) as running:
            try:
                cursor.execute(sql)
            except psycopg2.Error as error:
                running.outcome = error.pgcode
        if running.outcome != state:
            sys.exit(f"{sql}: {running.outcome}")

    for number in range(60):
        name = token()
        run(["SELECT", name], f"SELECT {number} AS {name}, 'a ''literal''' AS other")
        cursor.fetchall()
        name = token()
        template, state = ERRORS[number % len(ERRORS)]
        run(["QUERY" if state == "42601" else "SELECT", name], template.format(name), state)
    for word, sql in (("BEGIN", "BEGIN"), ("INSERT", "INSERT INTO scratch VALUES (1, 'x')"), ("ROLLBACK", "ROLLBACK")):
        run([word, None], sql)
    name = token()
    run(["SELECT", name], f"SELECT 1 AS {name}; SELECT 2; UPDATE scratch SET id = id")
    name = token()
    run(["SELECT", name], f"SELECT repeat('x', 1000000) AS {name}")
    cursor.fetchall()
    run(["QUERY", None], ";")

    for rows in (0, 1, 5000):
        with operation("postgres", port, "COPY", None):
            cursor.copy_expert("COPY scratch FROM STDIN", io.StringIO("1\tsomething\n" * rows))
        name = token()
        with operation("postgres", port, "COPY", name):
            cursor.copy_expert(f"COPY (SELECT id AS {name}, word FROM scratch) TO STDOUT", io.StringIO())
    with operation("postgres", port, "COPY", None) as running:
        try:
            cursor.copy_expert("COPY scratch FROM STDIN", io.StringIO("not a number\n"))
        except psycopg2.Error as error:
            running.outcome = error.pgcode
    cancelled(port, connection, run)
    notifications(port, connection, run)
    connection.close()


def cancelled(port, connection, run):
    timer = threading.Timer(0.1, connection.cancel)
    timer.start()
    name = token()
    run(["SELECT", name], f"SELECT pg_sleep(20) AS {name}", "57014")
    timer.join()


def notifications(port, connection, run):
    run(["LISTEN", None], "LISTEN news")
    other = psycopg2.connect(**names(port))
    other.autocommit = True
    for number in range(3):
        with operation("postgres", port, "NOTIFY", None):
            other.cursor().execute(f"NOTIFY news, 'number {number}'")
    time.sleep(0.05)
    connection.poll()
    name = token()
    run(["SELECT", name], f"SELECT 1 AS {name}")
    other.close()


def refused(port):
    with operation("postgres", port, "CONNECT", None) as running:
        try:
            psycopg2.connect(**{**names(port), "dbname": "nothing"})
        except psycopg2.OperationalError:
            running.outcome = "3D000"
    with operation("postgres", port, "CONNECT", None) as running:
        try:
            psycopg2.connect(**{**names(port), "password": "wrong"})
        except psycopg2.OperationalError:
            running.outcome = "28P01"


def packet(*parts):
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 4) + body


def startups(port):
    """What no driver sends here: requests for GSS encryption and for protocol 3.2."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(packet(struct.pack(">HH", 1234, 5680)))
        assert wire.recv(1) in (b"G", b"N")
    for minor in (0, 2):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            with operation("postgres", port, "CONNECT", None) as running:
                wire.sendall(packet(struct.pack(">HH", 3, minor), b"user\0postgres\0database\0postgres\0\0"))
                assert b"SCRAM-SHA-256" in wire.recv(1 << 16)
                wire.sendall(b"p" + packet(b"NO-SUCH-MECHANISM\0", struct.pack(">i", -1)))
                told = wire.recv(1 << 16)
                running.outcome = told[told.index(b"\0C") + 2:][:5].decode()


def extended(port):
    """psycopg 3: Parse, Bind, Execute; prepared statements; pipelines."""
    connection = psycopg.connect(**names(port), autocommit=True, prepare_threshold=3)
    for number in range(40):
        name = token()
        with operation("postgres", port, "SELECT", name):
            connection.execute(f"SELECT %s::int AS {name}", (number,)).fetchall()
        name = token()
        with operation("postgres", port, "SELECT", name) as running:
            try:
                connection.execute(f"SELECT %s / 0 AS {name}", (number,))
            except psycopg.Error as error:
                running.outcome = error.sqlstate
    # The same text again and again: the third time it is prepared with a name.
    name = token()
    for number in range(10):
        with operation("postgres", port, "SELECT", name):
            connection.execute(f"SELECT %s::text AS {name}", (str(number),)).fetchall()
    for _ in range(3):
        words, start = [token() for _ in range(10)], time.time_ns()
        with connection.pipeline():
            cursors = [connection.execute(f"SELECT %s::int AS {name}", (1,)) for name in words]
            for cursor in cursors:
                cursor.fetchall()
        for name in words:
            log("postgres", port, ["SELECT", name], None, start, time.time_ns())
    with connection.cursor() as cursor:
        name = token()
        with operation("postgres", port, "COPY", name):
            with cursor.copy(f"COPY (SELECT generate_series(1, 1000) AS {name}) TO STDOUT") as copy:
                for _ in copy:
                    pass
        with operation("postgres", port, "COPY", None):
            with cursor.copy("COPY scratch FROM STDIN") as copy:
                for number in range(1000):
                    copy.write_row((number, "a word"))
    connection.close()


async def asynchronous(port):
    """asyncpg: named statements and portals, cursors, an error inside a transaction."""
    given = names(port)
    connection = await asyncpg.connect(
        host=given["host"], port=port, user=given["user"], password=given["password"], database=given["dbname"])

    async def run(word, name, call, state=None):
        with operation("postgres", port, word, name) as running:
            try:
                await call
            except asyncpg.PostgresError as error:
                running.outcome = error.sqlstate
        if running.outcome != state:
            sys.exit(f"{word} {name}: {running.outcome}")

    for number in range(30):
        name = token()
        await run("SELECT", name, connection.fetch(f"SELECT $1::int AS {name}", number))
        name = token()
        await run("SELECT", name, connection.execute(f"SELECT {number} AS {name}"))
    name = token()
    statement = await connection.prepare(f"SELECT $1::int AS {name}")
    for number in range(10):
        await run("SELECT", name, statement.fetchval(number))
    await run("BEGIN", None, connection.execute("BEGIN"))
    # A named portal: asked for its rows three at a time, and closed.
    name = token()
    statement = await connection.prepare(f"SELECT generate_series(1, 7) AS {name}")
    cursor = None
    for rows in (3, 3, 1):
        with operation("postgres", port, "SELECT", name):
            cursor = cursor or await statement.cursor()
            assert len(await cursor.fetch(3)) == rows
    name = token()
    await run("SELECT", name, connection.fetch(f"SELECT 1 / $1::int AS {name}", 0), "22012")
    name = token()
    await run("SELECT", name, connection.execute(f"SELECT 1 AS {name}"), "25P02")
    await run("ROLLBACK", None, connection.execute("ROLLBACK"))
    await connection.close()


def main():
    for port in map(int, sys.argv[1:]):
        simple(port)
        extended(port)
        asyncio.run(asynchronous(port))
        refused(port)
        startups(port)


main()
