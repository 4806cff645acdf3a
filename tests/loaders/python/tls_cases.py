"""Delivery by https, and calls by https: with the trust that the application has, also where its sockets are not Python's."""

import contextlib
import signal
import time

import tls
from receiver import Receiver
from upstream import Upstream
from world import equal, expect

from python.flask_cases import gunicorn
from python.rig import CALLER, TRACE, clean, launch, observed, python, serve, venv

SAY = "import logging, time; logging.warning('said'); print('done', flush=True); time.sleep({pause})"


def delivery_by_https(world):
    """Receivers with https would get nothing, or a stranger's certificate would do. What is not trusted is given up, silently."""
    authority = tls.authority(world)
    for version in ("3.8", "3.13"):
        for trusted, bodies in ((authority.root, ["said"]), (authority.stranger, [])):
            with observed(world, tls=authority) as receiver:
                env = {"SSL_CERT_FILE": str(trusted)}
                bare = launch(world, receiver, python(version), "-c", SAY.format(pause=0), env=env, bare=True).result()
                began = time.monotonic()
                equal(launch(world, receiver, python(version), "-c", SAY.format(pause=0), env=env).result(), bare, "code, output and errors")
                expect(time.monotonic() - began < 5, "the end takes too long")
                equal(([record.body for record in receiver.logs()], receiver.distrusted > 0), (bodies, not bodies), f"log records, connections refused by us on {version}")
                clean(receiver)
        with observed(world, tls=authority) as receiver:
            application = launch(world, receiver, python(version), "-c", SAY.format(pause=60), env={"SSL_CERT_FILE": authority.stranger, "OBTRACE_DEBUG": "1"})
            expect(receiver.wait(lambda: receiver.distrusted >= 2, 15), "a batch that was not taken is not tried again")
            application.end()
            lines = [line for line in application.err.splitlines() if line.startswith("[obtrace] logs are not sent")]
            equal((len(lines), "CERTIFICATE_VERIFY_FAILED" in lines[0]), (1, True), f"what is said of it: {application.err}")


def https_among_green_threads(world):
    """gevent and eventlet replace sockets, TLS and threads: calls would break or not be seen, or nothing be delivered, least of all
    at the end."""
    authority, binaries = tls.authority(world), venv(world, "large")
    commands = {"sync": gunicorn(binaries, "-k", "sync"), "gevent": gunicorn(binaries, "-k", "gevent"), "eventlet": [binaries / "python", "eventlet_app.py"]}
    with observed(world), Upstream(tls=authority) as upstream, contextlib.ExitStack() as stack:
        started = []
        for kind, command in commands.items():
            for secure in (authority, None):
                receiver = stack.enter_context(Receiver(tls=secure))
                env = {"UPSTREAM_URL": upstream.url, "UPSTREAM_PORT": 1, "SSL_CERT_FILE": str(authority.root), "REQUESTS_CA_BUNDLE": str(authority.root)}
                started.append((f"{kind}, {receiver.url[:5]}", receiver, serve(world, receiver, command, env=env, wait=False)))
        for what, receiver, server in started:
            server.ready("/user/0")
            equal(server.get("/secure", headers=CALLER), (200, '{"status":[200,200]}\n'), f"answer with {what}: {server.err[-1500:]}")
        for what, receiver, server in started:
            expect(receiver.wait_spans(3, within=6), f"nothing is sent with {what} while it runs")
            for _ in range(20):
                equal(server.get("/user/1", headers=CALLER)[0], 200, "status")
            # eventlet ends at once, also between an answer that was written and its close.
            time.sleep(0.3)
            equal(server.end(), -signal.SIGTERM if "eventlet" in what else 0, f"exit code with {what}")
            judge(receiver, upstream, what)


def judge(receiver, upstream, what):
    """The spans of one server."""
    spans = [span for span in receiver.spans() if span.get("traceId") == TRACE]
    equal(sorted(span.name for span in spans), ["GET", "GET"] + ["GET /secure"] + ["GET /user/<int:user>"] * 20, f"spans with {what}")
    calls = [span for span in spans if span.kind == "client"]
    equal({span.attributes["url.full"] for span in calls}, {f"{upstream.url}/secure?token=REDACTED"}, f"calls with {what}")
    told = {headers["traceparent"].split("-")[2] for _, headers in upstream.seen}
    expect({span["spanId"] for span in calls} <= told, f"what the other was told with {what}")
    clean(receiver)


CASES = [delivery_by_https, https_among_green_threads]
