"""`obtrace-zero preview` on manifests: its patch, applied by another implementation of RFC 6902, makes what the API server accepts."""

import json
import subprocess

import jsonpatch
import yaml

PATHS = {
    "Pod": "/api/v1", "Deployment": "/apis/apps/v1", "StatefulSet": "/apis/apps/v1", "DaemonSet": "/apis/apps/v1",
    "ReplicaSet": "/apis/apps/v1", "Job": "/apis/batch/v1", "CronJob": "/apis/batch/v1",
    "ObtraceInstrumentation": "/apis/obtrace.io/v1alpha1",
}


class Yaml(yaml.SafeLoader):
    """As kubectl reads it: YAML 1.1, but dates stay text."""


Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class Program:
    """The program, and the documents it is given."""

    def __init__(self, path, version):
        self.path, self.version = path, version

    def patch(self, documents, only, *flags):
        """The patch for one workload of these documents."""
        text = "\n---\n".join(json.dumps(document) for document in documents)
        command = [self.path, "preview", "-f", "-", "--output", "patch", "--only", only, "--cluster-version", self.version, *flags]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise RuntimeError(f"{only}: exit {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)


def full_name(document):
    metadata = document.get("metadata") or {}
    return f"{document['kind']}/{metadata.get('name') or metadata.get('generateName') or ''}"


def path_of(document):
    kind = document["kind"]
    return f"{PATHS[kind]}/namespaces/{document['metadata']['namespace']}/{kind.lower()}s"


def accepted(api, document, pod):
    """What the server says against the object and against the Pods it would make."""
    faults = []
    status, answer = api.request("POST", f"{path_of(document)}?dryRun=All", document)
    if status != 201:
        faults.append(f"{document['kind']}: {status} {answer.get('message')}")
    namespace = document["metadata"]["namespace"]
    pod = {**pod, "apiVersion": "v1", "kind": "Pod", "metadata": {**(pod.get("metadata") or {}), "name": "one", "namespace": namespace}}
    pod["spec"] = {**pod["spec"], "restartPolicy": pod["spec"].get("restartPolicy", "Always")}
    status, answer = api.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    if status != 201:
        faults.append(f"its Pod: {status} {answer.get('message')}")
    return faults


def check_manifests(api, report, program, folder, pod_of):
    for file in sorted(folder.glob("*.yaml")):
        documents = [document for document in yaml.load_all(file.read_text(), Yaml) if document]
        for document in documents:
            if document["kind"] == "Namespace":
                api.must("POST", "/api/v1/namespaces", document)
            elif document["kind"] == "ObtraceInstrumentation":
                api.must("POST", path_of(document), document)
        workloads = [document for document in documents if document["kind"] in PATHS and document["kind"] != "ObtraceInstrumentation"]
        for document in workloads:
            name = full_name(document)
            patch = program.patch(documents, name)
            after = jsonpatch.apply_patch(document, patch)
            faults = accepted(api, after, pod_of(after))
            again = program.patch([after if it is document else it for it in documents], name)
            faults += [f"another time it is {again}"] if again else []
            is_database = name == "Pod/database"
            faults += ["is left alone"] if not patch and not is_database else ["is patched"] if patch and is_database else []
            report.check(f"preview of {name} in {file.name}", faults)


def check_golden(report, program, folder):
    """Every golden Pod as a stranger would preview it: with nothing but the manifest."""
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        before = json.loads((case / "before.json").read_text())
        before.setdefault("kind", "Pod")
        before.setdefault("apiVersion", "v1")
        patch = program.patch([before], full_name(before), "--namespace", "golden")
        after = jsonpatch.apply_patch(before, patch)
        again = program.patch([after], full_name(before), "--namespace", "golden")
        bare = json.loads(json.dumps(after))
        strip_annotation(bare)
        structure = program.patch([bare], full_name(before), "--namespace", "golden") if patch else []
        faults = [f"another time it is {again}"] if again else []
        faults += [f"by its structure alone it is {structure}"] if only_annotations(structure) is False else []
        report.check(f"preview of golden {case.name}", faults)


def strip_annotation(document):
    """Takes away the mark, wherever the Pod is."""
    for value in document.values() if isinstance(document, dict) else ():
        if isinstance(value, dict):
            value.get("annotations", {}) and value["annotations"].pop("obtrace.io/injected", None)
            strip_annotation(value)


def only_annotations(patch):
    return all("/metadata/" in operation["path"] for operation in patch)
