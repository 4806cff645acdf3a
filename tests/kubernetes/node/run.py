#!/usr/bin/env python3
"""run.py --obtrace-zero PATH --agent-image FILE --node PROGRAM: injected Pods on a real node.

A control plane and a node run in namespaces of their own. Three Pods (Node.js, Python, Java; each calls the next) go
through `obtrace-zero preview` and are created as it has them, in a namespace that enforces `restricted`. The init
container is of the image that is shipped. What a receiver takes is one trace through the three, with the Pods' names.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT / "tests/cluster"), str(ROOT / "tests/loaders")]
sys.path.append(str(ROOT / "tests"))

import build  # noqa: E402
import nodes  # noqa: E402
import rig  # noqa: E402
import workloads  # noqa: E402
import yaml  # noqa: E402
from api import is_ready  # noqa: E402
from receiver import Receiver  # noqa: E402
from report import Report  # noqa: E402
from workloads import PORT  # noqa: E402

NODE = "node1"
NAMES = ("java", "python", "nodejs")


def manifest(name, following):
    deployment, _ = workloads.deployment(name, "shop", [*workloads.APPLICATIONS[name], str(PORT), following], environment={"HOST": "0.0.0.0"})
    spec = {**deployment["spec"]["template"]["spec"], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": f"{name}-hop"}}, "spec": spec}


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


def run_pod(api, options, ingest, name, following):
    """Creates the Pod and waits until it is ready; its address."""
    api.must("POST", "/api/v1/namespaces/shop/pods", injected(options, ingest, manifest(name, following)))

    def ready():
        pod = api.must("GET", f"/api/v1/namespaces/shop/pods/{name}")
        if pod["status"]["phase"] == "Failed":
            raise RuntimeError(f"it failed: {api.trouble(pod)}")
        return is_ready(pod)

    api.wait_for(ready, f"Pod {name} is ready")
    return status_of(api, name)["podIP"]


def get(address, path="/"):
    with urllib.request.urlopen(f"http://{address}:{PORT}{path}", timeout=60) as answer:
        return answer.read().decode()


def check_init(report, api):
    for name in NAMES:
        init = status_of(api, name)["initContainerStatuses"][0]
        ended = init["state"].get("terminated", {})
        seen = [init["name"], ended.get("exitCode")]
        report.check(f"{name}: the init container copied the loader", [] if seen == ["obtrace-agent-init", 0] else [f"{init}"])


def check_trace(report, receiver):
    """One trace through the three, told by the loaders."""
    def servers():
        return {span.resource.get("telemetry.sdk.language"): span for span in receiver.spans("server")}

    receiver.wait(lambda: set(NAMES) <= set(servers()), 30)
    spans = servers()
    report.check("server spans of all three", [] if set(NAMES) <= set(spans) else [f"only of {sorted(map(str, spans))}"])
    report.check("one trace", [] if len({span["traceId"] for span in spans.values()}) == 1 else [f"{name}: {span['traceId']}" for name, span in spans.items()])
    for name, span in spans.items():
        wanted = {"service.name": f"{name}-hop", "k8s.pod.name": name, "k8s.namespace.name": "shop", "k8s.node.name": NODE}
        wrong = [f"{key}: {span.resource.get(key)!r}, not {value!r}" for key, value in wanted.items() if span.resource.get(key) != value]
        report.check(f"{name}: resource of its Pod", wrong)
        logged = receiver.wait(lambda name=name, span=span: [log for log in receiver.logs() if log.get("traceId") == span["traceId"]
                                                             and log.resource.get("telemetry.sdk.language") == name])
        report.check(f"{name}: log record with the trace's id", [] if logged else ["none"])


def check_last_words(report, api, receiver):
    """A Pod that is deleted sends what it has before it goes; the callers go first."""
    for name in reversed(NAMES):
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
    nodes.prepare()
    folder = rig.separate()
    began, report = time.monotonic(), Report()
    with nodes.with_nodes(folder, count=1) as api, Receiver(host=nodes.GATEWAY) as receiver:
        print(f"a node after {time.monotonic() - began:.0f} s", flush=True)
        system = nodes.packages(build.cache())
        api.load_image(options.agent_image, *workloads.archives(folder, system, options.node, options.jdk, NAMES))
        api.namespace("shop", "restricted")
        api.must("POST", "/api/v1/namespaces/shop/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "obtrace-api-key"}, "stringData": {"api-key": "test-key"}})
        following = f"{receiver.url}/end"
        for name in NAMES:
            following = f"http://{run_pod(api, options, receiver.url, name, following)}:{PORT}/{name}"
            print(f"Pod {name} is ready after {time.monotonic() - began:.0f} s", flush=True)
        answer = get(status_of(api, "nodejs")["podIP"])
        report.check("the answer through three Pods", [] if answer.startswith("node python java") else [answer])
        check_init(report, api)
        check_trace(report, receiver)
        check_last_words(report, api, receiver)
    sys.exit(report.conclude())


main()
