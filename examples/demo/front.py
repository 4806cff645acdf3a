"""The front service: takes orders. It asks PostgreSQL, Redis and the pricing service for each one.

Nothing here knows about telemetry: what the agent shows of it comes out of the kernel.
"""

import os

import flask
import psycopg
import redis
import requests

app = flask.Flask(__name__)
database = psycopg.connect(os.environ["DATABASE"], autocommit=True)
cache = redis.Redis(port=int(os.environ["REDIS_PORT"]))
pricing = requests.Session()


@app.get("/health")
def health():
    return {"healthy": True}


@app.post("/orders/<int:product>")
def order(product):
    name = cache.get(f"product:{product}")
    if name is None:
        row = database.execute("SELECT name FROM products WHERE id = %s", (product,)).fetchone()
        if row is None:
            return {"error": "no such product"}, 404
        name = row[0].encode()
        cache.setex(f"product:{product}", 300, name)
    price = pricing.get(f"{os.environ['PRICING']}/prices/{product}", timeout=5).json()["price"]
    database.execute("INSERT INTO orders (product, price) VALUES (%s, %s)", (product, price))
    return {"product": name.decode(), "price": price}, 201
