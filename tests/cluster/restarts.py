"""Workloads that run without us since before the installation are restarted by an operator that may, with real kubelets: one that a budget keeps, one that
breaks once it is instrumented, and one in whose midst the leader is killed."""

import json
import os
import signal
import time

import applications
import observe
import resilience
import workloads
from api import is_ready
from resilience import DEPLOYMENT, JSON_PATCH, SYSTEM

HELD, BRITTLE, LATE = "held", "brittle", "late"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/obtrace-zero-operator"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles/obtrace-zero-operator-restarts"
RECORD, BEGAN, INSTRUMENTED = "obtrace.io/restart", "obtrace.io/restartedAt", "obtrace.io/instrumented"
# How long a restarted workload has; what breaks at once need not use it up.
GRACE_SECONDS = 120
HURRY = ["operator", "--resync=5s", "--restart-every=1s", "--restart-steady=1s", "--restart-caution=1s", "--restart-at-once=10", f"--restart-grace={GRACE_SECONDS}s"]
SERVE = 'import wsgiref.simple_server as it; it.make_server("", 8080, lambda _, start: (start("200 OK", []), [b"here"])[1]).serve_forever()'
IS_OURS = 'import os, sys, time; ours = "OBTRACE_SERVICE_NAME" in os.environ'
PROGRAMS = {
    HELD: SERVE,
    BRITTLE: f"{IS_OURS}; ours and sys.exit(1); {SERVE}",
    # Once it is instrumented it is ready only when it is told to be.
    LATE: f'{IS_OURS}\nwhile ours and not os.path.exists("/tmp/go"): time.sleep(0.1)\n{SERVE}',
}


def prepare(cluster):
    """Starts the workloads, each in a namespace of its own: before anything is installed."""
    for name, program in PROGRAMS.items():
        cluster.namespace(name)
        document, _ = workloads.deployment(name, name, ["python3", "-c", program], image="registry.test/python:1")
        cluster.apply(document)
    for name in PROGRAMS:
        cluster.wait_for(lambda name=name: workloads.available(cluster, name, name), f"{name} runs")


def path(name):
    return f"/apis/apps/v1/namespaces/{name}/deployments/{name}"


def record(cluster, name):
    return json.loads(cluster.must("GET", path(name))["metadata"].get("annotations", {}).get(RECORD, "{}"))


def templates(cluster, name):
    """How many templates a Deployment has had."""
    return len(cluster.must("GET", f"/apis/apps/v1/namespaces/{name}/replicasets")["items"])


def pods(cluster, name):
    return [pod for pod in cluster.pods(name, f"app={name}") if not pod["metadata"].get("deletionTimestamp")]


def runs(cluster, name, instrumented):
    """Its only Pod, if it is ready, and instrumented or not."""
    found = pods(cluster, name)
    fits = len(found) == 1 and is_ready(found[0]) and (found[0]["metadata"]["labels"].get(INSTRUMENTED) == "true") == instrumented
    return found[0] if fits else None


def ask_for(cluster, *names):
    """Has a resource of their own ask for restarts in these namespaces."""
    for name in names:
        cluster.apply({"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "own", "namespace": name},
                       "spec": {"rolloutRestart": "onChange"}})


def ended(cluster, name, phase):
    """What is remembered of a restart, once it has come to this."""
    def found():
        it = record(cluster, name)
        return it if it.get("phase") == phase else None

    return cluster.wait_for(found, f"the restart of {name} is {phase}", 300)


def check(cluster, report, program, sink):
    """Expects an installation without the right, and leaves it so."""
    wrong = [name for name in PROGRAMS if not runs(cluster, name, False) or templates(cluster, name) != 1]
    report.check("what ran before the installation runs as it was", wrong)
    program.install(sink, "--allow-restarts")
    cluster.must("PATCH", DEPLOYMENT, [{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": HURRY}], JSON_PATCH)
    resilience.wait_available(cluster, "operators that may restart are available")
    check_held(cluster, report, sink)
    ask_for(cluster, LATE, BRITTLE)
    check_killed(cluster, report)
    check_brittle(cluster, report)
    had = {name: templates(cluster, name) for name in PROGRAMS}
    report.check("each was changed as often as it had to be", [] if had == {HELD: 2, BRITTLE: 3, LATE: 2} else [f"{had}"])
    for name in PROGRAMS:
        cluster.must("DELETE", f"/api/v1/namespaces/{name}")
    for name in PROGRAMS:
        cluster.wait_for(lambda name=name: cluster.get(f"/api/v1/namespaces/{name}") is None, f"the namespace {name} is gone")
    program.install(sink)
    resilience.wait_available(cluster, "operators that may not are available")
    report.check("installed without the right, it is taken away", ["it is there"] if cluster.get(ROLES) else [])


def check_held(cluster, report, sink):
    """A PodDisruptionBudget that allows nothing keeps it; without one it is restarted, and serves."""
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all", "namespace": HELD},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": HELD}}}}
    cluster.apply(budget)
    cluster.wait_for(lambda: cluster.must("GET", cluster.path_of(budget)).get("status", {}).get("currentHealthy") == 1, "the budget counts a Pod")
    ask_for(cluster, HELD)
    resource = f"/apis/obtrace.io/v1alpha1/namespaces/{HELD}/obtraceinstrumentations/own"

    def told():
        rows = cluster.must("GET", resource).get("status", {}).get("workloads", [])
        return any("PodDisruptionBudget all allows no disruption" in row.get("reason", "") for row in rows)

    cluster.wait_for(told, "the status says what keeps it")
    report.check("a PodDisruptionBudget that allows none keeps a workload as it is", [] if templates(cluster, HELD) == 1 and runs(cluster, HELD, False) else ["changed"])
    cluster.delete(budget)
    ended(cluster, HELD, "restarted")
    pod = cluster.wait_for(lambda: runs(cluster, HELD, True), "its Pod is instrumented")

    def spans():
        applications.fetch(pod)
        return [span for span in sink.spans("server") if span.resource.get("k8s.pod.name") == pod["metadata"]["name"]]

    cluster.wait_for(spans, "its spans arrive")
    report.check("what ran since before the installation is restarted, serves and is told of", [])


def new_pod(cluster, name):
    """The Pod that a restart has made, if it runs and is not ready."""
    found = [pod for pod in pods(cluster, name) if BEGAN in pod["metadata"].get("annotations", {}) and pod["status"].get("phase") == "Running" and not is_ready(pod)]
    return found[0] if found else None


def check_killed(cluster, report):
    """The leader is killed while a new Pod is waited for: the restart goes on, and is the same."""
    pod = cluster.wait_for(lambda: new_pod(cluster, LATE), "the restart of late has made a Pod", 300)
    begun = record(cluster, LATE)
    lease = cluster.must("GET", LEASE)["spec"]
    leader = next(it for it in resilience.operators(cluster) if it["metadata"]["name"] == lease["holderIdentity"])
    former = resilience.restarts(cluster, leader)
    os.kill(resilience.process_of(leader), signal.SIGKILL)
    cluster.wait_for(lambda: resilience.restarts(cluster, leader) > former, "the leader is started again")
    killed = cluster.must("GET", LEASE)["spec"]["renewTime"]
    cluster.wait_for(lambda: cluster.must("GET", LEASE)["spec"]["renewTime"] != killed, "somebody leads")
    cluster.exec(LATE, pod["metadata"]["name"], "/bin/busybox", "touch", "/tmp/go", container="app")
    after = ended(cluster, LATE, "restarted")
    report.check("the leader killed in its midst, a restart is seen through", [] if (begun["phase"], after["startedAt"]) == ("restarting", begun["startedAt"]) else [f"{begun} {after}"])
    now = cluster.wait_for(lambda: runs(cluster, LATE, True), "late runs, instrumented")
    report.check("and not begun again", [] if now["metadata"]["uid"] == pod["metadata"]["uid"] and templates(cluster, LATE) == 2 else [f"{templates(cluster, LATE)} templates"])


def check_brittle(cluster, report):
    """What ends as soon as it is instrumented runs as before, and stays so."""
    began = time.monotonic()
    after = ended(cluster, BRITTLE, "rolled-back")
    why = after.get("reason") or ""
    report.check("what crashes once it is instrumented is taken back, and why is remembered", [] if "exit code 1" in why else [f"{after}"])
    cluster.wait_for(lambda: runs(cluster, BRITTLE, False), "brittle runs as before")
    template = cluster.must("GET", path(BRITTLE))["spec"]["template"]["metadata"]
    report.check("it is excluded", [] if template.get("annotations", {}).get("obtrace.io/exclude") == "true" else [f"{template}"])
    print(f"-- brittle was waited for {time.monotonic() - began:.0f} s", flush=True)
