#!/usr/bin/env python3
"""lookups.py --obtrace-zero PATH: what images say of themselves, looked up in registries of this test.

The program is installed on a real API server, and two operators run as the account that it gets. No node runs: reviews are sent to the
operators by this test.
"""

import argparse
import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading

import cluster
import keys
from install import ACCOUNT, SYSTEM, Installer
from report import Report

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "cluster"))
import rights  # noqa: E402

PASSWORD = "a-password-of-a-test"
TOKEN = "a-token-of-a-test"
MAP = f"/api/v1/namespaces/{SYSTEM}/configmaps/obtrace-zero-images"


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """A registry, with TLS by an authority of its own in `folder` if one is given: whoever pulls from `private/` needs a token, which is
    given for a password."""

    def __init__(self, folder=None):
        self.blobs, self.tags, self.asked = {}, {}, []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.scheme = "https" if folder else "http"
        if folder:
            keys.authority(folder, "registry-ca")
            keys.certificate(folder, "registry", "/CN=registry", "server", "IP:127.0.0.1", signer="registry-ca")
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(folder / "registry.crt", folder / "registry.key")
            # Its thread shakes hands with a client, and not the one that accepts.
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def push(self, name, tag, config, docker=False):
        """An image for Linux, in an index beside an attestation."""
        kinds = ("docker.container.image.v1", "docker.distribution.manifest.v2") if docker else ("oci.image.config.v1", "oci.image.manifest.v1")
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": config}).encode()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": f"application/vnd.{kinds[1]}+json", "layers": [],
                               "config": {"mediaType": f"application/vnd.{kinds[0]}+json", "digest": digest(config), "size": len(config)}}).encode()
        other = {"digest": digest(b"?"), "platform": {"os": "unknown", "architecture": "unknown"}}
        index = json.dumps({"schemaVersion": 2, "manifests": [other, {
            "digest": digest(manifest), "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
        for data in (config, manifest, index):
            self.blobs[name, digest(data)] = data
        self.tags[name, tag] = digest(index)

    def answer(self, request):
        self.asked.append(f"{request.command} {request.path}")
        who = request.headers.get("Authorization")
        password = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if request.path.startswith("/token?"):
            return self.send(request, 200 if who == password else 401, json.dumps({"token": TOKEN}).encode())
        name, _, what = request.path.removeprefix("/v2/").rpartition("/")
        name = name.removesuffix("/manifests").removesuffix("/blobs")
        if name.startswith("private/") and who != f"Bearer {TOKEN}":
            return self.send(request, 401, b"", {"WWW-Authenticate": f'Bearer realm="{self.scheme}://{self.host}/token",service="test"'})
        found = self.blobs.get((name, self.tags.get((name, what), what)))
        return self.send(request, 200, found, {"Docker-Content-Digest": digest(found)}) if found else self.send(request, 404, b"")

    @staticmethod
    def send(request, status, body, headers=None):
        request.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


class Operator:
    """A replica as the Deployment would run it, but for its ports and its pace."""

    def __init__(self, api, program, name, plain, named):
        self.name, self.port = name, cluster.free_port()
        self.metrics_port = cluster.free_port()
        log = api.folder / f"operator-{name}.log"
        flags = ["--pod-name", name, "--webhook-address", f"127.0.0.1:{self.port}", "--metrics-address", f"127.0.0.1:{self.metrics_port}",
                 "--health-address", f"127.0.0.1:{cluster.free_port()}", "--resync", "1s", "--linger", "0s",
                 "--image-lookups", f"--image-registries={','.join(named)}", f"--insecure-registry={plain.host}", "--image-retry", "1s"]
        environment = {**os.environ, "KUBECONFIG": str(api.client("operator", f"/O=system:serviceaccounts/CN={ACCOUNT}"))}
        # Whom the system trusts.
        environment["SSL_CERT_FILE"] = str(api.folder / "registry-ca.crt")
        for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            environment.pop(proxy, None)
        self.log = log
        self.process = subprocess.Popen([program, "operator", *flags], env=environment, stderr=log.open("w"))

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)

    def review(self, image):
        """The patch that a Pod with this image gets."""
        review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": "1", "operation": "CREATE", "namespace": "shop", "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "object": {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "main", "image": image}]}}}}
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context(), timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/mutate-pods", json.dumps(review), {"Content-Type": "application/json"})
            patch = json.loads(connection.getresponse().read())["response"].get("patch", "")
        return base64.b64decode(patch).decode()

    def metric(self, line):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return line in connection.getresponse().read().decode().splitlines()


class Test:
    def __init__(self, api, report, program):
        self.api, self.report, self.program = api, report, program
        self.installer, self.operators = Installer(program, api), []
        self.registry, self.plain = Registry(api.folder), Registry()
        # Another name of it, which nobody names.
        self.inner = self.plain.host.replace("127.0.0.1", "localhost")

    def check(self, what, is_so, told=""):
        self.report.check(what, [] if is_so else [str(told) or "it is not so"])

    def until(self, what, condition):
        def holds():
            dead = [it.name for it in self.operators if it.process.poll() is not None]
            if dead:
                raise RuntimeError(f"ended: {dead}")
            try:
                return condition()
            except (OSError, KeyError, StopIteration):
                return None
        found = self.api.wait_for(holds, what, 90)
        self.report.check(what, [])
        return found

    def start(self, name):
        self.operators.append(Operator(self.api, self.program, name, self.plain, [self.registry.host, self.inner.replace("t:", "*:")]))
        return self.operators[-1]

    def workload(self, name):
        status = self.api.must("GET", f"/apis/obtrace.io/v1alpha1/namespaces/{SYSTEM}/obtraceinstrumentations/default").get("status", {})
        return next(it for it in status.get("workloads", []) if it["name"] == name)

    def entry(self, name, words, **fields):
        entry = self.workload(name)
        return all(entry.get(key) == value for key, value in fields.items()) and words in entry.get("reason", "") and entry

    def deploy(self, name, image, secret=None):
        spec = {"containers": [{"name": "main", "image": image}], **({"imagePullSecrets": [{"name": secret}]} if secret else {})}
        self.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
                        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}})

    def leader(self):
        lease = self.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/obtrace-zero-operator")
        return lease and lease["spec"].get("holderIdentity")

    def used(self, resource, namespace):
        requests = [it for it in self.api.audited(user=ACCOUNT, resource=resource, namespace=namespace)]
        return {(it["verb"], it["name"]) for it in requests}, [it for it in requests if it["code"] == 403]

    def log(self):
        return "".join(it.log.read_text() for it in self.operators)

    def prepare(self):
        self.plain.push("open/thing", "1", {"Entrypoint": ["python3"], "Cmd": ["-m", "shop"], "Env": [f"DB_PASSWORD={PASSWORD}"]}, docker=True)
        self.registry.push("private/thing", "1", {"Cmd": ["node", "cart.js"]})
        self.installer.run("install", "--image-lookups", "--image-registries", self.registry.host, "--insecure-registry", self.plain.host, "--no-wait",
                           "--ingest-url", "https://ingest.example.com")
        self.api.namespace("shop")
        config = json.dumps({"auths": {self.registry.host: {"username": "user", "password": PASSWORD}}})
        self.api.must("POST", "/api/v1/namespaces/shop/secrets", {
            "metadata": {"name": "regcred"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}})
        self.open, self.private = f"{self.plain.host}/open/thing:1", f"{self.registry.host}/private/thing:1"
        self.deploy("open", self.open)
        self.deploy("cart", self.private, "regcred")

    def run(self):
        self.prepare()
        first = self.start("first")
        self.until("a replica leads", lambda: self.leader() == "first")
        second = self.start("second")
        self.until("an image that everybody may pull tells the language",
                   lambda: self.entry("open", "image config", language="python", strategy="sdk", confidence=0.9))
        advice = "obtrace-zero allow -n shop --pull-secret regcred"
        self.until("of one that not everybody may, the status says what to run", lambda: self.entry("cart", advice, language="unknown"))
        self.check("the log says it, once", self.log().count("an image cannot be looked up") == 1, self.log()[-2000:])
        self.check("no Secret was asked for there", not self.used("secrets", "shop")[0], self.used("secrets", "shop"))
        self.installer.run("allow", "-n", "shop", "--pull-secret", "regcred")
        self.until("with the right its pull secret is used", lambda: self.entry("cart", "image config", language="nodejs", state="instrumented"))
        self.check("nothing else was asked for there", self.used("secrets", "shop") == ({("get", "regcred")}, []), self.used("secrets", "shop"))
        self.until("a replica that does not lead instruments by it", lambda: "NODE_OPTIONS" in second.review(self.private))
        self.check("and by the other", "PYTHONPATH" in second.review(self.open))
        self.check("look-ups are counted", first.metric('obtrace_zero_image_lookups_total{outcome="found"} 2') and first.metric("obtrace_zero_images 2"))
        self.barred()
        self.preview()
        self.next_leader(first, second)
        text = json.dumps(self.api.get(MAP)) + self.log()
        self.check("neither the password nor the token is kept or logged", PASSWORD not in text and TOKEN not in text)
        verbs, refused = self.used("configmaps", SYSTEM)
        self.check("the rights that were used for what is known are those that were granted",
                   ({verb for verb, _ in verbs}, refused) == ({"create", "get", "watch", "update"}, []), (verbs, refused))
        for role in ("obtrace-zero-operator-images", "obtrace-zero-operator-pull-secrets"):
            idle = rights.unused(self.api, ACCOUNT, role)
            self.check(f"each right of {role} was used", not idle, idle)
        self.uninstall()

    def barred(self):
        asked = len(self.plain.asked)
        self.deploy("inner", f"{self.inner}/open/thing:1")
        self.deploy("foreign", "registry.example.com/open/thing:1")
        self.until("of an image on the operator's own machine the status says why it is not looked up",
                   lambda: self.entry("inner", "nobody is asked at a loopback or link-local address", language="unknown"))
        self.until("of one in a registry that is not named, too", lambda: self.entry("foreign", "its registry is not one", language="unknown"))
        self.check("nobody was asked", len(self.plain.asked) == asked, self.plain.asked[asked:])

    def preview(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: shop}}\nspec: {{containers: [{{name: main, image: '{self.private}'}}]}}\n")
            file.flush()
            out, _ = self.installer.run("preview", "--cluster", "--output", "patch", "-f", file.name)
        self.check("a preview by the cluster knows it", "NODE_OPTIONS" in out, out)

    def next_leader(self, first, second):
        asked = len(self.registry.asked)
        first.end()
        self.operators.remove(first)
        self.until("another replica leads", lambda: self.leader() == "second")
        self.deploy("again", self.private)
        self.until("it knows what was found before", lambda: self.entry("again", "image config", language="nodejs"))
        self.check("without asking", len(self.registry.asked) == asked, self.registry.asked[asked:])
        self.registry.push("open/other", "2", {"Cmd": ["ruby", "app.rb"]})
        self.deploy("other", f"{self.registry.host}/open/other:2")
        self.until("and looks up what is new", lambda: self.entry("other", "image config", language="ruby"))
        self.check("what was known stays known", "NODE_OPTIONS" in second.review(self.private))
        self.operators.append(first)

    def uninstall(self):
        for operator in self.operators:
            operator.end()
        self.operators = []
        self.installer.run("uninstall", "--yes", "--keep-resources")
        roles = self.api.must("GET", "/apis/rbac.authorization.k8s.io/v1/roles")["items"]
        names = [f"{it['metadata']['namespace']}/{it['metadata']['name']}" for it in roles if "obtrace" in it["metadata"]["name"]]
        self.check("no right is left", not names, names)
        annotations = self.api.must("GET", "/api/v1/namespaces/shop")["metadata"].get("annotations", {})
        self.check("no mark is left", "obtrace.io/pull-secrets" not in annotations, annotations)
        self.check("what was known is gone", self.api.get(MAP) is None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True, help="the program")
    arguments = parser.parse_args()
    report = Report(quiet=True)
    with cluster.running() as api:
        test = Test(api, report, arguments.obtrace_zero)
        try:
            test.run()
        except Exception:
            print(test.log()[-6000:], file=sys.stderr)
            raise
        finally:
            for operator in test.operators:
                operator.end()
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
