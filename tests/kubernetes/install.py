"""`obtrace-zero install` and `uninstall` on the API server: what is made, that nothing more is granted, and that nothing stays.

No node runs here and no controller: the operator's Pods are never made, so that waiting has to end by saying so; namespaces are brought to their end by
this test as their controller would.
"""

import json
import pathlib
import subprocess
import threading

import yaml

SYSTEM = "obtrace-system"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:obtrace-zero-operator"
SSA = "application/apply-patch+yaml"
KEY = "a-key-of-a-test"

OPTIONS = {
    "nothing": [],
    "everything": [
        "--ingest-url", "https://ingest.example.com:4318/base", "--api-key-secret", "key/token", "--allow-restarts", "--replicas", "3",
        "--priority-class", "system-cluster-critical", "--image-pull-secret", "pull", "--exclude-namespace", "quiet", "--failure-policy", "fail",
        "--webhook-timeout", "5", "--image", "registry.example/operator:2", "--agent-image", "registry.example/agent:2",
        "--ebpf-image", "registry.example/ebpf:2", "--api-server-port", "443", "--api-server-port", "8443"],
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
        self.program, self.api = program, api
        self.kubeconfig = pathlib.Path(api.folder, "kubeconfig")
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://127.0.0.1:{api.port}", "certificate-authority": str(api.folder / "ca.crt")}}],
            "users": [{"name": "admin", "user": {"client-certificate": str(api.folder / "admin.crt"), "client-key": str(api.folder / "admin.key")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}))

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
        if resource["kind"] in ("Event", "Lease", "APIService", "ComponentStatus"):
            # Leases of the API server itself change by the second; ours is looked for by name.
            continue
        status, answer = api.request("GET", path)
        for item in answer.get("items") or [] if status == 200 else []:
            metadata = item["metadata"]
            objects[f"{path} {metadata.get('namespace', '')}/{metadata['name']}"] = metadata.get("resourceVersion")
    return objects


def path_of(api, document):
    version = document["apiVersion"]
    group = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    name = next(it["name"] for it in api.must("GET", group)["resources"] if it["kind"] == document["kind"] and "/" not in it["name"])
    namespace = document["metadata"].get("namespace")
    return f"{group}/namespaces/{namespace}/{name}" if namespace else f"{group}/{name}"


def check_dry(api, report, installer):
    """Every object of every choice is one that the API server accepts."""
    api.namespace(SYSTEM)
    for what, flags in OPTIONS.items():
        faults = []
        for document in installer.yaml(*flags):
            if document["kind"] in ("Issuer", "Certificate", "ObtraceInstrumentation"):
                continue
            name = document["metadata"]["name"]
            path = f"{path_of(api, document)}/{name}?fieldManager=test&dryRun=All&fieldValidation=Strict&force=true"
            status, answer = api.request("PATCH", path, document, SSA)
            faults += [] if status in (200, 201) else [f"{document['kind']} {name}: {status} {answer.get('message')}"]
        report.check(f"the objects of an installation with {what} are accepted", faults)
    finish(api, SYSTEM)


def finish(api, name):
    """Deletes a namespace as its controller does."""
    api.request("DELETE", f"/api/v1/namespaces/{name}")
    status, namespace = api.request("GET", f"/api/v1/namespaces/{name}")
    if status == 200:
        namespace["spec"]["finalizers"] = []
        api.request("PUT", f"/api/v1/namespaces/{name}/finalize", namespace)


def check_install(api, report, installer):
    """Once, again, and what it says where nothing can run."""
    folder = pathlib.Path(api.folder)
    (folder / "key").write_text(f"{KEY}\n")
    out, _ = installer.run("install", "--dry-run", "--api-key-file", str(folder / "key"))
    report.check("a dry run changes nothing", [] if api.request("GET", f"/api/v1/namespaces/{SYSTEM}")[0] == 404 else ["it made the namespace"])
    report.check("a dry run names every object", [] if "Deployment obtrace-system/obtrace-zero-operator created" in out else [out])
    installer.run("install", "--no-wait", "--ingest-url", "https://ingest.example.com", "--api-key-file", str(folder / "key"))
    before = listing(api)
    _, said = installer.run("install", "--no-wait", "--api-key-file", "-", text=KEY)
    after = listing(api)
    changed = [name for name in after if before.get(name) != after[name]]
    report.check("an installation again changes nothing", changed + ([] if "configured" not in said and "created" not in said else [said]))
    secret = api.must("GET", f"/api/v1/namespaces/{SYSTEM}/secrets/obtrace-api-key")
    report.check("the key is in the Secret", [] if secret["data"] == {"api-key": "YS1rZXktb2YtYS10ZXN0"} else [str(secret["data"])])
    report.check("the key is never said", [said] if KEY in said else [])
    _, said = installer.run("install", "--timeout", "2s", code=1)
    expected = "did not become available within 2 s", "controller manager"
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
    report.check("the key is copied", [] if copy["data"] == {"api-key": "YS1rZXktb2YtYS10ZXN0"} else [str(copy)])
    _, said = installer.run("allow", "-n", "nowhere", code=1)
    report.check("a namespace that is not there is not made", [] if "there is no namespace nowhere" in said else [said])
    api.must("DELETE", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    api.must("POST", "/api/v1/namespaces/shop/secrets", {"metadata": {"name": "obtrace-api-key"}, "stringData": {"api-key": "theirs"}})
    _, said = installer.run("allow", "-n", "shop", code=1)
    report.check("a Secret of somebody else is not replaced", [] if "not of Obtrace Zero" in said else [said])
    api.must("DELETE", "/api/v1/namespaces/shop/secrets/obtrace-api-key")
    installer.run("allow", "-n", "shop")


def check_questions(api, report, installer):
    """What the commands that only read say of an installation without an operator."""
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "containers": [{"name": "web", "image": "acme/web", "command": ["python3", "app.py"]}]}}}}
    api.must("POST", "/apis/apps/v1/namespaces/shop/deployments", deployment)
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
    api.request("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web")
    out, _ = installer.run("uninstall", "--dry-run")
    report.check("a dry run of uninstall deletes nothing", [] if out.startswith("MutatingWebhookConfiguration obtrace-zero would") and
                 api.request("GET", f"/api/v1/namespaces/{SYSTEM}")[0] == 200 else [out])
    stop = threading.Event()

    def controller():
        # A connection of its own: the other one is in use.
        own = type(api)(api.folder, api.port)
        while not stop.wait(0.2):
            status, namespace = own.request("GET", f"/api/v1/namespaces/{SYSTEM}")
            if status == 200 and namespace["metadata"].get("deletionTimestamp"):
                finish(own, SYSTEM)

    thread = threading.Thread(target=controller)
    thread.start()
    try:
        installer.run("uninstall", "--yes")
    finally:
        stop.set()
        thread.join()
    finish(api, "shop")
    after = listing(api)
    report.check("uninstall leaves nothing", sorted(set(after) - set(before)))
    report.check("uninstall takes nothing else", sorted(set(before) - set(after)))
    _, said = installer.run("uninstall", "--yes")
    report.check("uninstall again has nothing to do", [] if "not installed" in said else [said])


def check(api, report, program):
    installer = Installer(program, api)
    check_dry(api, report, installer)
    before = listing(api)
    check_install(api, report, installer)
    check_rights(api, report, installer)
    check_allow(api, report, installer)
    check_questions(api, report, installer)
    check_upgrade(api, report, installer)
    check_uninstall(api, report, installer, before)
