"""The agents and SDKs of others, the real ones from PyPI: ours stands aside, or beside those that do not trace by themselves."""

import gzip
import re
import zlib

from machine import Listening, Quiet
from upstream import Upstream
from world import equal, expect, until

from python.rig import CALLER, PYTHON, TRACE, clean, launch, observed, serve, venv

INTAKE = {
    "ddtrace": lambda url: {"DD_TRACE_AGENT_URL": url, "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false",
                            "DD_CRASHTRACKING_ENABLED": "false"},
    "newrelic": lambda url: {"NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_APP_NAME": "shop"},
    "elasticapm": lambda url: {"ELASTIC_APM_SERVER_URL": url, "ELASTIC_APM_SERVICE_NAME": "shop", "ELASTIC_APM_API_REQUEST_TIME": "1s",
                               "ELASTIC_APM_CENTRAL_CONFIG": "false", "ELASTIC_APM_CLOUD_PROVIDER": "none"},
    "otel": lambda url: {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_BSP_SCHEDULE_DELAY": "500"},
    "sentry": lambda url: {"SENTRY_DSN": url.replace("//", "//key@") + "/1"},
}
WRAPPERS = {"ddtrace": ("ddtrace-run",), "newrelic": ("newrelic-admin", "run-program"), "elasticapm": ("elasticapm-run",), "otel": ("opentelemetry-instrument",)}
# What is in the requests that an agent sends of the application's.
TOLD = {"ddtrace": b"flask.request", "elasticapm": b"GET /user/<int:user>", "otel": b"GET /user/<int:user>", "sentry": b"no such order"}
# Lines of gunicorn with the time, and what Sentry says where it has something to send at the end.
UNSTEADY = ("[20", "Sentry is attempting", "Waiting up to", "Press Ctrl-C")


class Intake:
    """Takes whatever another's agent sends: `seen` has paths and bodies."""

    def __init__(self):
        self.seen = []
        intake = self

        class Handler(Quiet):
            def do_POST(self):
                body = self.body()
                coding = self.headers.get("Content-Encoding")
                intake.seen.append((self.path, gzip.decompress(body) if coding == "gzip" else zlib.decompress(body) if coding == "deflate" else body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PUT = do_GET = do_POST

        self.server = Listening(Handler)
        self.url = self.server.url

    def told(self, text):
        return any(text in body for _, body in self.seen)


class Started:
    """The application with another's agent, with ours as well or bare, and what that agent sends."""

    def __init__(self, world, receiver, vendor, bare):
        binaries = venv(world, vendor)
        plain = [binaries / "gunicorn", "-b", "127.0.0.1:{port}", "vendor_app:app"]
        # The wrappers may be an image's entrypoint, of which the operator sees nothing.
        ours = {} if bare else PYTHON.variables(world, plain, receiver.url)
        first, *rest = WRAPPERS.get(vendor) or ("python", "-m", "gunicorn.app.wsgiapp")
        words = [binaries / first, *rest, *(plain if vendor in WRAPPERS else plain[1:])]
        self.vendor, self.intake = vendor, Intake()
        self.server = serve(world, receiver, words, extra={**ours, **INTAKE[vendor](self.intake.url)}, bare=True, wait=False)

    def seen(self):
        """(exit code, answers, output, errors, whether the agent told of the application)."""
        self.server.ready("/seen")
        # New Relic's agent begins a while after the application.
        until(lambda: "null" not in self.server.get("/seen")[1], lambda: f"{self.vendor} to see a request", 20)
        answers = [self.server.get(path, headers=CALLER) for path in ("/seen", "/user/7", "/fail")]
        code = self.server.end()
        errors = sorted({re.sub(r"0x[0-9a-f]+", "0x", line) for line in self.server.err.splitlines() if not line.startswith(UNSTEADY)})
        told = self.vendor not in TOLD or self.intake.told(TOLD[self.vendor])
        self.intake.server.close()
        return code, answers, self.server.out, errors, told


def agents_of_others(world):
    """Datadog's, New Relic's and Elastic's agents and OpenTelemetry's distribution, each by its own command, would be doubled, or not
    see what they are there for."""
    with observed(world) as receiver:
        started = [[Started(world, receiver, vendor, bare) for bare in (True, False)] for vendor in WRAPPERS]
        for pair in started:
            bare, ours = [it.seen() for it in pair]
            vendor = pair[0].vendor
            equal(ours, bare, f"code, answers, output, errors, and what is told by {vendor}")
            equal((bare[0], bare[1][1][0], bare[1][2][0], bare[4]), (0, 200, 500, True), f"code, answers and whether {vendor} tells of them: {bare}")
            equal(receiver.requests, [], f"what we send beside {vendor}")


def sentry_beside_us(world):
    """Sentry's SDK tells of failures and is no reason to stand aside: it would lose them, or put headers of its own on what we send."""
    with observed(world) as receiver:
        bare, ours = [it.seen() for it in [Started(world, receiver, "sentry", bare) for bare in (True, False)]]
        equal(ours, bare, "code, answers, output and errors, and what Sentry is told")
        expect(bare[4], "Sentry is not told of a failure")
        spans = {(span.name, span.failed) for span in receiver.spans("server") if span.get("traceId") == TRACE}
        equal(spans, {("GET /seen", False), ("GET /user/<int:user>", False), ("GET /fail", True)}, "spans")
        expect("user 7" in [record.body for record in receiver.logs()], "no log record")
        equal([name for request in receiver.requests for name in request["headers"] if name.lower() == "sentry-trace"], [], "headers on our own requests")
        clean(receiver)


def own_opentelemetry(world):
    """OpenTelemetry's SDK that an application has set up would get two parents for its spans, or lose its context."""
    with observed(world) as receiver, Upstream() as upstream:
        seen = []
        for bare in (True, False):
            seen.append(launch(world, receiver, venv(world, "otel") / "python", "own_sdk.py", env={"UPSTREAM_PORT": upstream.port}, bare=bare).result())
        equal(seen[1], seen[0], "code, output and errors")
        equal(seen[0][:2], (0, "200\ncall CLIENT True\norder INTERNAL False\n"), "what the SDK sees")
        expect(all("traceparent" in headers for _, headers in upstream.seen), "what the other was told")
        equal(receiver.requests, [], "what we send beside it")


CASES = [agents_of_others, sentry_beside_us, own_opentelemetry]
