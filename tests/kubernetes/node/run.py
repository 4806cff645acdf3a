#!/usr/bin/env python3
"""run.py --obtrace-zero PATH --agent-image FILE --node PROGRAM: injected Pods on a real node.

An API server, containerd and a kubelet run in name spaces of their own. Three Pods (Node.js, Python, Java; each calls the next) go
through `obtrace-zero preview` and are created as it has them, in a name space that enforces `restricted`. The init
container is of the image that is shipped. What a receiver takes is one trace through the three, with the Pods' names.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT / "tests/loaders")]
sys.path.append(str(ROOT / "tests"))

import build  # noqa: E402
import cluster  # noqa: E402
import images  # noqa: E402
import worker  # noqa: E402
import yaml  # noqa: E402
from receiver import Receiver  # noqa: E402

APPS = ROOT / "tests/loaders/together/apps"
PORT = 8080
SEPARATED = "OBTRACE_NODE_NAMESPACE"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": 1000, "readOnlyRootFilesystem": True,
              "seccompProfile": {"type": "RuntimeDefault"}}
COMMANDS = {
    "java": ["java", "-Xmx256m", "-cp", "/app", "Hop", str(PORT)],
    "python": ["python3", "/app/hop.py", str(PORT)],
    "nodejs": ["node", "/app/hop.js", str(PORT)],
}
MODULES = ("java.base", "java.logging", "java.net.http", "jdk.httpserver", "java.instrument", "java.management", "jdk.management", "java.naming",
           "jdk.unsupported", "java.sql", "jdk.zipfs", "jdk.jfr", "java.desktop")


def separate():
    """Goes on in mount, network and process name spaces of our own: what runs in them ends with us."""
    if os.environ.get(SEPARATED):
        return
    if os.geteuid() != 0:
        print("not root: a node needs name spaces, mounts and control groups")
        sys.exit(77)
    os.environ[SEPARATED] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])


def archives(folder, programs, options):
    """The images: our own, the sandbox's, and one for each runtime with its application."""
    busybox = next(path for path in (programs / "bin/busybox", programs / "usr/bin/busybox") if path.exists())

    def image(name, fill, command):
        root = folder / f"root-{name}"
        images.busybox(root, busybox)
        fill(root)
        images.write(folder / f"{name}.tar", f"registry.test/{name}:1", root, command)
        shutil.rmtree(root)
        return folder / f"{name}.tar"

    def nodejs(root):
        images.command(root, options.node, "/usr/bin/node")
        images.place(root, "/app/hop.js", APPS / "hop.js")

    def python(root):
        images.python(root)
        images.place(root, "/app/hop.py", APPS / "hop.py")

    def java(root):
        images.java(root, options.jdk, MODULES)
        subprocess.run([options.jdk / "bin/javac", "-d", root / "app", APPS / "Hop.java"], check=True)

    return [options.agent_image, image("pause", lambda root: None, ["/bin/busybox", "sleep", "100000"]), image("nodejs", nodejs, ["sh"]),
            image("python", python, ["sh"]), image("java", java, ["sh"])]


def manifest(name, following):
    command = [*COMMANDS[name], following]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": f"{name}-hop"}},
        "spec": {"nodeName": worker.NAME, "terminationGracePeriodSeconds": 10, "restartPolicy": "Never", "containers": [{
            "name": "app", "image": f"registry.test/{name}:1", "command": command, "securityContext": RESTRICTED,
            "env": [{"name": "HOST", "value": "0.0.0.0"}],
            "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "768Mi"}},
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 120}}],
            "volumes": [{"name": "tmp", "emptyDir": {}}]}}


def injected(options, ingest, pod):
    """The Pod as `obtrace-zero preview` has it."""
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": "shop"}, "spec": {"ingestUrl": ingest}},
        pod]
    done = subprocess.run([options.obtrace_zero, "preview", "-f", "-", "--output", "manifest", "--cluster-version", build.VERSION],
                          input="\n---\n".join(map(json.dumps, documents)), capture_output=True, text=True, check=True)
    return next(document for document in yaml.safe_load_all(done.stdout) if document["kind"] == "Pod")


def status_of(api, name):
    return api.must("GET", f"/api/v1/namespaces/shop/pods/{name}")["status"]


def run_pod(api, node, options, ingest, name, following):
    """Creates the Pod and waits until it is ready; its address."""
    api.must("POST", "/api/v1/namespaces/shop/pods", injected(options, ingest, manifest(name, following)))

    def ready():
        status = status_of(api, name)
        if status["phase"] == "Failed":
            raise RuntimeError(f"Pod {name} failed: {json.dumps(status.get('containerStatuses') or status)[:600]} {logs(node, name)}")
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions", []))

    node.until(ready, f"Pod {name} is ready", 180)
    return status_of(api, name)["podIP"]


def logs(node, name):
    return [file.read_text(errors="replace")[-1500:] for file in (node.folder / "pod-logs").glob(f"shop_{name}_*/*/*.log")]


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, faults):
        self.passed += not faults
        self.failed += bool(faults)
        print(f"{what:<58} {'FAILED' if faults else 'ok'}", flush=True)
        for fault in faults:
            print(f"    {fault}", flush=True)


def get(address, path="/"):
    with urllib.request.urlopen(f"http://{address}:{PORT}{path}", timeout=60) as answer:
        return answer.read().decode()


def check_init(report, api):
    for name in COMMANDS:
        init = status_of(api, name)["initContainerStatuses"][0]
        ended = init["state"].get("terminated", {})
        seen = [init["name"], ended.get("exitCode")]
        report.check(f"{name}: the init container copied the loader", [] if seen == ["obtrace-agent-init", 0] else [f"{init}"])


def check_trace(report, receiver):
    """One trace through the three, told by the loaders."""
    def servers():
        return {span.resource.get("telemetry.sdk.language"): span for span in receiver.spans("server")}

    receiver.wait(lambda: set(COMMANDS) <= set(servers()), 30)
    spans = servers()
    report.check("server spans of all three", [] if set(COMMANDS) <= set(spans) else [f"only of {sorted(map(str, spans))}"])
    report.check("one trace", [] if len({span["traceId"] for span in spans.values()}) == 1 else [f"{name}: {span['traceId']}" for name, span in spans.items()])
    for name, span in spans.items():
        wanted = {"service.name": f"{name}-hop", "k8s.pod.name": name, "k8s.namespace.name": "shop", "k8s.node.name": worker.NAME}
        wrong = [f"{key}: {span.resource.get(key)!r}, not {value!r}" for key, value in wanted.items() if span.resource.get(key) != value]
        report.check(f"{name}: resource of its Pod", wrong)
        logged = receiver.wait(lambda name=name, span=span: [log for log in receiver.logs() if log.get("traceId") == span["traceId"]
                                                             and log.resource.get("telemetry.sdk.language") == name])
        report.check(f"{name}: log record with the trace's id", [] if logged else ["none"])


def check_last_words(report, api, receiver):
    """A Pod that is deleted sends what it has before it goes; the callers go first."""
    for name in reversed(COMMANDS):
        get(status_of(api, name)["podIP"], "/last")
        api.must("DELETE", f"/api/v1/namespaces/shop/pods/{name}")
        seen = receiver.wait(lambda name=name: [span for span in receiver.spans("server") if span.attributes.get("url.path") == "/last"
                                                and span.resource.get("telemetry.sdk.language") == name], 20)
        report.check(f"{name}: what was queued when its Pod was deleted", [] if seen else ["not sent"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True)
    parser.add_argument("--agent-image", type=pathlib.Path, required=True, help="the OCI archive of the image with the loaders")
    parser.add_argument("--node", type=pathlib.Path, required=True, help="a Node.js program")
    parser.add_argument("--jdk", type=pathlib.Path, default=pathlib.Path("/usr/lib/jvm/default-java").resolve())
    options = parser.parse_args()
    # While there is a network to fetch them from.
    programs, paths = worker.packages(build.cache()), build.programs((*build.SERVER, "kubelet"))
    separate()
    began, report = time.monotonic(), Report()
    # Sockets below it: the path has to be short.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obn-"))
    node = worker.Worker(folder / "node", programs, paths["kubelet"])
    try:
        worker.network()
        made = archives(folder, programs, options)
        with cluster.running() as api, Receiver(host=worker.ADDRESS) as receiver:
            api.namespace("shop", "restricted")
            api.must("POST", "/api/v1/namespaces/shop/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "obtrace-api-key"}, "stringData": {"api-key": "test-key"}})
            try:
                node.start(api, made)
                print(f"a node after {time.monotonic() - began:.0f} s", flush=True)
                following = f"{receiver.url}/end"
                for name in COMMANDS:
                    following = f"http://{run_pod(api, node, options, receiver.url, name, following)}:{PORT}/{name}"
                    print(f"Pod {name} is ready after {time.monotonic() - began:.0f} s", flush=True)
                answer = get(status_of(api, "nodejs")["podIP"])
                report.check("the answer through three Pods", [] if answer.startswith("node python java") else [answer])
                check_init(report, api)
                check_trace(report, receiver)
                check_last_words(report, api, receiver)
            finally:
                node.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{report.passed} passed, {report.failed} failed, 0 skipped")
    sys.exit(1 if report.failed else 0)


main()
