"""The golden Pods of obtrace-patch: the API server has to accept each before and after its patch.

Each is created, dry, in a namespace with the level of Pod Security that its settings name, and if its plan needs no capabilities also in one
that enforces `restricted`, the user's own containers hardened as that asks for. Where the Pod as it was is accepted, the patched one has to be as
well: a patch must never be why a Pod is refused.
"""

import json

# Where the Pod is in what makes Pods.
TEMPLATES = {"CronJob": ("spec", "jobTemplate", "spec", "template"), "Pod": ()}
OURS = ("obtrace-agent-init", "obtrace-ebpf")
LEVELS = (None, "baseline", "restricted")


def pod_of(document):
    """The Pod of a manifest: of its own, or as its controller would make it."""
    kind = document.get("kind", "Pod")
    for name in TEMPLATES.get(kind, ("spec", "template")):
        document = document[name]
    return document


def creatable(pod, namespace):
    """The Pod as it is created: without what only the API server may set."""
    pod = json.loads(json.dumps(pod))
    pod.update(apiVersion="v1", kind="Pod")
    metadata = pod.setdefault("metadata", {}) or {}
    pod["metadata"] = metadata
    metadata["namespace"] = namespace
    if not metadata.get("name") and not metadata.get("generateName"):
        metadata["generateName"] = "golden-"
    return pod


def hardened(pod):
    """The Pod with its own containers as `restricted` wants them; what we add stays as it is."""
    pod = json.loads(json.dumps(pod))
    spec = pod["spec"]
    for container in (spec.get("containers") or []) + (spec.get("initContainers") or []):
        if container["name"] not in OURS:
            container["securityContext"] = {
                "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"}}
    return pod


def namespace_of(level):
    return f"golden-{level or 'open'}"


def refusal(api, pod, namespace):
    """What the server says against the Pod; nothing if it accepts it."""
    status, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", creatable(pod, namespace))
    return None if status == 201 else f"{status} {answer.get('message', answer)}"


def check(api, report, folder):
    for level in LEVELS:
        api.namespace(namespace_of(level), level)
    accepted = {level: 0 for level in LEVELS}
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        before, after, settings = (json.loads((case / f"{name}.json").read_text()) for name in ("before", "after", "settings"))
        level = settings.get("pod_security")
        level = None if level == "privileged" else level
        # Where a Pod may run although its settings name no level, its patch must not take that away.
        for asked in {level, "restricted"} if not adds_capabilities(after) else {level}:
            namespace = namespace_of(asked)
            old, new = pod_of(before), pod_of(after)
            if asked == "restricted":
                old, new = hardened(old), hardened(new)
            if refusal(api, old, namespace):
                continue
            accepted[asked] += 1
            against = refusal(api, new, namespace)
            report.check(f"golden {case.name} in a namespace {asked or 'without a level'}", [against] if against else [])
    # A rig that creates nothing would find no fault.
    for level, least in ((None, 80), ("restricted", 60)):
        count = accepted[level]
        report.check(f"golden Pods that a namespace {level or 'without a level'} accepts", [] if count >= least else [f"only {count}"])


def adds_capabilities(document):
    spec = pod_of(document)["spec"]
    containers = (spec.get("containers") or []) + (spec.get("initContainers") or [])
    return any(container.get("name") == "obtrace-ebpf" for container in containers)
