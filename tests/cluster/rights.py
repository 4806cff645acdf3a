"""What a service account may do, and what it has done: on a cluster where it did all that it is for, both are the same."""

import collections
import contextlib

import observe

Right = collections.namedtuple("Right", "group resource verb name namespace")
# Without the name of one object, these could be for any.
NAMED = ("get", "update", "patch", "delete")


OTHER = "jobs"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "rollouts.argoproj.io"}, "spec": {
        "group": "argoproj.io", "scope": "Namespaced", "names": {"plural": "rollouts", "singular": "rollout", "kind": "Rollout", "listKind": "RolloutList"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


@contextlib.contextmanager
def rollouts(cluster):
    """The definition of Argo's Rollouts for as long as the block runs."""
    cluster.apply(DEFINITION)
    cluster.wait_for(lambda: cluster.request("GET", "/apis/argoproj.io/v1alpha1/rollouts")[0] == 200, "Rollouts can be listed")
    try:
        yield
    finally:
        cluster.delete(DEFINITION)
        cluster.wait_for(lambda: cluster.get(cluster.path_of(DEFINITION)) is None, "the definition of Rollouts is gone")


def copy_of_key(namespace):
    return f"/api/v1/namespaces/{namespace}/secrets/obtrace-api-key"


def exercise(cluster, allowed):
    """Has the operator do what nothing else here needs: a resource of one namespace's own, Pods of Jobs, and a copy of the API key that is missing where
    it is `allowed`."""
    # The next leader looks at once.
    cluster.must("DELETE", copy_of_key(allowed))
    cluster.namespace(OTHER)
    cluster.apply({"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "own", "namespace": OTHER}, "spec": {
        "ingestUrl": "https://ingest.example.com", "selector": {"matchLabels": {"app": "nobody"}}}})
    jobs = ("first", "second")
    template = {"spec": {"restartPolicy": "Never", "schedulingGates": [{"name": "test.obtrace.io/never"}],
                         "containers": [{"name": "app", "image": "registry.test/nodejs:1", "command": ["node", "app.js"]}]}}
    for name in jobs:
        cluster.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": OTHER}, "spec": {"template": template}})
    events = f"/apis/events.k8s.io/v1/namespaces/{OTHER}/events?fieldSelector=reason%3DInjected"
    cluster.wait_for(lambda: set(jobs) <= {event["regarding"].get("name") for event in cluster.must("GET", events)["items"]}, "Jobs have Events")
    own = f"/apis/obtrace.io/v1alpha1/namespaces/{OTHER}/obtraceinstrumentations/own"
    cluster.wait_for(lambda: cluster.must("GET", own).get("status", {}).get("conditions"), "the namespace's own resource has a status")
    # It is gone by the time that anybody asks.
    cluster.must("DELETE", f"/api/v1/namespaces/{OTHER}")


def granted(cluster, user, role=None):
    """Each right, of one object or with an empty name, in one namespace or with an empty one; of one role only, if that is named."""
    return {Right(group, resource, verb, name, place) for place, rule in observe.rules(cluster, user, role)
            for group in rule.get("apiGroups", []) for resource in rule.get("resources", []) for verb in rule["verbs"] for name in rule.get("resourceNames") or [""]}


def requests(cluster, user):
    """What it was answered, as rights for exactly that. An apply that makes an object needs the right to create it, too."""
    for request in cluster.audited(user=user):
        if not request["resource"] or request["code"] in (401, 403):
            continue
        resource = "/".join(filter(None, (request["resource"], request["subresource"])))
        verbs = [request["verb"]] + (["create"] if (request["verb"], request["code"]) == ("patch", 201) else [])
        for verb in verbs:
            yield Right(request["group"], resource, verb, request["name"], request["namespace"])


def uses(right, asked):
    """What was asked for by this right."""
    return {one for one in asked if one[:3] == right[:3] and right.name in ("", one.name) and right.namespace in ("", one.namespace)}


def unused(cluster, user, role):
    """What a role grants and nobody has used; that there is no such role."""
    rights, asked = granted(cluster, user, role), set(requests(cluster, user))
    return [told(right) for right in sorted(rights) if not uses(right, asked)] if rights else [f"{user} has no role {role}"]


def told(right):
    where = f" in {right.namespace}" if right.namespace else ""
    return f"{right.verb} {right.group}/{right.resource} {right.name}{where}"


def check(cluster, report, user, home):
    """`home` is the account's own namespace."""
    refused = {f"{request['verb']} {request['resource']} in {request['namespace'] or 'the cluster'}" for request in observe.refused(cluster, user)}
    report.check("the operator is refused nothing that it asks for", sorted(refused))
    rights, asked = granted(cluster, user), set(requests(cluster, user))
    wide = [right for right in rights if "*" in right[:4] or (right.resource == "secrets" and not right.namespace)]
    report.check("no right of it is for everything, and none for all Secrets", [told(right) for right in wide])
    idle, could = [], []
    for right in sorted(rights):
        used = uses(right, asked)
        if not used:
            idle.append(told(right))
        elif not right.namespace and {one.namespace for one in used} == {home}:
            could.append(f"{told(right)}: used in {home} only")
        elif not right.name and right.verb in NAMED and len({one.name for one in used}) == 1:
            could.append(f"{told(right)}: used for {next(iter(used)).name} only")
    report.check(f"each of its {len(rights)} rights was used", idle)
    report.check("none of them could be for less", could)
    cluster.wait_for(lambda: cluster.get(f"/api/v1/namespaces/{OTHER}") is None, f"the namespace {OTHER} is gone")
