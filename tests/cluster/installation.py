"""Obtrace Zero on the cluster as a user has it: installed by one command, at work, installed again, upgraded, and gone without a trace."""

import json
import subprocess
import time

import applications
import observe
import workloads
from applications import SHOP, TELEMETRY

SYSTEM = "obtrace-system"
OPERATOR = "obtrace-zero-operator"
KEY = "a-key-of-the-test"
LOADERS = ("nodejs", "python", "java")
# The init container that brings loaders, and the container that observes a program without one.
INIT, SIDECAR = "obtrace-agent-init", "obtrace-ebpf"


class Program:
    """`obtrace-zero` against the cluster."""

    def __init__(self, cluster, path):
        self.cluster, self.path = cluster, path

    def run(self, *arguments, status=0):
        command = [self.path, *arguments, "--kubeconfig", self.cluster.kubeconfig]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode != status:
            raise RuntimeError(f"obtrace-zero {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.cluster.troubles()}")
        return done.stdout

    def install(self, sink, *flags):
        return self.run("install", "--ingest-url", sink.url, "--api-key", KEY, "--allow", SHOP, "--exclude-namespace", TELEMETRY, *flags)


def operators(cluster):
    return [pod for pod in cluster.pods(SYSTEM, "app.kubernetes.io/component=operator") if not pod["metadata"].get("deletionTimestamp")]


def check(cluster, report, options):
    before = observe.inventory(cluster)
    program = Program(cluster, options.obtrace_zero)
    with observe.namespace(cluster, SHOP), observe.namespace(cluster, TELEMETRY):
        sink = workloads.Sink(cluster, TELEMETRY)
        sink.start()
        began = time.monotonic()
        program.install(sink)
        report.check(f"one command installs it ({time.monotonic() - began:.0f} s)", [] if workloads.available(cluster, SYSTEM, OPERATOR) else ["not available"])
        check_workloads(cluster, report, sink)
        check_status(cluster, report, program)
        check_again(cluster, report, program, sink)
        check_rights(cluster, report)
        check_gone(cluster, report, program)
    left = observe.inventory(cluster) ^ before
    report.check("every object of the cluster is as it was", sorted(left))


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
    """What is installed a second time changes nothing that runs; Pods made meanwhile are all made, and whole."""
    before = {pod["metadata"]["name"] for pod in operators(cluster)}
    with observe.Creations(cluster, SHOP) as creations:
        program.install(sink)
        after = {pod["metadata"]["name"] for pod in operators(cluster)}
        report.check("installed once more, its Pods are the same", [] if before == after else [f"{before} {after}"])
        roll(cluster)
    report.check(f"of {creations.created} Pods made while both operators were replaced none is refused", [fault for _, fault in creations.faults][:5])
    bare = [pod["metadata"]["name"] for pod in creations.pods() if INIT not in [container["name"] for container in pod["spec"].get("initContainers", [])]]
    report.check("each of them is instrumented", bare[:5] and [f"{len(bare)} are not: {bare[:5]}"])
    # Nobody makes them anew: those that stay would keep what they were given.
    cluster.must("DELETE", f"/api/v1/namespaces/{SHOP}/pods?labelSelector=created%3Dyes&gracePeriodSeconds=0")


def roll(cluster):
    """Replaces every Pod of the operator, as an upgrade does."""
    path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{OPERATOR}"
    annotation = {"spec": {"template": {"metadata": {"annotations": {"test.obtrace.io/rolled": str(time.time())}}}}}
    cluster.must("PATCH", path, annotation, "application/strategic-merge-patch+json")
    cluster.wait_for(lambda: workloads.available(cluster, SYSTEM, OPERATOR), "the operators are replaced", 300)


def check_rights(cluster, report):
    """The operator asks for nothing that it may not have."""
    user = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"
    refused = {f"{request['verb']} {request['resource']} in {request['namespace'] or 'the cluster'}" for request in observe.refused(cluster, user)}
    report.check("the operator is refused nothing that it asks for", sorted(refused))
    granted = observe.granted(cluster, user)
    wide = [right for right in granted if "*" in right[:3] or (right[1] == "secrets" and not right[3])]
    report.check("no right of it is for everything, and none for all Secrets", [f"{right}" for right in wide])


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
