"""From one program to the next minor's and back, on a cluster at work: nothing that is stored is lost, no Pod is refused or half changed, and loaders of
either version work with the operator of the other."""

import collections
import json
import shutil
import subprocess
import threading

import applications
import images
import observe
import resilience
import workloads
from api import is_ready
from applications import SHOP

INIT, VOLUME = "obtrace-agent-init", "obtrace-agent"
MIRROR, EBPF, AGENT = "registry.test/mirror/obtrace-zero", "ghcr.io/obtrace/obtrace-zero-ebpf", "ghcr.io/obtrace/obtrace-zero-agent"
# Images that no operator comes out of: one that no registry has, and one whose program ends at once.
ABSENT, DEAD = f"{MIRROR}:9.9.9", "registry.test/plain:1"
KEPT = "kept"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/obtraceinstrumentations.obtrace.io"
DEFAULT = "/apis/obtrace.io/v1alpha1/namespaces/obtrace-system/obtraceinstrumentations/default"
RESOURCE = f"/apis/obtrace.io/v1alpha1/namespaces/{KEPT}/obtraceinstrumentations/every-field"
MERGE = "application/merge-patch+json"
# The field that the next version has more.
FIELD = "remark"
LABELS = {"matchLabels": {"app": "nobody"}}
AMOUNTS = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m"}}
EVERY_FIELD = {
    "ingestUrl": "https://ingest.example.com", "apiKeySecretRef": {"name": "other", "key": "token"}, "namespaceSelector": {"matchLabels": {"team": "a"}},
    "selector": LABELS, "strategy": "hybrid", "placement": "node", "containers": ["app"], "environment": "staging", "samplingRatio": 0.25,
    "overrides": [{"selector": LABELS, "language": "nodejs", "strategy": "sdk", "framework": "express", "imageEnv": {"NODE_OPTIONS": "--enable-source-maps"}}],
    "images": {"agent": "registry.example/agent:1", "ebpf": "registry.example/ebpf:1"}, "resources": {"init": AMOUNTS, "sidecar": AMOUNTS},
    "exclude": {"namespaces": ["quiet"], "selector": LABELS, "containers": ["beside"]}, "coexist": True, "rolloutRestart": "onChange"}
# What is started with loaders of another version than the operator's.
MIXED = ("nodejs", "python")


def version_of(path):
    return subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]


def archive(folder, program):
    """The image of an operator, of a program of this machine."""
    root, path = folder / "root-next", folder / "next.tar"
    images.command(root, program, "/obtrace-zero")
    images.write(path, f"ghcr.io/obtrace/obtrace-zero:{version_of(program)}", root, ["--help"], entrypoint=["/obtrace-zero"])
    shutil.rmtree(root)
    return path


def name_images(cluster, older, newer):
    """The operators' images as somebody's registry has them, and the agent's, which is the same in both."""
    for version in (older, newer):
        cluster.name_image(f"ghcr.io/obtrace/obtrace-zero:{version}", f"{MIRROR}:{version}")
    cluster.name_image(f"{EBPF}:{older}", f"{EBPF}:{newer}")


class Pods(observe.Creations):
    """Pods that are created all the time, each looked at: whether it is instrumented as a whole, and by which version."""

    def __init__(self, cluster, name):
        super().__init__(cluster, SHOP, name=name, wanted=INIT)
        self.halves, self.versions = [], []

    def look(self, pod):
        parts, version = parts_of(pod)
        self.versions.append(version)
        if not all(parts.values()):
            self.halves.append(f"{pod['metadata']['name']} has no {' and no '.join(part for part, there in parts.items() if not there)}")


def parts_of(pod):
    """What an instrumented Pod has, and the version of the loaders that it gets."""
    spec, metadata = pod["spec"], pod["metadata"]
    inits = [container for container in spec.get("initContainers", []) if container["name"] == INIT]
    container, = spec["containers"]
    variables = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
    return {
        "init container": len(inits) == 1, "volume": VOLUME in [volume["name"] for volume in spec.get("volumes", [])],
        "mount": VOLUME in [mount["name"] for mount in container.get("volumeMounts", [])],
        "hook": "/obtrace/" in variables.get("NODE_OPTIONS", ""), "service name": "OBTRACE_SERVICE_NAME" in variables,
        "annotation": metadata.get("annotations", {}).get("obtrace.io/injected") == "true",
        "label": metadata["labels"].get("obtrace.io/instrumented") == "true",
    }, inits[0]["image"].rpartition(":")[2] if inits else None


class Replicas:
    """Which versions are ready at each moment of a rollout."""

    def __init__(self, cluster):
        self.cluster, self.seen, self.faults, self.stopping = cluster, set(), [], threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.stopping.wait(0.05):
            try:
                pods = [pod for pod in resilience.operators(self.cluster) if is_ready(pod)]
                self.seen.add(tuple(sorted({pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods})))
            except Exception as error:  # whatever it is, it is watched on, and told
                self.faults.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def applied(cluster):
    """What the administrator has applied so far, in order."""
    return [request["resource"] for request in cluster.audited(user="admin", verb="patch") if request["code"] in (200, 201)]


def check(cluster, report, older, newer, sink):
    """Expects the older version, and leaves it at work; `older` and `newer` are the programs."""
    report.check(f"{older.version} and {newer.version} are two programs", [] if older.path.read_bytes() != newer.path.read_bytes() else ["the same"])
    with observe.namespace(cluster, KEPT):
        before = keep(cluster, report)
        cluster.must("PATCH", DEFAULT, {"spec": {"samplingRatio": 0.5}}, MERGE)
        wanted = cluster.must("GET", DEFAULT)["spec"]
        upgrade(cluster, report, older, newer)
        check_kept(cluster, report, f"upgraded to {newer.version}", before)
        before = use_field(cluster, report)
        check_skew(cluster, report, older, newer, at=newer)
        check_mixed(cluster, report, sink, operator=newer, loaders=older)
        back(cluster, report, older, newer)
        check_kept(cluster, report, f"back at {older.version}", before)
        check_worked_with(cluster, report)
        check_skew(cluster, report, older, newer, at=older)
        check_mixed(cluster, report, sink, operator=older, loaders=newer)
        kept = cluster.must("GET", DEFAULT)["spec"]
        report.check("upgrades keep what users have set", [] if kept == wanted else [f"{kept}, not {wanted}"])
    # Nobody makes them anew: those that stay would keep what they were given.
    cluster.must("DELETE", f"/api/v1/namespaces/{SHOP}/pods?labelSelector=created%3Dyes&gracePeriodSeconds=0")


def fields(cluster):
    """The fields that the definition has for users."""
    version, = cluster.must("GET", DEFINITION)["spec"]["versions"]
    return set(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def keep(cluster, report):
    """A resource that says everything that can be said; as it is stored."""
    found = fields(cluster)
    report.check("the resource that is kept has every field", sorted(found ^ set(EVERY_FIELD)))
    cluster.apply({"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "every-field", "namespace": KEPT}, "spec": EVERY_FIELD})
    stored = cluster.must("GET", RESOURCE)
    report.check("it is stored as it was given", [] if stored["spec"] == EVERY_FIELD else [json.dumps(stored["spec"])])
    return stored


def check_kept(cluster, report, what, before):
    now = cluster.must("GET", RESOURCE)
    changed = [part for part in ("uid", "generation", "creationTimestamp", "annotations") if now["metadata"].get(part) != before["metadata"].get(part)]
    changed += [f"spec: {json.dumps(now['spec'])}"] if now["spec"] != before["spec"] else []
    report.check(f"{what}, stored resources are as they were", changed)


def use_field(cluster, report):
    cluster.must("PATCH", RESOURCE, {"spec": {FIELD: "ours"}}, MERGE)
    stored = cluster.must("GET", RESOURCE)
    report.check("the new version's field can be set", [] if stored["spec"] == {**EVERY_FIELD, FIELD: "ours"} else [json.dumps(stored["spec"])])
    return stored


def check_worked_with(cluster, report):
    """The older operator goes on with a resource that has a field which it does not know, and what is written of it stays whole."""
    changed = cluster.must("PATCH", RESOURCE, {"spec": {"samplingRatio": 0.75}}, MERGE)
    cluster.wait_for(lambda: cluster.must("GET", RESOURCE).get("status", {}).get("observedGeneration") == changed["metadata"]["generation"],
                     "the older operator has taken note of a change")
    now = cluster.must("GET", RESOURCE)["spec"]
    report.check("the older operator loses no field that it does not know", [] if now == {**EVERY_FIELD, FIELD: "ours", "samplingRatio": 0.75} else [json.dumps(now)])


def image(cluster):
    return cluster.must("GET", resilience.DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["image"]


def roll(cluster, report, what, before, after, change):
    """Has `change` replace the operators while Pods are created all the time."""
    with Pods(cluster, f"to-{after.version}".replace(".", "-")) as pods, Replicas(cluster) as replicas:
        pods.more()
        change()
        resilience.wait_available(cluster, "the operators are available")
        # Replicas that are to stop go on answering for a while, and API servers keep their connections that long.
        cluster.wait_for(lambda: after.version in pods.versions, f"a Pod is instrumented by {after.version}")
        pods.more()
    resilience.judge(report, what, pods)
    versions, wanted = collections.Counter(pods.versions), {before.version, after.version}
    changes = sum(one != other for one, other in zip(pods.versions, pods.versions[1:]))
    report.check(f"{what}: each of them is whole, {dict(versions)}, {changes} times another version than the Pod before",
                 pods.halves[:5] + ([] if set(versions) == wanted else [f"of {set(versions)}"]))
    report.check(f"{what}: both versions were ready at once, and at no time none", [] if () not in replicas.seen and tuple(sorted(wanted)) in replicas.seen else [f"{replicas.seen}, {replicas.faults}"])


def upgrade(cluster, report, older, newer):
    """To the newer version; what cannot run is taken back."""
    wanted = f"{MIRROR}:{newer.version}"
    report.check("the older definition lacks the newer one's field", [FIELD] if FIELD in fields(cluster) else [])

    def change():
        asked = len(applied(cluster))
        newer.run("upgrade")
        order = applied(cluster)[asked:]
        first = {resource: order.index(resource) for resource in reversed(order)}
        wrong = [resource for resource in ("deployments", "mutatingwebhookconfigurations", "clusterroles", "roles")
                 if first.get(resource, -1) < first.get("customresourcedefinitions", len(order))]
        report.check("the definition is brought up to date before all else", [f"{resource} of {order}" for resource in wrong])
        report.check("`upgrade` goes to its own version, in the registry of the former", [] if image(cluster) == wanted else [image(cluster)])
        for broken, why in ((ABSENT, "no registry has it"), (DEAD, "it does not start")):
            newer.run("upgrade", "--image", broken, "--timeout", "10s", status=1)
            report.check(f"an operator that cannot run is taken back: {why}", [] if image(cluster) == wanted else [image(cluster)])

    roll(cluster, report, f"{older.version} to {newer.version}, then twice in vain", older, newer, change)
    report.check("the definition is the newer one", [] if FIELD in fields(cluster) else ["it is not"])


def back(cluster, report, older, newer):
    """To the older version again, by its own program; the definition stays."""
    said = []
    roll(cluster, report, f"{newer.version} back to {older.version}", newer, older, lambda: said.append(older.tell("upgrade")))
    report.check("back, the older version runs", [] if image(cluster) == f"{MIRROR}:{older.version}" else [image(cluster)])
    report.check("back, the definition stays, and this is said", [] if FIELD in fields(cluster) and f"unchanged: it is that of {newer.version}" in said[0] else said)


def check_skew(cluster, report, older, newer, at):
    """What each program says of an installation that is `at` a version, with the newer definition."""
    advice = {(older, newer): f"use obtrace-zero {newer.version}", (newer, older): "`obtrace-zero upgrade`"}
    for program in (older, newer):
        def told(program=program):
            said = json.loads(program.run("status", "--json"))["version"]
            return said["operator"] == at.version and said

        said = cluster.wait_for(told, f"the operator of {at.version} leads")
        word = advice.get((program, at))
        wrong = [] if (said["program"], said["definition"]) == (program.version, newer.version) and (word in said["advice"] if word else said["advice"] is None) else [f"{said}"]
        report.check(f"`status` of {program.version} with the operator of {at.version}", wrong)
        checks = json.loads(program.run("doctor", "--json"))["checks"]
        mine = next(it for it in checks if it["name"] == "versions")
        wrong = [f"{it}" for it in checks if it["result"] == "failed"]
        wrong += [] if mine["result"] == ("warning" if word else "ok") and at.version in mine["detail"] and (not word or word in mine["advice"]) else [f"{mine}"]
        report.check(f"`doctor` of {program.version} with the operator of {at.version}", wrong)


def check_mixed(cluster, report, sink, operator, loaders):
    """Pods that the operator of one version has given loaders of the other start, answer and tell of it."""
    names = [f"{language}-{loaders.version}".replace(".", "-") for language in MIXED]
    resource = {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "mixed", "namespace": SHOP}, "spec": {
        "selector": {"matchLabels": {"loaders": loaders.version}}, "images": {"agent": f"{AGENT}:{loaders.version}"}, "samplingRatio": 1}}
    cluster.apply(resource)
    cluster.wait_for(lambda: cluster.must("GET", cluster.path_of(resource)).get("status", {}).get("conditions"), "the resource with the other image has a status")
    documents = []
    for name, language in zip(names, MIXED):
        command = [*workloads.APPLICATIONS[language], str(workloads.PORT), f"http://plain.{SHOP}.svc.cluster.local:{workloads.PORT}/plain"]
        documents += workloads.deployment(name, SHOP, command, image=f"registry.test/{language}:1", environment={"HOST": "0.0.0.0"},
                                          labels={"loaders": loaders.version})
    cluster.apply(*documents)
    applications.wait_available(cluster, SHOP, names)
    wrong = []
    for name, language in zip(names, MIXED):
        pod, = cluster.pods(SHOP, f"app={name}")
        used = next((container["image"] for container in pod["spec"].get("initContainers", []) if container["name"] == INIT), None)
        wrong += [] if used == f"{AGENT}:{loaders.version}" else [f"{name}: {used}"]

        def told(name=name, pod=pod):
            applications.fetch(pod)
            return [span for span in sink.spans("server") if span.resource.get("service.name") == name]

        span = cluster.wait_for(told, f"spans of {name} arrive")[-1]
        seen = [span.resource.get(key) for key in ("telemetry.sdk.language", "telemetry.sdk.version", "k8s.pod.name")]
        wrong += [] if seen == [language, loaders.version, pod["metadata"]["name"]] else [f"{name}: {seen}"]
    report.check(f"Pods with loaders of {loaders.version} from an operator of {operator.version} start, run and send spans", wrong)
    cluster.delete(*documents, resource)
