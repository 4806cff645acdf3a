"""The WSGI server of the live tests, for gunicorn. `/chain/X` asks an HTTP server, PostgreSQL and Redis in turn."""

import http.client
import json
import os

import psycopg2
import redis

database = None
cache = redis.Redis(port=int(os.environ["REDIS_PORT"]))


def chain(name):
    global database
    upstream = http.client.HTTPConnection("127.0.0.1", int(os.environ["UPSTREAM_PORT"]))
    upstream.request("GET", f"/items/{name}")
    upstream.getresponse().read()
    upstream.close()
    if database is None:
        database = psycopg2.connect(os.environ["DATABASE_URL"])
        database.autocommit = True
    with database.cursor() as cursor:
        cursor.execute(f"SELECT name AS q_{name} FROM items WHERE id = 1")
        cursor.fetchall()
    cache.get(f"k:{name}")


def app(environ, start_response):
    kind, _, name = environ["PATH_INFO"].strip("/").partition("/")
    status, body = "200 OK", json.dumps({"item": name}).encode()
    if kind == "missing":
        status = "404 Not Found"
    elif kind == "echo":
        body = environ["wsgi.input"].read()
    elif kind == "big":
        body = b"x" * 1_000_000
    elif kind == "chain":
        chain(name)
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
