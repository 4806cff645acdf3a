"""`obtrace-zero install` and what follows it on a control plane: what is made, that nothing more is granted, and that nothing stays.

No node runs here: the operator's Pods are made and never run, so that waiting has to end by saying so.
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile

import yaml

import build
import preview

SYSTEM = "obtrace-system"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:obtrace-zero-operator"
KEY = "a-key-of-a-test"
ENCODED = {"api-key": base64.b64encode(KEY.encode()).decode()}

OPTIONS = {
    "nothing": [],
    "everything": [
        "--ingest-url", "https://ingest.example.com:4318/base", "--api-key-secret", "key/token", "--allow-restarts", "--replicas", "3",
        "--priority-class", "system-cluster-critical", "--image-pull-secret", "pull", "--exclude-namespace", "quiet", "--failure-policy", "fail",
        "--webhook-timeout", "5", "--image", "registry.example/operator:2", "--agent-image", "registry.example/agent:2",
        "--ebpf-image", "registry.example/ebpf:2", "--api-server-port", "443", "--api-server-port", "8443",
        "--image-lookups", "--image-registries", "docker.io,*.example:5000", "--insecure-registry", "registry.example:5000", "--registry-port", "8443",
        "--trace-to", "http://collector.monitoring:4318"],
    "traces by TLS": ["--trace-to", "https://collector.example.com/base"],
    "a key": ["--api-key", KEY],
    "no default": ["--no-default"],
    "cert-manager": ["--certificates", "cert-manager"],
}

# What the operator must not be able to do: verb, group, resource, name, namespace.
FORBIDDEN = [
    ("list", "", "secrets", "", ""), ("get", "", "secrets", "", "shop"), ("get", "", "secrets", "other", SYSTEM), ("list", "", "secrets", "", SYSTEM),
    ("watch", "", "secrets", "", SYSTEM), ("create", "", "secrets", "", "shop"), ("update", "", "secrets", "obtrace-api-key", SYSTEM),
    ("create", "", "pods", "", "shop"), ("delete", "", "pods", "", "shop"), ("patch", "", "pods", "", "shop"), ("create", "", "pods/exec", "", "shop"),
    ("get", "", "nodes/proxy", "", ""), ("list", "", "nodes", "", ""), ("list", "", "configmaps", "", ""), ("patch", "apps", "deployments", "", "shop"),
    ("update", "apps", "deployments", "", "shop"), ("delete", "apps", "deployments", "obtrace-zero-operator", SYSTEM),
    ("patch", "apps", "statefulsets", "", "shop"), ("patch", "apps", "daemonsets", "", "shop"), ("create", "batch", "jobs", "", "shop"),
    ("impersonate", "", "users", "", ""), ("impersonate", "", "serviceaccounts", "", ""),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", ""), ("bind", "rbac.authorization.k8s.io", "clusterroles", "", ""),
    ("create", "rbac.authorization.k8s.io", "rolebindings", "", SYSTEM), ("create", "", "serviceaccounts/token", "obtrace-zero-operator", SYSTEM),
    ("patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "other", ""),
    ("list", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", ""),
    ("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", ""),
    ("delete", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "obtrace-zero", ""),
    ("patch", "obtrace.io", "obtraceinstrumentations", "", "shop"), ("create", "obtrace.io", "obtraceinstrumentations", "", "shop"),
    ("patch", "", "namespaces", "", ""), ("delete", "", "namespaces", "shop", ""),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions", "", ""), ("update", "coordination.k8s.io", "leases", "other", SYSTEM),
    ("update", "coordination.k8s.io", "leases", "obtrace-zero-operator", "kube-system"), ("*", "*", "*", "", ""),
]


class Installer:
    """The program with an administrator's kubeconfig."""

    def __init__(self, program, api):
        self.program, self.kubeconfig = program, api.kubeconfig

    def run(self, command, *flags, code=0, text=None):
        """Standard output and error of a command that has to end so."""
        done = subprocess.run([self.program, command, *flags, "--kubeconfig", self.kubeconfig], capture_output=True, text=True, input=text or "",
                              timeout=300)
        if done.returncode != code:
            raise RuntimeError(f"{command} {' '.join(flags)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout, done.stderr

    def yaml(self, *flags):
        """The objects of `install --output yaml`, which needs no cluster."""
        done = subprocess.run([self.program, "install", "--output", "yaml", *flags], capture_output=True, text=True, timeout=60, check=True)
        return [document for document in yaml.safe_load_all(done.stdout) if document]


def resources(api):
    """What can be listed: the path of each resource, by kind."""
    found = {}
    groups = [f"/apis/{version['groupVersion']}" for group in api.must("GET", "/apis")["groups"] for version in group["versions"]]
    for group in ["/api/v1", *groups]:
        for resource in api.must("GET", group)["resources"]:
            if "list" in resource["verbs"] and "/" not in resource["name"]:
                found[f"{group}/{resource['name']}"] = resource
    return found


def listing(api):
    """Every object of the cluster but events: its path's name and namespace with its version."""
    objects = {}
    for path, resource in resources(api).items():
        if resource["kind"] in ("Event", "ComponentStatus"):
            continue
        status, answer = api.request("GET", path)
        for item in answer.get("items") or [] if status == 200 else []:
            metadata = item["metadata"]
            objects[f"{path} {metadata.get('namespace', '')}/{metadata['name']}"] = metadata.get("resourceVersion")
    return objects


def check_objects(api, report, installer):
    """Every object of every choice is one that the API server accepts, word by word."""
    api.namespace(SYSTEM)
    for what, flags in OPTIONS.items():
        faults = []
        for document in installer.yaml(*flags):
            # Kinds that this API server does not have yet.
            if document["kind"] in ("Issuer", "Certificate", "ObtraceInstrumentation"):
                continue
            path = f"{api.path_of(document)}?fieldManager=test&dryRun=All&fieldValidation=Strict&force=true"
            status, answer = api.request("PATCH", path, document, "application/apply-patch+yaml")
            faults += [] if status in (200, 201) else [f"{preview.full_name(document)}: {status} {answer.get('message')}"]
        report.check(f"the objects of an installation with {what} are accepted", faults)
    api.must("DELETE", f"/api/v1/namespaces/{SYSTEM}")
    api.wait_for(lambda: api.get(f"/api/v1/namespaces/{SYSTEM}") is None, f"{SYSTEM} is gone")


def check_install(api, report, installer):
    """Once, again, and what it says where nothing can run."""
    folder = api.folder
    (folder / "key").write_text(f"{KEY}\n")
    out, _ = installer.run("install", "--dry-run", "--api-key-file", str(folder / "key"))
    report.check("a dry run changes nothing", ["it made the namespace"] if api.get(f"/api/v1/namespaces/{SYSTEM}") else [])
    report.check("a dry run names every object", [] if "Deployment obtrace-system/obtrace-zero-operator created" in out else [out])
    installer.run("install", "--no-wait", "--ingest-url", "https://ingest.example.com", "--api-key-file", str(folder / "key"))
    api.wait_for(lambda: len(api.pods(SYSTEM)) == 2, "the operator's Pods are made")
    # Other than those that controllers report in, the objects keep their versions.
    paths = [api.path_of(it) for it in installer.yaml() if it["kind"] not in ("Deployment", "PodDisruptionBudget", "Namespace")]
    before = [api.must("GET", path)["metadata"]["resourceVersion"] for path in paths]
    _, said = installer.run("install", "--no-wait", "--api-key-file", "-", text=KEY)
    after = [api.must("GET", path)["metadata"]["resourceVersion"] for path in paths]
    changed = [path for path, old, new in zip(paths, before, after) if old != new]
    report.check("an installation again changes nothing", changed + ([said] if "configured" in said or "created" in said else []))
    secret = api.must("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/obtrace-api-key")
    report.check("the key is in the Secret", [] if secret["data"] == ENCODED else [str(secret["data"])])
    report.check("the key is never said", [said] if KEY in said else [])
    _, said = installer.run("install", "--timeout", "5s", code=1)
    expected = "did not become available within 5 s", "is not scheduled: no nodes available"
    report.check("waiting ends with the reason", [] if all(it in said for it in expected) else [said])


def may(api, verb, group, resource, name, namespace):
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name, "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": ACCOUNT, "groups": ["system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}", "system:authenticated"],
        "resourceAttributes": attributes}}
    return api.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def check_rights(api, report, installer):
    """What is granted, word by word, and what must not be."""
    roles = [it for it in installer.yaml() if it["kind"] in ("Role", "ClusterRole")]
    wild = [rule for role in roles for rule in role["rules"] if any("*" in rule.get(it, []) for it in ("apiGroups", "resources", "verbs"))]
    report.check("no right is a wildcard", [str(rule) for rule in wild])
    granted = [(verb, group, resource, name, role["metadata"].get("namespace", ""))
               for role in roles for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]
               for verb in rule["verbs"] for name in rule.get("resourceNames", [""])]
    report.check("the operator has what is granted", [f"not {it}" for it in granted if not may(api, *it)])
    report.check("the operator has nothing else", [f"{it}" for it in FORBIDDEN if may(api, *it)])


def check_allow(api, report, installer):
    """A namespace that is allowed has the key, and the operator may keep that one Secret there."""
    api.namespace("shop")
    name = ("secrets", "obtrace-api-key", "shop")
    report.check("a namespace has to be allowed", ["may patch"] if may(api, "patch", "", *name) else [])
    installer.run("allow", "-n", "shop")
    faults = [verb for verb in ("get", "create", "patch") if not may(api, verb, "", *name)]
    faults += [f"may {verb} another" for verb in ("get", "create", "patch") if may(api, verb, "", "secrets", "other", "shop")]
    report.check("in an allowed namespace the operator keeps the key's Secret alone", faults)
    copy = api.must("GET", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    report.check("the key is copied", [] if copy["data"] == ENCODED else [str(copy)])
    _, said = installer.run("allow", "-n", "nowhere", code=1)
    report.check("a namespace that is not there is not made", [] if "there is no namespace nowhere" in said else [said])
    api.must("DELETE", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    api.must("POST", "/api/v1/namespaces/shop/secrets", {"metadata": {"name": "obtrace-api-key"}, "stringData": {"api-key": "theirs"}})
    _, said = installer.run("allow", "-n", "shop", code=1)
    report.check("a Secret of somebody else is not replaced", [] if "not of Obtrace Zero" in said else [said])
    api.must("DELETE", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    installer.run("allow", "-n", "shop")


def check_mirror(api, report, installer):
    """With the rights of the operator's account and no others, the copies follow the key."""
    secret = f"/api/v1/namespaces/{SYSTEM}/secrets/obtrace-api-key"
    api.must("PATCH", secret, {"stringData": {"api-key": "another"}}, "application/merge-patch+json")
    account = Installer(installer.program, api)
    account.kubeconfig = api.client("operator", f"/O=system:serviceaccounts/CN={ACCOUNT}")
    _, said = account.run("allow")
    copy = api.must("GET", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    key = api.must("GET", secret)
    report.check("the operator's account keeps the copies", [] if copy["data"] == key["data"] and said.startswith("1 ") else [said])
    api.must("DELETE", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    account.run("allow")
    report.check("the operator's account makes a copy that is gone", [] if api.get("/api/v1/namespaces/shop/secrets/obtrace-api-key") else ["it is not there"])
    _, said = account.run("allow")
    report.check("a copy that is right is left alone", [] if said.startswith("0 ") else [said])


def check_questions(api, report, installer):
    """What the commands that only read say of an installation without an operator."""
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "containers": [{"name": "web", "image": "acme/web", "command": ["python3", "app.py"]}]}}}}
    api.must("POST", "/apis/apps/v1/namespaces/shop/deployments", deployment)
    # No webhook answers: it is made without us, and has to be restarted.
    api.wait_for(lambda: api.pods("shop", "app=web"), "the Pod is made")
    rows = [json.loads(line) for line in installer.run("workloads", "-n", "shop", "--json")[0].splitlines()]
    found = [(row["name"], row["language"], row["strategy"], row["state"], row["resource"]) for row in rows]
    report.check("workloads", [] if found == [("web", "python", "sdk", "pending", "obtrace-system/default")] else [str(rows)])
    status = json.loads(installer.run("status", "--json")[0])
    faults = [f"{it} is {status[it]}" for it, key, value in (
        ("operator", "ready", 0), ("certificate", "valid", False), ("webhook", "endpoints", False)) if status[it][key] != value]
    faults += [] if status["totals"]["pending"] >= 1 else [str(status["totals"])]
    report.check("status tells what is and what is not", faults)
    checks = json.loads(installer.run("doctor", "--json", code=1)[0])["checks"]
    verdicts = {check["name"]: check["result"] for check in checks}
    expected = {"kubernetes": "ok", "clock": "ok", "installation": "ok", "operator": "failed", "rights": "ok", "pod security": "ok",
                "certificate": "failed", "webhook": "failed", "resources": "ok", "api key": "ok"}
    faults = [f"{name}: {verdicts.get(name)}" for name, verdict in expected.items() if verdicts.get(name) != verdict]
    faults += [f"{check['name']} has no advice" for check in checks if check["result"] != "ok" and not check.get("advice")]
    report.check("doctor finds what is missing and nothing else", faults)
    out, _ = installer.run("preview", "-f", "-", "--cluster", "-n", "shop", "--output", "patch", text=json.dumps(deployment))
    report.check("preview takes the cluster's resources", [] if "https://ingest.example.com" in out else [out])


def check_upgrade(api, report, installer):
    """Resources are kept, and what cannot run is undone."""
    path = f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default"
    api.must("PATCH", path, {"spec": {"samplingRatio": 0.5}}, "application/merge-patch+json")
    before = api.must("GET", path)
    deployment = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/obtrace-zero-operator"
    former = api.must("GET", deployment)["spec"]
    _, said = installer.run("upgrade", "--image", "registry.example/operator:9", "--timeout", "1s", code=1)
    report.check("an upgrade keeps resources", [] if api.must("GET", path)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"] else ["changed"])
    now = api.must("GET", deployment)["spec"]
    report.check("an upgrade that fails is undone", [] if now == former and "put back" in said else [said, str(now)])
    installer.run("upgrade", "--image", "registry.example/operator:9", "--no-wait")
    now = api.must("GET", deployment)["spec"]["template"]["spec"]["containers"][0]["image"]
    report.check("an upgrade changes the image", [] if now == "registry.example/operator:9" else [now])


def check_uninstall(api, report, installer, before):
    """Nothing stays."""
    out, _ = installer.run("uninstall", "--dry-run")
    report.check("a dry run of uninstall deletes nothing", [] if out.startswith("MutatingWebhookConfiguration obtrace-zero would") and
                 api.get(f"/api/v1/namespaces/{SYSTEM}") else [out])
    # Its Pod says that it is instrumented; no node runs the one that replaces it.
    labels = {"app": "marked", "obtrace.io/instrumented": "true"}
    api.must("POST", "/apis/apps/v1/namespaces/shop/deployments", {"metadata": {"name": "marked"}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "acme/app"}]}}}})
    api.wait_for(lambda: api.pods("shop", "app=marked"), "the Pod of the marked Deployment is made")
    _, said = installer.run("uninstall", "--yes", "--restore", "--timeout", "20s", code=1)
    template = api.must("GET", "/apis/apps/v1/namespaces/shop/deployments/marked")["spec"]["template"]
    faults = [] if "kubectl.kubernetes.io/restartedAt" in template["metadata"].get("annotations", {}) else [str(template)]
    faults += [] if "Deployment shop/marked" in said and "is not scheduled" in said else [said]
    report.check("what was instrumented is restarted, and why one did not come back is said", faults)
    report.check("uninstall waits until nothing is left", ["the namespace is there"] if api.get(f"/api/v1/namespaces/{SYSTEM}") else [])
    api.must("DELETE", "/api/v1/namespaces/shop")
    api.wait_for(lambda: api.get("/api/v1/namespaces/shop") is None, "shop is gone")
    after = listing(api)
    report.check("uninstall leaves nothing", sorted(set(after) - set(before)))
    report.check("uninstall takes nothing else", sorted(set(before) - set(after)))
    _, said = installer.run("uninstall", "--yes")
    report.check("uninstall again has nothing to do", [] if "not installed" in said else [said])


def pod(**changes):
    """A Pod that is instrumented unless it is changed so that it is left alone."""
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {
        "containers": [{"name": "app", "image": "acme/app", "command": ["python3", "app.py"]}]}}
    made["metadata"].update(changes.pop("metadata", {}))
    made["spec"].update(changes)
    return made


PODS = {
    "like any other": pod(),
    "with labels and annotations": pod(metadata={"labels": {"app": "a"}, "annotations": {"team": "b"}}),
    "already injected": pod(metadata={"annotations": {"obtrace.io/injected": "true"}}),
    "said not to be injected": pod(metadata={"annotations": {"obtrace.io/injected": "false"}}),
    "excluded by its label": pod(metadata={"labels": {"obtrace.io/exclude": "true"}}),
    "excluded by its annotation": pod(metadata={"annotations": {"obtrace.io/exclude": "true"}}),
    "not excluded": pod(metadata={"labels": {"obtrace.io/exclude": "false"}, "annotations": {"obtrace.io/exclude": "no"}}),
    "of a file": pod(metadata={"annotations": {"kubernetes.io/config.source": "file"}}),
    "of the API": pod(metadata={"annotations": {"kubernetes.io/config.source": "api"}}),
    "that is a mirror": pod(nodeName="n", metadata={"annotations": {"kubernetes.io/config.mirror": "0123"}}),
    "of a node": pod(metadata={"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"}]}),
    "of a ReplicaSet": pod(metadata={"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "1"}]}),
    "of Windows": pod(os={"name": "windows"}),
    "of Linux": pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
    "for nodes of Windows": pod(nodeSelector={"kubernetes.io/os": "windows"}),
    "on the host's network": pod(hostNetwork=True),
    "of the system on the host's network": pod(hostNetwork=True, priorityClassName="system-node-critical"),
    "of the system": pod(priorityClassName="system-cluster-critical"),
    "our own": pod(metadata={"labels": {"app.kubernetes.io/part-of": "obtrace-zero"}}),
}


def check_conditions(api, report, installer):
    """The API server calls for exactly the Pods that are not left alone as a whole. With the policy Fail and nobody who answers, a Pod that is called for
    is refused."""
    configuration = next(it for it in installer.yaml("--failure-policy", "fail") if it["kind"] == "MutatingWebhookConfiguration")
    configuration["metadata"]["name"] = "trial"
    configuration["webhooks"][0].update(clientConfig={"url": "https://127.0.0.1:1/mutate-pods"}, timeoutSeconds=1)
    api.namespace("conditions")
    api.apply(configuration)

    def is_called(document, namespace="conditions"):
        status, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", document)
        if status != 201 and "failed calling webhook" not in answer.get("message", ""):
            raise RuntimeError(f"the Pod is refused for another reason: {answer}")
        return status != 201

    api.wait_for(lambda: is_called(PODS["like any other"]), "the API server knows the webhook")
    program = preview.Program(installer.program, build.VERSION)
    for what, document in PODS.items():
        is_patched = bool(program.patch([document], "Pod/one", "--namespace", "conditions"))
        called = is_called(document)
        report.check(f"the API server calls for a Pod {what} if it is patched", [] if called == is_patched else [f"called {called}, patched {is_patched}"])
    plain = PODS["like any other"]
    called = [namespace for namespace in ("kube-system", "kube-public") if is_called(plain, namespace)]
    api.must("PATCH", "/api/v1/namespaces/conditions", {"metadata": {"labels": {"obtrace.io/exclude": "true"}}}, "application/merge-patch+json")
    # Its label is seen by a watch.
    api.wait_for(lambda: not is_called(plain), "an excluded namespace is left alone")
    report.check("the API server does not call for namespaces of the system", called)
    api.delete(configuration)
    api.must("DELETE", "/api/v1/namespaces/conditions")
    api.wait_for(lambda: api.get("/api/v1/namespaces/conditions") is None, "conditions is gone")


VALUES = {
    "nothing": {},
    "everything": {
        "ingestUrl": "https://ingest.example.com:4318/base", "apiKey": {"secretName": "key", "secretKey": "token"}, "allowRestarts": True,
        "imageLookups": {"enabled": True, "registries": ["docker.io", "*.example:5000"], "insecureRegistries": ["registry.example:5000"],
                         "ports": [443, 8443, 5000]}, "replicas": 3,
        "priorityClass": "system-cluster-critical", "imagePullSecrets": ["pull"], "excludeNamespaces": ["quiet"], "failurePolicy": "Fail",
        "webhookTimeout": 5, "image": "registry.example/operator:2", "agentImage": "registry.example/agent:2",
        "ebpfImage": "registry.example/ebpf:2", "apiServerPorts": [443, 8443], "traceTo": "http://collector.monitoring:4318"},
    "traces by TLS": {"traceTo": "https://collector.example.com/base"},
    "a key": {"apiKey": {"value": KEY}},
    "no default": {"defaultInstrumentation": False},
    "cert-manager": {"certificates": "cert-manager"},
}


def by_name(documents):
    return {f"{preview.full_name(it)} {it['metadata'].get('namespace', '')}": it for it in documents if it}


def different(wanted, got):
    """Which objects are not the same, or not there."""
    wanted, got = by_name(wanted), by_name(got)
    return [f"{name}: {json.dumps(got.get(name))} instead of {json.dumps(wanted.get(name))}"
            for name in sorted({*wanted, *got}) if wanted.get(name) != got.get(name)]


def check_deploy(report, installer, folder):
    """The chart and the base that are checked in are those of the program, and make what it installs."""
    clients = build.clients()
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([installer.program, "deploy", made], check=True, capture_output=True, timeout=60)
        files = {path.relative_to(made): path.read_text() for path in sorted(pathlib.Path(made).rglob("*")) if path.is_file()}
    kept = {path.relative_to(folder): path.read_text() for part in ("helm", "kustomize") for path in sorted((folder / part).rglob("*")) if path.is_file()}
    wrong = [str(path) for path in {*files, *kept} if files.get(path) != kept.get(path)]
    report.check("deploy/ is what `obtrace-zero deploy deploy` writes", wrong)
    for what, values in VALUES.items():
        values = {**values, "namespace": {"create": True}}
        command = [clients["helm"], "template", "obtrace-zero", folder / "helm/obtrace-zero", "--include-crds", "--values", "-"]
        done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=60, check=True)
        report.check(f"the chart with {what} is what is installed", different(installer.yaml(*OPTIONS[what]), yaml.safe_load_all(done.stdout)))
    done = subprocess.run(command, input=json.dumps({"traceTo": "collector:4318"}), capture_output=True, text=True, timeout=60)
    report.check("the chart refuses a receiver of traces that is no URL", [] if done.returncode and "traceTo must begin with" in done.stderr else [done.stderr])
    done = subprocess.run([clients["kubectl"], "kustomize", folder / "kustomize"], capture_output=True, text=True, timeout=60, check=True)
    report.check("the base of kustomize is what is installed", different(installer.yaml(), yaml.safe_load_all(done.stdout)))


def check_plugin(report, installer):
    """As `kubectl obtrace`."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(pathlib.Path(installer.program).resolve(), pathlib.Path(folder, "kubectl-obtrace"))
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "KUBECONFIG": str(installer.kubeconfig)}
        command = [build.clients()["kubectl"], "obtrace", "workloads", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        report.check("kubectl obtrace", [] if done.returncode == 0 and '"name":"web"' in done.stdout else [done.stderr])


def check(api, report, program, folder):
    """`api` has controllers and nothing of ours; `folder` is `deploy`."""
    installer = Installer(program, api)
    check_deploy(report, installer, folder)
    check_objects(api, report, installer)
    check_conditions(api, report, installer)
    before = listing(api)
    check_install(api, report, installer)
    check_rights(api, report, installer)
    check_allow(api, report, installer)
    check_mirror(api, report, installer)
    check_questions(api, report, installer)
    check_plugin(report, installer)
    check_upgrade(api, report, installer)
    check_uninstall(api, report, installer, before)
