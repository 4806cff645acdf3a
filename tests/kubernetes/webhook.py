#!/usr/bin/env python3
"""webhook.py --webhook PATH: a real API server asks our webhook, a process beside it.

PATH is the example `webhook` of obtrace-operator. Pods that are created carry the patch; dry runs get the same and leave nothing; while the
webhook's certificate is replaced twenty times no creation fails under `failurePolicy: Fail`; once the webhook is killed Pods are created as they
are under `Ignore`.
"""

import argparse
import base64
import contextlib
import http.client
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import threading

import cluster
import keys
from processes import until
from report import Report

PATIENCE_SECONDS = 120
RESOURCES = """
apiVersion: obtrace.io/v1alpha1
kind: ObtraceInstrumentation
metadata: {name: default, namespace: obtrace-system}
spec: {ingestUrl: https://ingest.example.com}
---
apiVersion: v1
kind: Namespace
metadata: {name: left-alone, annotations: {obtrace.io/exclude: "true"}}
"""


def issue(folder, name):
    """A key and a certificate for 127.0.0.1, from an authority that is made if it is not there."""
    if not (folder / "webhook-ca.crt").exists():
        keys.authority(folder, "webhook-ca")
    keys.certificate(folder, name, "/CN=webhook", "server", "IP:127.0.0.1", signer="webhook-ca")
    return folder / f"{name}.crt", folder / f"{name}.key"


class Webhook:
    """The running webhook."""

    def __init__(self, program, folder):
        self.folder = folder
        self.port, self.health, self.metrics = (cluster.free_port() for _ in range(3))
        self.use(*issue(folder, "first"))
        (folder / "resources.yaml").write_text(RESOURCES)
        with open(folder / "webhook.log", "wb") as log:
            self.process = subprocess.Popen(
                [program, "--tls-cert=live.crt", "--tls-key=live.key", "--resources=resources.yaml", f"--listen=127.0.0.1:{self.port}",
                 f"--metrics=127.0.0.1:{self.metrics}", f"--health=127.0.0.1:{self.health}", "--ca=webhook-ca.crt", "--name=127.0.0.1"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)

    def use(self, certificate, key):
        for source, name in ((key, "live.key"), (certificate, "live.crt")):
            (self.folder / name).write_bytes(source.read_bytes())

    def rotate(self, certificate, key):
        """Returns when new connections see the certificate."""
        self.use(certificate, key)
        self.process.send_signal(signal.SIGHUP)
        wanted = certificate.read_text().strip()
        wait(f"the certificate {certificate.name}", lambda: ssl.get_server_certificate(("127.0.0.1", self.port)).strip() == wanted)

    def page(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the webhook ended with {self.process.returncode}: {(self.folder / 'webhook.log').read_text()}")
        with contextlib.suppress(OSError):
            return self.page(self.health, "/readyz")[0] == 200
        return False

    def admissions(self):
        """How many were counted, by outcome; dry runs apart."""
        text = self.page(self.metrics, "/metrics")[1]
        counts = {}
        for outcome, dry, count in re.findall(r'^obtrace_zero_admissions_total\{outcome="(\w+)".*dry_run="(\w+)"\} (\d+)$', text, re.M):
            counts[outcome, dry == "true"] = counts.get((outcome, dry == "true"), 0) + int(count)
        return counts

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def wait(what, done):
    until(done, what, PATIENCE_SECONDS)


def configuration(webhook, policy):
    """As `install` makes it, but that the API server finds the webhook by URL."""
    bundle = base64.b64encode((webhook.folder / "webhook-ca.crt").read_bytes()).decode()
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "obtrace-zero"},
        "webhooks": [{
            "name": "pods.obtrace.io", "clientConfig": {"url": f"https://127.0.0.1:{webhook.port}/mutate-pods", "caBundle": bundle},
            "rules": [rule], "failurePolicy": policy, "sideEffects": "NoneOnDryRun", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
            "reinvocationPolicy": "IfNeeded"}]}


def pod(name, image="python:3.12", **metadata):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata},
            "spec": {"containers": [{"name": "app", "image": image}]}}


def is_injected(made):
    names = [container["name"] for container in made["spec"].get("initContainers", [])]
    env = [variable["name"] for variable in made["spec"]["containers"][0].get("env", [])]
    marked = made["metadata"].get("annotations", {}).get("obtrace.io/injected") == "true"
    return marked and names[:1] == ["obtrace-agent-init"] and "PYTHONPATH" in env


def check_patches(api, webhook, report):
    pods = "/api/v1/namespaces/shop/pods"
    made = api.must("POST", pods, pod("patched"))
    stored = api.must("GET", f"{pods}/patched")
    report.check("webhook: a Pod carries the patch", [] if is_injected(made) and is_injected(stored) else [str(stored)])
    dry = api.must("POST", f"{pods}?dryRun=All", pod("dry"))
    status, _ = api.request("GET", f"{pods}/dry")
    report.check("webhook: a dry run gets the patch and leaves nothing", [] if is_injected(dry) and status == 404 else [f"{status} {dry}"])
    for what, namespace, asked in (
            ("that asks for it", "shop", pod("asks", annotations={"obtrace.io/exclude": "true"})),
            ("of a namespace that asks for it", "left-alone", pod("quiet")),
            ("of which nothing is known", "shop", pod("unknown", image="registry.example.com/a/b:1"))):
        made = api.must("POST", f"/api/v1/namespaces/{namespace}/pods", asked)
        report.check(f"webhook: a Pod {what} is left alone", [str(made)] if is_injected(made) else [])
    again = dict(pod("again"), metadata={"name": "again", "annotations": stored["metadata"]["annotations"]}, spec=stored["spec"])
    made = api.must("POST", pods, again)
    same = [made["spec"][field] == stored["spec"].get(field) for field in ("initContainers", "containers", "volumes")]
    report.check("webhook: a Pod that was patched before is not patched again", [] if all(same) else [str(made["spec"])])
    counts = webhook.admissions()
    faults = [f"{key}: {counts.get(key)}" for key, least in ((("injected", False), 1), (("injected", True), 1), (("excluded", False), 2),
                                                            (("nothing_to_do", False), 1), (("already_injected", False), 1))
              if counts.get(key, 0) < least]
    report.check("webhook: every outcome is counted", faults)


def check_rotation(api, webhook, report, rounds=20):
    """Pods are created without a pause, by clients of their own, while certificates are replaced."""
    certificates = [issue(webhook.folder, f"next-{number}") for number in range(rounds)]
    done, faults, made = threading.Event(), [], [0, 0]

    def create(number):
        while not done.is_set():
            name = f"rotation-{number}-{made[number]}"
            made[number] += 1
            try:
                status, answer = api.request("POST", "/api/v1/namespaces/shop/pods", pod(name))
            except Exception as error:
                faults.append(f"{name}: {type(error).__name__}: {error}")
                continue
            if status != 201 or not is_injected(answer):
                faults.append(f"{name}: {status} {answer.get('message', 'not injected')}")

    threads = [threading.Thread(target=create, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        for certificate, key in certificates:
            before = sum(made)
            webhook.rotate(certificate, key)
            wait("another Pod", lambda count=before: sum(made) >= count + 5)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    report.check(f"webhook: {rounds} certificates, {sum(made)} Pods, none refused under failurePolicy Fail", faults[:5])


def check_killed(api, webhook, report):
    pods = "/api/v1/namespaces/shop/pods"
    webhook.kill()
    # What is told to fail does: the API server really asks.
    wait("a refusal", lambda: api.request("POST", f"{pods}?dryRun=All", pod("refused"))[0] == 500)
    api.apply(configuration(webhook, "Ignore"))
    wait("failurePolicy Ignore", lambda: api.request("POST", f"{pods}?dryRun=All", pod("ignored"))[0] == 201)
    faults = []
    for number in range(10):
        status, answer = api.request("POST", pods, pod(f"ignored-{number}"))
        if status != 201 or is_injected(answer):
            faults.append(f"{status} {answer}")
    report.check("webhook: killed, Pods are created as they are under failurePolicy Ignore", faults)


def check(api, program, report):
    webhook = Webhook(program, api.folder)
    try:
        wait("readiness", webhook.is_ready)
        for name in ("shop", "left-alone"):
            api.namespace(name)
        api.apply(configuration(webhook, "Fail"))
        wait("the first patch", lambda: is_injected(api.must("POST", "/api/v1/namespaces/shop/pods?dryRun=All", pod("first"))))
        check_patches(api, webhook, report)
        check_rotation(api, webhook, report)
        check_killed(api, webhook, report)
    finally:
        webhook.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--webhook", type=pathlib.Path, required=True, help="the example `webhook`")
    arguments = parser.parse_args()
    report = Report()
    with cluster.running() as api:
        check(api, arguments.webhook.resolve(), report)
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
