#!/usr/bin/env python3
"""server.py --workloads N --namespaces N --pods N --certificate FILE --key FILE: as much of an API server as the operator asks for.

Lists of workloads and Pods come in pages from memory, written before the first request, so that what is measured is who reads them. Everything else is
kept as it is written and told to those who watch it. `GET /bench` says what was listed whole, and which status was written last; `PUT /bench` with a number
has so many Pods a second change from then on.
"""

import argparse
import http.server
import json
import pathlib
import ssl
import threading
import time
import urllib.parse

import objects

VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}
GROUP = "/apis/obtrace.io/v1alpha1"
RESOURCE = {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation",
            "metadata": {"name": "default", "namespace": "obtrace-system", "uid": "1", "generation": 1, "creationTimestamp": "2026-10-01T08:00:00Z"},
            "spec": {"ingestUrl": "https://ingest.example.com"}}
CONFIGURATION = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "obtrace-zero", "uid": "2"},
                 "webhooks": [{"name": "pods.obtrace.io", "clientConfig": {"service": {"name": "obtrace-zero-webhook", "namespace": "obtrace-system"}},
                               "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun"}]}
# What most who run large clusters give every namespace.
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"requests.cpu": "200", "requests.memory": "400Gi", "limits.memory": "800Gi", "pods": "500"}},
         "status": {"hard": {"requests.cpu": "200", "requests.memory": "400Gi", "limits.memory": "800Gi", "pods": "500"},
                    "used": {"requests.cpu": "12100m", "requests.memory": "48Gi", "limits.memory": "96Gi", "pods": "104"}}}
RANGE = {"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [
    {"type": "Container", "default": {"cpu": "500m", "memory": "512Mi"}, "defaultRequest": {"cpu": "100m", "memory": "256Mi"}, "max": {"cpu": "8", "memory": "16Gi"}}]}}


def merged(old, new):
    """An object with what a patch says: lists of named things by their names."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: merged(old.get(name), value) for name, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(item, dict) and "name" in item for item in old + new):
        named = {item["name"]: item for item in old}
        named.update({item["name"]: merged(named.get(item["name"]), item) for item in new})
        return list(named.values())
    return new


class Store:
    """Objects by their path, and what became of them in order."""

    def __init__(self):
        self.changed = threading.Condition()
        self.objects, self.events, self.version = {}, [], 10

    def put(self, path, value):
        with self.changed:
            self.version += 1
            kind = "MODIFIED" if path in self.objects else "ADDED"
            value = {**value, "metadata": {**value.get("metadata", {}), "resourceVersion": str(self.version)}}
            value["metadata"].setdefault("uid", str(self.version))
            value["metadata"].setdefault("creationTimestamp", "2026-11-01T08:00:00Z")
            self.objects[path] = value
            self.events.append((self.version, path, kind, value))
            self.changed.notify_all()
            return value

    def since(self, version, wanted, deadline):
        """The events after a version that are wanted, as they come."""
        position = 0
        while True:
            with self.changed:
                while position >= len(self.events) and (left := deadline - time.monotonic()) > 0:
                    self.changed.wait(left)
                new, position = self.events[position:], len(self.events)
            if not new:
                return
            yield from (event for event in new if event[0] > version and wanted(event[1]))


class State:
    """What all connections have in common."""

    def __init__(self, options):
        self.options, self.rate, self.changed = options, 0, 0
        self.lists = objects.world(options.workloads, options.namespaces, options.pods)
        self.store = Store()
        self.listed, self.statuses = {plural: [] for plural in self.lists}, []
        self.store.put(f"{GROUP}/namespaces/obtrace-system/obtraceinstrumentations/default", RESOURCE)
        self.store.put("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/obtrace-zero", CONFIGURATION)
        for index in range(options.namespaces):
            name = f"team-{index:04}"
            labels = {"kubernetes.io/metadata.name": name, "team": "payments", "pod-security.kubernetes.io/enforce": "baseline"}
            self.store.put(f"/api/v1/namespaces/{name}/resourcequotas/team", {**QUOTA, "metadata": {"name": "team", "namespace": name}})
            self.store.put(f"/api/v1/namespaces/{name}/limitranges/team", {**RANGE, "metadata": {"name": "team", "namespace": name}})
            self.store.put(f"/api/v1/namespaces/{name}", {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name, "labels": labels}})

    def told(self):
        last = self.statuses[-1] if self.statuses else {"at": 0.0, "bytes": 0, "status": {}}
        return {"listed": self.listed, "written": len(self.statuses), "last": last, "changed": self.changed}

    def change(self):
        """The event of a Pod that is marked as instrumented no more, or again."""
        index, self.changed = self.changed, self.changed + 1
        return json.dumps({"type": "MODIFIED", "object": objects.changed_pod(index, self.options)}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    state = None

    def log_message(self, *_arguments):
        pass

    def answer(self, status, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def refuse(self, code, reason):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": f"{self.path}: {reason}", "reason": reason, "code": code})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        plural = path.rsplit("/", 1)[-1]
        store = self.state.store
        if path == "/version":
            return self.answer(200, VERSION)
        if path == "/bench":
            return self.answer(200, self.state.told())
        if query.get("watch") in ("true", "1"):
            return self.watch(path, query)
        # No object here carries a label of the operator's own, which is all that it selects by.
        if plural in self.state.lists and not query.get("labelSelector"):
            return self.page(plural, query)
        if path in store.objects:
            return self.answer(200, store.objects[path])
        with store.changed:
            items = [value for name, value in store.objects.items() if self.is_in(name, path)]
            version = str(store.version)
        # A collection ends in a plural; of an object that is not there the name is told.
        if items or plural in ("namespaces", "obtraceinstrumentations", "leases", "secrets", "resourcequotas", "limitranges", *self.state.lists):
            selector = query.get("labelSelector")
            return self.answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": [] if selector else items})
        return self.refuse(404, "NotFound")

    @staticmethod
    def is_in(name, collection):
        """Whether an object is of a collection: of a namespace, of the cluster, or of all namespaces."""
        folder, _, _ = name.rpartition("/")
        if folder == collection:
            return True
        group, _, plural = collection.rpartition("/")
        return folder.startswith(f"{group}/namespaces/") and folder.endswith(f"/{plural}") and folder.count("/") == collection.count("/") + 2

    def page(self, plural, query):
        pages = self.state.lists[plural]
        number = int(query.get("continue") or 0) // objects.PAGE
        self.answer(200, pages[number])
        if number == len(pages) - 1:
            self.state.listed[plural].append(time.monotonic())

    def watch(self, path, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        only = query.get("fieldSelector", "")
        only = only.removeprefix("metadata.name=") if only.startswith("metadata.name=") else None
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        version = int(query.get("resourceVersion") or 0)
        if path == "/api/v1/pods":
            self.watch_pods(deadline)
        else:
            # What is large does not change here.
            wanted = (lambda _: False) if path.rsplit("/", 1)[-1] in self.state.lists else (
                lambda name: self.is_in(name, path) and (only is None or name.endswith(f"/{only}")))
            for _, _, kind, value in self.state.store.since(version, wanted, deadline):
                self.chunk(json.dumps({"type": kind, "object": value}).encode())
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def chunk(self, line):
        self.wfile.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
        self.wfile.flush()

    def watch_pods(self, deadline):
        due = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if not self.state.rate or now < due:
                time.sleep(0.005)
                continue
            self.chunk(self.state.change())
            due = max(due + 1 / self.state.rate, now - 1)

    def do_POST(self):
        path, value = self.path.partition("?")[0], self.body()
        path = f"{path}/{value['metadata'].get('name', 'generated')}"
        if path in self.state.store.objects:
            return self.refuse(409, "AlreadyExists")
        return self.answer(201, self.state.store.put(path, value))

    def do_PUT(self):
        path, value = self.path.partition("?")[0], self.body()
        if path == "/bench":
            self.state.rate = value
            return self.answer(200, {})
        old = self.state.store.objects.get(path)
        if old is None:
            return self.refuse(404, "NotFound")
        if value["metadata"].get("resourceVersion", old["metadata"]["resourceVersion"]) != old["metadata"]["resourceVersion"]:
            return self.refuse(409, "Conflict")
        return self.answer(200, self.state.store.put(path, value))

    def do_PATCH(self):
        path, value = self.path.partition("?")[0], self.body()
        if path.endswith("/status"):
            path = path.removesuffix("/status")
            size = len(json.dumps(merged(self.state.store.objects[path], value), separators=(",", ":")))
            # How many entries there are says enough of them.
            status = {name: len(item) if isinstance(item, list) else item for name, item in value["status"].items()}
            self.state.statuses.append({"at": time.monotonic(), "bytes": size, "status": status})
        old = self.state.store.objects.get(path, {"metadata": {"name": path.rsplit("/", 1)[-1]}})
        return self.answer(200, self.state.store.put(path, merged(old, value)))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context = None

    def finish_request(self, request, client_address):
        # In the connection's own thread: no client waits for another's handshake.
        with self.context.wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--workloads", type=int, required=True)
    parser.add_argument("--namespaces", type=int, required=True)
    parser.add_argument("--pods", type=int, required=True)
    parser.add_argument("--certificate", type=pathlib.Path, required=True)
    parser.add_argument("--key", type=pathlib.Path, required=True)
    options = parser.parse_args()
    Handler.state = State(options)
    server = Server(("127.0.0.1", 0), Handler)
    Server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Server.context.load_cert_chain(options.certificate, options.key)
    print(json.dumps({"port": server.server_address[1], "bytes": {plural: sum(map(len, pages)) for plural, pages in Handler.state.lists.items()}}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
