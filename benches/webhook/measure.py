#!/usr/bin/env python3
"""measure.py --webhook PROGRAM --load PROGRAM [--peer PROGRAM] [--rounds N]: what a review costs over TLS.

Two webhooks that make the same mutation, obtrace-operator's (its example `webhook`) and one written with controller-runtime (beside this file, built
with Go), answer the same reviews in turns: servers on one processor, the load on the other. Their answers are compared first, as the Pods that they
make. Printed: latency at a steady rate, counted from when a review was due, reviews a second of processor time as fast as answers come, and what
obtrace-operator has resident after a thousand large reviews at once, ten thousand hostile ones and two hundred slow connections. Exit code 1: answers differ,
or a goal is missed; of the times only with --strict, since the machine decides about those.
"""

import argparse
import base64
import json
import os
import pathlib
import random
import resource
import socket
import ssl
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


def review(name, command, more=0):
    """An AdmissionReview as the API server sends it for a Pod of a Deployment, some 5 KB, and as many bytes more."""
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/version": "1.42.7", "pod-template-hash": "7d9c6b5f44", "team": "payments"}
    fields = {f'k:{{"name":"SETTING_{index}"}}': {".": {}, "f:name": {}, "f:value": {}} for index in range(8)}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {
        "generateName": f"{name}-7d9c6b5f44-", "namespace": "shop-prod", "creationTimestamp": None, "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "checksum/config": "b1946ac92492d2347c6235b4d2611184", **({"notes": "x" * more} if more else {})},
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
# How many different hostile reviews there are.
HOSTILE = 500


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

    def run(self, server, *more, bodies=tuple(REVIEWS), http=None):
        bodies = [word for name in bodies for word in ("--body", self.folder / f"{name}.json")]
        command = ["taskset", "-c", "1", self.program, "--to", f"127.0.0.1:{server.port}", "--ca", self.folder / "ca.crt", "--name", HOST, "--http", http or self.http, *bodies, *more]
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
        pod = jsonpatch.apply_patch(pod, patch)
        # A digest of ours, which the other webhook is spared.
        pod["metadata"]["annotations"].pop("obtrace.io/configuration", None)
        made.append(normal(pod))
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
    parser.add_argument("--strict", action="store_true", help="a goal of latency or of throughput that is missed fails, too")
    options = parser.parse_args()
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(files, 8192), most), most))
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
            goals = measure(servers, Load(options.load, folder, options.http), options)
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait()
    sys.exit(judge(goals, options.strict))


def judge(goals, strict):
    """Tells the goals; whether one is missed that counts."""
    missed = 0
    for what, figure, goal, at_least, is_time in goals:
        good = figure >= goal if at_least else figure <= goal
        missed += not good and (strict or not is_time)
        print(f"{what}: {figure:,.2f} of {goal:,}{'' if good else '  MISSED'}")
    return int(missed > 0)


def spoiled(text, numbers):
    """A review that no API server would write."""
    at = numbers.randrange(len(text))
    ways = (lambda: text[:at], lambda: text[:at] + chr(numbers.randrange(32, 127)) + text[at + 1:], lambda: text[:at] + text[at + numbers.randrange(1, 40):],
            lambda: text + text[at:], lambda: text[:at] + '[{"a":' * numbers.randrange(1200) + text[at:], lambda: text.replace('"env":[', numbers.choice(('"env":[null,', '"env":7,"x":[', '"env":{},"env":["",'))),
            lambda: text.replace('"containers":[', '"containers":[' + "{}," * numbers.randrange(2000)), lambda: text.replace("checkout", "\\u0000\\ud800" * numbers.randrange(1, 500)))
    return numbers.choice(ways)()


def slow(server, folder, count):
    """Connections that stop: before TLS, in its middle, in a head, in a body."""
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.set_alpn_protocols(["http/1.1"])
    head = f"POST /mutate-pods HTTP/1.1\r\nhost: {HOST}\r\n"
    said = (b"", b"\x16\x03\x01\x02\x00\x01", head.encode(), f"{head}content-length: 60000\r\n\r\n{' ' * 30000}".encode())
    held = []
    for index in range(count):
        stream = socket.create_connection(("127.0.0.1", server.port), 30)
        if index % len(said) >= 2:
            stream = context.wrap_socket(stream, server_hostname=HOST)
        if said[index % len(said)]:
            stream.sendall(said[index % len(said)])
        held.append(stream)
    return held


def memory(server, load):
    """The most that was resident after each of three trials, in MB."""
    numbers, folder = random.Random(2026), load.folder
    sizes = [0, 60_000, 300_000, 0, 20_000, 0, 1_000_000, 0, 100_000, 3_000_000]
    for index, size in enumerate(sizes):
        (folder / f"large-{index}.json").write_text(json.dumps(review("checkout", REVIEWS["checkout"], size), separators=(",", ":")))
    text = (folder / "checkout.json").read_text()
    for index in range(HOSTILE):
        (folder / f"hostile-{index}.json").write_text(spoiled(text, numbers))
    found = {}
    for http, connections in (("1", 1000), ("2", 10)):
        load.run(server, "--in-flight", 1000, "--connections", connections, "--reviews", 1000, "--seconds", 120, bodies=[f"large-{index}" for index in range(len(sizes))], http=http)
    found["1,000 reviews at once of up to 3 MB"] = server.memory()
    held = slow(server, folder, 200)
    for http in ("1", "2"):
        done = load.run(server, "--in-flight", 32, "--reviews", 5000, "--seconds", 120, bodies=[f"hostile-{index}" for index in range(HOSTILE)], http=http)[0]
        if done["answered"] != 5000:
            sys.exit(f"{done['answered']} of 5,000 hostile reviews were answered")
    found["10,000 hostile reviews beside 200 slow connections"] = server.memory()
    for stream in held:
        stream.close()
    return found


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
    ours = servers[0]
    at_rest = [(f"MB resident after {what}", most, 128, False, False) for what, most in memory(ours, load).items()]
    return [("p99 in ms", middle(times["p99"] for times in latency[ours]), 2, False, True), ("p99.9 in ms", middle(times["p99.9"] for times in latency[ours]), 10, False, True),
            ("reviews a CPU second", middle(throughput[ours]), 5000, True, True), ("times controller-runtime's", middle(ratios), 4, True, False), *at_rest]


if __name__ == "__main__":
    main()
