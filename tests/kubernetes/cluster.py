"""A real API server on loopback, without nodes: what it accepts and refuses is what a cluster would."""

import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

import build

USAGES = {"server": "serverAuth", "client": "clientAuth"}
START_SECONDS = 120


def openssl(*arguments, folder):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_keys(folder):
    """A CA, the server's and the administrator's certificates, the key that signs service accounts."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
            "-subj", "/CN=ca", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE", folder=folder)
    for name, subject, usage, names in (
            ("server", "/CN=kube-apiserver", "server", "IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"),
            ("admin", "/O=system:masters/CN=admin", "client", None)):
        extensions = [f"extendedKeyUsage={USAGES[usage]}"] + ([f"subjectAltName={names}"] if names else [])
        (folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", subject, folder=folder)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", f"{name}.ext", "-out", f"{name}.crt", folder=folder)
    openssl("genrsa", "-out", "accounts.key", "2048", folder=folder)
    openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub", folder=folder)


class Cluster:
    """The running API server; requests are the administrator's."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self.tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        self.connection = None

    def request(self, method, path, body=None, kind="application/json"):
        """The status and the decoded answer."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=30)
            try:
                self.connection.request(method, path, body, {"Content-Type": kind, "Accept": "application/json"})
                answer = self.connection.getresponse()
                text = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                # The server may have closed what was idle.
                self.connection = None
                if attempt == 2:
                    raise
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def must(self, method, path, body=None, kind="application/json"):
        """The answer of a request that has to succeed."""
        status, answer = self.request(method, path, body, kind)
        if status >= 300:
            message = answer.get("message", answer) if isinstance(answer, dict) else answer
            raise RuntimeError(f"{method} {path}: {status} {message}")
        return answer

    def namespace(self, name, level=None, labels=None):
        """Makes a namespace, with a level of Pod Security that it enforces."""
        labels = dict(labels or {})
        if level:
            labels["pod-security.kubernetes.io/enforce"] = level
        self.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def wait_ready(self, processes):
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/readyz")[0] == 200:
                    return
            for name, process in processes.items():
                if process.poll() is not None:
                    tail = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-5:]
                    raise RuntimeError(f"{name} ended with {process.returncode}: {' | '.join(tail)}")
            if time.monotonic() > end:
                raise RuntimeError(f"the API server was not ready within {START_SECONDS} s")
            time.sleep(0.1)


@contextlib.contextmanager
def running(*flags):
    """A cluster for as long as the block runs, its API server with these flags as well; nothing of it stays."""
    paths = build.programs()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-kubernetes-"))
    processes = {}
    try:
        make_keys(folder)
        store, peer, port = free_port(), free_port(), free_port()

        def start(name, *arguments):
            with open(folder / f"{name}.log", "wb") as log:
                processes[name] = subprocess.Popen([paths[name], *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)

        start("etcd", "--data-dir=store", "--unsafe-no-fsync", f"--listen-client-urls=http://127.0.0.1:{store}",
              f"--advertise-client-urls=http://127.0.0.1:{store}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
              f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}")
        start("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{store}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
              f"--secure-port={port}", "--tls-cert-file=server.crt", "--tls-private-key-file=server.key", "--client-ca-file=ca.crt",
              "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=accounts.pub",
              "--service-account-signing-key-file=accounts.key", "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC",
              "--allow-privileged=true", "--profiling=false", "--endpoint-reconciler-type=none",
              # No controller makes service accounts here.
              "--disable-admission-plugins=ServiceAccount", *flags)
        cluster = Cluster(folder, port)
        cluster.wait_ready(processes)
        yield cluster
    finally:
        for process in reversed(processes.values()):
            process.terminate()
        for process in processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)

