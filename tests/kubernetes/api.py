"""A client of the API server, as the administrator."""

import contextlib
import http.client
import json
import ssl
import subprocess
import threading

import build
import keys
from processes import until

APPLY = "application/apply-patch+yaml"
WAIT_SECONDS = 180


class Api:
    """The API server at an address, with the keys in `folder`."""

    def __init__(self, folder, address, port, processes, controllers):
        self.folder, self.address, self.port, self.processes, self.controllers = folder, address, port, processes, controllers
        self.url = f"https://{address}:{port}"
        self.kubeconfig = self.client("admin", "/O=system:masters/CN=admin")
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self.tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        self.kinds = {}
        self.local = threading.local()

    def client(self, name, subject):
        """A kubeconfig for a user of this subject, `/O=GROUP/CN=USER`."""
        return keys.client(self.folder, self.url, name, subject)

    def request(self, method, path, body=None, kind="application/json"):
        """The status and the decoded answer."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = http.client.HTTPSConnection(self.address, self.port, context=self.tls, timeout=60)
            try:
                connection.request(method, path, body, {"Content-Type": kind, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                # The server may have closed what was idle.
                connection.close()
                self.local.connection = None
                if attempt == 2:
                    raise
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def request_as(self, token, method, path):
        """The status of a request of the service account whose token this is."""
        connection = http.client.HTTPSConnection(self.address, self.port, context=ssl.create_default_context(cafile=self.folder / "ca.crt"), timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status

    def must(self, method, path, body=None, kind="application/json"):
        """The answer of a request that has to succeed."""
        status, answer = self.request(method, path, body, kind)
        if status >= 300:
            message = answer.get("message", answer) if isinstance(answer, dict) else answer
            raise RuntimeError(f"{method} {path}: {status} {message}")
        return answer

    def get(self, path):
        """The object or list at this path; None if there is none."""
        status, answer = self.request("GET", path)
        return None if status == 404 else answer if status == 200 else self.must("GET", path)

    def path_of(self, document):
        """Where an object is, by its kind: as the API server's own lists of kinds have it."""
        version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self.kinds:
            for resource in self.must("GET", root)["resources"]:
                if "/" not in resource["name"]:
                    self.kinds[version, resource["kind"]] = (resource["name"], resource["namespaced"])
        if (version, kind) not in self.kinds:
            raise RuntimeError(f"the API server has no {kind} in {version}")
        plural, namespaced = self.kinds[version, kind]
        namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{root}{namespace}/{plural}/{metadata['name']}"

    def apply(self, *documents):
        """Server-side apply of each, in order; what the server made of the last."""
        answer = None
        for document in documents:
            answer = self.must("PATCH", f"{self.path_of(document)}?fieldManager=test&force=true", document, APPLY)
        return answer

    def delete(self, *documents):
        """Deletes what is there of these; it does not wait for them to be gone."""
        for document in documents:
            path = self.path_of(document)
            if self.request("DELETE", path)[0] not in (200, 202, 404):
                self.must("DELETE", path)

    def namespace(self, name, level=None, labels=None):
        """Makes a namespace, with a level of Pod Security that it enforces; Pods can be made in it at once."""
        labels = dict(labels or {})
        if level:
            labels["pod-security.kubernetes.io/enforce"] = level
        self.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        if self.controllers:
            self.wait_for(lambda: self.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), f"the default service account of {name}")

    def pods(self, namespace, labels=""):
        """The Pods of a namespace that have these labels, `KEY=VALUE,...`."""
        return self.must("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector={labels.replace('=', '%3D').replace(',', '%2C')}")["items"]

    def logs(self, namespace, pod, container=None, lines=1000, previous=False):
        """What a container said; of one that did not start, what the kubelet says instead."""
        query = f"tailLines={lines}" + (f"&container={container}" if container else "") + ("&previous=true" if previous else "")
        answer = self.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log?{query}")[1]
        return answer.get("message", json.dumps(answer)) if isinstance(answer, dict) else str(answer)

    def kubectl(self, *arguments, text=None, timeout=120):
        """What kubectl says; it has to succeed."""
        command = [build.clients()["kubectl"], "--kubeconfig", self.kubeconfig, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def exec(self, namespace, pod, *command, container=None):
        """What a program says that is run in a container of a Pod; it has to succeed."""
        return self.kubectl("exec", "--namespace", namespace, pod, *(["--container", container] if container else []), "--", *command)

    def audited(self, **wanted):
        """The requests that the API server has answered and that are like this, from its audit log: dictionaries of user, verb, group, resource,
        subresource, namespace, name and code."""
        log = self.folder / "audit.log"
        for line in log.read_text().splitlines(keepends=True) if log.exists() else ():
            # The last one may be half written.
            if not line.endswith("\n"):
                return
            event = json.loads(line)
            subject = event.get("objectRef") or {}
            seen = {key: subject.get(key, "") for key in ("resource", "subresource", "namespace", "name")}
            seen |= {"group": subject.get("apiGroup", ""), "user": event["user"].get("username", ""), "verb": event["verb"], "code": (event.get("responseStatus") or {}).get("code", 0)}
            if all(seen[key] == value for key, value in wanted.items()):
                yield seen

    def wait_for(self, condition, what, seconds=WAIT_SECONDS):
        """What `condition` gives as soon as it gives something; if it never does, how the Pods are is told."""
        return until(condition, what, seconds, self.processes.check, self.troubles)

    def troubles(self):
        """Which Pods are not ready and why, what their containers said last, and the latest warnings."""
        told = []
        for pod in self.must("GET", "/api/v1/pods")["items"]:
            if not is_ready(pod) and len(told) < 20:
                told.append(self.trouble(pod))
        events = self.must("GET", "/api/v1/events?fieldSelector=type%3DWarning")["items"]
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        for event in events[-20:]:
            subject = event["involvedObject"]
            told.append(f"event of {subject['kind']} {subject.get('namespace', '')}/{subject['name']}: {event['reason']}: {event.get('message', '')[:400]}")
        return "\n".join(told) or "every Pod is ready, and there are no warnings"

    def trouble(self, pod):
        namespace, name, status = pod["metadata"]["namespace"], pod["metadata"]["name"], pod["status"]
        told = [f"Pod {namespace}/{name} on {pod['spec'].get('nodeName', 'no node')}: {status['phase']} {status.get('reason', '')} {status.get('message', '')}"]
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            told.append(f"  container {container['name']}: {json.dumps(container['state'])[:400]}, {container['restartCount']} restarts")
            said = self.logs(namespace, name, container["name"], 8, previous=container["restartCount"] > 0)
            told += [f"    {line[:300]}" for line in said.splitlines()]
        return "\n".join(told)


def is_ready(thing):
    """Whether a Pod or a node has the condition Ready, or a Deployment the condition Available; a Pod that is done is so, too."""
    status = thing.get("status", {})
    return status.get("phase") == "Succeeded" or any(
        condition["type"] in ("Ready", "Available") and condition["status"] == "True" for condition in status.get("conditions", []))
