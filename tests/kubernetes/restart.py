#!/usr/bin/env python3
"""restart.py --obtrace-zero PATH: workloads that ran before they were to be instrumented are restarted, on a real control plane.

Kubernetes' own controllers roll out; only the kubelet is played: Pods become ready, or crash once they are instrumented. The operator runs beside
the API server, as the service account and with the rights that `install` gives it, and answers its webhook.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import yaml

import cluster
from report import Report

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "cluster"))
import rights  # noqa: E402

SYSTEM, SERVICE, CONFIGURATION, RESTARTER = "obtrace-system", "obtrace-zero-webhook", "obtrace-zero", "obtrace-zero-operator-restarts"
USER = "system:serviceaccount:obtrace-system:obtrace-zero-operator"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
NODE = "node-1"
RECORD, MARK, BEGAN = "obtrace.io/restart", "obtrace.io/restarting", "obtrace.io/restartedAt"
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
# A namespace whose Pods the API server does not ask our webhook about.
DEAF = "deaf"


def workload(kind, namespace, name, replicas=2, **spec):
    labels = {"app": name}
    body = {"selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels, "annotations": {"team": "a"}},
        "spec": {"containers": [{"name": "main", "image": "python:3.12", "command": ["python", "app.py"]}]}}, **spec}
    if kind != "DaemonSet":
        body["replicas"] = replicas
    if kind == "StatefulSet":
        body["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": body}


def budget(namespace, name, least):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": namespace},
            "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": name}}}}


def is_ready(pod):
    return any(it["type"] == "Ready" and it["status"] == "True" for it in pod.get("status", {}).get("conditions", []))


def is_instrumented(pod):
    return pod["metadata"].get("labels", {}).get("obtrace.io/instrumented") == "true"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    """Plays the node: binds Pods to it, says how they are, and lets go of those that are deleted."""

    def __init__(self, api):
        self.api, self.crashing, self.held = api, set(), set()
        # Of which namespaces only Pods of that restart become ready.
        self.only = {}
        self.fewest, self.faults, self.done = {}, [], threading.Event()
        api.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"unschedulable": True}})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.done.is_set():
            # The API server may be slow, or refuse for a moment.
            with contextlib.suppress(OSError, RuntimeError):
                self.turn()
            self.done.wait(0.2)

    def turn(self):
        self.api.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {"conditions": [
            {"type": "Ready", "status": "True", "reason": "Played", "lastHeartbeatTime": now(), "lastTransitionTime": now()}]}}, STRATEGIC)
        pods = self.api.must("GET", "/api/v1/pods")["items"]
        ready = {}
        for pod in pods:
            self.play(pod)
            key = (pod["metadata"]["namespace"], pod["metadata"]["labels"]["app"])
            ready[key] = ready.get(key, 0) + (is_ready(pod) and "deletionTimestamp" not in pod["metadata"])
        for key, count in ready.items():
            # From when all of it was there first.
            if key in self.fewest or count >= 2:
                self.fewest[key] = min(count, self.fewest.get(key, count))
        for plural in PLURALS.values():
            marked = self.api.must("GET", f"/apis/apps/v1/{plural}?labelSelector={MARK}")["items"]
            namespaces = [it["metadata"]["namespace"] for it in marked]
            self.faults += [f"two at once in {it}" for it in set(namespaces) if namespaces.count(it) > 1]

    def play(self, pod):
        metadata, namespace = pod["metadata"], pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            self.api.request("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})
            return
        if not pod["spec"].get("nodeName"):
            self.api.request("POST", f"{path}/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]},
                                                         "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}})
            return
        crashes = is_instrumented(pod) and namespace in self.crashing
        began = metadata.get("annotations", {}).get(BEGAN)
        ready = not crashes and not (is_instrumented(pod) and namespace in self.held) and self.only.get(namespace, began) == began
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}} if crashes else {"running": {"startedAt": now()}}
        wanted = (ready, "waiting" in state)
        statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
        if pod["status"].get("conditions") and wanted == (is_ready(pod), "waiting" in statuses[0]["state"]) and statuses[0]["state"]:
            return
        container = {"name": "main", "image": "python:3.12", "imageID": "", "ready": ready, "restartCount": 3 if crashes else 0, "state": state,
                     "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}} if crashes else {}}
        conditions = [{"type": kind, "status": str(ready), "lastTransitionTime": now()} for kind in ("Ready", "ContainersReady")]
        self.api.request("PATCH", f"{path}/status", {"status": {
            "phase": "Running", "startTime": now(), "conditions": conditions, "containerStatuses": [container]}}, MERGE)

    def end(self):
        self.done.set()
        self.thread.join()


class Rig:
    def __init__(self, api, report, program):
        self.api, self.report, self.program, self.process = api, report, program, None
        self.ports = [cluster.free_port() for _ in range(3)]
        self.config = api.client("operator", f"/CN={USER}")
        self.log = api.folder / "operator.log"

    def install(self):
        """What `install` makes, but for the Deployment; the Service is the name of a program on loopback."""
        made = subprocess.run([self.program, "install", "--output", "yaml", "--no-default", "--allow-restarts"], check=True, stdout=subprocess.PIPE, text=True)
        documents = [document for document in yaml.safe_load_all(made.stdout) if document]
        self.restarter = [it for it in documents if it["metadata"]["name"] == RESTARTER]
        kinds = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        self.api.apply(*[it for kind in kinds for it in documents if it["kind"] == kind and it not in self.restarter])
        self.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": SYSTEM},
                        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self.ports[0]}]}})
        hooks = next(it for it in documents if it["kind"] == "MutatingWebhookConfiguration")
        for hook in hooks["webhooks"]:
            hook["clientConfig"]["service"]["port"] = self.ports[0]
            hook["timeoutSeconds"] = 30
            hook["namespaceSelector"]["matchExpressions"].append({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [DEAF]})
        self.api.apply(hooks)

    def start(self):
        flags = [f"--{name}-address=127.0.0.1:{port}" for name, port in zip(("webhook", "health", "metrics"), self.ports)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "operator", "--pod-name=operator-1", *flags, "--resync=5s", "--restart-every=1s", "--restart-steady=1s",
                 "--restart-at-once=10", "--restart-grace=120s", "--restart-caution=1s", "--linger=0s"],
                env={**os.environ, "KUBECONFIG": str(self.config)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait("the operator is ready", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.ports[1]}/readyz", timeout=5).status == 200)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, what, ask):
        def condition():
            with contextlib.suppress(OSError, KeyError, IndexError, TypeError, StopIteration):
                return ask()
            return None
        found = self.api.wait_for(condition, what)
        self.report.check(what, [])
        return found

    def path(self, kind, namespace, name):
        return f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[kind]}/{name}"

    def get(self, kind, namespace, name):
        return self.api.must("GET", self.path(kind, namespace, name))

    def record(self, kind, namespace, name):
        return json.loads(self.get(kind, namespace, name)["metadata"].get("annotations", {}).get(RECORD, "{}"))

    def phase(self, kind, namespace, name, phase):
        found = self.record(kind, namespace, name)
        return found if found.get("phase") == phase else None

    def status(self):
        return self.api.must("GET", f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default").get("status", {})

    def reason(self, namespace, name):
        return next(it.get("reason", "") for it in self.status()["workloads"] if (it["namespace"], it["name"]) == (namespace, name))

    def events(self, namespace, name):
        items = self.api.must("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
        return [(it["reason"], it["note"]) for it in items if it["regarding"]["name"] == name and it.get("action") == "Restart"]

    def templates(self, kind, namespace, name):
        """How many templates a workload has had: its ReplicaSets or revisions. The generation of a Deployment counts annotations as well."""
        plural = "replicasets" if kind == "Deployment" else "controllerrevisions"
        items = self.api.must("GET", f"/apis/apps/v1/namespaces/{namespace}/{plural}")["items"]
        return sum(it["metadata"]["ownerReferences"][0]["name"] == name for it in items)

    def sample(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/metrics", timeout=5).read().decode()
        return next((float(it.removeprefix(f"{name} ")) for it in text.splitlines() if it.startswith(f"{name} ")), 0)

    def metric(self, outcome):
        return self.sample(f'obtrace_zero_restarts_total{{outcome="{outcome}"}}')

    def scans(self):
        return self.sample("obtrace_zero_discovery_scan_duration_seconds_count")

    def pods(self, namespace, name):
        found = self.api.pods(namespace, f"app={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def all_run(self, namespace, name, instrumented, count=2):
        pods = self.pods(namespace, name)
        return len(pods) == count and all(is_ready(pod) and is_instrumented(pod) == instrumented for pod in pods)


BEFORE = [
    ("Deployment", "shop", "web"), ("Deployment", "shop", "other"), ("Deployment", "crash", "api"), ("StatefulSet", "data", "db"),
    ("DaemonSet", "node", "probe"), ("DaemonSet", "logs", "tail"), ("Deployment", "slow", "late"), ("Deployment", "fall", "gone"),
]
# Made when all others are done: after it there is no restart for a while.
LAST = ("Deployment", DEAF, "quiet")


def check_forbidden(rig):
    """Without the right it says so, and does not ask again and again."""
    rig.start()
    rig.api.apply({"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": SYSTEM},
                   "spec": {"ingestUrl": "https://ingest.example.com", "rolloutRestart": "onChange"}})
    condition = lambda: next(it for it in rig.status()["conditions"] if it["type"] == "Restarts")
    rig.wait("restart: without the right the resource's condition says so",
             lambda: (condition()["status"], condition()["reason"]) == ("False", "Forbidden") and "--allow-restarts" in condition()["message"])
    rig.kill()
    refused = [it for it in rig.api.audited(user=USER) if it["code"] == 403]
    rig.report.check("restart: it is asked for once", [] if len(refused) == 1 else [str(refused)])
    changed = [name for kind, namespace, name in BEFORE if rig.get(kind, namespace, name)["metadata"]["generation"] != 1]
    rig.report.check("restart: nothing is changed without the right", changed)
    rig.api.apply(*rig.restarter)
    # Authorizers learn of a Role a moment later, and the operator asks again only after minutes.
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": USER, "resourceAttributes": {
        "verb": "patch", "group": "apps", "resource": "deployments", "namespace": "shop"}}}
    rig.api.wait_for(lambda: rig.api.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"], "the right is known")


def check_budget(rig, kubelet):
    """One that its PodDisruptionBudget keeps waits and says so; allowed, it is restarted without a gap."""
    web = ("Deployment", "shop", "web")
    rig.wait("restart: a PodDisruptionBudget keeps a workload, and the status says so",
             lambda: "PodDisruptionBudget web allows no disruption" in rig.reason("shop", "web"))
    rig.wait("restart: so does an Event", lambda: any(reason == "RestartWaiting" and "PodDisruptionBudget web" in note for reason, note in rig.events("shop", "web")))
    rig.report.check("restart: it is left alone meanwhile", [] if rig.templates(*web) == 1 else ["changed"])
    rig.api.apply(budget("shop", "web", 1))
    for name in ("web", "other"):
        rig.wait(f"restart: {name} is restarted", lambda name=name: rig.phase("Deployment", "shop", name, "restarted"))
        rig.report.check(f"restart: {name} runs, instrumented", [] if rig.all_run("shop", name, True) else [str(rig.pods("shop", name))])
        had = rig.templates("Deployment", "shop", name)
        rig.report.check(f"restart: {name} was changed once", [] if had == 2 else [f"{had} templates"])
    said = {reason for reason, _ in rig.events("shop", "web")}
    rig.report.check("restart: its Events are there", [] if {"Restarting", "Restarted"} <= said else [str(said)])
    rig.report.check("restart: it was there all the time", [] if kubelet.fewest[("shop", "web")] >= 1 else ["no Pod was ready"])
    rig.wait("restart: the status says that it is instrumented", lambda: next(
        it for it in rig.status()["workloads"] if it["name"] == "web")["state"] == "instrumented")


def check_crash(rig, templates):
    """What crashes once it is instrumented runs as before."""
    for kind, namespace, name in (("Deployment", "crash", "api"), ("StatefulSet", "data", "db")):
        record = rig.wait(f"restart: {kind} {name} is rolled back", lambda it=(kind, namespace, name): rig.phase(*it, "rolled-back"))
        rig.report.check("restart: why is remembered", [] if "CrashLoopBackOff, exit code 1" in record.get("reason", "") else [str(record)])
        rig.wait(f"restart: {name} runs as before", lambda it=(namespace, name): rig.all_run(*it, False))
        check_template(rig, templates, kind, namespace, name)
        said = {reason for reason, _ in rig.events(namespace, name)}
        rig.report.check("restart: an Event tells of it", [] if "RolledBack" in said else [str(said)])
        rig.wait("restart: so does the status", lambda it=(namespace, name): "rolled back" in rig.reason(*it) and "CrashLoopBackOff" in rig.reason(*it))


def check_template(rig, templates, kind, namespace, name):
    found = rig.get(kind, namespace, name)["spec"]["template"]
    annotations = found["metadata"]["annotations"]
    ours = {key: annotations.pop(key) for key in ("obtrace.io/exclude", "obtrace.io/exclude-reason") if key in annotations}
    same = found == templates[kind, namespace, name] and ours.get("obtrace.io/exclude") == "true"
    rig.report.check(f"restart: the template of {name} is as it was, and excluded", [] if same else [json.dumps(found), str(ours)])


def check_killed(rig, kubelet, templates):
    """Killed in the middle, it goes on: one restart ends well, one is rolled back that failed while nobody looked."""
    both = (("slow", "late"), ("fall", "gone"))
    for namespace, name in both:
        rig.wait(f"restart: {name} has a new Pod that is not ready", lambda it=(namespace, name): any(
            BEGAN in pod["metadata"].get("annotations", {}) and not is_ready(pod) for pod in rig.pods(*it)))
    before = {it: rig.record("Deployment", *it) for it in both}
    rig.kill()
    kubelet.crashing.add("fall")
    kubelet.held -= {"slow", "fall"}
    rig.wait("restart: a Pod crashes while nobody looks", lambda: any(
        "waiting" in pod["status"]["containerStatuses"][0]["state"] for pod in rig.pods("fall", "gone")))
    rig.start()
    after = rig.wait("restart: the next operator sees it through", lambda: rig.phase("Deployment", "slow", "late", "restarted"))
    rig.report.check("restart: it is the same restart", [] if after["startedAt"] == before[both[0]]["startedAt"] else [str(after)])
    rig.report.check("restart: late was changed once", [] if rig.templates("Deployment", "slow", "late") == 2 else ["more often"])
    rig.wait("restart: the next operator rolls back what failed", lambda: rig.phase("Deployment", "fall", "gone", "rolled-back"))
    rig.wait("restart: gone runs as before", lambda: rig.all_run("fall", "gone", False))
    check_template(rig, templates, "Deployment", "fall", "gone")
    rig.wait("restart: metrics count it", lambda: rig.metric("rolled_back") >= 1 and rig.metric("completed") >= 1)


def check_left(rig):
    """What a restart cannot do is told, and not tried again and again."""
    rig.wait("restart: a DaemonSet is restarted", lambda: rig.phase("DaemonSet", "logs", "tail", "restarted"))
    rig.report.check("restart: its Pod is instrumented", [] if rig.all_run("logs", "tail", True, 1) else [str(rig.pods("logs", "tail"))])
    rig.wait("restart: a DaemonSet with OnDelete is told", lambda: "OnDelete" in rig.reason("node", "probe"))
    rig.api.namespace(DEAF)
    rig.api.apply(workload(*LAST))
    rig.wait("restart: Pods that are not instrumented all the same are told", lambda: rig.phase("Deployment", DEAF, "quiet", "unchanged"))
    rig.wait("restart: the status says that there is no other restart", lambda: "not instrumented at" in rig.reason(DEAF, "quiet"))


def configured(rig, namespace, name):
    """By which configurations the Pods of a workload were instrumented."""
    return {pod["metadata"]["annotations"].get("obtrace.io/configuration") for pod in rig.pods(namespace, name)}


def check_configured(rig):
    """A change of the resource reaches the Pods that were instrumented before it; one that changes nothing for them restarts nothing."""
    resource = {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": SYSTEM}}
    follow = [("Deployment", "shop", "web"), ("Deployment", "shop", "other"), ("DaemonSet", "logs", "tail")]
    count = {it: 1 if it[0] == "DaemonSet" else 2 for it in follow}
    had = {it: (rig.templates(*it), configured(rig, *it[1:])) for it in follow}
    rig.report.check("configured: every Pod says by which configuration", [str(it) for it in had.values() if len(it[1]) != 1 or None in it[1]])

    def edit(**spec):
        rig.api.apply({**resource, "spec": {"ingestUrl": "https://ingest.example.com", "rolloutRestart": "onChange", **spec}})
        generation = rig.api.must("GET", f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default")["metadata"]["generation"]
        rig.wait(f"configured: generation {generation} is looked at", lambda: rig.status()["observedGeneration"] == generation)

    # What Python has anyway. The second list from now on begins after the edit.
    edit(strategy="sdk")
    before = rig.scans()
    rig.wait("configured: all workloads are judged by the edit", lambda: rig.scans() >= before + 2)
    rig.report.check("configured: an edit that changes nothing makes no Pod outdated", [
        reason for *_, namespace, name in follow if "older configuration" in (reason := rig.reason(namespace, name))])
    edit(strategy="sdk", ingestUrl="https://other.example.com", rolloutRestart="never")
    for _, namespace, name in follow:
        rig.wait(f"configured: the status says that the Pods of {name} are of an older configuration",
                 lambda it=(namespace, name): "by an older configuration, restart it" in rig.reason(*it))
    listed = subprocess.run([rig.program, "workloads", "--kubeconfig", rig.api.kubeconfig, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    rows = {row["name"]: row for row in map(json.loads, listed.stdout.splitlines())}
    told = [(rows[name]["state"], "older configuration" in rows[name].get("reason", "")) for _, _, name in follow]
    rig.report.check("configured: so does `workloads`", [] if set(told) == {("instrumented", True)} else [str(told)])
    rig.report.check("configured: nothing was restarted for an edit that changes nothing", [
        name for *rest, name in follow if rig.templates(*rest, name) != had[*rest, name][0]])
    edit(strategy="sdk", ingestUrl="https://other.example.com")
    for it in follow:
        rig.wait(f"configured: {it[2]} is restarted", lambda it=it: (
            rig.phase(*it, "restarted") and rig.all_run(*it[1:], True, count[it]) and len(configured(rig, *it[1:])) == 1
            and not configured(rig, *it[1:]) & had[it][1]))
        urls = {env["value"] for pod in rig.pods(*it[1:]) for env in pod["spec"]["containers"][0]["env"] if env["name"] == "OBTRACE_INGEST_URL"}
        rig.report.check(f"configured: {it[2]} sends to where it should", [] if urls == {"https://other.example.com"} else [str(urls)])
        rig.wait(f"configured: the status says no more of {it[2]}", lambda it=it: "older configuration" not in rig.reason(*it[1:]))
    again = {it[2]: rig.templates(*it) for it in follow if rig.templates(*it) != had[it][0] + 1}
    rig.report.check("configured: each was restarted once", [str(again)] if again else [])
    # One Pod of it was made while the operator was killed.
    rig.wait("configured: late is restarted, too", lambda: rig.phase("Deployment", "slow", "late", "restarted") and rig.all_run("slow", "late", True)
             and configured(rig, "slow", "late") == configured(rig, "shop", "web"))


def check_uninstalled(rig, kubelet):
    """Uninstalled in the middle of a restart: it is taken back, and nothing is left of those that were."""
    late = ("Deployment", "slow", "late")
    had = rig.get(*late)["spec"]["template"]
    kubelet.only["slow"] = had["metadata"]["annotations"][BEGAN]
    rig.api.apply({"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": SYSTEM},
                   "spec": {"ingestUrl": "https://third.example.com", "rolloutRestart": "onChange"}})
    rig.wait("uninstalled: a restart is under way", lambda: rig.phase(*late, "restarting") and rig.get(*late)["spec"]["template"] != had)
    rig.kill()
    # Nobody answers any more; the webhook is what uninstall takes away first.
    done = subprocess.run([rig.program, "uninstall", "--yes", "--kubeconfig", rig.api.kubeconfig], check=False, stderr=subprocess.PIPE, text=True)
    said = "the restart of Deployment slow/late was under way and is taken back" in done.stderr and "stays excluded" in done.stderr
    rig.report.check("uninstalled: it says what it does", [] if done.returncode == 0 and said else [f"{done.returncode}: {done.stderr}"])
    rig.report.check("uninstalled: the template is as it was before that restart", [] if rig.get(*late)["spec"]["template"] == had else [
        json.dumps(rig.get(*late)["spec"]["template"])])
    left = [name for kind, namespace, name in [*BEFORE, LAST] for found in [rig.get(kind, namespace, name)["metadata"]]
            if RECORD in found.get("annotations", {}) or MARK in found.get("labels", {})]
    rig.report.check("uninstalled: no workload has a record of restarts", left)
    rig.wait("uninstalled: it runs", lambda: len(rig.pods("slow", "late")) == 2 and all(map(is_ready, rig.pods("slow", "late"))))


def check_quiet(rig):
    """In the end: nothing is under way, and nothing was changed more often than it should have been."""
    expected = {"web": 2, "other": 2, "api": 3, "db": 3, "probe": 1, "tail": 2, "quiet": 2, "late": 2, "gone": 3}
    had = {name: rig.templates(kind, namespace, name) for kind, namespace, name in [*BEFORE, LAST]}
    rig.report.check("restart: every workload was changed as often as it had to be", [] if had == expected else [str(had)])
    marked = [name for kind, namespace, name in [*BEFORE, LAST] if MARK in rig.get(kind, namespace, name)["metadata"].get("labels", {})]
    rig.report.check("restart: nothing is under way", marked)
    refused = [it for it in rig.api.audited(user=USER) if it["code"] == 403]
    rig.report.check("restart: every right that it needs it has", [str(it) for it in refused[1:]])
    rig.report.check("restart: every right that it has for this it uses", rights.unused(rig.api, USER, RESTARTER))


def check(api, report, program):
    rig, kubelet = Rig(api, report, program), Kubelet(api)
    try:
        kubelet.crashing |= {"crash", "data"}
        kubelet.held |= {"slow", "fall"}
        rig.install()
        for namespace in dict.fromkeys(namespace for _, namespace, _ in BEFORE):
            api.namespace(namespace)
        for kind, namespace, name in BEFORE:
            api.apply(workload(kind, namespace, name, **({"updateStrategy": {"type": "OnDelete"}} if name == "probe" else {})))
        api.apply(budget("shop", "web", 2))
        for kind, namespace, name in BEFORE:
            rig.wait(f"restart: {name} runs", lambda it=(kind, namespace, name): rig.all_run(*it[1:], False, 1 if it[0] == "DaemonSet" else 2))
        templates = {it: rig.get(*it)["spec"]["template"] for it in BEFORE}
        check_forbidden(rig)
        rig.start()
        check_killed(rig, kubelet, templates)
        check_budget(rig, kubelet)
        check_crash(rig, templates)
        check_left(rig)
        check_quiet(rig)
        check_configured(rig)
        check_uninstalled(rig, kubelet)
        report.check("restart: one at a time in a namespace", kubelet.faults[:3])
    finally:
        kubelet.end()
        if rig.process and rig.process.poll() is None:
            rig.process.send_signal(signal.SIGTERM)
            rig.process.wait()
        if (report.failed or sys.exc_info()[0]) and rig.log.exists():
            print(rig.log.read_text()[-20000:], file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True, help="the program")
    arguments = parser.parse_args()
    report = Report(quiet=True)
    began = time.monotonic()
    with cluster.running("--enable-aggregator-routing=false", controllers=True) as api:
        check(api, report, arguments.obtrace_zero.resolve())
    print(f"restart: {time.monotonic() - began:.0f} s")
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
