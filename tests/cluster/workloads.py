"""Applications in several languages, each of which asks the next, and a receiver of what is told about them."""

import json
import os
import pathlib
import subprocess

import images
from api import is_ready
from receiver import SIGNALS, Item, attributes

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOGETHER = ROOT / "tests/loaders/together/apps"
PORT = 8080
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": 1000, "readOnlyRootFilesystem": True,
              "seccompProfile": {"type": "RuntimeDefault"}}
# In the order in which they call. The last is a program of no language that has a loader.
APPLICATIONS = {
    "nodejs": ["node", "/app/hop.js"],
    "python": ["python3", "/app/hop.py"],
    "java": ["java", "-Xmx256m", "-cp", "/app", "Hop"],
    "go": ["/app/hop"],
    "plain": ["/app/serve"],
}
MODULES = ("java.base", "java.logging", "java.net.http", "jdk.httpserver", "java.instrument", "java.management", "jdk.management", "java.naming",
           "jdk.unsupported", "java.sql", "jdk.zipfs", "jdk.jfr", "java.desktop")
SERVE = """#!/bin/busybox sh
echo end | /bin/busybox tee /tmp/index.html >/tmp/plain
exec /bin/busybox httpd -f -p "$1" -h /tmp
"""


def archives(folder, programs, node, jdk, names=tuple(APPLICATIONS)):
    """The images of these applications. Needs Go and a JDK."""
    def nodejs(root):
        images.command(root, node, "/usr/bin/node")
        images.place(root, "/app/hop.js", TOGETHER / "hop.js")

    def python(root):
        images.python(root)
        images.place(root, "/app/hop.py", TOGETHER / "hop.py")

    def java(root):
        images.java(root, jdk, MODULES)
        subprocess.run([jdk / "bin/javac", "-d", root / "app", TOGETHER / "Hop.java"], check=True)

    def go(root):
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "build", "-o", root / "app/hop", HERE / "apps/hop.go"], cwd=HERE, env=environment, check=True)

    def plain(root):
        (root / "app").mkdir()
        (root / "app/serve").write_text(SERVE)
        (root / "app/serve").chmod(0o755)

    fill = {"nodejs": nodejs, "python": python, "java": java, "go": go, "plain": plain}
    return [images.image(folder, programs, name, fill[name], ["/bin/busybox", "sh"]) for name in names]


def deployment(name, namespace, command, port=PORT, image=None, replicas=1, environment=None, labels=None):
    """A Deployment of one container that may do nothing but what is asked of it, and the Service of the same name."""
    labels = {"app": name, **(labels or {})}
    container = {
        "name": "app", "image": image or f"registry.test/{name}:1", "command": command, "securityContext": RESTRICTED,
        "env": [{"name": key, "value" if isinstance(value, str) else "valueFrom": value} for key, value in (environment or {}).items()], "ports": [{"containerPort": port}],
        "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "768Mi"}}, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 300}}
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": name}}}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 10, "topologySpreadConstraints": [spread], "containers": [container],
                "volumes": [{"name": "tmp", "emptyDir": {}}]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": {
            "selector": {"app": name}, "ports": [{"port": port, "protocol": "TCP"}]}}]


def chain(namespace):
    """The Deployments and Services of the applications, each asking the next by the name of its Service."""
    names, documents = list(APPLICATIONS), []
    for name, following in zip(names, [*names[1:], None], strict=True):
        command = [*APPLICATIONS[name], str(PORT)] + ([f"http://{following}.{namespace}.svc.cluster.local:{PORT}/{following}"] if following else [])
        documents += deployment(name, namespace, command, environment={"HOST": "0.0.0.0"})
    return documents


def available(cluster, namespace, name):
    """Whether the newest Pods of a Deployment are all there, and no others."""
    found = cluster.must("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    wanted, status = found["spec"]["replicas"], found["status"]
    counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    return is_ready(found) and status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 4


class Sink:
    """The product's own receiver of OTLP in the cluster: `obtrace-agent receive`, whose Pod says what it was sent."""

    NAME, PORT = "sink", 4318

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.url = f"http://{self.NAME}.{namespace}.svc.cluster.local:{self.PORT}"

    @staticmethod
    def archive(folder, programs, agent):
        """Its image, of the program at `agent`."""
        return images.image(folder, programs, "sink", lambda root: images.command(root, agent, "/usr/bin/obtrace-agent"), ["/usr/bin/obtrace-agent"])

    def start(self):
        command = ["/usr/bin/obtrace-agent", "receive", "--listen", f"0.0.0.0:{self.PORT}", "--print", "otlp-json"]
        self.cluster.apply(*deployment(self.NAME, self.namespace, command, self.PORT))
        self.cluster.wait_for(lambda: available(self.cluster, self.namespace, self.NAME), "the receiver is available")

    def requests(self):
        """What it was sent so far: dictionaries of path, headers, api_key and body."""
        pod, = self.cluster.pods(self.namespace, f"app={self.NAME}")
        text = self.cluster.logs(self.namespace, pod["metadata"]["name"], lines=1000000)
        # The last line may be half written, and what goes to standard error is among them.
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def items(self, signal):
        outer, middle, inner = SIGNALS[signal]
        return [Item(raw, scope.get("scope", {}), attributes(resource.get("resource", {})), request)
                for request in self.requests() if request["path"].endswith(f"/{signal}")
                for resource in request["body"].get(outer, []) for scope in resource.get(middle, []) for raw in scope.get(inner, [])]

    def spans(self, kind=None):
        return [span for span in self.items("traces") if kind in (None, span.kind)]

    def logs(self):
        return self.items("logs")

    def wait(self, condition, what, seconds=120):
        return self.cluster.wait_for(condition, what, seconds)
