"""Puts everything in place when a process starts."""

import atexit
import sys

from obtrace_python import exits, settings
from obtrace_python.metrics import collector
from obtrace_python.sender import sender

# Imported modules and what of ours is told of them: a module of `libraries`, or of this package. A name stands for its
# function `install`, or for the one after the colon.
HOOKS = {
    "logging": "logs", "signal": "exits", "threading": "threads", "concurrent.futures.thread": "threads:pools", "multiprocessing.util": "exits:children",
    "billiard.util": "exits:children",
    "gunicorn.app.base": "libraries.wsgi:gunicorn", "wsgiref.handlers": "libraries.wsgi:wsgiref", "waitress.task": "libraries.wsgi:waitress",
    "werkzeug.serving": "libraries.wsgi:werkzeug", "flask.app": "libraries.flask", "flask.ctx": "libraries.flask:contexts",
    "starlette.applications": "libraries.asgi:starlette", "starlette.routing": "libraries.asgi:starlette_routing", "uvicorn.config": "libraries.asgi:uvicorn",
    "hypercorn.app_wrappers": "libraries.asgi:hypercorn",
    "django.core.handlers.wsgi": "libraries.django:wsgi_handler", "django.core.handlers.asgi": "libraries.django:asgi_handler",
    "django.core.handlers.base": "libraries.django:base", "django.core.handlers.exception": "libraries.django:exceptions",
    "aiohttp.web_protocol": "libraries.aiohttp:protocol", "aiohttp.client": "libraries.aiohttp:client",
    "http.client": "libraries.http_client", "httpx._client": "libraries.httpx",
    "psycopg2": "libraries.dbapi:psycopg2", "psycopg": "libraries.dbapi:psycopg", "pymysql.cursors": "libraries.dbapi:pymysql",
    "MySQLdb.cursors": "libraries.dbapi:mysqldb", "MySQLdb.connections": "libraries.dbapi:mysqldb_connections",
    "mysql.connector.cursor": "libraries.dbapi:mysql_connector", "mysql.connector.cursor_cext": "libraries.dbapi:mysql_connector",
    "sqlite3.dbapi2": "libraries.dbapi:sqlite3", "asyncpg.connection": "libraries.asyncpg", "asyncpg.prepared_stmt": "libraries.asyncpg:prepared",
    "redis.client": "libraries.redis", "redis.asyncio.client": "libraries.redis", "redis.cluster": "libraries.redis:cluster",
    "redis.asyncio.cluster": "libraries.redis:cluster", "pymongo.monitoring": "libraries.pymongo",
    "celery.app.base": "libraries.celery", "celery.signals": "libraries.celery:worker",
    "kafka.producer.kafka": "libraries.kafka:producer", "kafka.consumer.group": "libraries.kafka:consumer",
    "confluent_kafka": "libraries.kafka:confluent", "aiokafka.producer.producer": "libraries.kafka:aio_producer",
    "aiokafka.consumer.consumer": "libraries.kafka:aio_consumer", "pika.adapters.blocking_connection": "libraries.pika:blocking",
    "grpc": "libraries.grpc", "grpc.aio": "libraries.grpc:aio",
}


def installer(place, name):
    """What is called with the module once it is imported."""
    def hook(module):
        try:
            path, _, function = place.partition(":")
            __import__("obtrace_python." + path)
            getattr(sys.modules["obtrace_python." + path], function or "install")(module)
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            settings.fault("not instrumented: " + name, error)

    return hook


def begin(finder):
    """Starts to observe this process."""
    if "metrics" in settings.signals:
        sender.metrics = collector
    atexit.register(exits.at_exit)
    finder.watch_files()
    for name, place in HOOKS.items():
        if name in sys.modules:
            installer(place, name)(sys.modules[name])
        else:
            finder.hooks[name] = installer(place, name)
    settings.debug("observes this process")
