"""Flask on gunicorn: bare, ours, and the OpenTelemetry distribution with the same signals: a span and a log record a request, and
metrics of requests, the process and the interpreter (which its instrumentation tells of the machine as well, once a minute)."""

import os
import pathlib

from contender import Contender
from world import Missing

SOURCES = pathlib.Path(__file__).resolve().parent / "python_apps"


def interpreter():
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = sorted(root.glob("versions/3.12.*/bin/python"))
    if not found:
        raise Missing(f"no Python 3.12 below {root}/versions")
    return found[-1]


def installed(world, name):
    """A virtual environment with one of the requirements files."""
    wanted = SOURCES / f"{name}.txt"

    def build(folder):
        world.run(interpreter(), "-m", "venv", folder / "venv")
        world.run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)

    return world.made(f"python-bench-{name}", [wanted], build) / "venv/bin"


def contenders(world, receiver):
    plain, distribution = installed(world, "requirements"), installed(world, "distribution")

    def command(binaries, *before):
        return lambda port: [*before, binaries / "gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "app:app"]

    ours = world.environment("docker.io/library/python:3.12", command(plain)(0), receiver.url)
    theirs = {
        "OTEL_SERVICE_NAME": "orders", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.url}/otlp",
        "OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 500,
        "OTEL_BSP_SCHEDULE_DELAY": 2000, "OTEL_SEMCONV_STABILITY_OPT_IN": "http", "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}
    packages = next((distribution.parent / "lib").glob("python*/site-packages/opentelemetry"))
    return [
        Contender("bare", command(plain), {}, folder=SOURCES),
        Contender("ours", command(plain), ours, files=world.volume("python"), folder=SOURCES),
        Contender("OpenTelemetry", command(distribution, distribution / "opentelemetry-instrument"), theirs, files=packages, folder=SOURCES)]
