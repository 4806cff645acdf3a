"""A Flask application: routes, logs, calls, streams, failures."""

import concurrent.futures
import http.client
import logging
import os
import threading

import flask

app = flask.Flask(__name__)
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
log = logging.getLogger("shop.orders")
pool = concurrent.futures.ThreadPoolExecutor(2)


def call(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["UPSTREAM_PORT"]), timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@app.route("/user/<int:user>")
def user(user):
    log.info("user %d", user)
    return {"id": user, "pid": os.getpid()}


@app.route("/call/<int:status>")
def outgoing(status):
    return {"status": call(f"/status/{status}?token=secret")}


@app.route("/secure")
def secure():
    """Calls by https: urllib's way and that of requests."""
    import urllib.request

    import requests

    url = os.environ["UPSTREAM_URL"] + "/secure?token=secret"
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()
    with requests.Session() as session:
        return {"status": [answer.status, session.get(url, timeout=10).status_code]}


@app.route("/threads")
def threads():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call("/thread")))
    thread.start()
    thread.join()
    return {"thread": answers[0], "pool": pool.submit(call, "/pool").result()}


@app.route("/fail")
def fail():
    raise ValueError("no such order")


@app.route("/log")
def logs():
    try:
        raise KeyError("sku")
    except KeyError:
        log.exception("not found: %s", "sku")
    log.debug("not said")
    return {}


@app.route("/stream")
def stream():
    def parts():
        yield "one\n"
        log.warning("in the stream")
        yield "two\n"

    return flask.Response(parts(), mimetype="text/plain")


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]))
