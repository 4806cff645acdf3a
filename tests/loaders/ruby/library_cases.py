"""Libraries that applications call through: databases, HTTP clients, queues of jobs, and Rails with all of it."""

import signal
import time
import urllib.parse

import services
from ruby.rig import APPS, asked, clean, launch, needs, observed, serve
from upstream import Upstream
from world import TRACE, TRACEPARENT, Missing, equal, expect, one, same_as_bare


def used(world, receiver, *words, env=None):
    """Runs libraries.rb with these words, bare and with us: the same output. Its client spans."""
    def run(bare):
        return launch(world, receiver, "ruby", APPS / "libraries.rb", *words, env=env, bare=bare).result()

    code, _, errors = same_as_bare(run, words[0])
    equal(code, 0, f"{words[0]}: {errors[-500:]}")
    clean(receiver)
    return receiver.spans("client")


def names(spans):
    return [span.name for span in spans]


def pg(world):
    """Statements of pg, prepared ones among them, without their literals; failures are failures."""
    needs("pg")
    with observed(world) as receiver:
        port = services.postgres(world)
        spans = used(world, receiver, "pg", port)
        equal(names(spans), ["SELECT postgres", "SELECT postgres", "SELECT pg_database", "SELECT postgres", "SELECT missing"], "names")
        first = {name: spans[0].attributes.get(name) for name in ("db.system.name", "db.namespace", "db.query.text", "server.address", "server.port")}
        equal(first, {"db.system.name": "postgresql", "db.namespace": "postgres", "db.query.text": "SELECT ? AS one, ?", "server.address": "127.0.0.1", "server.port": port}, "attributes")
        equal(spans[2].attributes["db.query.text"], "SELECT datname FROM pg_database WHERE datname = $1", "text of a prepared statement")
        equal((spans[4].failed, spans[4].attributes["error.type"], spans[0].failed), (True, "PG::UndefinedTable", False), "failure")
        points = [point for metric in receiver.metrics("db.client.operation.duration") for point in metric.points]
        equal(sum(int(point["count"]) for _, point in points), 5, "durations")


def mysql2(world):
    """Statements of mysql2, where double quotes hold literals."""
    needs("mysql2")
    with observed(world) as receiver:
        spans = used(world, receiver, "mysql2", services.mariadb(world))
        equal(names(spans), ["SELECT mysql", "SELECT mysql", "SELECT user", "SELECT missing"], "names")
        equal([span.attributes["db.query.text"] for span in spans[:3]], ["SELECT ? AS one, ? AS s", "SELECT ? AS d", "SELECT user FROM user WHERE user = ?"], "texts")
        equal((spans[3].failed, spans[3].attributes["error.type"]), (True, "Mysql2::Error"), "failure")


def sqlite3(world):
    """Statements of sqlite3, run at once or later."""
    needs("sqlite3")
    with observed(world) as receiver:
        spans = used(world, receiver, "sqlite3")
        equal(names(spans), ["CREATE items", "INSERT items", "SELECT items", "SELECT items"], "names")
        equal(spans[1].attributes["db.query.text"], "INSERT INTO items VALUES (?, ?)", "text")


def redis_rb(world):
    """Commands of redis-rb 4 without keys and values, a pipeline as one."""
    needs("redis")
    with observed(world) as receiver:
        spans = used(world, receiver, "redis", services.redis(world))
        equal(names(spans), ["FLUSHALL 0", "SET 0", "GET 0", "PIPELINE 0", "LPUSH 0"], "names")
        equal([span.attributes["db.query.text"] for span in spans], ["FLUSHALL", "SET ? ?", "GET ?", "INCR ?\nGET ?", "LPUSH ? ?"], "texts")
        equal((spans[4].failed, spans[4].attributes["error.type"]), (True, "Redis::CommandError"), "failure")
        expect(not any("secret" in str(request["body"]) for request in receiver.requests), "a value was sent")


def dalli(world):
    """Commands of memcached."""
    needs("dalli")
    with observed(world) as receiver:
        equal(names(used(world, receiver, "dalli", services.memcached(world))), ["set", "get"], "names")


def http_clients(world):
    """Faraday, http.rb, Excon, HTTPClient and Typhoeus: one span a call, the context in the headers."""
    done = []
    for name, paths in (("faraday", ["/faraday", "/faraday-typhoeus"]), ("http", ["/http-rb"]), ("excon", ["/excon", "/excon-again", "/excon-again"]), ("httpclient", ["/httpclient"]),
                        ("typhoeus", ["/typhoeus", "/hydra-0", "/hydra-1"]), ("concurrent", ["/pool"])):
        try:
            needs(name)
        except Missing:
            continue
        with observed(world) as receiver, Upstream() as upstream:
            spans = used(world, receiver, name, upstream.url)
            equal(sorted(urllib.parse.urlsplit(span.attributes["url.full"]).path for span in spans), sorted(paths), f"{name}: calls")
            told = [headers["traceparent"] for _, headers in upstream.seen if "traceparent" in headers]
            equal(sorted(told), sorted(f"00-{span['traceId']}-{span['spanId']}-01" for span in spans), f"{name}: traceparents")
            equal({span.attributes["http.response.status_code"] for span in spans}, {200}, f"{name}: status")
            expect("secret" not in str([span.attributes for span in spans]), f"{name}: a value of the query")
        done.append(name)
    expect("faraday" in done or len(done) > 2, f"only {done}")
    return ", ".join(done)


def headers_of_the_application(world):
    """A traceparent of its own is kept; a message that is sent twice carries each call's; a method that others alias still works."""
    with observed(world) as receiver, Upstream() as upstream:
        spans = used(world, receiver, "own-header", upstream.url)
        equal(upstream.headers("/own")["traceparent"], "00-11111111111111111111111111111111-2222222222222222-01", "own traceparent")
        told = [headers["traceparent"] for path, headers in upstream.seen if path == "/again" and "traceparent" in headers]
        equal(told, [f"00-{span['traceId']}-{span['spanId']}-01" for span in spans[1:]], "a message sent twice")
    with observed(world) as receiver, Upstream() as upstream:
        equal(len(used(world, receiver, "alias", upstream.url)), 1, "spans of an aliased method")


def sidekiq(world):
    """A job is one trace from the process that puts it into the queue to the worker and what it calls; heartbeats make no spans."""
    needs("sidekiq")
    with observed(world) as receiver, Upstream() as upstream:
        env = {"REDIS_URL": f"redis://127.0.0.1:{services.redis(world)}/0", "UPSTREAM": upstream.url}
        publisher = launch(world, receiver, "ruby", "-r", APPS / "jobs.rb", "-e", "Report.perform_async('sales'); Report.perform_async('bad')", env=env)
        equal((publisher.wait(), publisher.out), (0, ""), "publisher")
        worker = launch(world, receiver, "sidekiq", "-r", APPS / "jobs.rb", "-q", "reports", "-c", "1", env=env)
        expect(receiver.wait(lambda: len(receiver.spans("consumer")) >= 2, 20), f"{len(receiver.spans('consumer'))} jobs seen: {worker.err[-500:]}")
        worker.end(signal.SIGTERM)
        published, processed = receiver.spans("producer"), receiver.spans("consumer")
        equal((names(published), names(processed)), (["publish reports"] * 2, ["process reports"] * 2), "names")
        equal([(span["traceId"], span.parent) for span in processed], [(span["traceId"], span["spanId"]) for span in published], "traces")
        equal([(span.failed, span.attributes.get("error.type")) for span in processed], [(False, None), (True, "ArgumentError")], "failures")
        call = one([span for span in receiver.spans("client") if span.scope["name"] == "obtrace.ruby.net_http"], "calls")
        equal(call.parent, processed[0]["spanId"], "parent of the call")
        equal(one([record for record in receiver.logs() if record.body == "report sales"], "records")["traceId"], processed[0]["traceId"], "record's trace")
        idle = [span.name for span in receiver.spans("client") if span["traceId"] not in {span["traceId"] for span in published}]
        expect(len(idle) <= 10, f"housekeeping: {idle}")
        clean(receiver)


def rails_on_puma(world):
    """A real Rails application: routes, an engine's too, Active Record's statements once, logs once, a failure's exception, a job."""
    needs("rails", "active_record", "active_job", "sqlite3")
    with observed(world) as receiver:
        app = serve(world, receiver, "puma", "--quiet", "-b", "tcp://127.0.0.1:{port}", "rails.ru", env={"RAILS_ENV": "production"})
        equal(app.get("/orders", {"traceparent": TRACEPARENT}, data=b"name=lamp")[0], 201, "create")
        equal(app.get("/orders/1?secret=1"), (200, "lamp"), "show")
        equal([app.get(path)[0] for path in ("/boom", "/warehouse/parts/7", "/nowhere", "/orders/99")], [500, 200, 404, 404], "answers")
        time.sleep(0.3)
        app.end()
        spans = {span.attributes["url.path"]: span for span in asked(receiver)}
        equal({path: span.name for path, span in spans.items()}, {"/orders": "POST /orders", "/orders/1": "GET /orders/:id", "/boom": "GET /boom", "/warehouse/parts/7": "GET /warehouse/parts/:part",
              "/nowhere": "GET", "/orders/99": "GET /orders/:id"}, "names")
        equal((spans["/boom"].failed, spans["/boom"].attributes["error.type"], spans["/nowhere"].failed), (True, "ArgumentError", False), "failure")
        equal([event["name"] for event in spans["/boom"]["events"]], ["exception"], "exception")
        selects = [span for span in receiver.spans("client") if span.parent == spans["/orders/1"]["spanId"]]
        equal(names(selects), ["SELECT orders"], "statements of show")
        inserts = [span for span in receiver.spans("client") if span.parent == spans["/orders"]["spanId"] and span.name == "INSERT orders"]
        equal(len(inserts), 1, "inserts")
        record = one([record for record in receiver.logs() if record.body == "order 1"], "records of show")
        equal((record["traceId"], record["spanId"]), (spans["/orders/1"]["traceId"], spans["/orders/1"]["spanId"]), "record's span")
        job = one(receiver.spans("consumer"), "jobs")
        published = one(receiver.spans("producer"), "published jobs")
        equal((job.name, job["traceId"], job.parent), ("process mails", TRACE, published["spanId"]), "job")
        equal(one([record for record in receiver.logs() if record.body == "notify 1"], "records of the job")["spanId"], job["spanId"], "record of the job")
        clean(receiver)


CASES = [pg, mysql2, sqlite3, redis_rb, dalli, http_clients, headers_of_the_application, sidekiq, rails_on_puma]
