#!/usr/bin/env python3
"""measure.py --webhook PROGRAM --load PROGRAM [--peer PROGRAM] [--rounds N]: what a review costs over TLS.

Two webhooks that make the same mutation, obtrace-operator's (its example `webhook`) and one written with controller-runtime (beside this file, built
with Go), answer the same reviews in turns: servers on one processor, the load on the other. Their answers are compared first, as the Pods that they
make. Printed: latency at a steady rate, counted from when a review was due, and reviews a second of processor time as fast as answers come.
"""

import argparse
import base64
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
HOST = "obtrace-zero-webhook.obtrace-system.svc"
INGEST = "https://ingest.example.com"
TICKS = os.sysconf("SC_CLK_TCK")


def container(name, command, **more):
    settings = [{"name": f"SETTING_{index}", "value": f"https://service-{index}.shop.svc.cluster.local:8443/v1"} for index in range(8)]
    probe = {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    return {"name": name, "image": f"registry.example.com:5000/payments/{name}:1.42.7", "command": command, "env": settings,
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}], "livenessProbe": probe, "readinessProbe": probe,
            "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
            "volumeMounts": [{"name": "config", "mountPath": f"/etc/{name}"}], "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent", **more}


def review(name, command):
    """An AdmissionReview as the API server sends it for a Pod of a Deployment, some 5 KB."""
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/version": "1.42.7", "pod-template-hash": "7d9c6b5f44", "team": "payments"}
    fields = {f'k:{{"name":"SETTING_{index}"}}': {".": {}, "f:name": {}, "f:value": {}} for index in range(8)}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {
        "generateName": f"{name}-7d9c6b5f44-", "namespace": "shop-prod", "creationTimestamp": None, "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "checksum/config": "b1946ac92492d2347c6235b4d2611184"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-7d9c6b5f44", "uid": "5d2f9a1e-0d4f-4c2c-9a57-3d1f2b7c9e10",
                             "controller": True, "blockOwnerDeletion": True}],
        "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-21T23:12:11Z", "fieldsType": "FieldsV1",
                           "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {f'k:{{"name":"{name}"}}': {"f:env": fields}}}}}]},
        "spec": {"volumes": [{"name": "config", "configMap": {"name": name, "defaultMode": 420}}], "containers": [container(name, command)], "restartPolicy": "Always",
                 "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": name, "serviceAccount": name, "securityContext": {},
                 "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority"},
        "status": {}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    user = {"username": "system:serviceaccount:kube-system:replicaset-controller", "uid": "f5f1f2f3",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource, "namespace": "shop-prod",
        "operation": "CREATE", "userInfo": user, "object": pod, "oldObject": None, "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}}


REVIEWS = {"checkout": ["/bin/sh", "-c", "exec node --enable-source-maps dist/server.js"], "orders": ["gunicorn", "--bind", ":8080", "orders:app"],
           "ledger": ["java", "-Xmx256m", "-jar", "/app/ledger.jar"]}


def keys(folder):
    """A CA, and a certificate of the webhook's name."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n")
    openssl("req", *curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", f"/CN={HOST}")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "tls.crt")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A webhook that runs, on the first processor."""

    def __init__(self, name, command, port, folder):
        self.name, self.port = name, port
        log = open(folder / f"{name}.log", "wb")
        self.process = subprocess.Popen(["taskset", "-c", "0", *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} does not listen: {(folder / f'{name}.log').read_text()[-800:]}")
                time.sleep(0.05)

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """The most that was resident, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Load:
    def __init__(self, program, folder, http):
        self.program, self.folder, self.http = program, folder, http

    def run(self, server, *more):
        bodies = [word for name in REVIEWS for word in ("--body", self.folder / f"{name}.json")]
        command = ["taskset", "-c", "1", self.program, "--to", f"127.0.0.1:{server.port}", "--ca", self.folder / "ca.crt", "--name", HOST, "--http", self.http, *bodies, *more]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"load on {server.name}: {done.stderr.strip()} {done.stdout[:500]}")
        return [json.loads(line) for line in done.stdout.splitlines()]


def normal(value):
    """A Pod with names in order where order means nothing."""
    if isinstance(value, dict):
        return {name: normal(item) for name, item in sorted(value.items()) if item is not None and name not in ("creationTimestamp", "status")}
    return [normal(item) for item in value] if isinstance(value, list) else value


def pods(load, server):
    """What the answers of a server make of the Pods."""
    import jsonpatch
    made = []
    for name, answer in zip(REVIEWS, load.run(server, "--show")):
        pod = json.loads((load.folder / f"{name}.json").read_text())["request"]["object"]
        patch = json.loads(base64.b64decode(answer["response"]["patch"]))
        made.append(normal(jsonpatch.apply_patch(pod, patch)))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--webhook", required=True, type=pathlib.Path, help="the example `webhook` of obtrace-operator, built for release")
    parser.add_argument("--load", required=True, type=pathlib.Path, help="review-load, built for release")
    parser.add_argument("--peer", type=pathlib.Path, help="the webhook of controller-runtime; built into a temporary folder without this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--http", choices=("1", "2"), default="2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="obtrace-webhook-") as name:
        folder = pathlib.Path(name)
        keys(folder)
        for name, command in REVIEWS.items():
            (folder / f"{name}.json").write_text(json.dumps(review(name, command), separators=(",", ":")))
        (folder / "resources.yaml").write_text(
            "apiVersion: obtrace.io/v1alpha1\nkind: ObtraceInstrumentation\nmetadata: {name: default, namespace: obtrace-system}\n"
            f"spec: {{ingestUrl: '{INGEST}'}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop-prod}}\n")
        peer = options.peer
        if peer is None:
            peer = folder / "peer"
            subprocess.run(["go", "build", "-trimpath", "-o", peer, "."], cwd=HERE / "controller-runtime", check=True)
        tls = ("--tls-cert", folder / "tls.crt", "--tls-key", folder / "tls.key")
        ports = free_port(), free_port()
        servers = [Server("obtrace-operator", [options.webhook, *tls, "--resources", folder / "resources.yaml", "--listen", f"127.0.0.1:{ports[0]}"], ports[0], folder),
                   Server("controller-runtime", [peer, *tls, "--ingest-url", INGEST, "--port", ports[1]], ports[1], folder)]
        try:
            measure(servers, Load(options.load, folder, options.http), options)
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()


def measure(servers, load, options):
    ours, theirs = (pods(load, server) for server in servers)
    for name, one, other in zip(REVIEWS, ours, theirs):
        if one != other:
            sys.exit(f"{name}: the answers make different Pods:\n{json.dumps(one)}\n{json.dumps(other)}")
    print(f"{len(ours)} reviews of {', '.join(str((load.folder / f'{name}.json').stat().st_size) for name in REVIEWS)} bytes: both make the same Pods")
    latency, throughput = {server: [] for server in servers}, {server: [] for server in servers}
    for turn in range(options.rounds):
        for server in servers if turn % 2 == 0 else reversed(servers):
            latency[server].append(load.run(server, "--rate", options.rate, "--seconds", options.seconds)[0]["milliseconds"])
            before = server.cpu()
            answered = load.run(server, "--in-flight", 16, "--seconds", options.seconds)[0]["answered"]
            throughput[server].append(answered / (server.cpu() - before))
    middle = statistics.median
    print(f"{'':<20} {'p50':>9} {'p99':>9} {'p99.9':>9}  at {options.rate}/s, ms   reviews a CPU second    MB")
    for server in servers:
        at = [middle(times[name] for times in latency[server]) for name in ("p50", "p99", "p99.9")]
        print(f"{server.name:<20} {at[0]:>9.3f} {at[1]:>9.3f} {at[2]:>9.3f} {middle(throughput[server]):>32,.0f} {server.memory():>9.1f}")
    ratios = [one / other for one, other in zip(*throughput.values())]
    print(f"reviews a CPU second: {middle(ratios):.2f} times controller-runtime's ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
