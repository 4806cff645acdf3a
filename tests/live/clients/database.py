"""PostgreSQL clients: `database.py psycopg2|psycopg3|asyncpg HOST MARK [waiting]`. HOST is an address or the socket's folder.

Logs each statement as a JSON line: its summary, and the SQLSTATE if it failed.
"""

import asyncio
import json
import sys

COUNT = 6


def statements(mark):
    """(SQL, parameters, summary, SQLSTATE); `%s` stands for a parameter."""
    for number in range(COUNT):
        name = f"q_{mark}n{number}"
        yield f"SELECT name AS {name} FROM items WHERE id = %s", (number,), "SELECT items", None
        yield f"INSERT INTO visits (who) VALUES (%s) RETURNING id AS {name}", (name,), "INSERT visits", None
        yield f"UPDATE visits SET who = %s WHERE who = '{name}'", ("somebody",), "UPDATE visits", None
        yield f"DELETE FROM visits WHERE who = '{name}'", (), "DELETE visits", None
        yield f"SELECT {name} FROM nowhere", (), "SELECT nowhere", "42P01"
        yield f"SELECT i.name, v.who AS {name} FROM items i JOIN visits v ON v.id = i.id", (), "SELECT items visits", None


def log(summary, state, backend):
    record = {"protocol": "postgres", "summary": summary, "error": state, "backend": backend, "port": 5432}
    print(json.dumps(record), flush=True)


def wait_if_asked():
    if "waiting" in sys.argv:
        print("connected", file=sys.stderr, flush=True)
        sys.stdin.read()


def synchronous(driver, host, mark):
    if driver == "psycopg2":
        import psycopg2 as module
    else:
        import psycopg as module
    connection = module.connect(host=host, user="postgres", dbname="postgres")
    connection.autocommit = True
    backend = connection.info.backend_pid
    cursor = connection.cursor()
    wait_if_asked()
    for sql, parameters, summary, state in statements(mark):
        try:
            cursor.execute(sql, parameters)
            seen = None
        except module.Error as error:
            seen = error.sqlstate if driver == "psycopg3" else error.pgcode
        if seen != state:
            sys.exit(f"{sql}: {seen} instead of {state}")
        log(summary, state, backend)
    for sql in ("BEGIN", "SELECT 1", "COMMIT"):
        cursor.execute(sql)
        log(sql.split()[0], None, backend)
    connection.close()


async def asynchronous(host, mark):
    import asyncpg

    # Without its cache every fetch is one prepare and one execution, as the log says.
    connection = await asyncpg.connect(host=host, user="postgres", database="postgres", statement_cache_size=0)
    backend = connection.get_server_pid()
    wait_if_asked()
    for sql, parameters, summary, state in statements(mark):
        try:
            await connection.fetch(sql.replace("%s", "$1"), *parameters)
            seen = None
        except asyncpg.PostgresError as error:
            seen = error.sqlstate
        if seen != state:
            sys.exit(f"{sql}: {seen} instead of {state}")
        log(summary, state, backend)
    for sql in ("BEGIN", "SELECT 1", "COMMIT"):
        await connection.execute(sql)
        log(sql.split()[0], None, backend)
    await connection.close()


driver, host, mark = sys.argv[1:4]
if driver == "asyncpg":
    asyncio.run(asynchronous(host, mark))
else:
    synchronous(driver, host, mark)
