"""The operator while its replicas are killed, replaced and given other certificates: what becomes of the Pods that are created all the time."""

import base64
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import time

import observe
import workloads
from api import is_ready

SYSTEM, OPERATOR, SERVICE = "obtrace-system", "obtrace-zero-operator", "obtrace-zero-webhook"
INIT = "obtrace-agent-init"
HOST, PORT, METRICS = f"{SERVICE}.{SYSTEM}.svc", 9443, 8080
STORM = "storm"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/{OPERATOR}"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/{SERVICE}-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/obtrace-zero"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
# Of every fifth certificate the CA is another one, too.
ROTATIONS, CA_EVERY = 20, 5
# The API server's own watch tells it that an endpoint is gone, at about the time when we see it. Who was asked for after this many others, each of them
# asked for after that and made, was asked for when it knew, however slow the machine is.
KNOWN_AFTER = 25


def operators(cluster):
    return [pod for pod in cluster.pods(SYSTEM, "app.kubernetes.io/component=operator") if not pod["metadata"].get("deletionTimestamp")]


def wait_available(cluster, what):
    cluster.wait_for(lambda: workloads.available(cluster, SYSTEM, OPERATOR) and len(operators(cluster)) == 2, what, 300)


def check(cluster, report, program):
    """Expects two replicas that are ready, and leaves them so."""
    nodes = [pod["spec"]["nodeName"] for pod in operators(cluster)]
    report.check("the replicas are on different nodes", [] if len(set(nodes)) == len(nodes) == 2 else nodes)
    with observe.namespace(cluster, STORM):
        set_policy(cluster, "Fail")
        check_replaced(cluster, report, "Fail", lambda: hurry(cluster))
        check_rotated(cluster, report, "Fail")
        check_killed(cluster, report, "Fail")
        set_policy(cluster, "Ignore")
        check_rotated(cluster, report, "Ignore")
        check_killed(cluster, report, "Ignore")
        check_drift(cluster, report, program)


def set_policy(cluster, policy):
    """Says what API servers do with Pods while the webhook does not answer; returns when they do so."""
    cluster.must("PATCH", CONFIGURATION, [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": policy}], JSON_PATCH)


def storm(cluster, name):
    return observe.Creations(cluster, STORM, name=name.lower(), wanted=INIT)


def judge(report, what, creations):
    """None refused, none as it was."""
    report.check(f"{what}: of {creations.created} Pods none is refused", [fault for *_, fault in creations.faults][:5])
    report.check(f"{what}: each of them is instrumented", [name for *_, name in creations.plain][:5])


def check_replaced(cluster, report, policy, replace):
    with storm(cluster, f"replaced-{policy}") as creations:
        creations.more()
        replace()
        creations.more()
    judge(report, f"both replicas replaced, failurePolicy {policy}", creations)


def hurry(cluster):
    """Replaces every Pod of the operator, by such as wait less between the steps of replacing a CA."""
    arguments = ["operator", "--ca-propagation", "5s", "--ca-overlap", "5s"]
    cluster.must("PATCH", DEPLOYMENT, [{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": arguments}], JSON_PATCH)
    wait_available(cluster, "the operators are replaced")


class Certificates:
    """What the Secret has, what API servers trust, and what replicas present."""

    def __init__(self, cluster):
        self.cluster = cluster

    def stored(self):
        data = self.cluster.must("GET", SECRET).get("data") or {}
        return {name: base64.b64decode(value or "").decode() for name, value in data.items()}

    def trusted(self):
        webhook, = self.cluster.must("GET", CONFIGURATION)["webhooks"]
        return base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()

    def presented(self, pod):
        """The certificate of a replica, which has to be one that API servers accept."""
        context = ssl.create_default_context(cadata=self.trusted())
        with socket.create_connection((pod["status"]["podIP"], PORT), timeout=30) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)).strip()

    def serving(self):
        """What every replica presents, if that is what the Secret has."""
        stored = self.stored().get("tls.crt", "")
        wanted = stored.partition("-----END CERTIFICATE-----")[0].strip()
        presented = {self.presented(pod).partition("-----END CERTIFICATE-----")[0].strip() for pod in operators(self.cluster)}
        return wanted if wanted and presented == {wanted} else None

    def authority(self):
        """The CA, if API servers trust it alone."""
        stored = self.stored()
        is_whole = "ca.key" in stored and "next-ca.key" not in stored and stored["ca.crt"].count("BEGIN") == 1
        return stored["ca.crt"] if is_whole and stored["ca.crt"].strip() == self.trusted().strip() else None

    def replace(self, lost):
        """Takes these fields out of the Secret: the operator makes what is missing anew, as it does what is about to end."""
        self.cluster.must("PATCH", SECRET, {"data": dict.fromkeys(lost)}, MERGE)

    def rotate(self):
        before = self.serving_now()
        # A Secret of this type has both fields.
        self.cluster.must("PATCH", SECRET, {"data": {"tls.crt": "", "tls.key": ""}}, MERGE)
        self.cluster.wait_for(lambda: self.serving() not in (None, before), "both replicas serve another certificate")

    def rotate_authority(self):
        before = self.cluster.wait_for(self.authority, "one CA is trusted")
        self.replace(["ca.key"])
        self.cluster.wait_for(lambda: self.authority() not in (None, before), "another CA is trusted, and the former is not")
        self.serving_now()

    def serving_now(self):
        return self.cluster.wait_for(self.serving, "both replicas serve what the Secret has")


def check_rotated(cluster, report, policy):
    certificates, began, seen = Certificates(cluster), time.monotonic(), set()
    with storm(cluster, f"rotated-{policy}") as creations:
        creations.more()
        for number in range(1, ROTATIONS + 1):
            if number % CA_EVERY:
                certificates.rotate()
            else:
                certificates.rotate_authority()
            seen.add(certificates.serving_now())
        creations.more()
    report.check(f"{ROTATIONS} certificates are served after each other, some of other CAs ({time.monotonic() - began:.0f} s)",
                 [] if len(seen) == ROTATIONS else [f"{len(seen)}"])
    judge(report, f"{ROTATIONS} certificates replaced, failurePolicy {policy}", creations)


def answered(pod):
    """How many reviews a replica has answered."""
    connection = http.client.HTTPConnection(pod["status"]["podIP"], METRICS, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(int(count) for count in re.findall(r"^obtrace_zero_admissions_total\{.*\} (\d+)$", text, re.M))


def process_of(pod):
    """The process of the operator in a Pod: nodes have process namespaces of their own, all of them below ours."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == "obtrace-zero" and pod["metadata"]["uid"] in (folder / "cgroup").read_text():
                return int(folder.name)
        except OSError:
            # It has ended meanwhile.
            continue
    raise RuntimeError(f"no process of {pod['metadata']['name']}")


def is_endpoint(cluster, pod):
    """Whether the webhook's Service leads to it."""
    slices = cluster.must("GET", f"/apis/discovery.k8s.io/v1/namespaces/{SYSTEM}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{SERVICE}")["items"]
    endpoints = [endpoint for part in slices for endpoint in part["endpoints"] or []]
    return any(endpoint["conditions"].get("ready") for endpoint in endpoints if endpoint.get("targetRef", {}).get("uid") == pod["metadata"]["uid"])


def restarts(cluster, pod):
    found = cluster.must("GET", f"/api/v1/namespaces/{SYSTEM}/pods/{pod['metadata']['name']}")
    return sum(status["restartCount"] for status in found["status"].get("containerStatuses", []))


def has_left(cluster, pod, restarted):
    """Whether a replica that was killed is no endpoint any more, or is one again."""
    found = cluster.must("GET", f"/api/v1/namespaces/{SYSTEM}/pods/{pod['metadata']['name']}")
    is_back = is_ready(found) and sum(status["restartCount"] for status in found["status"].get("containerStatuses", [])) > restarted
    return is_back or not is_endpoint(cluster, pod)


def known(creations, since, when):
    """How many Pods were asked for since then, and made before this."""
    return sum(since <= asked and made <= when for asked, made in creations.good)


def check_killed(cluster, report, policy):
    """One of two replicas ends without a word: the one that most is asked of, of those that did not before. The second time a kubelet waits."""
    pods = operators(cluster)
    fresh = [pod for pod in pods if not restarts(cluster, pod)] or pods
    with storm(cluster, f"killed-{policy}") as creations:
        before = {pod["metadata"]["name"]: answered(pod) for pod in fresh}
        creations.more()
        victim = max(fresh, key=lambda pod: answered(pod) - before[pod["metadata"]["name"]])
        former = restarts(cluster, victim)
        killed = time.monotonic()
        os.kill(process_of(victim), signal.SIGKILL)
        # It is started again at once, and may be an endpoint again before anybody has looked: then it answers.
        cluster.wait_for(lambda: has_left(cluster, victim, former), "the replica is no endpoint any more")
        gone = time.monotonic()
        creations.more()
        wait_available(cluster, "both replicas are ready again")
        creations.more()
    faults, plain = ([(asked, when, what) for asked, when, what in found if when >= killed] for found in (creations.faults, creations.plain))
    last = max([when for _, when, _ in faults + plain], default=killed)
    told = (f"failurePolicy {policy}, one of two replicas killed: of {creations.created + len(creations.faults)} Pods {len(faults)} are refused and {len(plain)} not "
            f"instrumented, the last after {last - killed:.2f} s; no endpoint after {gone - killed:.2f} s")
    early = [fault for _, when, fault in creations.faults + creations.plain if when < killed]
    wrong = [f"before: {fault}" for fault in early[:5]]
    wrong += [f"asked for {asked - gone:.2f} s after it was no endpoint, and after {known(creations, gone, asked)} others: {fault}"
              for asked, _, fault in faults + plain if known(creations, gone, asked) > KNOWN_AFTER][:5]
    if policy == "Ignore":
        wrong += [fault for *_, fault in faults][:5]
    else:
        wrong += [fault for *_, fault in faults if "failed calling webhook" not in fault][:5]
        wrong += [f"{name} is neither refused nor instrumented" for *_, name in plain[:5]]
    report.check(told, wrong)


def scale(cluster, replicas):
    cluster.must("PATCH", DEPLOYMENT, {"spec": {"replicas": replicas}}, MERGE)


def check_drift(cluster, report, program):
    """What was made while no webhook answered is made, and found afterwards."""
    scale(cluster, 0)
    cluster.wait_for(lambda: not cluster.pods(SYSTEM, "app.kubernetes.io/component=operator"), "the operators are gone")
    cluster.apply(gated("unanswered"))
    made = cluster.wait_for(lambda: cluster.pods(STORM, "app=unanswered"), "a Pod is made without a webhook")
    report.check("without a webhook a Pod is made as it is", [] if "initContainers" not in made[0]["spec"] else [json.dumps(made[0]["spec"])])
    scale(cluster, 2)
    wait_available(cluster, "the operators are back")
    resource = f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default"

    def listed():
        status = cluster.must("GET", resource).get("status", {})
        drift = next((it for it in status.get("conditions", []) if it["type"] == "Drift"), {})
        rows = [row for row in status.get("workloads", []) if (row["namespace"], row["name"]) == (STORM, "unanswered")]
        return drift.get("status") == "True" and rows and "no webhook answered" in (rows[0].get("reason") or "")

    report.check("afterwards it is listed as one that no webhook has seen", [] if cluster.wait_for(listed, "the status lists it") else ["no"])
    rows = [json.loads(line) for line in program.run("workloads", "--namespace", STORM, "--json").splitlines()]
    states = {row["name"]: row["state"] for row in rows}
    report.check("`workloads` lists it as one to be restarted", [] if states.get("unanswered") == "pending" else [f"{rows}"])


def gated(name):
    """A Deployment of a program in Node.js whose Pods never get a node."""
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": STORM}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "schedulingGates": [{"name": "test.obtrace.io/never"}],
            "containers": [{"name": "app", "image": "registry.test/nodejs:1", "command": ["node", "app.js"]}]}}}}
