"""A leader after another: what came to be instrumented while nobody led is told as older than that, what was made then as made without a webhook.

The operator runs as a process beside the API server, as in `limits.py`.
"""

import time

import limits
from install import SYSTEM

PATIENCE_SECONDS = 120
# A leader may not have written what it saw so long before its end.
UNWRITTEN_SECONDS = 10
# So long after a resource is in use a Pod may still be made by the old word.
GRACE_SECONDS = 5
NAMESPACE = "succession"
RESOURCE = f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default"
MERGE = "application/merge-patch+json"


def deployment(name):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": limits.pod("node")["spec"]}}}


def seconds(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


class Rig:
    def __init__(self, api, program):
        self.api, self.operator = api, limits.Operator(api, program)

    def status(self):
        return self.api.must("GET", RESOURCE).get("status", {})

    def row(self, name):
        return next((row for row in self.status().get("workloads", []) if (row["namespace"], row["name"]) == (NAMESPACE, name)), {})

    def make(self, name):
        """The time at which its Pod was made, and that it is not instrumented."""
        self.api.apply(deployment(name))
        pod, = self.api.wait_for(lambda: self.api.pods(NAMESPACE, f"app={name}"), f"a Pod of {name} is made", PATIENCE_SECONDS)
        return seconds(pod["metadata"]["creationTimestamp"]), not limits.added(pod)


def ignore(api):
    """Pods are made although nobody answers."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/obtrace-zero"
    api.must("PATCH", path, [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}], "application/json-patch+json")


def check(api, report, program):
    """`api` has controllers and `limits.FLAGS`; an operator of ours has been there for a while, and has ended."""
    rig = Rig(api, program)
    rig.operator.install()
    ignore(api)
    api.namespace(NAMESPACE, labels={"obtrace.io/exclude": "true"})
    rig.operator.start("--resync=2s", "--linger=0s")
    try:
        since = api.wait_for(lambda: seconds(rig.status()["inUseSince"]) if rig.status().get("inUseSince") else None, "the resource is in use", PATIENCE_SECONDS)
        # A Pod may be made by the old word a moment later.
        api.wait_for(lambda: time.time() > since + GRACE_SECONDS + 2, "it has been for a while", PATIENCE_SECONDS)
        made, is_bare = rig.make("older")
        api.wait_for(lambda: rig.row("older").get("state") == "skipped", "the first leader has seen it", PATIENCE_SECONDS)
        is_later = made > since + GRACE_SECONDS
        report.check("a Pod is made after the resource, in a namespace that is excluded", [] if is_bare and is_later else [f"{made}, {since}, {is_bare}"])
        api.wait_for(lambda: time.time() > made + UNWRITTEN_SECONDS + 4, "the first leader has written it long ago", PATIENCE_SECONDS)
    finally:
        rig.operator.end()
    api.must("PATCH", f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"labels": {"obtrace.io/exclude": None}}}, MERGE)
    _, is_bare = rig.make("newer")
    report.check("nobody answers, and another is made", [] if is_bare else ["it is instrumented"])
    rig.operator.start("--resync=2s", "--linger=0s")
    try:
        api.wait_for(lambda: all(rig.row(name).get("state") == "pending" for name in ("older", "newer")), "the next leader has seen both", PATIENCE_SECONDS)
        reasons = {name: rig.row(name).get("reason", "") for name in ("older", "newer")}
        report.check("what was older than its instrumentation has not drifted", [] if "are older than the instrumentation" in reasons["older"] else [f"{reasons}"])
        report.check("what was made without a webhook has", [] if "no webhook answered" in reasons["newer"] else [f"{reasons}"])
        drift = next(it for it in rig.status()["conditions"] if it["type"] == "Drift")
        report.check("as the condition says", [] if drift["status"] == "True" and f"1 workloads were made while no webhook answered, Deployment {NAMESPACE}/newer" in drift["message"] else [f"{drift}"])
    finally:
        rig.operator.end()
