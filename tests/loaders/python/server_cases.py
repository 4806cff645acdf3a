"""The servers that Python applications run on."""

import json
import signal

from world import equal, expect

from python.flask_cases import gunicorn, span_of
from python.rig import CALLER, TRACE, clean, observed, python, serve, venv


def judge(receiver, wanted):
    """`wanted`: name of a server span, status, whether it failed."""
    for name, status, failed in wanted:
        span = span_of(receiver, "server", name)
        equal((span.attributes.get("http.response.status_code"), span.failed), (status, failed), f"status of {name!r}")
        if failed and status == 500:
            equal((span.attributes["error.type"], len(span.get("events", []))), ("ValueError", 1), f"failure of {name!r}")
    clean(receiver)


def fastapi_on_uvicorn(world):
    """FastAPI applications would show no requests. uvicorn dies of SIGTERM, past atexit: what was queued would be lost."""
    with observed(world) as receiver:
        server = serve(world, receiver, [venv(world, "large") / "uvicorn", "--port", "{port}", "asgi_app:app"])
        equal(server.get("/items/7", headers=CALLER)[0], 200, "status")
        for path in ("/items/no", "/sync/1", "/fail", "/stream", "/shop/orders/9", "/nowhere"):
            server.get(path)
        equal(server.end(), -signal.SIGTERM, "uvicorn ends by SIGTERM, as without us")
        judge(receiver, [("GET /sync/{item}", 200, False), ("GET /fail", 500, True), ("GET /stream", 200, False),
                         ("GET /shop/orders/{order}", 200, False), ("GET", 404, False)])
        equal([span.get("traceId") for span in receiver.spans("server") if span.attributes["url.path"] == "/items/7"], [TRACE], "trace of the caller")
        spans = {span["spanId"]: span for span in receiver.spans("server")}
        said = {record.body: record for record in receiver.logs()}
        for body, name in (("item 7", "GET /items/{item}"), ("in a thread", "GET /sync/{item}"), ("streamed", "GET /stream")):
            equal(spans.get(said[body].get("spanId"), {}).get("name"), name, f"span of {body!r}")
        stream = span_of(receiver, "server", "GET /stream")
        expect(int(stream["endTimeUnixNano"]) - int(stream["startTimeUnixNano"]) >= 150_000_000, "the span ended before its stream")


def several_workers(world):
    """Only one of several workers would be seen, or none."""
    with observed(world) as receiver:
        for command in ([venv(world, "large") / "uvicorn", "--port", "{port}", "--workers", "2", "asgi_app:app"],
                        [venv(world, "large") / "gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "-k", "uvicorn_worker.UvicornWorker", "asgi_app:app"]):
            before = len(receiver.spans())
            server = serve(world, receiver, command)
            pids = {json.loads(server.get("/ready", headers=CALLER)[1])["pid"] for _ in range(40)}
            server.end()
            seen = [span for span in receiver.spans()[before:] if span.get("traceId") == TRACE]
            equal(len(seen), 40, "spans of 40 requests")
            equal({span.resource["process.pid"] for span in seen}, pids, "processes that sent")
        clean(receiver)


def hypercorn(world):
    """Applications of no framework would not be seen."""
    with observed(world) as receiver:
        server = serve(world, receiver, [venv(world, "large") / "hypercorn", "-b", "127.0.0.1:{port}", "asgi_app:raw"])
        equal(server.get("/raw/7", headers=CALLER), (200, "raw"), "answer")
        server.end()
        equal([span.name for span in receiver.spans("server") if span.get("traceId") == TRACE], ["GET"], "spans")
        clean(receiver)


def django_by_wsgi_and_asgi(world):
    """Django's routes and failures would not be seen."""
    with observed(world) as receiver:
        binaries = venv(world, "large")
        for command in ([binaries / "gunicorn", "-b", "127.0.0.1:{port}", "--threads", "2", "django_app:application"],
                        [binaries / "uvicorn", "--port", "{port}", "django_app:asgi"]):
            receiver.requests.clear()
            server = serve(world, receiver, command)
            equal(server.get("/shop/orders/7", headers=CALLER), (200, '{"order": 7}'), "answer")
            equal([server.get(path)[0] for path in ("/fail", "/stream", "/old/1", "/nowhere")], [500, 200, 200, 404], "statuses")
            server.end()
            judge(receiver, [("GET /shop/orders/<int:number>", 200, False), ("GET /fail", 500, True), ("GET /stream", 200, False), ("GET", 404, False),
                             ("GET /old/(?P<number>[0-9]+)", 200, False)])
            record = [record for record in receiver.logs() if record.body == "order 7"][0]
            equal(record.get("traceId"), TRACE, "trace of a log record")


def aiohttp_server(world):
    """aiohttp's requests would not be seen."""
    with observed(world) as receiver:
        server = serve(world, receiver, [venv(world, "large") / "python", "aiohttp_app.py"])
        equal(server.get("/items/7", headers=CALLER)[0], 200, "status")
        equal([server.get(path)[0] for path in ("/fail", "/gone", "/nowhere")], [500, 410, 404], "statuses")
        server.end()
        judge(receiver, [("GET /items/{item}", 200, False), ("GET /fail", 500, True), ("GET /gone", 410, False), ("GET", 404, False)])
        equal(span_of(receiver, "server", "GET /items/{item}").get("traceId"), TRACE, "trace of the caller")


def plain_servers(world):
    """WSGI applications of no framework would not be seen."""
    with observed(world) as receiver:
        for command in ([venv(world, "large") / "python", "plain_wsgi.py", "waitress"], [python("3.8"), "plain_wsgi.py", "wsgiref"],
                        [venv(world, "large") / "gunicorn", "-b", "127.0.0.1:{port}", "plain_wsgi:application"]):
            receiver.requests.clear()
            server = serve(world, receiver, command)
            equal(server.get("/seven", headers=CALLER), (200, "plain"), "answer")
            equal(server.get("/fail")[0], 500, "status of the failure")
            server.end()
            found = [span for span in receiver.spans("server") if span.get("traceId") == TRACE]
            equal([(span.name, span.attributes["http.response.status_code"]) for span in found], [("GET", 200)], f"spans under {command[-1]}")
            expect([span for span in receiver.spans("server") if span.failed and span.attributes["error.type"] == "ValueError"], "the failure is not told")
            clean(receiver)


def gunicorn_with_preload(world):
    """Workers forked from a loaded master would send nothing: 40 of 40 spans after SIGTERM."""
    with observed(world) as receiver:
        server = serve(world, receiver, gunicorn(venv(world, "small"), "-w", "4", "--preload"), "/user/0", env={"UPSTREAM_PORT": 1})
        for number in range(40):
            equal(server.get(f"/user/{number}", headers=CALLER)[0], 200, "status")
        equal(server.end(), 0, "exit code")
        spans = [span for span in receiver.spans("server") if span.get("traceId") == TRACE]
        equal(len(spans), 40, "spans of 40 requests")
        equal(len({span["spanId"] for span in spans}), 40, "ids that differ")
        instances = {span.resource["process.pid"]: span.resource["service.instance.id"] for span in spans}
        equal(len(set(instances.values())), len(instances), "an instance id for each process")
        clean(receiver)
        return f"{len(instances)} workers"


def gevent_and_threads(world):
    """gevent's patches would break the sender, or the sender them."""
    with observed(world) as receiver:
        for options in (("-k", "gevent"), ("-k", "gthread", "--threads", "4")):
            receiver.requests.clear()
            server = serve(world, receiver, gunicorn(venv(world, "large"), *options), "/user/0", env={"UPSTREAM_PORT": receiver.port})
            equal([server.get(path, headers=CALLER)[0] for path in ("/user/1", "/threads", "/stream", "/call/405")], [200] * 4, "statuses")
            equal(server.end(), 0, "exit code")
            names = [span.name for span in receiver.spans() if span.get("traceId") == TRACE]
            equal(sorted(names), sorted(["GET /user/<int:user>", "GET /threads", "GET /stream", "GET /call/<int:status>", "GET", "GET", "GET"]),
                  f"spans with {options[1]}")
            clean(receiver)


CASES = [fastapi_on_uvicorn, several_workers, hypercorn, django_by_wsgi_and_asgi, aiohttp_server, plain_servers, gunicorn_with_preload, gevent_and_threads]
