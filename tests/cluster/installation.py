"""Obtrace Zero on the cluster as a user has it: installed by one command, at work, installed again, upgraded, and gone without a trace."""

import base64
import json
import subprocess
import time

import applications
import observe
import resilience
import restarts
import rights
import upgrade
import workloads
from applications import SHOP, TELEMETRY

SYSTEM = "obtrace-system"
OPERATOR = "obtrace-zero-operator"
KEY = "a-key-of-the-test"
ENCODED = {"api-key": base64.b64encode(KEY.encode()).decode()}
LOADERS = ("nodejs", "python", "java")
# The init container that brings loaders, and the container that observes a program without one.
INIT, SIDECAR = "obtrace-agent-init", "obtrace-ebpf"


class Program:
    """`obtrace-zero` against the cluster."""

    def __init__(self, cluster, path):
        self.cluster, self.path, self.version = cluster, path, upgrade.version_of(path)

    def run(self, *arguments, status=0):
        """What it prints."""
        return self.done(arguments, status).stdout

    def tell(self, *arguments):
        """What it says while it works."""
        return self.done(arguments, 0).stderr

    def done(self, arguments, status):
        command = [self.path, *arguments, "--kubeconfig", self.cluster.kubeconfig]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode != status:
            raise RuntimeError(f"obtrace-zero {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.cluster.troubles()}")
        return done

    def install(self, sink, *flags):
        return self.run("install", "--ingest-url", sink.url, "--api-key", KEY, "--allow", SHOP, "--exclude-namespace", TELEMETRY,
                        "--image", f"{upgrade.MIRROR}:{self.version}", *flags)


def check(cluster, report, options):
    before = observe.inventory(cluster)
    program, newer = Program(cluster, options.obtrace_zero), Program(cluster, options.next_obtrace_zero)
    upgrade.name_images(cluster, program.version, newer.version)
    with rights.rollouts(cluster), observe.namespace(cluster, SHOP), observe.namespace(cluster, TELEMETRY):
        restarts.prepare(cluster)
        sink = workloads.Sink(cluster, TELEMETRY)
        sink.start()
        began = time.monotonic()
        program.install(sink)
        report.check(f"one command installs it ({time.monotonic() - began:.0f} s)", [] if workloads.available(cluster, SYSTEM, OPERATOR) else ["not available"])
        check_workloads(cluster, report, sink)
        check_status(cluster, report, program)
        check_again(cluster, report, program, sink)
        timed("upgrade", upgrade.check, cluster, report, program, newer, sink)
        timed("restarts", restarts.check, cluster, report, program, sink)
        rights.exercise(cluster, SHOP)
        resilience.check(cluster, report, program)
        copy = cluster.wait_for(lambda: cluster.get(rights.copy_of_key(SHOP)), "the API key is copied again")
        report.check("a copy of the API key that was deleted is made again", [] if copy["data"] == ENCODED else [f"{copy['data'].keys()}"])
        rights.check(cluster, report, f"system:serviceaccount:{SYSTEM}:{OPERATOR}", SYSTEM)
        check_gone(cluster, report, program)
    left = observe.inventory(cluster) ^ before
    report.check("every object of the cluster is as it was", sorted(left))


def timed(name, check, *arguments):
    began = time.monotonic()
    check(*arguments)
    print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)


def check_workloads(cluster, report, sink):
    """Each Pod has what its language needs, and what is told of it names it."""
    cluster.apply(*workloads.chain(SHOP))
    applications.wait_available(cluster, SHOP)
    report.check("instrumented applications answer as before", [] if applications.answered(cluster, SHOP) else ["no"])
    for name in workloads.APPLICATIONS:
        pod, = cluster.pods(SHOP, f"app={name}")
        names = {container["name"] for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]} - {"app"}
        wanted = {INIT} if name in LOADERS else {SIDECAR} if name == "go" else set()
        report.check(f"{name}: its Pod has what its language needs", [] if names == wanted else [f"{sorted(names)}, not {sorted(wanted)}"])

    spans = cluster.wait_for(lambda: whole_trace(cluster, sink), "server spans of the loaders in one trace")
    for name in LOADERS:
        check_names(cluster, report, name, spans[name])

    def of_go():
        # It may have come after the first requests.
        applications.ask(cluster, SHOP)
        return [span for span in sink.spans("server") if span.resource.get("service.name") == "go"]

    check_names(cluster, report, "go", cluster.wait_for(of_go, "server spans of the program in Go")[-1])


def whole_trace(cluster, sink):
    """The server spans of the loaders by their languages, if all of them tell of one request."""
    traces = {}
    for span in sink.spans("server"):
        traces.setdefault(span["traceId"], {})[span.resource.get("telemetry.sdk.language")] = span
    return next((spans for spans in traces.values() if set(LOADERS) <= set(spans)), None)


def check_names(cluster, report, name, span):
    pod, = cluster.pods(SHOP, f"app={name}")
    wanted = {"service.name": name, "k8s.pod.name": pod["metadata"]["name"], "k8s.namespace.name": SHOP, "k8s.node.name": pod["spec"]["nodeName"]}
    wrong = [f"{key}: {span.resource.get(key)!r}, not {value!r}" for key, value in wanted.items() if span.resource.get(key) != value]
    report.check(f"{name}: its spans arrive and name its Pod", wrong)


def check_status(cluster, report, program):
    """What the commands say of it is so."""
    said = json.loads(program.run("status", "--json"))
    seen = {"ready": said["operator"]["ready"], "certificate": said["certificate"]["valid"], "endpoints": said["webhook"]["endpoints"]}
    report.check("`status` tells that it works", [] if seen == {"ready": 2, "certificate": True, "endpoints": True} else [f"{said}"])
    rows = {row["name"]: row for row in map(json.loads, program.run("workloads", "--namespace", SHOP, "--json").splitlines())}
    report.check("`workloads` lists them all", [] if set(rows) == set(workloads.APPLICATIONS) else [f"{rows}"])
    wrong = [f"{rows.get(name)}" for name in LOADERS if rows.get(name, {}).get("state") != "instrumented" or rows[name]["language"] != name]
    report.check("it knows which are instrumented, and their languages", wrong)


def check_again(cluster, report, program, sink):
    """What is installed a second time changes nothing that runs."""
    before = {pod["metadata"]["name"] for pod in resilience.operators(cluster)}
    program.install(sink)
    after = {pod["metadata"]["name"] for pod in resilience.operators(cluster)}
    report.check("installed once more, its Pods are the same", [] if before == after else [f"{before} {after}"])


def check_gone(cluster, report, program):
    """Uninstalled, nothing is left, and the applications run on."""
    program.run("uninstall", "--restore", "--yes")
    applications.wait_available(cluster, SHOP)
    report.check("uninstalled, the applications answer", [] if applications.answered(cluster, SHOP) else ["no"])
    marked = []
    for name in workloads.APPLICATIONS:
        marked += [pod["metadata"]["name"] for pod in cluster.pods(SHOP, f"app={name}")
                   if not pod["metadata"].get("deletionTimestamp") and "obtrace" in json.dumps({**pod["spec"], **pod["metadata"]["labels"]})]
    report.check("no Pod of theirs has anything of ours", marked)
