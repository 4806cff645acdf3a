#!/usr/bin/env python3
"""metrics.py --agent PATH [--only WORD]...: the metrics of the running agent, and what it sends in every other way than export.py.

Real servers and clients speak HTTP, Redis's protocol and DNS; how often is known. The page for Prometheus and what a receiver of
OTLP is sent have to say the same. Needs root; promtool judges the page, and a real Collector takes every form where
OBTRACE_COLLECTOR names its program.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

from agent import Agent
from receiver import Receiver
from world import REDIS, World, as_child, enter_namespaces, free_port

GETS, MISSES, COMMANDS, LOOKUPS = 30, 10, 25, 12
# What each metric has to count, over all of its series.
TRUTH = {
    "http.server.request.duration": GETS + MISSES,
    "http.client.request.duration": GETS + MISSES,
    "db.client.operation.duration": COMMANDS,
    "db.server.operation.duration": COMMANDS,
    "dns.lookup.duration": LOOKUPS,
}
CLIENT = f"""
read go
curl -s -o /dev/null "http://127.0.0.1:$1/?n=[1-{GETS}]"
curl -s -o /dev/null "http://127.0.0.1:$1/missing/[1-{MISSES}]"
redis-cli -h 127.0.0.1 -p {REDIS} -r {COMMANDS} INCR hits > /dev/null
dig @127.0.0.1 +tries=1 +short {' '.join(f'host{number}.test A' for number in range(LOOKUPS))} > /dev/null
echo done
read go
"""


class Run:
    """Servers, clients that wait for a word, and the agent that observes these alone."""

    def __init__(self, options, world, number, arguments, variables=None):
        self.folder = world.folder / f"run-{number}"
        self.folder.mkdir()
        self.options, self.arguments, self.variables = options, arguments, variables
        self.port = free_port()
        name = f"server-{number}"
        server = world.start(name, sys.executable, "-m", "http.server", self.port, "--bind", "127.0.0.1", "--directory", self.folder, OTEL_SERVICE_NAME="shop")
        world.answers(self.port)
        self.client = subprocess.Popen(
            ["sh", "-c", CLIENT, "client", str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=as_child,
            cwd=self.folder, env={**os.environ, "OTEL_SERVICE_NAME": "visitor"})
        self.pids = [process.pid for process in (server, self.client, world.servers["redis"], world.servers["dnsmasq"])]
        self.agent = self.start()

    def start(self):
        pids = ",".join(str(pid) for pid in self.pids)
        agent = Agent(self.options.agent, self.folder, arguments=["--pid", pids, *self.arguments], variables=self.variables)
        problem = agent.ready()
        if problem:
            print(f"the agent ended: {problem}")
            sys.exit(77 if problem.startswith("exit code 77") else 1)
        return agent

    def ask(self):
        """Lets the clients do what they have to, once."""
        self.client.stdin.write(b"go\n")
        self.client.stdin.flush()
        if self.client.stdout.readline() != b"done\n":
            sys.exit("a client failed")

    def end(self):
        """Ends the agent; what is wrong about that."""
        status = self.agent.stop()
        self.client.communicate(b"go\n")
        return [] if status == 0 else [f"the agent ended with {status}: {self.agent.log()[-500:]}"]

    def said(self, what):
        return next((line for line in self.agent.log().splitlines() if re.match(rf"exported .* {what}", line)), "nothing")


def until(condition, within=30):
    """Waits until it gives something that is true; what it gave last."""
    end = time.monotonic() + within
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def scraped(port, path="/metrics", accept="text/plain"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def samples(page):
    """Value by name and labels."""
    lines = [line for line in page.splitlines() if line and not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def counts_of_page(page):
    """How many there were by metric, over all series."""
    counts = collections.Counter()
    for series, value in samples(page).items():
        name = series.split("{", 1)[0]
        for metric in TRUTH:
            if name == metric.replace(".", "_") + "_seconds_count":
                counts[metric] += int(value)
    return dict(counts)


def sent(receiver):
    """The newest point of each series that the receiver was sent: by metric, resource and attributes."""
    points = {}
    with receiver.lock:
        bodies = [json.loads(request["body"]) for request in receiver.requests if request["path"].endswith("/v1/metrics") and request["status"] == 200]
    for body in bodies:
        for resource in body["resourceMetrics"]:
            about = json.dumps(resource.get("resource", {}).get("attributes"), sort_keys=True)
            for metric in (metric for scope in resource["scopeMetrics"] for metric in scope["metrics"]):
                data = next(value for key, value in metric.items() if key in ("sum", "gauge", "histogram", "exponentialHistogram"))
                for point in data["dataPoints"]:
                    points[(metric["name"], about, json.dumps(point.get("attributes"), sort_keys=True))] = point
    return points


def counts_of_receiver(receiver):
    counts = collections.Counter()
    for (name, _, _), point in sent(receiver).items():
        if name in TRUTH:
            counts[name] += int(point["count"])
    return dict(counts)


def differences(counts, where):
    return [f"{where}: {name} counts {counts.get(name, 0)}, not {count}" for name, count in TRUTH.items() if counts.get(name, 0) != count]


def judged(page, folder):
    """What promtool says against a page."""
    (folder / "page.txt").write_text(page)
    with open(folder / "page.txt", "rb") as text:
        ended = subprocess.run(["promtool", "check", "metrics"], stdin=text, capture_output=True, text=True)
    return [f"promtool: {line}" for line in (ended.stderr + ended.stdout).splitlines()] if ended.returncode else []


def page(options, world, number):
    """`--prometheus PORT`: what curl gets of the running agent."""
    port = free_port()
    run = Run(options, world, number, ["--prometheus", str(port)])
    run.ask()
    until(lambda: counts_of_page(scraped(port)) == TRUTH)
    text = scraped(port)
    lines = differences(counts_of_page(text), "the page") + judged(text, run.folder)
    found = samples(text)
    misses = sum(value for series, value in found.items() if series.startswith("http_server_request_duration_seconds_count") and 'status_code="404"' in series)
    if misses != MISSES:
        lines.append(f"{misses} requests with status 404, not {MISSES}")
    for needed in ("target_info", "obtrace_agent_spans_total", "obtrace_agent_dropped_total"):
        if not any(series.startswith(needed) for series in found):
            lines.append(f"{needed} is not on the page")
    listening = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True).stdout
    if listening.split()[3:4] != [f"127.0.0.1:{port}"]:
        lines.append(f"it listens on {listening.strip()}")
    open_metrics = scraped(port, accept="application/openmetrics-text; version=1.0.0")
    if not open_metrics.endswith("# EOF\n"):
        lines.append("no OpenMetrics for who asks for it")
    lines += run.end()
    return lines, f"{len(found)} samples, {len(text)} bytes"


def pushed(options, world, number):
    """`--otlp URL --metrics`: metrics beside spans; the last ones at the end."""
    receiver = Receiver()
    # The receiver is not on the host of the ingest, whose key is none of its business.
    variables = {"OTEL_METRIC_EXPORT_INTERVAL": "500", "OBTRACE_INGEST_URL": "http://127.0.0.2:9", "OBTRACE_API_KEY": "of-the-ingest"}
    run = Run(options, world, number, ["--otlp", f"http://127.0.0.1:{receiver.port}", "--metrics"], variables)
    run.ask()
    # By themselves, in their interval: not because it ends.
    until(lambda: counts_of_receiver(receiver) == TRUTH)
    lines = differences(counts_of_receiver(receiver), "the receiver")
    lines += run.end()
    spans = len(receiver.spans_only())
    if run.said("spans") != f"exported {spans} of {spans} spans" or spans < sum(TRUTH.values()):
        lines.append(f"{spans} spans came; it says: {run.said('spans')}")
    if not re.fullmatch(r"exported ([0-9]+) of \1 data points", run.said("data points")):
        lines.append(f"it says: {run.said('data points')}")
    if any("x-api-key" in request["headers"] for request in receiver.requests):
        lines.append("the receiver was given the key of the ingest")
    own = {name: point for (name, _, _), point in sent(receiver).items() if name == "obtrace.agent.spans"}
    if [int(point["asInt"]) for point in own.values()] != [spans]:
        lines.append(f"obtrace.agent.spans is {own}")
    receiver.close()
    return lines, run.said("data points")


def at_the_end(options, world, number):
    """OTEL_METRICS_EXPORTER alone, and an interval that never comes: one collection at the end has everything. No trace is kept."""
    receiver = Receiver()
    variables = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}", "OBTRACE_TRACE_SAMPLE_RATIO": "0"}
    run = Run(options, world, number, [], variables)
    run.ask()
    # What the kernel has told is parsed before the end.
    lines = run.end()
    lines += differences(counts_of_receiver(receiver), "the receiver")
    if receiver.spans_only() or run.agent.spans():
        lines.append("there are spans of traces that are not kept")
    receiver.close()
    return lines, run.said("data points")


def killed(options, world, number):
    """`--spool`: nobody takes the spans, the agent is killed, and the next one delivers what it left."""
    port = free_port()
    spool = world.folder / f"spool-{number}"
    run = Run(options, world, number, ["--otlp", f"http://127.0.0.1:{port}", "--spool", str(spool)], {"OBTRACE_EXPORT_DELAY": "200ms"})
    run.ask()
    run.agent.settle()
    # Batches are written when they are due, which is soon.
    until(lambda: sum(path.stat().st_size for path in spool.rglob("*") if path.is_file()) > 1_000)
    time.sleep(1)
    run.agent.process.kill()
    run.agent.process.wait()
    told = {(span["trace_id"], span["span_id"]) for span in whole_lines(run.agent.out)}
    receiver = Receiver(port=port)
    run.agent = run.start()
    came = until(lambda: {(span["traceId"], span["spanId"]) for span in receiver.spans_only()} >= told)
    lines = [] if came else [f"{len(receiver.spans_only())} spans came of the {len(told)} that were left"]
    ids = [(span["traceId"], span["spanId"]) for span in receiver.spans_only()]
    if len(ids) != len(set(ids)):
        lines.append(f"{len(ids) - len(set(ids))} spans came twice")
    lines += run.end()
    receiver.close()
    if "left by an earlier run" not in run.said("spans"):
        lines.append(f"it says: {run.said('spans')}")
    return lines, run.said("spans")


def whole_lines(path):
    text = path.read_bytes()
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def filed(options, world, number):
    """`--otlp-file FILE --metrics`: spans in FILE and those that it was before, metrics beside it."""
    folder = world.folder / f"files-{number}"
    limit = 24 << 10
    variables = {"OBTRACE_EXPORT_FILE_BYTES": str(limit), "OBTRACE_EXPORT_FILE_COUNT": "40", "OBTRACE_EXPORT_BATCH_ITEMS": "10"}
    run = Run(options, world, number, ["--otlp-file", str(folder / "traces.jsonl"), "--metrics"], variables)
    run.ask()
    run.agent.settle()
    lines = run.end()
    files = {"traces": [], "metrics": []}
    for path in folder.iterdir():
        signal, number = re.fullmatch(r"traces(\.metrics)?(\.[0-9]+)?\.jsonl", path.name).groups()
        files["metrics" if signal else "traces"].append(number)
        if number and path.stat().st_size > limit and path.read_bytes().count(b"\n") > 1:
            lines.append(f"{path.name} has {path.stat().st_size} bytes")
    for signal, numbers in files.items():
        if sorted(filter(None, numbers)) != sorted(f".{number}" for number in range(1, len(numbers))) or None not in numbers:
            lines.append(f"the files of {signal} have the numbers {numbers}")
    if len(files["traces"]) < 2:
        lines.append("no second file was begun")
    requests = [
        {"path": "/v1/metrics" if ".metrics" in path.name else "/v1/traces", "status": 200, "body": line}
        for path in folder.iterdir() for line in path.read_text().splitlines()]
    kept = Kept(requests)
    lines += differences(counts_of_receiver(kept), "the file")
    spans = len(Receiver.spans_only(kept))
    if spans < sum(TRUTH.values()) or run.said("spans") != f"exported {spans} of {spans} spans":
        lines.append(f"{spans} spans are in the files; it says: {run.said('spans')}")
    return lines, f"{run.said('spans')} to {len(files['traces'])} files"


def printed(options, world, number):
    """OTEL_METRICS_EXPORTER=console: a line for each data point, beside the spans, which have standard output."""
    run = Run(options, world, number, [], {"OTEL_METRICS_EXPORTER": "console"})
    run.ask()
    run.agent.settle()
    lines = run.end()
    counts = collections.Counter()
    for line in run.agent.log().splitlines():
        found = re.match(r"[0-9:.]{12} \S+ +metric +([a-z.]+)\{.*\} count ([0-9]+) sum ", line)
        if found and found[1] in TRUTH:
            counts[found[1]] += int(found[2])
    lines += differences(counts, "the console")
    if len(run.agent.spans()) < sum(TRUTH.values()):
        lines.append(f"{len(run.agent.spans())} spans on standard output")
    return lines, run.said("data points")


def certified(options, world, number):
    """https with an authority of its own, and a client certificate that the receiver asks for."""
    folder = world.folder / f"keys-{number}"
    folder.mkdir()
    make = lambda *words: subprocess.run(["openssl", *words], check=True, cwd=folder, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    make("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        make("req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}",
             "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    receiver = Receiver(tls=context)
    variables = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(folder / "client.key"),
    }
    run = Run(options, world, number, ["--otlp", f"https://127.0.0.1:{receiver.port}"], variables)
    run.ask()
    run.agent.settle()
    lines = run.end()
    spans = len(receiver.spans_only())
    if spans < sum(TRUTH.values()) or run.said("spans") != f"exported {spans} of {spans} spans":
        lines.append(f"{spans} spans came; it says: {run.said('spans')}")
    receiver.close()
    return lines, run.said("spans")


def collected(options, world, number):
    """A real Collector takes spans and metrics in every form."""
    lines, said = [], []
    for turn, (protocol, compression) in enumerate((("http/json", "gzip"), ("http/protobuf", "zstd"), ("grpc", "gzip"))):
        folder = world.folder / f"collector-{number}-{turn}"
        folder.mkdir()
        http, grpc = free_port(), free_port()
        (folder / "config.yaml").write_text(f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}, grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}}}
exporters:
  file/traces: {{path: {folder}/traces.jsonl, flush_interval: 20ms}}
  file/metrics: {{path: {folder}/metrics.jsonl, flush_interval: 20ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
""")
        collector = world.start(f"collector-{number}-{turn}", options.collector, "--config", folder / "config.yaml")
        world.answers(http)
        variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_COMPRESSION": compression}
        run = Run(options, world, f"{number}-{turn}", ["--otlp", f"http://127.0.0.1:{grpc if protocol == 'grpc' else http}", "--metrics"], variables)
        run.ask()
        run.agent.settle()
        lines += [f"{protocol}: {line}" for line in run.end()]
        # It writes the last of it when it ends.
        collector.terminate()
        collector.wait(30)
        world.processes = [(name, process) for name, process in world.processes if process is not collector]
        written = lambda name: [{"path": f"/v1/{name}", "status": 200, "body": line} for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        kept = Kept(written("traces") + written("metrics"))
        lines += differences(counts_of_receiver(kept), protocol)
        spans = len(Receiver.spans_only(kept))
        if spans < sum(TRUTH.values()) or run.said("spans") != f"exported {spans} of {spans} spans":
            lines.append(f"{protocol}: {spans} spans came; it says: {run.said('spans')}")
        said.append(f"{protocol} {spans} spans")
    return lines, ", ".join(said)


class Kept:
    """What somebody else received, to be looked at as what a `Receiver` did."""

    def __init__(self, requests):
        self.requests, self.lock = requests, threading.Lock()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    parser.add_argument("--collector", type=pathlib.Path, default=os.environ.get("OBTRACE_COLLECTOR"), help="the OpenTelemetry Collector")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases whose name begins with it")
    options = parser.parse_args()
    options.agent = options.agent.resolve()
    if os.geteuid() != 0:
        print("needs root: the agent loads BPF programs")
        sys.exit(77)
    enter_namespaces(container=False)
    world = World()
    world.redis()
    world.dns()
    failed = 0
    cases = [case for case in (page, pushed, at_the_end, killed, filed, printed, certified, collected) if not options.only or any(case.__name__.startswith(word) for word in options.only)]
    skipped = 0
    for number, case in enumerate(cases):
        if case is collected and not options.collector:
            skipped += 1
            print(f"{case.__name__:<22} skipped no Collector: OBTRACE_COLLECTOR names its program", flush=True)
            continue
        began = time.monotonic()
        lines, said = case(options, world, number)
        said += f" ({time.monotonic() - began:.0f} s)"
        failed += bool(lines)
        print(f"{case.__name__:<22} {'FAILED' if lines else 'ok':<7} {said}", flush=True)
        for line in lines[:12]:
            print(f"  {line}")
    print(f"\n{len(cases) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
