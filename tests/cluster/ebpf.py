"""The agent of each node, as deploy/agent/daemonset.yaml runs it: what it tells of Pods that nobody changed, and what it leaves to others."""

import collections
import http.client
import pathlib

import workloads
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MANIFEST = ROOT / "deploy/agent/daemonset.yaml"
SYSTEM, SHOP, RECEIVER = "obtrace-system", "shop-prod", "monitoring"
USER = f"system:serviceaccount:{SYSTEM}:obtrace-zero-agent"
IMAGE = "ghcr.io/obtrace/obtrace-zero-ebpf:0.1.0"
REQUESTS = 20
# Waits for the server, then asks it for something else each time.
CALLER = ["/bin/busybox", "sh", "-c",
          "until wget -q -O /dev/null http://plain.$0:8080/called-0; do sleep 1; done; n=0; while sleep 1; do n=$((n+1)); wget -q -O /dev/null http://plain.$0:8080/called-$n; done", SHOP]
SERVER = ["/bin/busybox", "sh", "-c", "for n in $(seq 0 999); do echo x >/tmp/called-$n; done; for n in $(seq 0 99); do echo x >/tmp/asked-$n; done; "
          "exec /bin/busybox httpd -f -p 8080 -h /tmp"]


def manifest(url):
    """The shipped manifest; only where spans go is another place."""
    for document in yaml.safe_load_all(MANIFEST.read_text()):
        if document["kind"] == "DaemonSet":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            (ingest,) = [variable for variable in container["env"] if variable["name"] == "OBTRACE_INGEST_URL"]
            ingest["value"] = url
        yield document


def annotated(documents, annotations):
    documents[0]["spec"]["template"]["metadata"]["annotations"] = annotations
    return documents


def ask(pod, count=REQUESTS):
    """From beside the API server, which no agent sees."""
    for number in range(count):
        connection = http.client.HTTPConnection(pod["status"]["podIP"], 8080, timeout=30)
        connection.request("GET", f"/asked-{number}")
        assert connection.getresponse().status == 200
        connection.close()


def of_pod(spans, pod):
    return [span for span in spans if span.resource.get("k8s.pod.name") == pod["metadata"]["name"]]


def wanted_resource(pod):
    replicaset = pod["metadata"]["ownerReferences"][0]["name"]
    metadata, container = pod["metadata"], pod["status"]["containerStatuses"][0]
    return {
        "service.name": "plain", "service.namespace": SHOP, "deployment.environment.name": "production",
        "service.instance.id": f"{SHOP}.{metadata['name']}.app",
        "host.name": pod["spec"]["nodeName"], "k8s.namespace.name": SHOP, "k8s.pod.name": metadata["name"], "k8s.pod.uid": metadata["uid"], "k8s.node.name": pod["spec"]["nodeName"],
        "k8s.container.name": "app", "k8s.deployment.name": "plain", "k8s.replicaset.name": replicaset,
        "container.id": container["containerID"].split("://")[1]}


def check(cluster, report, image):
    cluster.load_image(image)
    cluster.namespace(SYSTEM, "privileged")
    for name in (SHOP, RECEIVER):
        cluster.namespace(name)
    # Its namespace is one that agents leave alone: telling of what they told would never end.
    sink = workloads.Sink(cluster, RECEIVER)
    sink.start()
    cluster.apply(*manifest(sink.url))
    daemonset = f"/apis/apps/v1/namespaces/{SYSTEM}/daemonsets/obtrace-zero-agent"
    cluster.wait_for(lambda: cluster.must("GET", daemonset)["status"].get("numberReady") == len(cluster.nodes), "an agent runs on each node")
    plain = {"image": "registry.test/plain:1"}
    cluster.apply(*workloads.deployment("plain", SHOP, SERVER, replicas=len(cluster.nodes), **plain))
    left_alone = {"excluded": {"obtrace.io/exclude": "true"}, "loaded": {"obtrace.io/injected": "true", "obtrace.io/strategy": "sdk"}}
    for name, annotations in left_alone.items():
        cluster.apply(*annotated(workloads.deployment(name, SHOP, SERVER, **plain), annotations))
    # A loader in it reports what it serves: the agent has nothing to add.
    cluster.apply(*workloads.deployment("hybrid", SHOP, SERVER, environment={"OBTRACE_TRACED": "server"}, **plain))
    names = ["plain", "hybrid", *left_alone]
    for name in names:
        cluster.wait_for(lambda: workloads.available(cluster, SHOP, name), f"the Pods of {name} are available")
    pods = {name: cluster.pods(SHOP, f"app={name}") for name in names}
    for pod in (pod for name in names for pod in pods[name]):
        ask(pod)
    complete = lambda: all(len(of_pod(sink.spans("server"), pod)) >= REQUESTS for pod in pods["plain"])
    try:
        cluster.wait_for(complete, "the requests of both nodes are told", 60)
    except Exception as error:  # noqa: BLE001: what came and what the agents say is worth more than the wait
        for pod in agents(cluster):
            print(cluster.logs(SYSTEM, pod["metadata"]["name"]))
        report.check("the requests of both nodes are told", [str(error).splitlines()[0], f"{len(sink.spans())} spans"])
        return
    for pod in pods["plain"]:
        node = pod["spec"]["nodeName"]
        spans = of_pod(sink.spans("server"), pod)
        paths = collections.Counter(span.attributes.get("url.path") for span in spans)
        wrong = [f"{path} {paths[path]} times" for path in (f"/asked-{n}" for n in range(REQUESTS)) if paths[path] != 1]
        report.check(f"every request to the Pod on {node} is told once", wrong)
        wanted = wanted_resource(pod)
        wrong = [f"{key} is {span.resource.get(key)!r}, not {value!r}" for span in spans for key, value in wanted.items() if span.resource.get(key) != value]
        report.check(f"the Pod on {node} is named", sorted(set(wrong)))
    told = [span for name in left_alone for pod in pods[name] for span in of_pod(sink.spans(), pod)]
    report.check("what is excluded, and what loaders report, is left alone", [f"{span.name} of {span.resource['k8s.pod.name']}" for span in told[:5]])
    told = [span for pod in pods["hybrid"] for span in of_pod(sink.spans("server"), pod)]
    report.check("a kind of span that a loader reports is left to it", [f"{len(told)} server spans"] if told else [])
    callers(cluster, report, sink)
    sidecar(cluster, report, sink)
    rights(cluster, report)
    said = [line for pod in agents(cluster) for line in cluster.logs(SYSTEM, pod["metadata"]["name"]).splitlines() if "WARN" in line or "ERROR" in line]
    report.check("the agents have nothing to complain about", said[:5])
    without_rights(cluster, report, sink, pods["plain"])


def agents(cluster):
    return cluster.pods(SYSTEM, "app.kubernetes.io/component=agent")


def callers(cluster, report, sink):
    """A client's spans name the Service that was called."""
    cluster.apply(workloads.deployment("caller", SHOP, CALLER, image="registry.test/plain:1")[0])

    def called():
        found = [span for span in sink.spans("client") if span.resource.get("service.name") == "caller"]
        return [span for span in found if str(span.attributes.get("url.full", "")).find("/called-") >= 0][:5]

    spans = cluster.wait_for(called, "the caller's requests are told", 120)
    wrong = [f"{span.name}: {span.attributes.get('service.peer.name')!r}" for span in spans
             if (span.attributes.get("service.peer.name"), span.attributes.get("service.peer.namespace")) != ("plain", SHOP)]
    report.check("a called Service is named", wrong)


def sidecar(cluster, report, sink):
    """A Pod as the webhook patches it: its sidecar tells of it without asking anybody, and the agent of the node leaves it alone."""
    field = lambda path: {"fieldRef": {"fieldPath": path}}
    environment = {
        "OBTRACE_INGEST_URL": sink.url, "OBTRACE_SERVICE_NAME": "beside", "OBTRACE_ENVIRONMENT": "production", "OBTRACE_LANGUAGE": "go",
        "OBTRACE_POD_NAME": field("metadata.name"), "OBTRACE_POD_NAMESPACE": field("metadata.namespace"), "OBTRACE_NODE_NAME": field("spec.nodeName"),
        "OBTRACE_TRACE_SAMPLE_RATIO": "1"}
    env = [{"name": key, "value" if isinstance(value, str) else "valueFrom": value} for key, value in environment.items()]
    documents = annotated(workloads.deployment("beside", SHOP, SERVER, image="registry.test/plain:1"), {"obtrace.io/injected": "true", "obtrace.io/strategy": "ebpf"})
    spec = documents[0]["spec"]["template"]["spec"]
    spec["shareProcessNamespace"] = True
    # It has no account at all.
    spec["automountServiceAccountToken"] = False
    spec["containers"].append({
        "name": "obtrace-ebpf", "image": IMAGE, "env": env,
        "securityContext": {"privileged": False, "capabilities": {"add": ["BPF", "NET_ADMIN", "SYS_PTRACE", "PERFMON"]}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}})
    cluster.apply(*documents)
    cluster.wait_for(lambda: workloads.available(cluster, SHOP, "beside"), "the Pod with a sidecar is available")
    pod, = cluster.pods(SHOP, "app=beside")
    name = pod["metadata"]["name"]
    cluster.wait_for(lambda: "watching " in cluster.logs(SHOP, name, "obtrace-ebpf"), "the sidecar watches", 120)
    ask(pod)
    cluster.wait_for(lambda: len(of_pod(sink.spans("server"), pod)) >= REQUESTS, "the sidecar tells what its Pod serves", 120)
    spans = of_pod(sink.spans("server"), pod)
    paths = collections.Counter(span.attributes.get("url.path") for span in spans)
    wrong = [f"{path} {count} times" for path, count in paths.items() if count != 1]
    report.check("a Pod with a sidecar is told once", wrong or ([] if len(paths) == REQUESTS else [f"{len(paths)} requests"]))
    wanted = {"service.name": "beside", "service.namespace": SHOP, "deployment.environment.name": "production", "k8s.namespace.name": SHOP, "k8s.pod.name": name,
              "k8s.pod.uid": pod["metadata"]["uid"], "k8s.node.name": pod["spec"]["nodeName"]}
    wrong = [f"{key} is {spans[0].resource.get(key)!r}, not {value!r}" for key, value in wanted.items() if spans[0].resource.get(key) != value]
    report.check("a sidecar names its Pod without asking anybody", wrong)
    others = {span.resource.get("k8s.pod.name") for span in sink.spans() if span.resource.get("service.name") == "beside"} - {name}
    report.check("a sidecar sees no other Pod", sorted(map(str, others)))


def rights(cluster, report):
    """What the ServiceAccount may do is what it did."""
    used = {(event["resource"], event["verb"]) for event in cluster.audited(user=USER) if event["resource"]}
    (role,) = [document for document in yaml.safe_load_all(MANIFEST.read_text()) if document["kind"] == "ClusterRole"]
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    report.check("the agents used what they are granted, and nothing else", [f"{used ^ granted}"] if used != granted else [])
    refused = {event["resource"] for event in cluster.audited(user=USER) if event["code"] in (401, 403)}
    report.check("nothing was refused", [f"{refused}"] if refused else [])


def without_rights(cluster, report, sink, pods):
    """Agents that may not ask for Pods say so, and call processes by their control groups."""
    cluster.delete({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "obtrace-zero-agent"}})
    old = {pod["metadata"]["uid"] for pod in agents(cluster)}
    cluster.must("DELETE", f"/api/v1/namespaces/{SYSTEM}/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dagent")
    said = "the API server does not tell the Pods of this node"

    def warned():
        new = [pod for pod in agents(cluster) if pod["metadata"]["uid"] not in old]
        logs = [cluster.logs(SYSTEM, pod["metadata"]["name"]) for pod in new]
        return len(new) == len(cluster.nodes) and all(said in log and "watching " in log for log in logs) and logs

    logs = cluster.wait_for(warned, "the agents say that they may not", 120)
    report.check("who may not ask is told once which right is missing",
                 [log for log in logs if log.count(said) != 1 or "needs list and watch on pods" not in log])
    # A process is looked at again a moment after it is known that nobody tells.
    def told():
        for pod in pods:
            ask(pod, 1)
        found = {span.resource.get("k8s.pod.uid") for span in sink.spans("server") if "k8s.pod.name" not in span.resource}
        return {pod["metadata"]["uid"] for pod in pods} <= found

    cluster.wait_for(told, "spans have the Pods' UIDs", 120)
    report.check("without rights Pods are called by their control groups", [])
