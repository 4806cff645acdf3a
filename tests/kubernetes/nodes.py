"""Real nodes: each with a kubelet, containerd and kube-proxy, and with network, mount and process namespaces of its own."""

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import build
import cluster
import images
import keys
import rig
from api import is_ready

HERE = pathlib.Path(__file__).resolve().parent
# Where the control plane, the name server and the test itself are, and the nodes' way to each other's Pods.
GATEWAY = "10.87.0.1"
PODS = "10.88.0.0/16"
DNS = "10.96.0.10"
DNS_READY = 8181
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "busybox-static")
PAUSE = "registry.test/pause:1"

CONTAINERD = """
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A process may not make itself a less likely victim than it was without the capability for it.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{system}/usr/lib/cni"
    conf_dir = "{folder}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{system}/usr/sbin/runc"
        SystemdCgroup = false
"""


def packages(cache):
    """The programs of a node from Debian's packages, unpacked: nothing is installed and nothing is started by it."""
    folder = cache / "kubernetes/debian-12"
    with build.only_one(folder):
        if not (folder / ".complete").exists():
            print(f" -> {', '.join(PACKAGES)} go to {folder}", flush=True)
            folder.mkdir(exist_ok=True)
            subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *PACKAGES], cwd=folder, check=True, capture_output=True)
            for package in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, folder], check=True)
                package.unlink()
            (folder / ".complete").touch()
    return folder


def prepare():
    """Fetches and builds what a cluster is made of, while there is a network for it."""
    packages(build.cache())
    build.clients()
    build.programs(build.PROGRAMS)


class Node:
    """One node, by its number from 1."""

    def __init__(self, folder, number, programs):
        self.name, self.address, self.pods = f"node{number}", f"{GATEWAY.rpartition('.')[0]}.{10 + number}", f"10.88.{number}.0/24"
        self.folder, self.programs, self.group = folder / self.name, programs, f"{rig.group_of(folder)}/{self.name}"
        self.system = programs / "debian-12"
        self.process = None

    def join(self):
        """A network namespace, joined to the bridge; the way to its Pods."""
        rig.ip(f"netns add {self.name}", f"link add {self.name} type veth peer name eth0 netns {self.name}", f"link set {self.name} master nodes up")
        rig.ip("link set lo up", f"addr add {self.address}/24 dev eth0", "link set eth0 up", f"route add default via {GATEWAY}", namespace=self.name)
        rig.ip(f"route add {self.pods} via {self.address}")

    def configure(self, api):
        """Writes what its programs are started with; their command lines."""
        for folder in ("net.d", "lib", "log", "run", "containerd"):
            (self.folder / folder).mkdir(parents=True)
        keys.certificate(api.folder, f"{self.name}-server", f"/O=system:nodes/CN=system:node:{self.name}", "server", f"DNS:{self.name},IP:{self.address}")
        kubelet = api.client(self.name, f"/O=system:nodes/CN=system:node:{self.name}")
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(folder=self.folder, system=self.system, pause=PAUSE))
        for name, content in (("net.d/10-bridge.conflist", self.network()), ("kubelet.json", self.kubelet(api.folder)), ("proxy.json", self.proxy(api.folder))):
            (self.folder / name).write_text(json.dumps(content))
        version = self.programs / build.VERSION
        return {
            "containerd": [f"{self.system}/usr/bin/containerd", f"--config={self.folder}/containerd.toml"],
            "kubelet": [f"{version}/kubelet", f"--config={self.folder}/kubelet.json", f"--kubeconfig={kubelet}", f"--hostname-override={self.name}",
                        f"--node-ip={self.address}"],
            "kube-proxy": [f"{version}/kube-proxy", f"--config={self.folder}/proxy.json"]}

    def network(self):
        addresses = {"type": "host-local", "ranges": [[{"subnet": self.pods}]]}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "isDefaultGateway": True, "ipMasq": False, "hairpinMode": True, "ipam": addresses}]}

    def kubelet(self, secrets):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": self.address, "readOnlyPort": 0,
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{secrets}/ca.crt"}},
            "authorization": {"mode": "Webhook"}, "tlsCertFile": f"{secrets}/{self.name}-server.crt", "tlsPrivateKeyFile": f"{secrets}/{self.name}-server.key",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            # Control groups of version 1, which a kubelet refuses unless it is told.
            "cgroupDriver": "cgroupfs", "cgroupRoot": self.group, "cgroupsPerQOS": True, "enforceNodeAllocatable": [], "failCgroupV1": False,
            "failSwapOn": False, "oomScoreAdj": 0, "makeIPTablesUtilChains": False, "clusterDomain": "cluster.local", "clusterDNS": [DNS], "resolvConf": "",
            # What is there is all there is: images are never fetched, and are not to be removed for space.
            "imageGCHighThresholdPercent": 100, "imageMinimumGCAge": "24h", "serializeImagePulls": False,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"}}

    def proxy(self, secrets):
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables", "hostnameOverride": self.name,
            "clusterCIDR": PODS, "clientConnection": {"kubeconfig": f"{secrets}/kube-proxy.conf"}, "bindAddress": self.address,
            "healthzBindAddress": f"{self.address}:10256",
            # Not for a test to set.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}

    def start(self, api):
        """Starts it; it is not up yet."""
        self.join()
        rig.make_group(self.group)
        told = {"name": self.name, "folder": str(self.folder), "path": f"{self.system}/usr/bin:{self.system}/usr/sbin", "commands": self.configure(api)}
        (self.folder / "node.json").write_text(json.dumps(told))
        self.process = api.processes.start(
            self.name, "nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
            sys.executable, HERE / "node.py", self.folder / "node.json")

    def images(self, *command):
        """What containerd's own client does with images."""
        client = [f"{self.system}/usr/bin/ctr", "--address", self.folder / "run/containerd/containerd.sock", "--namespace", "k8s.io", "images"]
        done = subprocess.run([*client, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{self.name}: ctr images {' '.join(map(str, command))}: {done.stderr.strip()}")

    def load(self, archive):
        self.images("import", archive)

    def is_up(self, api):
        """Whether the kubelet says that it is ready, and Services are reached from it."""
        found = api.get(f"/api/v1/nodes/{self.name}")
        if not found or not is_ready(found):
            return False
        with urllib.request.urlopen(f"http://{self.address}:10256/healthz", timeout=5) as answer:
            return answer.status == 200

    def kill(self, api):
        """Ends it as when the power fails: everything in it is gone at once."""
        api.processes.running.pop(self.name, None)
        if self.process:
            self.process.kill()
            self.process.wait()


class Cluster:
    """A control plane and its nodes. What `Api` has is here, too."""

    def __init__(self, folder, api, nodes):
        self.folder, self.api, self.nodes = folder, api, nodes

    def __getattr__(self, name):
        return getattr(self.api, name)

    def load_image(self, archive, *others):
        """Makes images known to every node, by the names in these OCI archives."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: [node.load(path) for path in (archive, *others)], self.nodes))

    def name_image(self, image, *others):
        """Makes an image that every node has known by other names, too."""
        for node in self.nodes:
            node.images("tag", image, *others)


def start_names(api, folder, program):
    """The cluster's name server, a process beside the API server, and the Service by which Pods reach it."""
    (folder / "Corefile").write_text(f"""
.:53 {{
  bind {GATEWAY}
  errors
  ready {GATEWAY}:{DNS_READY}
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {api.kubeconfig}
    ttl 5
  }}
  cache 5
}}
""")
    api.processes.start("coredns", program, "-conf", folder / "Corefile")
    ports = [{"name": protocol.lower(), "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    api.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
         "spec": {"clusterIP": DNS, "ports": ports}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
            "name": "kube-dns", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
         "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [GATEWAY], "conditions": {"ready": True}}]})
    ready = f"http://{GATEWAY}:{DNS_READY}/ready"
    api.processes.until(lambda: urllib.request.urlopen(ready, timeout=5).status == 200, "the name server has the cluster's Services")


@contextlib.contextmanager
def with_nodes(folder, count=2, flags=()):
    """A cluster with `count` nodes for as long as the block runs, in the folder that `rig.separate` gave; the API server has `flags` as well."""
    # The caches may be where a node has folders of its own.
    programs = folder / "programs"
    programs.mkdir()
    rig.mount("--bind", build.cache() / "kubernetes", programs)
    rig.mount("-o", "remount,bind,ro", programs)
    # Network namespaces are named in it.
    rig.mount("-t", "tmpfs", "tmpfs", "/run")
    rig.ip("link set lo up", "link add nodes type bridge", f"addr add {GATEWAY}/24 dev nodes", "link set nodes up")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    nodes = [Node(folder, number, programs) for number in range(1, count + 1)]
    with cluster.running(*flags, controllers=True, address=GATEWAY, folder=folder / "control") as api:
        try:
            api.client("kube-proxy", "/CN=system:kube-proxy")
            for node in nodes:
                node.start(api)
            start_names(api, folder, programs / build.VERSION / "coredns")
            made = Cluster(folder, api, nodes)
            pause = images.pause(folder, programs / build.VERSION / "pause", PAUSE)
            for node in nodes:
                api.processes.until(lambda node=node: node.is_up(api), f"{node.name} is ready")
                node.load(pause)
            yield made
        finally:
            for node in nodes:
                node.kill(api)
