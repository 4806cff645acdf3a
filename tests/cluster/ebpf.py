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
        "k8s.namespace.name": SHOP, "k8s.pod.name": metadata["name"], "k8s.pod.uid": metadata["uid"], "k8s.node.name": pod["spec"]["nodeName"],
        "k8s.container.name": "app", "k8s.deployment.name": "plain", "k8s.replicaset.name": replicaset,
        "container.id": container["containerID"].split("://")[1]}


def check(cluster, report):
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
        for pod in cluster.pods(SYSTEM, "app.kubernetes.io/component=agent"):
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
    rights(cluster, report)


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


def rights(cluster, report):
    """What the ServiceAccount may do is what it did."""
    used = {(event["resource"], event["verb"]) for event in cluster.audited(user=USER) if event["resource"]}
    (role,) = [document for document in yaml.safe_load_all(MANIFEST.read_text()) if document["kind"] == "ClusterRole"]
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    report.check("the agents used what they are granted, and nothing else", [f"{used ^ granted}"] if used != granted else [])
    refused = {event["resource"] for event in cluster.audited(user=USER) if event["code"] in (401, 403)}
    report.check("nothing was refused", [f"{refused}"] if refused else [])
