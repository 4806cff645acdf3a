"""The API server of Kubernetes, its store and the kubelet, built once for a version from the modules that `servers/go.mod` pins."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "1.34.4"
PROGRAMS = {
    "etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver", "kubelet": "k8s.io/kubernetes/cmd/kubelet"}
SERVER = ("etcd", "kube-apiserver")


def cache():
    """The folder that heavy builds are kept in."""
    default = pathlib.Path(os.environ.get("HOME", "/root"), ".cache", "obtrace-zero")
    return pathlib.Path(os.environ.get("OBTRACE_CACHE", default))


def programs(names=SERVER):
    """Builds what is missing of these; the path of each program by its name."""
    folder = cache() / "kubernetes" / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in names:
        paths[name] = folder / name
        if not paths[name].exists():
            print(f"building {name} {VERSION} from its Go modules: some minutes, once", flush=True)
            build(PROGRAMS[name], paths[name])
    return paths


def build(package, path):
    # Without its version in it the server calls itself v0.0.0, and clients refuse to talk to it.
    versions = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    flags = f"-s -w -X {versions}.gitVersion=v{VERSION} -X {versions}.gitMajor={major} -X {versions}.gitMinor={minor}"
    unfinished = path.with_suffix(".unfinished")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -mod=readonly"}
    command = ["go", "build", "-ldflags", flags, "-o", unfinished, package]
    subprocess.run(command, cwd=HERE / "servers", env=environment, check=True)
    unfinished.rename(path)
