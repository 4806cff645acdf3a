"""The Flask application on eventlet's own server."""

import eventlet

eventlet.monkey_patch()

import os  # noqa: E402

import eventlet.wsgi  # noqa: E402
import flask_app  # noqa: E402

eventlet.wsgi.server(eventlet.listen(("127.0.0.1", int(os.environ["PORT"]))), flask_app.app, log_output=False)
