"""A Celery application over Redis."""

import logging
import os

import celery

URL = "redis://127.0.0.1:%s/1" % os.environ["REDIS_PORT"]
app = celery.Celery("shop", broker=URL, backend=URL)


@app.task(name="shop.add")
def add(a, b):
    logging.getLogger("shop.tasks").warning("adding")
    return a + b


@app.task(name="shop.fail")
def fail():
    raise ValueError("no")
