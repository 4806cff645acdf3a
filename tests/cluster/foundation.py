"""That the cluster under the other cases is one: Pods on every node, names, Services across nodes, webhooks, identities."""

import base64
import contextlib
import http.server
import json
import ssl
import threading

import keys
import nodes
import observe
import workloads

NAMESPACE = "foundation"
WEB = ["/bin/busybox", "sh", "-c", 'echo "$NODE" >/tmp/index.html; exec /bin/busybox httpd -f -p 8080 -h /tmp']


class Webhook:
    """A mutating webhook in this process: it labels every Pod that it is asked about."""

    def __init__(self, folder):
        self.asked = []
        keys.authority(folder, "webhook-ca")
        keys.certificate(folder, "webhook", "/CN=webhook", "server", f"DNS:webhook.{NAMESPACE}.svc", signer="webhook-ca")
        self.bundle = base64.b64encode((folder / "webhook-ca.crt").read_bytes()).decode()
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
                asked.append(request["object"]["metadata"].get("generateName"))
                patch = [{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}]
                body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
                    "uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((nodes.GATEWAY, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @contextlib.contextmanager
    def serving(self, cluster):
        """Registered for as long as the block runs, by a Service whose only address is this process's."""
        metadata = {"name": "webhook", "namespace": NAMESPACE}
        port, client = self.server.server_address[1], {"service": {**metadata, "path": "/", "port": 443}, "caBundle": self.bundle}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}
        documents = (
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "webhook"}},
             "addressType": "IPv4", "ports": [{"name": "https", "port": port}], "endpoints": [{"addresses": [nodes.GATEWAY], "conditions": {"ready": True}}]},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "foundation"}, "webhooks": [{
                "name": "foundation.obtrace.io", "clientConfig": client, "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail", "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}]})
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        cluster.apply(*documents)
        try:
            # The configuration is in force a moment after it is there.
            probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-", "labels": {"app": "probe"}},
                     "spec": {"containers": [{"name": "app", "image": "registry.test/plain:1"}]}}
            cluster.wait_for(lambda: "seen" in cluster.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", probe)[1].get("metadata", {}).get("labels", {}),
                             "the webhook is called", 60)
            yield
        finally:
            cluster.delete(*reversed(documents))
            self.server.shutdown()


def check(cluster, report):
    before = observe.inventory(cluster)
    with observe.namespace(cluster, NAMESPACE):
        check_namespace(cluster, report)
    left = observe.inventory(cluster) - before
    report.check("a namespace goes with all that is in it", sorted(left))


def check_namespace(cluster, report):
    webhook = Webhook(cluster.folder)
    with webhook.serving(cluster):
        where = {"NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
        cluster.apply(*workloads.deployment("web", NAMESPACE, WEB, image="registry.test/plain:1", replicas=len(cluster.nodes), environment=where))
        cluster.wait_for(lambda: workloads.available(cluster, NAMESPACE, "web"), "the Pods of web are available")
    pods = cluster.pods(NAMESPACE, "app=web")
    places = sorted(pod["spec"]["nodeName"] for pod in pods)
    report.check("a Deployment has a Pod on each node", [] if places == [node.name for node in cluster.nodes] else [f"on {places}"])
    unseen = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"].get("seen") != "yes"]
    report.check("a webhook outside the cluster has changed each Pod", [f"not {name}" for name in unseen])
    for pod in pods:
        check_service(cluster, report, pod)
    check_identity(cluster, report)


def check_service(cluster, report, pod):
    """From this Pod, the Service's name leads to the Pods of every node."""
    name, node, seen = pod["metadata"]["name"], pod["spec"]["nodeName"], set()

    def asked():
        seen.add(cluster.exec(NAMESPACE, name, "/bin/busybox", "wget", "-qO-", f"http://web.{NAMESPACE}.svc.cluster.local:8080/").strip())
        return len(seen) == len(cluster.nodes)

    cluster.wait_for(asked, f"answers of the Service web on {node} from every node")
    wanted = {node.name for node in cluster.nodes}
    report.check(f"{node}: a Service's name leads to the Pods of every node", [] if seen == wanted else [f"to {seen}"])


def check_identity(cluster, report):
    """A Pod has the token of its service account, which may do what RBAC says; the audit log has what it asked."""
    user, secrets = f"system:serviceaccount:{NAMESPACE}:default", f"/api/v1/namespaces/{NAMESPACE}/secrets"
    pod = cluster.pods(NAMESPACE, "app=web")[0]["metadata"]["name"]
    token = cluster.exec(NAMESPACE, pod, "/bin/busybox", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    before = cluster.request_as(token, "GET", secrets)
    cluster.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "secrets", "namespace": NAMESPACE},
         "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "secrets", "namespace": NAMESPACE},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "secrets"}, "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}]})
    cluster.wait_for(lambda: cluster.request_as(token, "GET", secrets) == 200, "the Role is in force", 60)
    report.check("a Pod's service account may do what a Role allows, and not before", [] if before == 403 else [f"{before} before"])
    unused = observe.granted(cluster, user) ^ {(group, resource, verb, place) for group, resource, verb, place in observe.used(cluster, user) if place}
    report.check("what it was granted is what it used", sorted(map(str, unused)))
    asked = {request["code"] for request in cluster.audited(user=user, verb="list", resource="secrets", namespace=NAMESPACE)}
    report.check("the audit log has what it asked", [] if asked == {403, 200} else [f"answers {asked}"])
