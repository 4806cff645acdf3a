"""A real control plane, without nodes: what it accepts, refuses and does is what a cluster would."""

import contextlib
import json
import pathlib
import shutil
import socket
import tempfile

import build
import keys
from api import Api
from processes import Processes

LOOPBACK = "127.0.0.1"
SERVICES, FIRST_SERVICE = "10.96.0.0/16", "10.96.0.1"
# Every request, when it is answered, with its user, verb and object, but not what was in it.
AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}
# Clients are tests: they are not to be slowed down.
FAST = ("--kube-api-qps=300", "--kube-api-burst=600", "--leader-elect=false", "--profiling=false")


def free_port(address=LOOPBACK):
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]


def make_keys(folder, address):
    """The authorities, and the API server's certificates as a server and as a client."""
    keys.authority(folder, "ca")
    keys.authority(folder, "front")
    names = ("DNS:localhost", *(f"DNS:kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local")),
             f"IP:{LOOPBACK}", f"IP:{FIRST_SERVICE}", f"IP:{address}")
    keys.certificate(folder, "server", "/CN=kube-apiserver", "server", ",".join(dict.fromkeys(names)))
    keys.certificate(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet", "client")
    keys.certificate(folder, "front-proxy", "/CN=front-proxy", "client", signer="front")
    keys.service_accounts(folder)


def start_store(processes, path):
    """Starts etcd; the flag that tells the API server where it is."""
    port, peer = free_port(), free_port()
    processes.start("etcd", path, "--data-dir=store", "--unsafe-no-fsync", f"--listen-client-urls=http://{LOOPBACK}:{port}",
                    f"--advertise-client-urls=http://{LOOPBACK}:{port}", f"--listen-peer-urls=http://{LOOPBACK}:{peer}",
                    f"--initial-advertise-peer-urls=http://{LOOPBACK}:{peer}", f"--initial-cluster=default=http://{LOOPBACK}:{peer}")
    return f"--etcd-servers=http://{LOOPBACK}:{port}"


def server_flags(folder, address, port):
    (folder / "audit.json").write_text(json.dumps(AUDIT))
    return (
        f"--bind-address={address}", f"--advertise-address={address}", f"--secure-port={port}", "--tls-cert-file=server.crt",
        "--tls-private-key-file=server.key", "--client-ca-file=ca.crt", "--allow-privileged=true", "--profiling=false",
        f"--service-cluster-ip-range={SERVICES}", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=accounts.pub",
        "--service-account-signing-key-file=accounts.key",
        # For exec and logs.
        "--kubelet-client-certificate=kubelet-client.crt", "--kubelet-client-key=kubelet-client.key", "--kubelet-certificate-authority=ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        # For API servers of others, and webhooks: these are called at the addresses behind their Service, as no proxy runs beside us.
        "--requestheader-client-ca-file=front.crt", "--requestheader-allowed-names=front-proxy", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User", "--proxy-client-cert-file=front-proxy.crt",
        "--proxy-client-key-file=front-proxy.key", "--enable-aggregator-routing=true",
        "--audit-policy-file=audit.json", "--audit-log-path=audit.log", "--audit-log-maxsize=1000",
        # An address of loopback is none that others could use.
        f"--endpoint-reconciler-type={'none' if address == LOOPBACK else 'lease'}")


def start_controllers(api, paths):
    """Starts the controllers and the scheduler, and waits until Pods can be made."""
    ports = {}
    for name, flags in (
            ("kube-controller-manager", (
                "--use-service-account-credentials=true", "--service-account-private-key-file=accounts.key", "--root-ca-file=ca.crt",
                "--cluster-signing-cert-file=ca.crt", "--cluster-signing-key-file=ca.key", f"--service-cluster-ip-range={SERVICES}")),
            ("kube-scheduler", ())):
        config, ports[name] = api.client(name, f"/CN=system:{name}"), free_port()
        api.processes.start(name, paths[name], f"--kubeconfig={config}", f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
                            f"--bind-address={LOOPBACK}", f"--secure-port={ports[name]}", *FAST, *flags)
    # Pods are refused before it is there; that it is there shows that controllers run.
    api.processes.until(lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default"), "the controllers make service accounts")


@contextlib.contextmanager
def running(*flags, controllers=False, address=LOOPBACK, folder=None):
    """A control plane for as long as the block runs, its API server with these flags as well; nothing of it stays.

    With `controllers`, Deployments make Pods, namespaces have service accounts, and Pods are given to nodes if there are any. `folder` is
    for keys and logs, and removed at the end; one is made if none is given."""
    paths = build.programs((*build.SERVER, *(build.CONTROLLERS if controllers else ())))
    folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="obtrace-kubernetes-"))
    folder.mkdir(exist_ok=True)
    processes = Processes(folder)
    try:
        make_keys(folder, address)
        port = free_port(address)
        if not controllers:
            # Nobody makes service accounts.
            flags = ("--disable-admission-plugins=ServiceAccount", *flags)
        processes.start("kube-apiserver", paths["kube-apiserver"], start_store(processes, paths["etcd"]), *server_flags(folder, address, port), *flags)
        api = Api(folder, address, port, processes, controllers)
        processes.until(lambda: api.request("GET", "/readyz")[0] == 200, "the API server is ready")
        if controllers:
            start_controllers(api, paths)
        yield api
    finally:
        processes.end()
        shutil.rmtree(folder, ignore_errors=True)
