"""MariaDB by PyMySQL, mysql-connector-python and the mariadb program: `mysql_client.py PORT...`."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time

import mysql.connector
import pymysql
from pymysql.constants import CLIENT
from truth import log, operation, token

ERRORS = [("SELECT {0} FROM nowhere", "1146"), ("SELEC {0}", "1064"), ("SELECT {0}", "1054")]


def names(port, **more):
    return {"host": "127.0.0.1", "port": port, "user": "app", "password": "secret", "database": "shop", **more}


class Run:
    """Statements of one PyMySQL connection, each logged."""

    def __init__(self, port, silent=False, **more):
        self.port, start = port, time.time_ns()
        self.connection = pymysql.connect(**names(port, ssl_disabled=True, **more))
        # What the driver says of its own.
        for _ in range(0 if silent else 2):
            log("mysql", port, ["SET", None], None, start, time.time_ns())
        self.cursor = self.connection.cursor()

    def __call__(self, word, name, sql, code=None):
        with operation("mysql", self.port, word, name) as running:
            try:
                self.cursor.execute(sql)
                rows = self.cursor.fetchall()
                while self.cursor.nextset():
                    rows = self.cursor.fetchall()
            except pymysql.MySQLError as error:
                running.outcome, rows = str(error.args[0]), None
        if running.outcome != code:
            sys.exit(f"{sql}: {running.outcome}")
        return rows

    def other(self, word, call):
        with operation("mysql", self.port, word, None):
            call()


def text(port):
    run = Run(port, client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True)
    for number in range(80):
        name = token()
        run("SELECT", name, f"SELECT {number} AS {name}, 'a ''literal''' AS other, \"it\\\"s\" # a comment")
        name = token()
        template, code = ERRORS[number % len(ERRORS)]
        run("QUERY" if code == "1064" else "SELECT", name, template.format(name), code)
    for sql in ("BEGIN", "INSERT INTO scratch VALUES (1, 'x')", "UPDATE scratch SET word = 'y'", "DELETE FROM scratch", "ROLLBACK"):
        run(sql.split(" ")[0], None, sql)
    for rows in (0, 1, 5000):
        name = token()
        assert len(run("SELECT", name, f"SELECT seq AS {name}, REPEAT('x', 20) FROM seq_1_to_100000 LIMIT {rows}")) == rows
    name = token()
    run("SELECT", name, f"SELECT 1 AS {name}; UPDATE scratch SET word = 'z'; SELECT 2")
    name = token()
    run("SELECT", name, f"SELECT 1 AS {name}; SELECT nope; SELECT 3", "1054")
    run("CALL", None, "CALL two()")
    name = token()
    run("SELECT", name, f"SELECT 1 AS {name}, LENGTH('{'x' * 1_000_000}')")
    for size in (1_000_000, 17_000_000):
        name = token()
        assert len(run("SELECT", name, f"SELECT REPEAT('x', {size}) AS {name}")[0][0]) == size
    run.other("PING", run.connection.ping)
    run.other("INIT_DB", lambda: run.connection.select_db("other"))
    run("USE", None, "USE `shop`")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        for lines in (1, 20_000):
            file.write("7,word\n" * lines)
            file.flush()
            run("LOAD", None, f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE scratch FIELDS TERMINATED BY ','")
    run("DELETE", None, "DELETE FROM scratch")
    run.connection.close()


def refused(port):
    with operation("mysql", port, "CONNECT", None) as running:
        running.more = {"apart": True}
        try:
            pymysql.connect(**names(port, password="wrong", ssl_disabled=True))
        except pymysql.MySQLError as error:
            running.outcome = str(error.args[0])


def full(port):
    """More connections than the server takes: it refuses instead of greeting, and nothing was sent."""
    with contextlib.ExitStack() as kept:
        for _ in range(1000):
            start = time.time_ns()
            connection = kept.enter_context(socket.create_connection(("127.0.0.1", port)))
            first = connection.recv(4096)
            if first[4] == 0xff:
                log("mysql", port, ["CONNECT", None], str(int.from_bytes(first[5:7], "little")), start, time.time_ns(), apart=True)
                break
        with operation("mysql", port, "CONNECT", None) as running:
            running.more = {"apart": True}
            try:
                pymysql.connect(**names(port, ssl_disabled=True))
            except pymysql.MySQLError as error:
                running.outcome = str(error.args[0])
        if running.outcome != "1040":
            sys.exit(f"one connection more than the server takes: {running.outcome}")


def prepared(port):
    """mysql-connector-python: statements by number, resets and closes; other commands."""
    start = time.time_ns()
    connection = mysql.connector.connect(**names(port, ssl_disabled=True, use_pure=True))
    cursor = connection.cursor(prepared=True)
    # What the driver says of its own.
    for word in ("SET", "SET", "PING"):
        log("mysql", port, [word, None], None, start, time.time_ns())
    for number in range(60):
        name = token()
        sql = f"SELECT seq AS {name}, CONCAT('x', seq) FROM seq_1_to_50 WHERE seq <= ?"
        for rows in range(1, 4):
            with operation("mysql", port, "SELECT", name):
                cursor.execute(sql, (rows,))
                assert len(cursor.fetchall()) == rows
        name = token()
        with operation("mysql", port, "SELECT", name) as running:
            running.more = {"apart": True}
            try:
                cursor.execute(f"SELECT nope AS {name} FROM scratch WHERE id = ?", (number,))
            except mysql.connector.Error as error:
                running.outcome = str(error.errno)
    cursor.close()
    for word, call in (("PING", connection.ping), ("STATISTICS", connection.cmd_statistics)):
        with operation("mysql", port, word, None):
            call()
    connection.close()


def compressed(port):
    start = time.time_ns()
    connection = mysql.connector.connect(**names(port, ssl_disabled=True, use_pure=True, compress=True))
    cursor = connection.cursor()
    for word in ("SET", "SET", "PING"):
        log("mysql", port, [word, None], None, start, time.time_ns())
    for rows in [1, 2, 20, 200] * 10:
        name = token()
        with operation("mysql", port, "SELECT", name) as running:
            running.more = {"apart": True}
            cursor.execute(f"SELECT seq AS {name}, REPEAT('x', 20) FROM seq_1_to_100000 LIMIT {rows}")
            assert len(cursor.fetchall()) == rows
        name = token()
        with operation("mysql", port, "SELECT", name) as running:
            running.more = {"apart": True}
            try:
                cursor.execute(f"SELECT {name} FROM nowhere WHERE id = 'a text that is long enough to be compressed, so that it is'")
            except mysql.connector.Error as error:
                running.outcome = str(error.errno)
    connection.close()


def program(port):
    """The mariadb program, which asks for nothing of its own when it runs a batch."""
    for options in ([], ["--compress"]):
        words, start = [token() for _ in range(20)], time.time_ns()
        sql = "".join(f"SELECT seq AS {name}, REPEAT('x', 20) FROM seq_1_to_100000 LIMIT {3 ** (number % 10)};\n"
                      for number, name in enumerate(words))
        command = ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--user=app", "--skip-ssl", "--batch", *options, "shop"]
        subprocess.run(command, input=sql.encode(), check=True, stdout=subprocess.DEVNULL, env={**os.environ, "MYSQL_PWD": "secret"})
        for name in words:
            log("mysql", port, ["SELECT", name], None, start, time.time_ns())


def main():
    for port in map(int, sys.argv[1:]):
        text(port)
        prepared(port)
        compressed(port)
        program(port)
        refused(port)
        full(port)


if __name__ == "__main__":
    main()
