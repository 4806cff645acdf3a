"""Obtrace Zero on the cluster as a user has it: installed by one command, at work, installed again, upgraded, and gone without a trace."""

import base64
import json
import subprocess
import time

import applications
import observe
import resilience
import rights
import workloads
from applications import SHOP, TELEMETRY

SYSTEM = "obtrace-system"
OPERATOR = "obtrace-zero-operator"
KEY = "a-key-of-the-test"
ENCODED = {"api-key": base64.b64encode(KEY.encode()).decode()}
LOADERS = ("nodejs", "python", "java")
# The operator's image by its own name, and as somebody's registry has it: of a version before, and of this one.
IMAGE = "ghcr.io/obtrace/obtrace-zero:0.1.0"
FORMER, RELEASED, ABSENT = "registry.test/mirror/obtrace-zero:0.0.9", "registry.test/mirror/obtrace-zero:0.1.0", "registry.test/mirror/obtrace-zero:9.9.9"
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
        return self.run("install", "--ingest-url", sink.url, "--api-key", KEY, "--allow", SHOP, "--exclude-namespace", TELEMETRY, "--image", FORMER, *flags)


def check(cluster, report, options):
    before = observe.inventory(cluster)
    program = Program(cluster, options.obtrace_zero)
    cluster.name_image(IMAGE, FORMER, RELEASED)
    with rights.rollouts(cluster), observe.namespace(cluster, SHOP), observe.namespace(cluster, TELEMETRY):
        sink = workloads.Sink(cluster, TELEMETRY)
        sink.start()
        began = time.monotonic()
        program.install(sink)
        report.check(f"one command installs it ({time.monotonic() - began:.0f} s)", [] if workloads.available(cluster, SYSTEM, OPERATOR) else ["not available"])
        check_workloads(cluster, report, sink)
        check_status(cluster, report, program)
        check_again(cluster, report, program, sink)
        check_upgrade(cluster, report, program)
        rights.exercise(cluster, SHOP)
        resilience.check(cluster, report, program)
        copy = cluster.wait_for(lambda: cluster.get(rights.copy_of_key(SHOP)), "the API key is copied again")
        report.check("a copy of the API key that was deleted is made again", [] if copy["data"] == ENCODED else [f"{copy['data'].keys()}"])
        rights.check(cluster, report, f"system:serviceaccount:{SYSTEM}:{OPERATOR}", SYSTEM)
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


def image(cluster):
    return cluster.must("GET", resilience.DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["image"]


def check_again(cluster, report, program, sink):
    """What is installed a second time changes nothing that runs."""
    before = {pod["metadata"]["name"] for pod in resilience.operators(cluster)}
    program.install(sink)
    after = {pod["metadata"]["name"] for pod in resilience.operators(cluster)}
    report.check("installed once more, its Pods are the same", [] if before == after else [f"{before} {after}"])


def check_upgrade(cluster, report, program):
    """Another version replaces both operators, and one that cannot run is taken back; Pods made meanwhile are all made, and whole."""
    resource = f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default"
    cluster.must("PATCH", resource, {"spec": {"samplingRatio": 0.5}}, "application/merge-patch+json")
    wanted = cluster.must("GET", resource)["spec"]
    with observe.Creations(cluster, SHOP, wanted=INIT) as creations:
        creations.more()
        program.run("upgrade")
        report.check("`upgrade` goes to this version, in the registry of the former", [] if image(cluster) == RELEASED else [image(cluster)])
        program.run("upgrade", "--image", ABSENT, "--timeout", "10s", status=1)
        report.check("what cannot run is taken back", [] if image(cluster) == RELEASED else [image(cluster)])
        resilience.wait_available(cluster, "the operators are those of before")
        creations.more()
    resilience.judge(report, "upgraded twice, once in vain", creations)
    kept = cluster.must("GET", resource)["spec"]
    report.check("upgrades keep what users have set", [] if kept == wanted else [f"{kept}, not {wanted}"])
    # Nobody makes them anew: those that stay would keep what they were given.
    cluster.must("DELETE", f"/api/v1/namespaces/{SHOP}/pods?labelSelector=created%3Dyes&gracePeriodSeconds=0")


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
