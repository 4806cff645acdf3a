"""What an application does with its databases. Each function gives something that shows that it worked."""

import os

POSTGRES = {"host": "127.0.0.1", "port": int(os.environ.get("POSTGRES_PORT", 0)), "user": "postgres"}
REDIS = int(os.environ.get("REDIS_PORT", 0))
MARIADB = {"host": "127.0.0.1", "port": int(os.environ.get("MARIADB_PORT", 0)), "user": "root", "database": "test"}
QUERY = "SELECT relname FROM pg_class WHERE relname = 'pg_class' AND relnamespace > 3"


def psycopg2():
    import psycopg2
    import psycopg2.extras

    connection = psycopg2.connect(dbname="postgres", **POSTGRES)
    psycopg2.extras.register_uuid(conn_or_curs=connection)
    with connection, connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute(QUERY)
        name = cursor.fetchone()["relname"]
        try:
            cursor.execute("SELECT * FROM no_such_table")
        except psycopg2.Error:
            connection.rollback()
    connection.close()
    return name


def psycopg():
    import psycopg

    with psycopg.connect(dbname="postgres", **POSTGRES) as connection:
        return connection.execute("SELECT relname FROM pg_class WHERE relname = %s", ("pg_class",)).fetchone()[0]


async def psycopg_async():
    import psycopg

    async with await psycopg.AsyncConnection.connect(dbname="postgres", **POSTGRES) as connection:
        return (await (await connection.execute(QUERY)).fetchone())[0]


async def asyncpg():
    import asyncpg

    async with asyncpg.create_pool(database="postgres", min_size=1, max_size=1, **POSTGRES) as pool:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMP TABLE things (id int)")
            return await connection.fetchval("SELECT relname FROM pg_class WHERE relname = $1", "pg_class")


def sqlite3():
    import sqlite3

    connection = sqlite3.connect(os.path.join(os.environ["HOME"], "shop.db"))
    connection.execute("CREATE TABLE orders (id INTEGER, name TEXT)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO orders VALUES (?, ?)", [(1, "one"), (2, "two")])
    return cursor.execute("SELECT count(*) FROM orders WHERE name <> 'secret'").fetchone()[0]


def sqlalchemy():
    import sqlalchemy

    engine = sqlalchemy.create_engine("postgresql+psycopg2://postgres@127.0.0.1:%d/postgres" % POSTGRES["port"])
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text(QUERY)).scalar()


def redis():
    import redis

    client = redis.Redis(port=REDIS, db=2)
    client.set("secret-key", "secret-value")
    with client.pipeline() as pipeline:
        pipeline.get("secret-key").incr("count").execute()
    return client.get("secret-key").decode()


async def redis_async():
    import redis.asyncio

    client = redis.asyncio.Redis(port=REDIS)
    await client.set("a", "1")
    answer = (await client.get("a")).decode()
    await client.aclose()
    return answer


def pymysql():
    import pymysql

    connection = pymysql.connect(**MARIADB)
    with connection.cursor() as cursor:
        cursor.execute('SELECT "secret" FROM information_schema.tables WHERE table_schema = %s LIMIT 1', ("mysql",))
        return cursor.fetchone()[0]


def mysqlclient():
    import MySQLdb
    import MySQLdb.cursors

    connection = MySQLdb.connect(**MARIADB)
    with connection.cursor(MySQLdb.cursors.DictCursor) as cursor:
        cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(1, "secret"), (2, "secret too")])
        cursor.execute('SELECT count(*) AS n FROM orders WHERE name <> "secret-name"')
        count = cursor.fetchone()["n"]
        try:
            cursor.execute("SELECT * FROM nowhere")
        except MySQLdb.Error as error:
            failure = type(error).__name__
    with connection.cursor() as cursor:
        cursor.execute(b"SELECT 'secret'")
        answer = len(cursor.fetchall())
    connection.close()
    return count, failure, str(answer)


def mysql_connector():
    import mysql.connector

    connection = mysql.connector.connect(use_pure=True, **MARIADB)
    cursor = connection.cursor()
    cursor.execute("SELECT table_name FROM information_schema.tables LIMIT 1")
    found = bool(cursor.fetchall())
    connection.close()
    return found


def pymongo():
    import pymongo

    client = pymongo.MongoClient("127.0.0.1", int(os.environ["MONGO_PORT"]), serverSelectionTimeoutMS=5000)
    client.shop.orders.insert_one({"_id": 1, "secret": "value"})
    try:
        client.shop.orders.drop()
    except pymongo.errors.OperationFailure:
        pass
    client.close()
    return True
