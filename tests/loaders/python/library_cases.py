"""What applications call: databases, HTTP, gRPC, messages; each within a request, by a route of work_app.py."""

import json

import services
from upstream import Upstream
from world import equal, expect, free_port

from python.rig import clean, launch, observed, serve, venv


def done(world, receiver, names, packages="large", **variables):
    """Runs the functions; (answer, spans below the request, server span) of each."""
    server = serve(world, receiver, [venv(world, packages) / "gunicorn", "-b", "127.0.0.1:{port}", "-t", "60", "work_app:app"], "/do/nothing", env=variables)
    answers = {}
    for name in names:
        status, text = server.get(f"/do/{name}", timeout=60)
        equal(status, 200, f"status of {name}: {text[:300]} {server.err[-1500:]}")
        answers[name] = json.loads(text)["answer"]
    equal(server.end(), 0, "exit code")
    clean(receiver)
    by_path = {span.attributes["url.path"]: span for span in receiver.spans("server") if "url.path" in span.attributes}
    found = {}
    for name in names:
        top = by_path[f"/do/{name}"]
        found[name] = (answers[name], [span for span in receiver.spans() if span.get("traceId") == top["traceId"] and span["spanId"] != top["spanId"]], top)
    for request in receiver.requests:
        expect(b"secret" not in request["body"], f"a value went out: {request['body'][:2000]}")
    return found


def statement(span):
    return span.name, span.attributes["db.system.name"], span.attributes.get("db.query.text")


QUERY = ("SELECT pg_class", "postgresql", "SELECT relname FROM pg_class WHERE relname = ? AND relnamespace > ?")


def postgresql_drivers(world):
    """Statements would not be seen, or their values be sent."""
    names = ("psycopg2", "psycopg", "psycopg_async", "asyncpg", "sqlalchemy")
    with observed(world) as receiver:
        port = services.postgres(world)
        found = done(world, receiver, names, POSTGRES_PORT=port)
        for name, (answer, spans, top) in found.items():
            equal(answer, "pg_class", f"answer by {name}")
            for span in spans:
                equal((span.kind, span.parent, span.attributes["server.address"], span.attributes["server.port"], span.attributes["db.namespace"]),
                      ("client", top["spanId"], "127.0.0.1", port, "postgres"), f"span of {name}")
        for name in ("psycopg2", "psycopg_async", "sqlalchemy"):
            expect(QUERY in map(statement, found[name][1]), f"{name}: {list(map(statement, found[name][1]))}")
        equal(statement(found["psycopg"][1][0])[2], "SELECT relname FROM pg_class WHERE relname = %s", "text by psycopg")
        equal([statement(span)[0] for span in found["asyncpg"][1]][:2], ["CREATE things", "SELECT pg_class"], "spans of asyncpg")
        failed = found["psycopg2"][1][1]
        equal((failed.failed, failed.attributes["error.type"], failed["events"][0]["name"]), (True, "psycopg2.errors.UndefinedTable", "exception"), "failure")
        points = [point for metric in receiver.metrics("db.client.operation.duration") for point in metric.points]
        equal({attributes["db.system.name"] for attributes, _ in points}, {"postgresql"}, "metrics")


def other_databases(world):
    """SQLite's, Redis's and MariaDB's calls would not be seen, or keys and values be sent."""
    with observed(world) as receiver:
        found = done(world, receiver, ("sqlite3", "redis", "redis_async", "pymysql", "mysql_connector"), REDIS_PORT=services.redis(world),
                     MARIADB_PORT=services.mariadb(world))
        equal(found["sqlite3"][0], 2, "answer of sqlite3")
        equal([statement(span)[2] for span in found["sqlite3"][1]], ["CREATE TABLE orders (id INTEGER, name TEXT)", "INSERT INTO orders VALUES (?, ?)",
              "SELECT count(*) FROM orders WHERE name <> ?"], "statements of sqlite3")
        equal([statement(span) for span in found["redis"][1]], [("SET 2", "redis", "SET ? ?"), ("PIPELINE 2", "redis", "GET ?\nINCRBY ? ?"),
              ("GET 2", "redis", "GET ?")], "commands of redis")
        equal([span.name for span in found["redis_async"][1]], ["SET 0", "GET 0"], "commands of redis.asyncio")
        equal([statement(span) for span in found["pymysql"][1] if "tables" in span.name],
              [("SELECT information_schema.tables", "mysql", "SELECT ? FROM information_schema.tables WHERE table_schema = %s LIMIT ?")], "statements of pymysql")
        equal([span.name for span in found["mysql_connector"][1] if "tables" in span.name], ["SELECT information_schema.tables"], "mysql.connector")


def mysqlclient(world):
    """The calls of a driver in C would not be seen, or values be sent."""
    with observed(world) as receiver:
        port = services.mariadb(world, "CREATE TABLE orders (id INT, name TEXT)")
        answer, spans, top = done(world, receiver, ("mysqlclient",), "compiled", MARIADB_PORT=port)["mysqlclient"]
        equal(answer, [2, "ProgrammingError", "1"], "answer")
        wanted = [("INSERT orders", "INSERT INTO orders VALUES (%s, %s)", False), ("SELECT orders", "SELECT count(*) AS n FROM orders WHERE name <> ?", False),
                  ("SELECT nowhere", "SELECT * FROM nowhere", True), ("SELECT test", "SELECT ?", False)]
        equal([(span.name, span.attributes["db.query.text"], span.failed) for span in spans], wanted, "spans")
        for span in spans:
            equal((span.parent, span.attributes["db.system.name"], span.attributes["db.namespace"], span.attributes["server.port"]),
                  (top["spanId"], "mysql", "test", port), "span")
        equal(spans[2].attributes["error.type"], "MySQLdb.ProgrammingError", "failure")


def mongodb(world):
    """MongoDB's commands would not be seen. There is no MongoDB in Debian: its client speaks to a fake that answers `ok`."""
    with observed(world) as receiver:
        port = free_port()
        launch(world, receiver, venv(world, "large") / "python", "fake_mongo.py", env={"PORT": port}, port=port, bare=True).ready()
        _, spans, top = done(world, receiver, ("pymongo",), MONGO_PORT=port)["pymongo"]
        equal([(span.name, span.parent, span.attributes["db.namespace"], span.attributes["server.port"], span.failed) for span in spans],
              [("insert orders", top["spanId"], "shop", port, False), ("drop orders", top["spanId"], "shop", port, True)], "spans")
        equal(spans[1].attributes["error.type"], "DuplicateKey", "failure")


def http_clients(world):
    """Calls would not be seen, the called would not go on with the trace, or secrets in URLs be sent."""
    paths = {"urllib_request": "/urllib", "requests": "/requests", "httpx": "/httpx", "aiohttp": "/aiohttp", "httpx_async": "/status/503"}
    with observed(world) as receiver, Upstream() as upstream:
        found = done(world, receiver, (*paths, "own_header", "refused"), UPSTREAM_PORT=upstream.port)
        for name, path in paths.items():
            answer, spans, top = found[name]
            equal(len(spans), 1, f"spans of {name}")
            query = "?token=REDACTED" if path[1] != "s" else ""
            seen = (spans[0].name, spans[0].parent, spans[0].attributes["url.full"], spans[0].attributes["http.response.status_code"], spans[0].failed)
            equal(seen, ("GET", top["spanId"], f"http://127.0.0.1:{upstream.port}{path}{query}", answer, answer >= 400), f"span of {name}")
            equal(upstream.headers(path)["traceparent"], f"00-{top['traceId']}-{spans[0]['spanId']}-01", f"context by {name}")
        equal(upstream.headers("/own")["traceparent"][3:7], "1111", "a traceparent of the application's own")
        equal(found["refused"][0], "ConnectionError", "what the application sees of a refusal")
        expect(found["refused"][1][0].failed, "the refusal is not told")


def grpc_calls(world):
    """Calls by gRPC would not be seen at either end."""
    with observed(world) as receiver:
        found = done(world, receiver, ("grpc", "grpc_aio"))
        equal(found["grpc"][0], ["hello", "part", "part", "INTERNAL"], "answers")
        equal(found["grpc_aio"][0], "hello", "answer of asyncio")
        for name, (_, spans, top) in found.items():
            calls = {span["spanId"]: span for span in spans if span.kind == "client"}
            served = [span for span in spans if span.kind == "server"]
            equal(len(served), len(calls), f"ends of the calls of {name}")
            for span in served:
                call = calls[span.parent]
                equal((call.name, call.parent, call.failed, call.attributes["rpc.response.status_code"]),
                      (span.name, top["spanId"], span.failed, span.attributes["rpc.response.status_code"]), "the other end")
        statuses = sorted((span.name, span.attributes["rpc.response.status_code"]) for span in found["grpc"][1] if span.kind == "server")
        equal(statuses, [("shop.Orders/Echo", "INTERNAL"), ("shop.Orders/Echo", "OK"), ("shop.Orders/Parts", "OK")], "calls")
        record = [record for record in receiver.logs() if record.body == "echo hello"][0]
        expect(record.get("spanId") in [span["spanId"] for span in found["grpc"][1] if span.kind == "server"], "span of a log record of a handler")


def celery_tasks(world):
    """A task would not belong to the request that sent it, or be lost with its worker process."""
    with observed(world) as receiver:
        port = services.redis(world)
        worker = launch(world, receiver, venv(world, "large") / "celery", "-A", "celery_app", "worker", "-c", "2", "--loglevel", "WARNING",
                        env={"REDIS_PORT": port})
        answer, spans, top = done(world, receiver, ("celery",), REDIS_PORT=port)["celery"]
        equal(answer, 5, "answer")
        worker.end()
        spans = {(span.kind, span.name): span for span in receiver.spans() if span.get("traceId") == top["traceId"]}
        for task in ("shop.add", "shop.fail"):
            sent, run = spans.get(("producer", f"send {task}")), spans.get(("consumer", f"process {task}"))
            expect(sent is not None and run is not None, f"spans of {task}: {sorted(spans)}")
            equal((sent.parent, run.parent, run.failed), (top["spanId"], sent["spanId"], task == "shop.fail"), f"parents of {task}")
        record = [record for record in receiver.logs() if record.body == "adding"][0]
        equal(record.get("spanId"), spans["consumer", "process shop.add"]["spanId"], "span of what a task says")


def kafka_messages(world):
    """What a message causes would not belong to the trace of who sent it, or its odd headers break a call. The broker is librdkafka's own for
    tests."""
    with observed(world) as receiver, Upstream() as upstream:
        found = done(world, receiver, ("confluent_kafka", "aiokafka", "kafka_python"), UPSTREAM_PORT=upstream.port)
        equal((upstream.headers("/urllib")["traceparent"][:35], upstream.headers("/urllib").get("tracestate")), ("00-" + "1" * 32, None),
              "what is told of an odd message")
        headers, count = found["kafka_python"][0]
        found["kafka_python"] = (headers, *found["kafka_python"][1:])
        for name, (headers, spans, top) in found.items():
            expect("traceparent" in headers, f"headers by {name}: {headers}")
            sent, run = [[span for span in spans if span.name == f"{word} orders"] for word in ("send", "process")]
            equal((len(sent), len(run)), (2 if name == "kafka_python" else 1, 1), f"spans of {name}")
            equal((sent[0].kind, sent[0].parent, run[0].kind, run[0].parent), ("producer", top["spanId"], "consumer", sent[0]["spanId"]), f"spans of {name}")
            said = {record.body: record.get("spanId") for record in receiver.logs()}
            equal(said[f"handled {name.split('_')[0]}"], run[0]["spanId"], f"span of what the handler says with {name}")
        polled = [span for span in found["kafka_python"][1] if span.name == "poll orders"]
        equal([[link["spanId"] for link in span["links"]] for span in polled], [[sent[0]["spanId"], "2" * 16][:count]], "links of what is taken at once")
        equal(said["handled polled"], top["spanId"], "span of what is said after it")


def rabbitmq_messages(world):
    """What a message causes would not belong to the trace of who sent it."""
    with observed(world) as receiver:
        _, spans, top = done(world, receiver, ("pika",), RABBITMQ_PORT=services.rabbitmq(world))["pika"]
        sent, run = [[span for span in spans if span.name == f"{word} orders"] for word in ("send", "process")]
        equal([(span.kind, span.parent) for span in sent + run], [("producer", top["spanId"]), ("consumer", sent[0]["spanId"])], "spans")


CASES = [postgresql_drivers, other_databases, mysqlclient, mongodb, http_clients, grpc_calls, celery_tasks, kafka_messages, rabbitmq_messages]
