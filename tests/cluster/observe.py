"""What a test compares: all objects of a cluster, the requests of a user against its rights, and Pods that are created all the time."""

import contextlib
import http.client
import threading
import time

# Made and changed by the cluster itself while nobody asks for it.
PASSING = {("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases"), ("discovery.k8s.io", "endpointslices"), ("", "endpoints"),
           ("", "componentstatuses"), ("authorization.k8s.io", "subjectaccessreviews")}


def resources(cluster):
    """(group, version, resource) of all that can be listed, in the version that the API server prefers."""
    versions = [("", "v1", "/api/v1")]
    for group in cluster.must("GET", "/apis")["groups"]:
        preferred = group["preferredVersion"]
        versions.append((group["name"], preferred["version"], f"/apis/{preferred['groupVersion']}"))
    for group, version, root in versions:
        for resource in cluster.must("GET", root)["resources"]:
            if "/" not in resource["name"] and "list" in resource["verbs"]:
                yield group, root, resource["name"]


def inventory(cluster, without=()):
    """Every object there is, `GROUP/RESOURCE NAMESPACE/NAME`, but what comes and goes by itself and what is in the namespaces `without`."""
    found = set()
    for group, root, resource in resources(cluster):
        if (group, resource) in PASSING:
            continue
        for item in cluster.must("GET", f"{root}/{resource}")["items"]:
            metadata = item["metadata"]
            namespace = metadata.get("namespace", "")
            if namespace not in without and not (resource == "namespaces" and metadata["name"] in without):
                found.add(f"{group}/{resource} {namespace}/{metadata['name']}")
    return found


def used(cluster, user):
    """What a user has asked for and was granted: (group, resource, verb, namespace), from the audit log."""
    return {(request["group"], "/".join(filter(None, (request["resource"], request["subresource"]))), request["verb"], request["namespace"])
            for request in cluster.audited(user=user) if request["resource"] and request["code"] != 403}


def refused(cluster, user):
    """What a user has asked for and may not have."""
    return [request for request in cluster.audited(user=user, code=403)]


def granted(cluster, user):
    """What a service account's Roles and ClusterRoles let it do: (group, resource, verb, namespace), the namespace empty for all of them."""
    return {(group, resource, verb, place) for place, rule in rules(cluster, user)
            for group in rule.get("apiGroups", []) for resource in rule.get("resources", []) for verb in rule["verbs"]}


def rules(cluster, user, role=None):
    """The rules of a service account's Roles and ClusterRoles, or of those of one name, each with the namespace that it is for, which is empty for all of
    them."""
    _, _, namespace, name = user.split(":")
    root = "/apis/rbac.authorization.k8s.io/v1"
    for binding in [*cluster.must("GET", f"{root}/clusterrolebindings")["items"], *cluster.must("GET", f"{root}/rolebindings")["items"]]:
        subjects = [(subject["kind"], subject.get("namespace"), subject["name"]) for subject in binding.get("subjects", [])]
        if ("ServiceAccount", namespace, name) not in subjects or role not in (None, binding["roleRef"]["name"]):
            continue
        place, of = binding["metadata"].get("namespace", ""), binding["roleRef"]
        path = f"{root}/clusterroles/{of['name']}" if of["kind"] == "ClusterRole" else f"{root}/namespaces/{place}/roles/{of['name']}"
        for rule in cluster.must("GET", path).get("rules") or []:
            yield place, rule


class Creations:
    """Bare Pods that are created all the time and never get a node, while something else is done to the cluster. `faults` are the times and reasons
    of those that were refused, `plain` the times and names of those that did not get the init container `wanted`; `good` are the others. Times are those of
    the request and of the answer."""

    def __init__(self, cluster, namespace, a_second=50, threads=4, labels=None, name="created", wanted=None):
        self.cluster, self.namespace, self.pause, self.labels = cluster, namespace, threads / a_second, labels or {}
        self.name, self.wanted, self.plain = name, wanted, []
        self.threads = [threading.Thread(target=self.create, args=(number,), daemon=True) for number in range(threads)]
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.created, self.faults, self.good = 0, [], []

    def create(self, number):
        count, due = 0, time.monotonic()
        while not self.stopping.wait(max(0, due - time.monotonic())):
            due, count = due + self.pause, count + 1
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{self.name}-{number}-{count}", "labels": {"created": "yes", **self.labels}}, "spec": {
                "schedulingGates": [{"name": "test.obtrace.io/never"}], "containers": [{"name": "app", "image": "registry.test/nodejs:1", "command": ["node", "app.js"]}]}}
            began = time.monotonic()
            try:
                status, answer = self.cluster.request("POST", f"/api/v1/namespaces/{self.namespace}/pods", pod)
                fault = None if status == 201 else f"{status} {answer}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                fault = str(error)
            with self.lock:
                self.created += fault is None
                times = (began, time.monotonic())
                if fault:
                    self.faults.append((*times, fault))
                    continue
                if self.wanted and self.wanted not in [container["name"] for container in answer["spec"].get("initContainers", [])]:
                    self.plain.append((*times, answer["metadata"]["name"]))
                else:
                    self.good.append(times)
                self.look(answer)

    def look(self, pod):
        """Looks at one that was created; not at two at once."""

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def more(self, count=50):
        """Waits until so many others were made."""
        enough = self.created + count
        self.cluster.wait_for(lambda: self.created >= enough, f"{count} more Pods are made")


@contextlib.contextmanager
def namespace(cluster, name, level=None, labels=None):
    """A namespace for as long as the block runs; afterwards it is gone with all that is in it."""
    cluster.namespace(name, level, labels)
    try:
        yield name
    finally:
        cluster.must("DELETE", f"/api/v1/namespaces/{name}")
        cluster.wait_for(lambda: cluster.get(f"/api/v1/namespaces/{name}") is None, f"the namespace {name} is gone")
