"""The Spring Boot application of the tests on JDK 17: bare, ours, ours with the lean profile, and OpenTelemetry's own agent with the
same signals. A request is a server span, a query's span, a log record and a duration. It is asked at a pace at which every contender
delivers all of that: what drops items at full speed would look cheap."""

import importlib.util
import pathlib

from contender import Contender

RIG = pathlib.Path(__file__).resolve().parents[2] / "tests/loaders/java/rig.py"
# Until the JVM has compiled what a request needs.
WARM_SECONDS = 20
ASKED = {"path": "/orders/7", "spans": 2, "pause": 10, "warm": WARM_SECONDS}


def contenders(world, receiver):
    spec = importlib.util.spec_from_file_location("java_rig", RIG)
    rig = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rig)
    lock = next(line.split() for line in (rig.SOURCE / "dependencies.lock").read_text().splitlines() if not line.startswith("#"))
    distribution = rig.artifact(world, lock[0])

    def command(port):
        return rig.spring_command(world, port)

    ours = rig.environment(world, receiver.url, ["java", "-jar", "app.jar"])
    theirs = {
        "JAVA_TOOL_OPTIONS": f"-javaagent:{distribution}", "OTEL_SERVICE_NAME": "orders", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.url}/otlp", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "500", "OTEL_BSP_SCHEDULE_DELAY": "2000",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "500", "OTEL_BLRP_SCHEDULE_DELAY": "2000", "OTEL_SEMCONV_STABILITY_OPT_IN": "database,code"}
    files = world.volume("java")
    return [
        Contender("bare", command, {}, **ASKED),
        Contender("ours", command, ours, files=files, **ASKED),
        Contender("ours, lean", command, {**ours, "OBTRACE_JAVA_PROFILE": "lean"}, files=files, **ASKED),
        Contender("OpenTelemetry", command, theirs, files=distribution.parent, **ASKED)]
