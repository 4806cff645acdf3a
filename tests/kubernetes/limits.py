"""Namespaces that bound what Pods may be: Pod Security, ResourceQuotas and LimitRanges. Whoever is admitted without the webhook is admitted with it.

The operator runs as a process beside the API server, with the account and the rights that `install` gives it, under failurePolicy Fail. Each
case has two namespaces with the same bounds, of which the webhook is called for one: what just fits is created in both, what does not is
refused in both.
"""

import contextlib
import http.client
import subprocess

import cluster
import install

# The API server finds the webhook by the name of its Service, which is another of this machine.
FLAGS = ("--enable-aggregator-routing=false",)
PATIENCE_SECONDS = 120
RESOURCES = "/apis/obtrace.io/v1alpha1/obtraceinstrumentations"
INIT, SIDECAR = "obtrace-agent-init", "obtrace-ebpf"
GATES = [{"name": "test.obtrace.io/never"}]
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
# What has a loader, and what has the agent that observes from the kernel.
PROGRAMS = {"node": ("node:22", None), "go": ("golang:1.23", ["go", "run", "."])}


class Operator:
    """The operator, as `install` sets it up but for where it runs."""

    def __init__(self, api, program):
        self.api, self.program = api, program
        self.webhook, self.health, self.metrics = (cluster.free_port() for _ in range(3))

    def install(self):
        for document in install.Installer(self.program, self.api).yaml("--failure-policy", "fail"):
            if document["kind"] == "Deployment":
                continue
            if document["kind"] == "Service":
                # A Service cannot lead to loopback, but be another name of it.
                document["spec"] = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self.webhook}]}
            if document["kind"] == "MutatingWebhookConfiguration":
                document["webhooks"][0]["clientConfig"]["service"]["port"] = self.webhook
            if document["kind"] == "ObtraceInstrumentation":
                self.api.wait_for(lambda: self.api.request("GET", RESOURCES)[0] == 200, "the definition is in use")
            self.api.apply(document)

    def start(self, *flags, **environment):
        config = self.api.client("operator", f"/CN={install.ACCOUNT}")
        process = self.api.processes.start(
            "operator", self.program, "operator", f"--webhook-address=127.0.0.1:{self.webhook}", f"--health-address=127.0.0.1:{self.health}",
            f"--metrics-address=127.0.0.1:{self.metrics}", *flags, KUBECONFIG=str(config), **environment)
        self.api.wait_for(lambda: self.page(self.health, "/readyz"), "the operator is ready")
        return process

    def page(self, port, path):
        """What a page says; nothing unless its status is 200."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == 200 else ""

    def end(self):
        process = self.api.processes.running.pop("operator", None)
        if process:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            process.kill()


def resources(cpu=None, memory=None, times=1, **requests):
    """Requests of millicores and MiB, and limits that are so many times as much."""
    amounts = {"cpu": (cpu, "m"), "memory": (memory, "Mi")}
    asked = {name: f"{amount}{unit}" for name, (amount, unit) in amounts.items() if amount}
    limits = {name: f"{amount * times}{unit}" for name, (amount, unit) in amounts.items() if amount}
    return {"requests": {**asked, **requests}, "limits": limits} if asked or requests else {}


def pod(program, held=None, others=(), whole=None, **context):
    """A Pod of one container with these resources, and one more for each of `others`; the Pod's as a whole are `whole`."""
    image, command = PROGRAMS[program]
    main = {"name": "main", "image": image, "resources": held or {}, "securityContext": {**RESTRICTED, **context}, **({"command": command} if command else {})}
    rest = [{**main, "name": f"other-{number}", "resources": resources} for number, resources in enumerate(others)]
    spec = {"schedulingGates": GATES, "containers": [main, *rest], **({"resources": whole} if whole else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": program}, "spec": spec}


def quota(hard, scopes=None):
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "bounds"}, "spec": {"hard": hard, **({"scopes": scopes} if scopes else {})}}


def limits(kind, **limit):
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": [{"type": kind, **limit}]}}


def both(*arguments, **named):
    return [pod(program, *arguments, **named) for program in PROGRAMS]


SMALL, SMALL_AMOUNTS = resources(100, 128), {"cpu": "100m", "memory": "128Mi"}
LARGE = pod("node", resources(4000, 4096))
# The environment shows whether the webhook answers by it.
OWN = {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "own"}, "spec": {"environment": "own", "resources": {
    "init": resources(2000, 2048), "sidecar": resources(2000, 2048)}}}
# What bounds a namespace, its level of Pod Security, the Pods that just fit, whether one in Go has the sidecar all the same, and a Pod too many.
CASES = {
    "Pod Security baseline": ([], "baseline", both(), False, pod("node", privileged=True, allowPrivilegeEscalation=True)),
    "Pod Security restricted": ([], "restricted", both(), False, pod("node", runAsNonRoot=False)),
    "a quota of resources": (
        [quota({"requests.cpu": "200m", "requests.memory": "256Mi", "limits.cpu": "400m", "limits.memory": "512Mi", "pods": "2"})], None,
        both(resources(100, 128, 2)), False, LARGE),
    "a quota of storage": (
        [quota({"requests.ephemeral-storage": "2Gi"})], None, both(resources(**{"ephemeral-storage": "1Gi"})), False,
        pod("node", resources(**{"ephemeral-storage": "9Gi"}))),
    "a quota of Pods that are not BestEffort": ([quota({"pods": "0"}, ["NotBestEffort"])], None, both(), False, LARGE),
    "a quota of objects": ([quota({"pods": "2", "count/configmaps": "5", "requests.storage": "1Gi"})], None, both(SMALL), True, None),
    "one size of container": ([limits("Container", min=SMALL_AMOUNTS, max=SMALL_AMOUNTS)], None, both(SMALL), False, LARGE),
    "sizes that a range gives": (
        [limits("Container", default=SMALL_AMOUNTS, defaultRequest=SMALL_AMOUNTS, max=SMALL_AMOUNTS), {
            **quota({"limits.cpu": "200m", "limits.memory": "256Mi"}), "metadata": {"name": "more"}}], None, both(), False, LARGE),
    "the largest Pod": ([limits("Pod", max=SMALL_AMOUNTS)], None, both(resources(60, 64), [resources(40, 64)]), False, LARGE),
    "a ratio of limit to request": (
        [limits("Container", maxLimitRequestRatio={"cpu": "2", "memory": "2"})], None, both(resources(100, 128, 2)), False, pod("node", resources(100, 128, 3))),
    "a quota of Pods by class, with resources of ours that are set": ([quota({"pods": "0"}, ["NotBestEffort"]), OWN], None, both(), False, LARGE),
    "a quota of Pods that are BestEffort": ([quota({"pods": "2"}, ["BestEffort"]), OWN], None, both(), False, None),
    "a quota of Pods that do not end": (
        [quota({"pods": "2", "requests.cpu": "200m"}, ["NotTerminating"]), OWN], None, both(SMALL), False, LARGE),
    "a quota of huge pages and devices": (
        [quota({"hugepages-2Mi": "2Mi", "requests.hugepages-1Gi": "1Gi", "requests.nvidia.com/gpu": "2", "pods": "2"})], None, both(SMALL), False, None),
    "resources of ours that are set": ([limits("Container", max=SMALL_AMOUNTS), OWN], None, both(SMALL), False, LARGE),
    "Pods with resources as a whole": ([], None, both(SMALL, whole=SMALL), False, pod("node", SMALL, whole=resources(10, 16))),
    "Pods with resources as a whole, and resources of ours that are set": (
        [OWN], None, both(SMALL, whole=SMALL), False, pod("node", SMALL, whole=resources(10, 16))),
    "Pods with limits as a whole": ([OWN], None, both(whole={"limits": resources(100, 128)["limits"]}), False, pod("node", SMALL, whole=resources(10, 16))),
}


def names(made):
    return {container["name"] for container in [*made["spec"].get("initContainers", []), *made["spec"]["containers"]]}


def added(made):
    return names(made) & {INIT, SIDECAR}


def environment(made):
    """The environment that Pods are told."""
    variables = [variable for container in made["spec"]["containers"] for variable in container.get("env", [])]
    return next((it.get("value") for it in variables if it["name"] == "OBTRACE_ENVIRONMENT"), None)


class Case:
    def __init__(self, api, number, bounds, level):
        self.is_own = OWN in bounds
        self.api, self.namespaces = api, [f"bounds-{number}", f"bounds-{number}-alone"]
        for namespace, labels in zip(self.namespaces, ({}, {"obtrace.io/exclude": "true"}), strict=True):
            api.namespace(namespace, level, labels)
            api.apply(*({**document, "metadata": {**document["metadata"], "namespace": namespace}} for document in bounds))

    def create(self, namespace, document, dry=False):
        return self.api.request("POST", f"/api/v1/namespaces/{namespace}/pods{'?dryRun=All' if dry else ''}", document)

    def settle(self, fitting, wanted, excess):
        """Waits until who decides knows the bounds: quotas, ranges and what the webhook answers from are seen by watches."""
        def is_settled(document):
            status, answer = self.create(self.namespaces[0], document, dry=True)
            if status == 201 and self.is_own and document["metadata"]["name"] == "node" and environment(answer) != "own":
                return False
            return status == 201 and added(answer) == wanted[document["metadata"]["name"]]

        for namespace in self.namespaces:
            if excess:
                self.api.wait_for(lambda namespace=namespace: self.create(namespace, excess, dry=True)[0] != 201, f"bounds of {namespace}", PATIENCE_SECONDS)
            quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
            self.api.wait_for(lambda quotas=quotas: all(item.get("status", {}).get("hard") for item in self.api.must("GET", quotas)["items"]), "quotas are known")
        for document in fitting:
            what = f"a Pod of {document['metadata']['name']} is admitted to {self.namespaces[0]} with what it should have"
            self.api.wait_for(lambda document=document: is_settled(document), what, PATIENCE_SECONDS)

    def check(self, fitting, wanted, excess):
        faults = []
        with_us, alone = self.namespaces
        for document in fitting:
            name = document["metadata"]["name"]
            status, answer = self.create(alone, document)
            if status != 201 or added(answer):
                raise RuntimeError(f"{name} does not fit, or the webhook was called: {answer}")
            quality = answer["status"].get("qosClass")
            status, answer = self.create(with_us, document)
            if status != 201:
                faults.append(f"{name}: {answer.get('message', answer)}")
            elif answer["status"].get("qosClass") != quality:
                faults.append(f"{name} is {answer['status'].get('qosClass')}, and {quality} without us")
            elif added(answer) != wanted[name]:
                faults.append(f"{name} has {added(answer)}, not {wanted[name]}")
        if excess:
            faults += [f"a Pod too many is admitted to {namespace}" for namespace in self.namespaces if self.create(namespace, excess)[0] == 201]
        return faults


def check(api, report, program):
    """`api` has controllers, `FLAGS` and nothing of ours."""
    operator = Operator(api, program)
    operator.install()
    operator.start()
    try:
        api.namespace("open")
        path = "/api/v1/namespaces/open/pods?dryRun=All"
        api.wait_for(lambda: added(api.must("POST", path, pod("go"))) == {SIDECAR}, "the webhook is called")
        for number, (what, (bounds, level, fitting, sidecar, excess)) in enumerate(CASES.items()):
            case = Case(api, number, bounds, level)
            try:
                wanted = {"node": {INIT}, "go": {SIDECAR} if sidecar else set()}
                case.settle(fitting, wanted, excess)
                faults = case.check(fitting, wanted, excess)
            except RuntimeError as error:
                faults = str(error).splitlines()[:3]
            report.check(f"Pods that just fit are admitted with the webhook, too: {what}", faults)
    finally:
        operator.end()
