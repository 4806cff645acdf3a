"""One real node: containerd, runc and kubelet, in the network namespace of whoever starts it."""

import contextlib
import os
import pathlib
import subprocess
import time

from keys import openssl

ADDRESS = "10.87.0.10"
NAME = "node1"
PODS = "10.88.0.0/24"
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "busybox-static")
# Kubelet changes these for the whole machine.
SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")

CONTAINERD = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
oom_score = 0
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.test/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{programs}/usr/sbin/runc"
        SystemdCgroup = false
"""

NETWORK = """
{{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "ipMasq": false,
    "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{pods}"}}]], "dataDir": "{folder}/addresses"}}}}]}}
"""

KUBELET = """
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
readOnlyPort: 0
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: false}}, x509: {{clientCAFile: {keys}/ca.crt}}}}
authorization: {{mode: AlwaysAllow}}
containerRuntimeEndpoint: unix://{folder}/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: {cgroup}
cgroupsPerQOS: true
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
resolvConf: ""
podLogsDir: {folder}/pod-logs
volumePluginDir: {folder}/volume-plugins
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}}
serializeImagePulls: false
"""


def packages(cache):
    """The programs of a node from Debian's packages, unpacked: nothing is installed and nothing is started by it."""
    folder = cache / "kubernetes/debian-12"
    if not (folder / ".complete").exists():
        print(f" -> {', '.join(PACKAGES)} go to {folder}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *PACKAGES], cwd=folder, check=True, capture_output=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)
            package.unlink()
        (folder / ".complete").touch()
    return folder


def network():
    """The node's address, in the network namespace that we are in."""
    for command in ("link set lo up", "link add node0 type bridge", f"addr add {ADDRESS}/24 dev node0", "link set node0 up",
                    f"route add default dev node0 src {ADDRESS}"):
        subprocess.run(["ip", *command.split()], check=True)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def kubeconfig(cluster, name, subject):
    """Makes a client's certificate and the file that names it; the file."""
    folder = cluster.folder
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject,
            folder=folder)
    (folder / f"{name}.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", f"{name}.ext",
            "-out", f"{name}.crt", folder=folder)
    path = folder / f"{name}.conf"
    path.write_text(f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{cluster.port}", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: u, user: {{client-certificate: {folder}/{name}.crt, client-key: {folder}/{name}.key}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
""")
    return path


class Worker:
    """The running node."""

    def __init__(self, folder, programs, kubelet):
        self.folder, self.programs, self.kubelet = folder, programs, kubelet
        self.cgroup = f"/obtrace-node-{os.getpid()}"
        self.processes, self.settings = [], {}

    def spawn(self, name, *command):
        path = f"{self.programs}/usr/bin:{self.programs}/usr/sbin:{os.environ['PATH']}"
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PATH": path})
        self.processes.append((name, process))

    def ctr(self, *arguments):
        command = [self.programs / "usr/bin/ctr", "--address", self.folder / "containerd.sock", "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def groups(self):
        """Every hierarchy's folder of ours."""
        return [hierarchy / self.cgroup.lstrip("/") for hierarchy in (pathlib.Path("/sys/fs/cgroup"), *sorted(pathlib.Path("/sys/fs/cgroup").iterdir()))
                if (hierarchy / "cgroup.procs").exists()]

    def start(self, cluster, archives):
        (self.folder / "cni").mkdir(parents=True)
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(folder=self.folder, programs=self.programs))
        (self.folder / "cni/10-bridge.conflist").write_text(NETWORK.format(folder=self.folder, pods=PODS))
        (self.folder / "kubelet.yaml").write_text(KUBELET.format(folder=self.folder, address=ADDRESS, keys=cluster.folder, cgroup=self.cgroup))
        for group in self.groups():
            group.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (group.parent / file).exists() and not (group / file).read_text().strip():
                    (group / file).write_text((group.parent / file).read_text())
        self.settings = {name: pathlib.Path("/proc/sys", name).read_text() for name in SETTINGS}
        self.spawn("containerd", self.programs / "usr/bin/containerd", "--config", self.folder / "containerd.toml")
        self.until(lambda: self.ctr("version").returncode == 0, "containerd answers", 60)
        for archive in archives:
            done = self.ctr("images", "import", archive)
            if done.returncode:
                raise RuntimeError(f"ctr images import {archive}: {done.stderr.strip()}")
        self.spawn("kubelet", self.kubelet, f"--config={self.folder}/kubelet.yaml", f"--kubeconfig={kubeconfig(cluster, 'kubelet', f'/O=system:nodes/CN=system:node:{NAME}')}",
                   f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/kubelet-keys", f"--hostname-override={NAME}", f"--node-ip={ADDRESS}")
        self.until(lambda: ready(cluster), "the node is ready", 120)

    def until(self, condition, what, seconds):
        end = time.monotonic() + seconds
        while not condition():
            for name, process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}: {self.tail(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"not within {seconds} s: {what}; " + "; ".join(f"{name}: {self.tail(name)}" for name, _ in self.processes))
            time.sleep(0.2)

    def tail(self, name):
        return " | ".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-4:])

    def stop(self):
        """Ends the node and its containers; gives back settings, mounts and control groups."""
        for name, process in reversed(self.processes):
            if name == "containerd" and process.poll() is None:
                for task in self.ctr("tasks", "ls", "--quiet").stdout.split():
                    self.ctr("tasks", "kill", "--signal", "KILL", task)
                time.sleep(0.5)
                for task in self.ctr("tasks", "ls", "--quiet").stdout.split():
                    self.ctr("tasks", "delete", "--force", task)
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((mount for mount in mounts if mount.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        for name, value in self.settings.items():
            pathlib.Path("/proc/sys", name).write_text(value)
        for group in self.groups():
            for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    inner.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()


def ready(cluster):
    status, answer = cluster.request("GET", f"/api/v1/nodes/{NAME}")
    conditions = answer["status"].get("conditions", []) if status == 200 else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
