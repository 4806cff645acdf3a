"""Frameworks and libraries, against real servers where Debian has them."""

import shutil

import services
from nodejs.rig import APPS, VERSIONS, Stage, Upstream
from world import equal, expect, free_port, program

HIDDEN = b"hidden"


def framework(world, name, part, routes=("/user/:id", "/shops/:shop/orders/:order"), version="22.23.3"):
    with Stage(world, version, part) as stage:
        application = stage.serve("frameworks.cjs", name)
        application.get("/user/4")
        application.get("/shops/7/orders/3")
        equal(application.get("/fails")[0], 500, "status of a handler that throws")
        application.get("/nothing/here")
        for route in routes:
            equal(stage.span(f"GET {route}").attributes["http.route"], route, "the route")
        failed = stage.span("GET /fails")
        equal((failed.failed, failed.attributes["error.type"]), (True, "RangeError"), "a handler that throws")
        expect("http.route" not in stage.span("GET").attributes, "a route where there is none")
        equal(application.end(), -15, "exit code after SIGTERM")
        stage.settle()


def fastify_5(world):
    """Routes of Fastify 5, prefixes included."""
    return framework(world, "fastify", ".")


def fastify_4(world):
    """Routes of Fastify 4 on the oldest supported Node.js."""
    return framework(world, "fastify", "older", version="18.20.8")


def koa_3(world):
    """Routes of Koa 3 with @koa/router."""
    return framework(world, "koa", ".")


def koa_2(world):
    """Routes of Koa 2 with koa-router."""
    return framework(world, "koa", "older")


def hapi(world):
    """Routes of hapi."""
    return framework(world, "hapi", ".", ("/user/{id}", "/shops/{shop}/orders/{order}"))


def nest_11(world):
    """NestJS: its controllers' routes, by the Express below it."""
    with Stage(world, part="nest") as stage:
        application = stage.serve("nest.cjs")
        equal(application.get("/shop/user/4")[1], '{"id":"4"}', "the answer")
        equal(application.get("/shop/fails")[0], 500, "status of a handler that throws")
        equal(stage.span("GET /shop/user/:id").attributes["http.route"], "/shop/user/:id", "the route")
        failed = stage.span("GET /shop/fails")
        equal((failed.failed, failed.attributes["error.type"]), (True, "500"), "a handler whose error NestJS answers")
        stage.settle()


def next_15(world):
    """Next.js, built and started: pages and route handlers by their templates, lines with ids."""
    sources = sorted(path for path in (APPS / "next").rglob("*") if path.is_file())

    def build(folder):
        shutil.copytree(APPS / "next", folder, dirs_exist_ok=True)
        world.run(program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)
        world.run(folder / "node_modules/.bin/next", "build", folder=folder, NEXT_TELEMETRY_DISABLED=1)

    built = world.made("nodejs-next", sources, build)
    with Stage(world, part=None) as stage:
        words = ("node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1")
        application = stage.serve(*words, folder=built, env={"NEXT_TELEMETRY_DISABLED": 1})
        equal(application.get("/api/user/3")[1], '{"id":"3"}', "the answer")
        application.get("/shop/7")
        equal(stage.span("GET /api/user/[id]").attributes["http.route"], "/api/user/[id]", "the route")
        equal(stage.log("page 7")["spanId"], stage.span("GET /shop/[id]")["spanId"], "the span of a line")
        stage.settle()


def plain_http(world):
    """A server of node:http alone: the body's events run in the context of their request."""
    with Stage(world, part=None) as stage:
        application = stage.serve("frameworks.cjs", "http")
        application.get("/anything", data=b"four")
        span, line = stage.span("POST"), stage.log("read 4")
        equal(line["spanId"], span["spanId"], "the span of a line said when the body was there")
        stage.settle()


def contexts(world):
    """Who a line or a call belongs to, where Node.js' own contexts are hard to keep: bodies that come late on a connection that is kept
    alive, calls that wait for an agent's only connection, a caller that hangs up; on every supported Node.js."""
    for version in VERSIONS:
        with Stage(world, version, part=None) as stage:
            application = stage.run("contexts.cjs")
            equal((application.wait(), application.err), (0, ""), f"exit code and errors on {version}")
            spans = {span["spanId"]: span for span in stage.spans(13)}
            served = [span.attributes["url.path"] for span in spans.values() if span.kind == "server"]
            equal(sorted(path for path in served if "/up" not in path), ["/a0", "/a1", "/b0", "/b1", "/gone"], f"requests on {version}")
            lines = [(record.body, spans[record["spanId"]].attributes["url.path"]) for record in stage.receiver.logs()]
            equal(len(lines), 21, "lines")
            wrong = [line for line in lines if not line[0].endswith(f" {line[1]}")]
            equal(wrong, [], f"lines of another request on {version}")
            calls = [(span.attributes["url.full"], spans[span.parent].attributes["url.path"]) for span in spans.values() if span.kind == "client"]
            equal([call for call in calls if not call[0].endswith(f"/up{call[1]}")], [], f"calls of another request on {version}")
            stage.settle()


def library(world, name, port, spans, part=".", version="22.23.3", failing="", kind="client"):
    """Runs an exercise; its spans (by name) are below the request's and hold nothing that is hidden."""
    with Stage(world, version, part) as stage:
        application = stage.serve("libraries.cjs", name, env={"SERVER_PORT": port, "OBTRACE_METRIC_INTERVAL": 2})
        status, text = application.get("/run")
        equal(status, 200, f"status ({text[:300]})")
        request = stage.span("GET", "server")
        stage.spans(len(spans), kind)
        found = {span.name: span for span in stage.receiver.spans(kind) if span.parent == request["spanId"]}
        below = sorted(span.name for span in stage.receiver.spans(kind) if span.parent == request["spanId"])
        equal(below, sorted(spans), "names of the spans below the request")
        if failing:
            expect(found[failing].failed and found[failing].attributes.get("error.type"), f"{failing} did not fail: {found[failing]}")
        application.end()
        stage.settle()
        for sent in stage.receiver.requests:
            expect(HIDDEN not in sent["body"], f"something hidden is told: {sent['body'][max(0, sent['body'].find(HIDDEN) - 200):][:300]}")
        return stage, found, text


def database(world, name, port, system, spans, text, failing="", **options):
    """A library of a database; `text`: the span and the statement that it shows."""
    stage, found, _ = library(world, name, port, spans, failing=failing, **options)
    for span in found.values():
        seen = [span.attributes[name] for name in ("db.system.name", "server.address", "server.port")]
        equal(seen, [system, "127.0.0.1", port], "the system")
    equal(found[text[0]].attributes["db.query.text"], text[1], "the statement")
    points = stage.metric("db.client.operation.duration").points
    missing = {span.attributes["db.operation.name"] for span in found.values()} - {at["db.operation.name"] for at, _ in points}
    expect(not missing, f"operations without a duration: {missing}")
    old = {"db.system", "db.statement", "db.name", "net.peer.name", "db.user", "db.connection_string"}
    expect(not any(old & set(span.attributes) for span in found.values()), "names of former conventions")


PG = ["SELECT pg_class", "SELECT postgres", "SELECT nothing_there"]


def pg_8(world):
    """pg against PostgreSQL: names, statements without literals, errors, durations."""
    shown = ("SELECT pg_class", "SELECT ? AS word FROM pg_class WHERE relname = $1")
    database(world, "pg", services.postgres(world), "postgresql", PG, shown, "SELECT nothing_there")


def pg_8_7(world):
    """An older pg on Node.js 18."""
    shown = ("SELECT postgres", "SELECT ?")
    database(world, "pg", services.postgres(world), "postgresql", PG, shown, "SELECT nothing_there", part="older", version="18.20.8")


def mysql2(world):
    """mysql2 against MariaDB, queries and prepared statements."""
    port = services.mariadb(world, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT)")
    database(world, "mysql2", port, "mysql", ["SELECT orders", "INSERT orders", "SELECT nothing_there"],
             ("SELECT orders", "SELECT ? AS word FROM orders WHERE id = ?"), "SELECT nothing_there")


REDIS = ["SET", "GET", "INCR"]


def redis_5(world):
    """redis 5 against Redis: commands without their arguments."""
    database(world, "redis", services.redis(world), "redis", REDIS, ("SET", "SET ? ?"), "INCR")


def redis_4(world):
    """redis 4 against Redis."""
    database(world, "redis", services.redis(world), "redis", REDIS, ("GET", "GET ?"), "INCR", part="older")


def ioredis_5(world):
    """ioredis 5 against Redis."""
    database(world, "ioredis", services.redis(world), "redis", REDIS, ("SET", "SET ? ?"), "INCR")


def amqplib(world):
    """amqplib against RabbitMQ: what is sent and what takes it are one trace, the context goes with the message."""
    stage, found, _ = library(world, "amqplib", services.rabbitmq(world), ["publish orders"], kind="producer")
    sent = found["publish orders"]
    taken = stage.receiver.spans("consumer")[0]
    equal((taken["traceId"], taken.parent), (sent["traceId"], sent["spanId"]), "trace and parent of what takes the message")
    equal(stage.log("took an order")["spanId"], taken["spanId"], "the span of a line said by the one who takes it")


def drivers_without_server(world):
    """mongodb and kafkajs, whose servers cannot be had here: their drivers take the instrumentations, fail as without us, and a
    message that cannot be sent is a span that failed, with the topic's name."""
    with Stage(world) as stage, Stage(world, bare=True) as bare:
        port = free_port()
        env = {"SERVER_PORT": port}
        application = stage.serve("libraries.cjs", "drivers", env={**env, "OBTRACE_DEBUG": 1})
        other = bare.serve("libraries.cjs", "drivers", env=env)
        equal(application.get("/run"), other.get("/run"), "what the drivers say")
        sent = stage.span("send orders", "producer")
        expect(sent.failed and sent.attributes["error.type"], "a message that is not sent did not fail")
        equal((sent.attributes["messaging.system"], sent.attributes["messaging.destination.name"]), ("kafka", "orders"), "system and topic")
        equal(sent.parent, stage.span("GET", "server")["spanId"], "the parent")
        told = [line for line in application.err.splitlines() if line.startswith("[obtrace]") and "zero" not in line]
        equal(sorted(line.split()[2] for line in told if " watches " in line), ["kafkajs", "mongodb"], f"drivers watched ({told})")
        equal(len(told), 2, f"lines of ours: {told}")
        stage.settle()


def graphql(world):
    """graphql: an operation's execution, its source without literals."""
    _, found, text = library(world, "graphql", 1, ["query Greet"], kind="internal")
    equal(text, "hello", "the answer")


def undici(world):
    """The package undici, which brings its own client."""
    with Upstream() as upstream:
        _, found, _ = library(world, "undici", int(upstream.url.rsplit(":", 1)[1]), ["GET"])
        equal(upstream.asked("/asked")["traceparent"].split("-")[2], found["GET"]["spanId"], "context of the call")


def structured(world, name, part, lines, version="22.23.3"):
    with Stage(world, version, part) as stage, Stage(world, version, part, bare=True) as bare:
        application = stage.serve("libraries.cjs", name)
        application.get("/run")
        other = bare.serve("libraries.cjs", name)
        other.get("/run")
        request = stage.span("GET", "server")
        for words, severity, text, attributes in lines:
            record = stage.log(words)
            seen = (record["severityNumber"], record["severityText"], record["spanId"], record.scope["name"])
            equal(seen, (severity, text, request["spanId"], name), words)
            equal({key: record.attributes.get(key) for key in attributes}, attributes, f"attributes of {words}")
        equal(len(stage.receiver.logs()), len(lines), "number of records")
        equal(len(application.out.splitlines()), len(other.out.splitlines()), "lines of standard output with and without us")
        for sent in stage.receiver.requests:
            expect(HIDDEN not in sent["body"], "something redacted is told")
        stage.settle()


def pino_lines(part):
    return [("ordered shoes", 9, "info", {"order": 7, "secret": "[Redacted]", "nested": '{"deep":true}'}),
            ("cannot deliver", 17, "error", {"part": "stock", "exception.type": "TypeError", "exception.message": "none left"})]


def pino_10(world):
    """pino 10: records with ids, fields as written, what it redacts stays redacted."""
    structured(world, "pino", ".", pino_lines("."))


def pino_7(world):
    """pino 7 on Node.js 18."""
    structured(world, "pino", "older", pino_lines("older"), "18.20.8")


WINSTON = [("ordered shoes", 9, "info", {"order": 7}), ("few left", 13, "warn", {"part": "stock"})]


def winston_3(world):
    """winston: records with ids after its formats, none twice."""
    structured(world, "winston", ".", WINSTON)


CASES = [fastify_5, fastify_4, koa_3, koa_2, hapi, nest_11, next_15, plain_http, contexts, pg_8, pg_8_7, mysql2, redis_5, redis_4, ioredis_5,
         amqplib, drivers_without_server, graphql, undici,
         pino_10, pino_7, winston_3]
