"""Other vendors' agents, the real ones of npm, in an application that is also given ours: theirs works, ours steps aside."""

import contextlib
import shutil

from nodejs.exit_cases import plain
from nodejs.rig import APPS, VERSIONS, Stage, placed
from tls import authority
from upstream import Upstream
from world import equal, expect, program

NEWEST, FIRST_22, FIRST_18 = VERSIONS[4], VERSIONS[2], VERSIONS[0]
# Nothing of these may look for a cloud, wait long, or print a line of its own.
OTEL = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_BSP_SCHEDULE_DELAY": 200, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
        "OTEL_NODE_RESOURCE_DETECTORS": "none", "OTEL_SERVICE_NAME": "orders"}


def agents(world):
    """`node_modules` with all of them."""
    source = APPS / "agents"

    def build(folder):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        words = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error")
        world.run(program("npm"), "ci", *words, folder=folder)

    return world.made("nodejs-agents", [source / "package-lock.json"], build) / "node_modules"


def application(world, name, packages):
    """A folder with the applications in which only these packages are installed: {name: where it is in `node_modules`}."""
    folder = placed(world, f"nodejs-agent-{name}")
    libraries = folder / "node_modules"
    if not libraries.exists():
        for package, place in packages.items():
            link = libraries / package
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(agents(world) / place)
    return folder


def reported(stage, pairs, asked):
    """Exit code, output and errors of each, ended once its agent has reported at a path that begins like this."""
    for started, intake in pairs:
        started.said("ready")
        stage.until(lambda: any(path.startswith(asked) for path, _ in intake.seen))
    results = [(started.end(), plain(started.out), plain(started.err)) for started, _ in pairs]
    for _, intake in pairs:
        intake.server.close()
    return results


def beside(world, name, packages, words, env, asked, versions, why, tls=None, options=()):
    """Runs it bare and with us, at once, on each of these versions. `env`: gives its variables for the address it reports to;
    `asked`: begins the path at which it then does; `why`: what our line names."""
    folder = application(world, name, packages)
    for version in versions:
        with Stage(world, version, part=None) as stage, Stage(world, version, part=None, bare=True) as bare:
            pairs = []
            for it, told in ((stage, {"OBTRACE_DEBUG": 1}), (bare, {})):
                intake = Upstream(tls=tls)
                # Where the operator sees the other agent it leaves the container alone: here it is in the image, out of its sight.
                shown, image = [it.node, "script.cjs"], env(intake.url)
                pairs.append((it.run(*words, env=told, options=options, folder=folder, shown=shown, image=image), intake))
            results = reported(stage, pairs, asked)
            ours = [line for line in results[0][2].splitlines() if line.startswith("[obtrace]")]
            equal(ours, [f"[obtrace] steps aside: the application has {why}"], "our line")
            errors = "".join(line for line in results[0][2].splitlines(keepends=True) if line not in (f"{one}\n" for one in ours))
            equal((*results[0][:2], errors), results[1], f"exit code, output and errors with and without us on {version}")
            equal(results[0][0], 7, "exit code of the application's own handler")
            equal(len(stage.receiver.requests), 0, "requests")


def datadog_env(url):
    return {"DD_TRACE_AGENT_URL": url, "DD_TRACE_STARTUP_LOGS": "false"}


def datadog(world):
    """dd-trace, preloaded by the command."""
    beside(world, "datadog", {"dd-trace": "dd-trace"}, ("script.cjs", "handles"), datadog_env, "/v0.",
           (FIRST_22, NEWEST), "dd-trace in the options", options=("--require", "dd-trace/init"))


def datadog_in_code(world):
    """dd-trace, set up by the application."""
    beside(world, "datadog", {"dd-trace": "dd-trace"}, ("agent.cjs", "dd-trace", "handles"), datadog_env, "/v0.", (FIRST_22,), "dd-trace")


def new_relic(world):
    """newrelic, which reports over TLS: it asks its collector for a connection."""
    known = authority(world)

    def env(url):
        return {"NEW_RELIC_HOST": "localhost", "NEW_RELIC_PORT": url.rsplit(":", 1)[1], "NEW_RELIC_APP_NAME": "orders",
                "NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_LOG_ENABLED": "false", "NODE_EXTRA_CA_CERTS": known.root}

    beside(world, "newrelic", {"newrelic": "newrelic"}, ("script.cjs", "handles"), env, "/agent_listener/", (FIRST_22, NEWEST),
           "newrelic in the options", tls=known, options=("--require", "newrelic"))


def elastic(world):
    """elastic-apm-node, preloaded; it supports Node.js 18 still."""
    beside(world, "elastic", {"elastic-apm-node": "elastic-apm-node"}, ("script.cjs", "handles"),
           lambda url: {"ELASTIC_APM_SERVER_URL": url, "ELASTIC_APM_API_REQUEST_TIME": "1s", "ELASTIC_APM_LOG_LEVEL": "off"}, "/intake/",
           (FIRST_18, NEWEST), "elastic-apm-node in the options", options=("--require", "elastic-apm-node/start"))


def opentelemetry_distribution(world):
    """OpenTelemetry's distribution, preloaded."""
    name = "@opentelemetry/auto-instrumentations-node"
    beside(world, "distribution", {name: name}, ("script.cjs", "handles"), lambda url: {**OTEL, "OTEL_EXPORTER_OTLP_ENDPOINT": url}, "/v1/traces",
           (FIRST_22, NEWEST), "@opentelemetry/ in the options", options=("--require", f"{name}/register"))


def opentelemetry_in_code(world):
    """OpenTelemetry's sdk-node, set up by the application."""
    packages = {f"@opentelemetry/{name}": f"@opentelemetry/{name}" for name in ("sdk-node", "instrumentation-http")}
    beside(world, "sdk", packages, ("agent.cjs", "opentelemetry", "handles"), lambda url: {**OTEL, "OTEL_EXPORTER_OTLP_ENDPOINT": url}, "/v1/traces",
           (FIRST_22, NEWEST), "@opentelemetry/sdk-node")


def sentry_env(url):
    return {"SENTRY_DSN": url.replace("//", "//key@") + "/1"}


def sentry_10(world):
    """@sentry/node 10 traces by an OpenTelemetry SDK, which is then among the application's dependencies."""
    packages = {"@sentry/node": "sentry10", "@opentelemetry/sdk-trace-base": "sentry10/node_modules/@opentelemetry/sdk-trace-base"}
    beside(world, "sentry10", packages, ("agent.cjs", "sentry", "handles"), sentry_env, "/api/1/envelope/", (FIRST_22, NEWEST),
           "@opentelemetry/sdk-trace-base")


def sentry_11(world):
    """@sentry/node 11 has no such SDK, and tells of errors first of all: both work side by side. (It adds its baggage to every request
    of the process, ours among them.)"""
    folder = application(world, "sentry11", {"@sentry/node": "@sentry/node"})
    with contextlib.ExitStack() as stack:
        runs = []
        for version in (VERSIONS[1], NEWEST):
            stages = [stack.enter_context(Stage(world, version, part=None, bare=bare)) for bare in (False, True)]
            intakes = [Upstream(), Upstream()]
            started = [it.run("agent.cjs", "sentry", "handles", image=sentry_env(intake.url), folder=folder) for it, intake in zip(stages, intakes)]
            runs.append((version, stages[0], list(zip(started, intakes))))
        for version, stage, pairs in runs:
            ours, bare = reported(stage, pairs, "/api/1/envelope/")
            equal(ours, bare, f"exit code, output and errors with and without us on {version}")
            # What Sentry sends is a call of the application's as well.
            spans = [span for span in stage.spans(4) if "/api/1/" not in str(span.attributes.get("url.full"))]
            equal(sorted(span.kind for span in spans), ["client", "client", "server", "server"], "spans of ours")
            for span in spans:
                expect(span.kind == "client" or span.parent in {other["spanId"] for other in spans}, "a server's span without its call")


CASES = [datadog, datadog_in_code, new_relic, elastic, opentelemetry_distribution, opentelemetry_in_code, sentry_10, sentry_11]
