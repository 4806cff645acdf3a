"""One route for each library: what an application does with it. Run by gunicorn; servers are found by variables."""

import asyncio
import importlib
import os

import flask

app = flask.Flask(__name__)
MODULES = ("work_databases", "work_calls", "work_messages")


def function(name):
    for module in MODULES:
        found = getattr(importlib.import_module(module), name, None)
        if found is not None:
            return found
    flask.abort(404)


@app.route("/do/<name>")
def do(name):
    answer = function(name)()
    if asyncio.iscoroutine(answer):
        answer = asyncio.run(answer)
    return {"answer": answer, "pid": os.getpid()}
