"""One route of Flask that logs a line."""

import logging

import flask

app = flask.Flask(__name__)
logging.basicConfig(level=logging.INFO, filename="/dev/null")
log = logging.getLogger("orders")


@app.route("/user/<int:user>")
def user(user):
    log.info("user %d", user)
    return {"id": user}
