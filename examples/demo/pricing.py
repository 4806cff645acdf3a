"""The pricing service: a price per product, and a counter of how often it was asked for."""

import os

import flask
import psycopg
import redis

app = flask.Flask(__name__)
database = psycopg.connect(os.environ["DATABASE"], autocommit=True)
cache = redis.Redis(port=int(os.environ["REDIS_PORT"]))


@app.get("/health")
def health():
    return {"healthy": True}


@app.get("/prices/<int:product>")
def price(product):
    cache.incr(f"asked:{product}")
    row = database.execute("SELECT price FROM prices WHERE product = %s", (product,)).fetchone()
    return {"price": row[0]}
