#!/usr/bin/env python3
"""discovery.py --discover PATH: what is discovered in a real cluster, and what the statuses and Events say of it.

PATH is the example `discover` of obtrace-operator. There are no controllers and no nodes: Deployments, ReplicaSets and Pods are made here as a
cluster would make them. The program runs as a user with exactly the rights below; the API server's audit log says which it used.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time

import cluster
from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "obtraceinstrumentations.obtrace.io"
SECONDS = 180
USER = "discovery"
RESYNC = "2"

RIGHTS = {
    ("", "namespaces"): {"list", "watch"},
    ("", "pods"): {"list", "watch"},
    ("", "limitranges"): {"list", "watch"},
    ("", "resourcequotas"): {"list", "watch"},
    ("apps", "deployments"): {"list", "watch"},
    ("apps", "statefulsets"): {"list", "watch"},
    ("apps", "daemonsets"): {"list", "watch"},
    ("apps", "replicasets"): {"get"},
    ("batch", "cronjobs"): {"list", "watch"},
    ("batch", "jobs"): {"get", "list", "watch"},
    ("argoproj.io", "rollouts"): {"list", "watch"},
    ("obtrace.io", "obtraceinstrumentations"): {"list", "watch"},
    ("obtrace.io", "obtraceinstrumentations/status"): {"patch"},
    ("events.k8s.io", "events"): {"create"},
}

LANGUAGES = {
    "node": ("node:22", [], "nodejs", "sdk"),
    "api": ("python:3.12", ["uvicorn", "main:app"], "python", "sdk"),
    "orders": ("eclipse-temurin:21", ["java", "-jar", "app.jar"], "java", "sdk"),
    "billing": ("mcr.microsoft.com/dotnet/aspnet:8.0", [], "dotnet", "sdk"),
    "blog": ("php:8.3-fpm", [], "php", "hybrid"),
    "rails": ("ruby:3.3", ["bundle", "exec", "rails", "server"], "ruby", "sdk"),
    "proxy": ("golang:1.23", ["go", "run", "."], "go", "ebpf"),
    "thing": ("registry.example.com/thing:7", [], "unknown", "none"),
}


def template(image, command=(), labels=None):
    container = {"name": "main", "image": image}
    if command:
        container["command"] = list(command)
    return {"metadata": {"labels": {"app": "x", **(labels or {})}}, "spec": {"restartPolicy": "Always", "containers": [container]}}


def deployment(name, image, command=(), labels=None):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template(image, command, labels)}}


def resource(name, spec=None):
    return {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": name}, "spec": spec or {}}


def resources(namespace, name=""):
    return f"/apis/obtrace.io/v1alpha1/namespaces/{namespace}/obtraceinstrumentations/{name}".rstrip("/")


def workloads(namespace, plural="deployments", name="", group="apps/v1"):
    return f"/apis/{group}/namespaces/{namespace}/{plural}/{name}".rstrip("/")


class Program:
    """The program under test: its lines, and its log as records."""

    def __init__(self, path, kubeconfig):
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "RUST_LOG": "info"}
        self.process = subprocess.Popen([path, "--resync", RESYNC], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.log, self.lines, self.answers = [], [], queue.Queue()
        for stream, take in ((self.process.stdout, self.take_line), (self.process.stderr, self.take_record)):
            threading.Thread(target=self.read, args=(stream, take), daemon=True).start()

    @staticmethod
    def read(stream, take):
        for line in stream:
            take(line.rstrip("\n"))

    def take_line(self, line):
        self.lines.append(line)
        self.answers.put(line)

    def take_record(self, line):
        try:
            self.log.append(json.loads(line))
        except ValueError:
            self.log.append({"fields": {"message": line}})

    def ask(self, line, last):
        """The lines that answer a line of input, up to one that satisfies `last`."""
        while not self.answers.empty():
            self.answers.get_nowait()
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = []
        while not (answer and last(answer[-1])):
            answer.append(self.answers.get(timeout=SECONDS))
        return answer

    def metric(self, name):
        """The sum of a metric's samples."""
        lines = self.ask("metrics", lambda line: line == "# EOF")
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def messages(self):
        return [record["fields"].get("message", "") for record in self.log]

    def memory(self):
        """The resident memory in MiB: all, and what is not of files."""
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return tuple(int(status[key].split()[0]) / 1024 for key in ("VmRSS", "RssAnon"))

    def seconds(self):
        """The CPU time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Rig:
    def __init__(self, api, report):
        self.api, self.report, self.program = api, report, None

    def wait(self, what, ask):
        """Waits until `ask` gives no faults."""
        end, faults = time.monotonic() + SECONDS, ["nothing was asked"]
        # Idle connections are closed by the server.
        self.api.local.connection = None
        while faults and time.monotonic() < end:
            try:
                faults = ask()
            except (KeyError, StopIteration, RuntimeError, OSError) as error:
                faults = [f"{type(error).__name__} {error}"]
            if faults:
                if self.program and self.program.process.poll() is not None:
                    faults = [f"the program ended with {self.program.process.returncode}: {self.program.messages()[-3:]}"]
                    break
                time.sleep(0.1)
        self.report.check(what, faults)

    def status(self, namespace="obtrace-system", name="default"):
        return self.api.must("GET", resources(namespace, name)).get("status", {})

    def workload(self, name, namespace="shop", owner=("obtrace-system", "default")):
        entries = self.status(*owner).get("workloads", [])
        return next(entry for entry in entries if (entry["namespace"], entry["name"]) == (namespace, name))

    def expect(self, what, name, namespace="shop", owner=("obtrace-system", "default"), **fields):
        """Waits until a workload's entry has these fields; of a reason, these words."""
        def ask():
            entry = self.workload(name, namespace, owner)
            faults = [f"{key} is {entry.get(key)}" for key, value in fields.items() if key != "reason" and entry.get(key) != value]
            words = fields.get("reason", "")
            return faults + ([f"reason is {entry.get('reason')}"] if words not in entry.get("reason", "") else [])
        self.wait(what, ask)

    def condition(self, what, kind, status, reason, namespace="obtrace-system", name="default", words=""):
        def ask():
            found = next(it for it in self.status(namespace, name)["conditions"] if it["type"] == kind)
            right = (found["status"], found["reason"]) == (status, reason) and words in found["message"]
            return [] if right else [f"{found}"]
        self.wait(what, ask)

    def pod(self, namespace, name, owner, marked, labels=None, kind="ReplicaSet"):
        labels = {"app": "x", "pod-template-hash": "5d8c", **({"obtrace.io/instrumented": "true"} if marked else {}), **(labels or {})}
        body = {"metadata": {"name": name, "labels": labels, "ownerReferences": [
            {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}]},
            "spec": {"containers": [{"name": "main", "image": "x"}]}}
        return self.api.must("POST", f"/api/v1/namespaces/{namespace}/pods", body)

    def patch(self, path, body):
        return self.api.must("PATCH", path, body, "application/merge-patch+json")


def grant(api):
    rules = [{"apiGroups": [group], "resources": [name], "verbs": sorted(verbs)} for (group, name), verbs in RIGHTS.items()]
    api.must("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": USER}, "rules": rules})
    api.must("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        "metadata": {"name": USER}, "subjects": [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER}})


def loose(group, kind, plural, version):
    """A definition that takes anything."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
                     "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}]}}


def established(rig, name):
    def ask():
        conditions = rig.api.must("GET", f"{DEFINITIONS}/{name}").get("status", {}).get("conditions")
        # There are none for a moment, which the API server writes as null.
        return [] if any(it["type"] == "Established" and it["status"] == "True" for it in conditions or []) else ["not established"]
    rig.wait(f"{name} is established", ask)


def check_absent_definition(rig):
    """Before the definition: it waits. With one of before there were rules, and what somebody made then: that is left out."""
    rig.wait("without the definition it waits, and says so",
             lambda: [] if any("is not installed in this cluster" in line for line in rig.program.messages()) else ["no such line"])
    rig.report.check("it is not ready without the definition", ["synced"] if "synced" in rig.program.lines else [])
    rig.api.must("POST", DEFINITIONS, loose("obtrace.io", "ObtraceInstrumentation", "obtraceinstrumentations", "v1alpha1"))
    established(rig, NAME)
    for namespace in ("odd", "shop", "obtrace-system"):
        rig.api.namespace(namespace)
    rig.api.must("POST", resources("odd"), resource("odd", {"samplingRatio": 7}))
    definition = rig.api.must("GET", f"{DEFINITIONS}/{NAME}")
    text = (ROOT / "deploy/crd/obtraceinstrumentation.yaml").read_bytes()
    rig.api.must("PATCH", f"{DEFINITIONS}/{NAME}?fieldManager=test&force=true", text, "application/apply-patch+yaml")
    rig.wait("the definition is the real one", lambda: [] if rig.api.must("GET", f"{DEFINITIONS}/{NAME}")["metadata"]["generation"]
             > definition["metadata"]["generation"] else ["the same generation"])
    rig.wait("it is ready with the definition", lambda: [] if "synced" in rig.program.lines else ["not synced"])
    rig.api.must("POST", resources("obtrace-system"), resource("default", {"ingestUrl": "https://ingest.example.com"}))


def check_verdicts(rig):
    for name, (image, command, _, _) in LANGUAGES.items():
        rig.api.must("POST", workloads("shop"), deployment(name, image, command))
    for name, (_, _, language, strategy) in LANGUAGES.items():
        rig.expect(f"{name} is found", name, language=language, strategy=strategy, kind="Deployment",
                   state="skipped" if strategy == "none" else "instrumented", confidence=0.3 if language == "unknown" else 0.9)
    rig.expect("a framework is found", "api", framework="fastapi")
    rig.expect("what is left alone has a reason", "thing", reason="nothing says what it runs")
    python = template("python:3.12")
    once = {**python, "spec": {**python["spec"], "restartPolicy": "Never"}}
    selector = {"matchLabels": {"app": "x"}}
    for plural, kind, group, spec in (
            ("statefulsets", "StatefulSet", "apps/v1", {"serviceName": "x", "selector": selector, "template": python}),
            ("daemonsets", "DaemonSet", "apps/v1", {"selector": selector, "template": python}),
            ("cronjobs", "CronJob", "batch/v1", {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": once}}}),
            ("jobs", "Job", "batch/v1", {"template": once})):
        rig.api.must("POST", workloads("shop", plural, group=group), {"metadata": {"name": plural}, "spec": spec})
        rig.expect(f"a {kind} is found", plural, language="python", strategy="sdk", kind=kind)
    rig.api.must("POST", DEFINITIONS, loose("argoproj.io", "Rollout", "rollouts", "v1alpha1"))
    established(rig, "rollouts.argoproj.io")
    rig.api.must("POST", workloads("shop", "rollouts", group="argoproj.io/v1alpha1"),
                 {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "canary"}, "spec": {"template": python}})
    rig.expect("a Rollout is found once there is such a thing", "canary", language="python", kind="Rollout")
    logged = {record["fields"].get("name") for record in rig.program.log if record["fields"].get("message") == "workload"}
    rig.report.check("every verdict is logged", [f"{name} is not" for name in LANGUAGES if name not in logged])


def check_pods(rig):
    rig.pod("shop", "api-5d8c-a", "api-5d8c", True)
    rig.pod("shop", "daemonsets-a", "daemonsets", True, kind="DaemonSet")
    rig.expect("with instrumented Pods it is instrumented", "api", state="instrumented")
    rig.api.must("POST", workloads("early"), deployment("web", "python:3.12"))
    rig.pod("early", "web-5d8c-a", "web-5d8c", False)
    rig.api.must("POST", resources("early"), resource("own", {"ingestUrl": "https://ingest.example.com"}))
    rig.expect("Pods older than the resource are pending", "web", "early", ("early", "own"), state="pending", reason="older than the instrumentation")
    rig.condition("that is no drift", "Drift", "False", "NoDrift", "early", "own")
    created = rig.api.must("GET", resources("obtrace-system", "default"))["metadata"]["creationTimestamp"]
    rig.wait("some seconds have passed since the resource was made", lambda: [] if time.time() > seconds(created) + 8 else ["not yet"])
    rig.pod("shop", "api-5d8c-b", "api-5d8c", False)
    rig.expect("a Pod that no webhook saw is told", "api", state="pending", reason="1 of 2 Pods were made while no webhook answered")
    rig.condition("drift is a condition", "Drift", "True", "PodsNotInstrumented", words="Deployment shop/api")
    rig.wait("drift is listed", lambda: [] if "drifted shop/api" in rig.program.lines else [f"{rig.program.lines[-3:]}"])
    rig.report.check("drift is logged", [] if any("no webhook answered" in line for line in rig.program.messages()) else ["no such line"])
    rig.report.check("drift is in the metrics", [] if rig.program.metric("obtrace_zero_workloads") > 0 else ["no workloads"])
    rig.api.must("DELETE", "/api/v1/namespaces/shop/pods/api-5d8c-b")
    rig.expect("when it is gone all is well", "api", state="instrumented")
    rig.condition("the condition says so", "Drift", "False", "NoDrift")


def seconds(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


def check_changes(rig):
    rig.patch(workloads("shop", name="node"), {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "ruby:3.3"}]}}}})
    rig.expect("another image is another verdict", "node", language="ruby")
    rig.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {"obtrace.io/exclude": "true"}}})
    rig.expect("an excluded namespace is left alone", "orders", state="skipped", reason="the namespace is excluded")
    rig.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {"obtrace.io/exclude": None}}})
    rig.expect("and no more", "orders", state="instrumented")
    rig.patch(resources("obtrace-system", "default"), {"spec": {"strategy": "ebpf"}})
    rig.expect("another strategy is another verdict", "orders", strategy="ebpf")
    rig.wait("the status is of this generation", lambda: generation_faults(rig))
    rig.patch(resources("obtrace-system", "default"), {"spec": {"strategy": "auto"}})
    rig.expect("and back", "orders", strategy="sdk")
    rig.api.must("POST", resources("shop"), resource("near", {"ingestUrl": "https://ingest.example.com"}))
    rig.expect("the nearer resource has it now", "orders", owner=("shop", "near"), language="java")
    rig.wait("the other has it no more", lambda: [it["name"] for it in rig.status().get("workloads", []) if it["namespace"] == "shop"])
    rig.api.must("DELETE", resources("shop", "near"))
    rig.expect("without it the other has it again", "orders", language="java")
    before = rig.status()["totals"]["workloads"]
    rig.api.must("DELETE", workloads("shop", name="thing"))
    rig.wait("what is deleted is not counted", lambda: [] if rig.status()["totals"]["workloads"] == before - 1 else [f"{rig.status()['totals']}"])


def generation_faults(rig):
    found = rig.api.must("GET", resources("obtrace-system", "default"))
    status, generation = found["status"], found["metadata"]["generation"]
    observed = {status["observedGeneration"], *(it["observedGeneration"] for it in status["conditions"])}
    return [] if observed == {generation} else [f"{observed} of {generation}"]


def check_conditions(rig):
    rig.condition("a resource that cannot be used is told", "Ready", "False", "InvalidSpec", "odd", "odd", "samplingRatio")
    rig.condition("the others are in use", "Ready", "True", "InUse")
    for name in ("a", "b"):
        rig.api.must("POST", resources("tied"), resource(name, {"namespaceSelector": {}}))
    rig.condition("a tie is told of the first", "Conflict", "True", "SameRank", "tied", "a", "tied/b")
    rig.condition("and of the second", "Conflict", "True", "SameRank", "tied", "b", "tied/a")
    rig.condition("a selector that is ignored is told", "NamespaceSelectorIgnored", "True", "NotInSystemNamespace", "tied", "a")
    rig.patch(resources("tied", "b"), {"spec": {"selector": {"matchLabels": {"app": "y"}}}})
    rig.condition("with a selector it is no tie", "Conflict", "False", "NoConflict", "tied", "a")
    rig.patch(resources("tied", "a"), {"spec": {"selector": {"matchLabels": {"tier": "z"}}}})
    rig.api.must("POST", workloads("tied"), deployment("both", "node:22", labels={"app": "y", "tier": "z"}) | {"spec": {
        "selector": {"matchLabels": {"app": "y"}}, "template": template("node:22", labels={"app": "y", "tier": "z"})}})
    rig.condition("two selectors that mean the same workload are a tie", "Conflict", "True", "SameRank", "tied", "b", "tied/a")


def check_quiet(rig):
    """Resyncs that find nothing new write nothing."""
    def versions():
        items = rig.api.must("GET", "/apis/obtrace.io/v1alpha1/obtraceinstrumentations")["items"]
        return {f"{it['metadata']['namespace']}/{it['metadata']['name']}": it["metadata"]["resourceVersion"] for it in items}

    def scans():
        return rig.program.metric("obtrace_zero_discovery_scan_duration_seconds_count")
    before, scanned = versions(), scans()
    rig.wait("four resyncs have passed", lambda: [] if scans() >= scanned + 4 else ["not yet"])
    rig.report.check("they wrote no status", [f"{name}" for name, version in versions().items() if before.get(name) != version])
    name, path = "obtrace-system/default", resources("obtrace-system", "default")
    rig.patch(f"{path}/status", {"status": {"truncated": True, "totals": {"workloads": 7}}})
    rig.wait("what somebody else writes is put right", lambda: [f"{rig.status()['totals']}"] if rig.status()["truncated"] else [])
    rig.report.check("that was a write", [] if versions()[name] != before[name] else ["the same version"])


def review(owner, image, dry=False, kind="ReplicaSet", uid="1"):
    pod = {"metadata": {"generateName": f"{owner}-", "ownerReferences": [
        {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1", "kind": kind, "name": owner, "uid": uid, "controller": True}]},
        "spec": {"containers": [{"name": "main", "image": image}]}}
    return json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "shop", "dryRun": dry, "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": pod}})


def check_events(rig):
    def owned(plural, group, name, owner, body):
        owners = [{**owner, "controller": True}]
        return rig.api.must("POST", workloads("shop", plural, group=group), {"metadata": {"name": name, "ownerReferences": owners}, "spec": body})

    def events():
        items = rig.api.must("GET", "/apis/events.k8s.io/v1/namespaces/shop/events")["items"]
        return sorted((it["regarding"]["kind"], it["regarding"]["name"], it["reason"]) for it in items)

    above = rig.api.must("GET", workloads("shop", name="api"))["metadata"]
    below = {"selector": {"matchLabels": {"app": "x", "h": "1"}}, "template": template("python:3.12", labels={"h": "1"})}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": above["uid"]}
    replica_sets = [owned("replicasets", "apps/v1", f"api-{number}", owner, below)["metadata"] for number in (1, 2)]
    cron_job = rig.api.must("GET", workloads("shop", "cronjobs", "cronjobs", "batch/v1"))["metadata"]
    once = template("python:3.12")
    once["spec"]["restartPolicy"] = "Never"
    job = owned("jobs", "batch/v1", "cronjobs-1", {"apiVersion": "batch/v1", "kind": "CronJob", "name": "cronjobs", "uid": cron_job["uid"]},
                {"template": once})["metadata"]
    for text, outcome in (
            (review("dry", "python:3.12", dry=True), "injected"),
            *[(review(it["name"], "python:3.12", uid=it["uid"]), "injected") for it in replica_sets * 3],
            (review(replica_sets[0]["name"], "registry.example.com/x", uid=replica_sets[0]["uid"]), "nothing_to_do"),
            (review("daemonsets", "python:3.12", kind="DaemonSet"), "injected"),
            (review(job["name"], "python:3.12", kind="Job", uid=job["uid"]), "injected")):
        answer = rig.program.ask(text, lambda line: line.startswith("judged"))
        rig.report.check(f"a review is {outcome}", [] if answer[-1] == f"judged {outcome}" else answer)
    expected = sorted([("CronJob", "cronjobs", "Injected"), ("DaemonSet", "daemonsets", "Injected"), ("Deployment", "api", "Injected"),
                       ("Deployment", "api", "Skipped")])
    rig.wait("every workload has its Events, each once", lambda: [] if events() == expected else [f"{events()}"])
    selector = f"regarding.uid={above['uid']}".replace("regarding", "involvedObject")
    found = rig.api.must("GET", f"/api/v1/namespaces/shop/events?fieldSelector={selector}")["items"]
    rig.report.check("`kubectl describe` finds them", [] if len(found) == 2 else [f"{len(found)}"])


def check_restart(rig):
    """The API server goes and comes back."""
    server = rig.api.processes.running["kube-apiserver"]
    server.kill()
    server.wait()
    rig.wait("it is noticed that the API server is away",
             lambda: [] if any("failed, and is tried again" in line for line in rig.program.messages()) else ["no such line"])
    rig.api.processes.start("kube-apiserver", *server.args)
    rig.wait("the API server is back", lambda: [] if rig.api.request("GET", "/readyz")[0] == 200 else ["not yet"])
    rig.api.must("POST", workloads("shop"), deployment("after", "python:3.12"))
    rig.expect("what is made after it came back is found", "after", language="python")
    rig.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {"obtrace.io/exclude": "true"}}})
    rig.expect("namespaces are watched again", "after", state="skipped")
    rig.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {"obtrace.io/exclude": None}}})
    rig.expect("and again", "after", state="instrumented")


def check_many(rig, namespaces, each):
    """Many workloads in many namespaces: all counted, the status bounded, little kept."""
    def make(number):
        rig.api.namespace(f"many-{number}")
        for index in range(each):
            image = ["node:22", "python:3.12", "registry.example.com/service:1"][index % 3]
            rig.api.must("POST", workloads(f"many-{number}"), deployment(f"service-{number}-{index}", image))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(namespaces)))
    least = namespaces * each
    rig.wait(f"{least} workloads are counted", lambda: [] if rig.status()["totals"]["workloads"] >= least else [f"{rig.status()['totals']}"])
    found = rig.api.must("GET", resources("obtrace-system", "default"))
    size, listed = len(json.dumps(found)), len(found["status"]["workloads"])
    bounded = size < 256 * 1024 and (least <= 500 or (listed == 500 and found["status"]["truncated"]))
    rig.report.check("the status is bounded", [] if bounded else [f"{size} bytes, {listed}"])
    before, scans = rig.program.seconds(), rig.program.metric("obtrace_zero_discovery_scan_duration_seconds_count")
    rig.wait("it is listed twice again", lambda: [] if rig.program.metric("obtrace_zero_discovery_scan_duration_seconds_count") >= scans + 2 else ["no"])
    took = rig.program.metric("obtrace_zero_discovery_scan_duration_seconds_count") - scans
    resident, anonymous = rig.program.memory()
    print(f"{least} workloads in {namespaces} namespaces: {resident:.0f} MiB resident, {anonymous:.0f} MiB of them not of files; "
          f"{(rig.program.seconds() - before) / took:.2f} s of CPU a scan; status {size} bytes", flush=True)
    rig.report.check("what is kept is small", [] if anonymous <= 40 else [f"{anonymous:.0f} MiB"])


def check_rights(rig, log):
    used = {}
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        reference = entry.get("objectRef")
        if entry["user"]["username"] != USER or not reference:
            continue
        name = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        used.setdefault((reference.get("apiGroup", ""), name), set()).add(entry["verb"])
    faults = [f"{'/'.join(key)}: used {sorted(used.get(key, []))}, granted {sorted(RIGHTS.get(key, []))}"
              for key in sorted({*used, *RIGHTS}) if used.get(key) != RIGHTS.get(key)]
    rig.report.check("the rights that were used are those that were granted", faults)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--discover", type=pathlib.Path, required=True, help="the example `discover` of obtrace-operator")
    parser.add_argument("--namespaces", type=int, default=500, help="how many namespaces of ten workloads each there are at the end")
    arguments = parser.parse_args()
    report = Report(quiet=True)
    with tempfile.TemporaryDirectory(prefix="obtrace-discovery-") as folder:
        folder = pathlib.Path(folder)
        policy, log = folder / "policy.json", folder / "audit.log"
        policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                                      "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}]}))
        with cluster.running(f"--audit-policy-file={policy}", f"--audit-log-path={log}") as api:
            rig = Rig(api, report)
            grant(api)
            rig.program = Program(arguments.discover, api.client(USER, f"/CN={USER}"))
            try:
                check_absent_definition(rig)
                for namespace in ("early", "tied"):
                    api.namespace(namespace)
                check_verdicts(rig)
                check_pods(rig)
                check_changes(rig)
                check_conditions(rig)
                check_quiet(rig)
                check_events(rig)
                check_restart(rig)
                check_many(rig, arguments.namespaces, 10)
                check_rights(rig, log)
            finally:
                rig.program.process.terminate()
                rig.program.process.wait()
                if report.failed:
                    print("\n".join(json.dumps(record) for record in rig.program.log if record.get("level") != "INFO"), file=sys.stderr)
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
