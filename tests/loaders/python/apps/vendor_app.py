"""A Flask application that looks at the agents and SDKs of others, where they are."""

import logging
import os
import sys

import flask

if "SENTRY_DSN" in os.environ:
    import sentry_sdk

    sentry_sdk.init(traces_sample_rate=1.0)

app = flask.Flask(__name__)


@app.route("/user/<int:user>")
def user(user):
    logging.getLogger("shop").warning("user %d", user)
    return {"id": user}


@app.route("/fail")
def fail():
    raise ValueError("no such order")


@app.route("/seen")
def seen():
    """What the other agent makes of this request."""
    if "newrelic" in sys.modules:
        import newrelic.agent

        transaction = newrelic.agent.current_transaction()
        return {"newrelic": transaction and transaction.name}
    return {"modules": sorted({"ddtrace", "elasticapm", "opentelemetry", "sentry_sdk"}.intersection(sys.modules))}
