#!/usr/bin/env python3
"""run.py --image A.tar --again B.tar --obtrace-zero PATH: whether the agent's image is what a Pod needs.

The archive is read as the OCI specification says and unpacked; what a patched Pod says is run in it, as a user that the
image does not know, with a root file system that nobody can write to. Needs root, for namespaces.
"""

import argparse
import filecmp
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import yaml

SEPARATED = "OBTRACE_TEST_NAMESPACE"
MIB = 1024 * 1024
MOST_MIB = 48
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": {"containers": [
    {"name": "web", "image": "node:22"}, {"name": "jobs", "image": "python:3.13", "command": ["python", "jobs.py"]},
    {"name": "store", "image": "eclipse-temurin:21"}]}}


class Image:
    """An archive; every digest is checked on the way."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.files = {member.name: archive.extractfile(member).read() for member in archive}
        (self.descriptor,) = json.loads(self.files["index.json"])["manifests"]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = [self.blob(layer) for layer in self.manifest["layers"]]

    def blob(self, descriptor):
        algorithm, digest = descriptor["digest"].split(":")
        data = self.files[f"blobs/{algorithm}/{digest}"]
        assert hashlib.new(algorithm, data).hexdigest() == digest and len(data) == descriptor["size"], f"{digest} is not what it says"
        return data

    def unpack(self, root):
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                archive.extractall(root, filter="fully_trusted")


def members(image):
    for layer in image.layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            yield from archive


def archive_is_sound(image, _):
    """An engine can load it: layout, digests of layers, a user by number that is not root."""
    assert json.loads(image.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in image.layers]
    assert image.config["rootfs"] == {"type": "layers", "diff_ids": diffs}
    user, group = map(int, image.config["config"]["User"].split(":"))
    assert user > 0 and group > 0, "it runs as root"
    assert image.config["config"]["Labels"]["org.opencontainers.image.version"]
    return f"{sum(map(len, image.layers)) / MIB:.1f} MiB in {len(image.layers)} layers, {image.descriptor['digest']}"


def files_are_plain(image, _):
    """Nothing is set-uid, belongs to anybody but root, is closed to others, or tells when it was made."""
    seen = 0
    for member in members(image):
        assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, ""), f"{member.name}: owner or time"
        assert not member.mode & 0o6000 and member.mode & 0o444 == 0o444, f"{member.name}: {member.mode:o}"
        seen += 1
    size = sum(map(len, image.layers))
    assert size < MOST_MIB * MIB, f"{size} bytes"
    return f"{seen} files"


def licences_are_there(image, _):
    """Whose work is in it: ours, busybox with where its source is, the C library, each crate, what is bundled for Node.js."""
    names = {member.name for member in members(image)}
    wanted = {"licenses/obtrace-zero/LICENSE", "licenses/busybox/GPL-2", "licenses/busybox/SOURCE", "licenses/glibc/LGPL-2.1",
              "agent/nodejs/obtrace-node.LEGAL.txt"}
    assert wanted <= names, sorted(wanted - names)
    crates = {name.split("/")[2].rsplit("-", 1)[0] for name in names if name.startswith("licenses/rust/") and name.count("/") > 2}
    assert {"clap", "sha2", "rustix", "serde_json"} <= crates, sorted(crates)
    return f"{len(crates)} crates"


def builds_are_equal(image, options):
    """Made twice, it is the same, byte for byte."""
    assert filecmp.cmp(options.image, options.again, shallow=False), f"{Image(options.again).descriptor['digest']} the second time"
    return image.descriptor["digest"]


class Root:
    """The image's root directory, read-only, with an empty volume at /obtrace; given back in the end."""

    def __init__(self, image):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-image-"))
        self.root = self.folder / "root"
        image.unpack(self.root)

    def __enter__(self):
        self.folder.chmod(0o755)
        subprocess.run(["mount", "--bind", self.root, self.root], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", self.root / "obtrace"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.root], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.root / "obtrace"], check=True)
        subprocess.run(["umount", self.root], check=True)
        shutil.rmtree(self.folder)

    def run(self, *command):
        """Runs it in there without privileges, as a user that the image does not know."""
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin")
        return subprocess.run(["unshare", "--net", "--pid", "--fork", chroot, "--userspec=1000650000:0", self.root, *command],
                              capture_output=True, text=True, env={"PATH": "/bin:/"})


def init_container(options):
    """The command of the init container as `obtrace-zero preview` patches it."""
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}},
        {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": "default"},
         "spec": {"ingestUrl": "http://receiver.default"}}, POD]
    done = subprocess.run([options.obtrace_zero, "preview", "-f", "-", "--output", "manifest", "--only", "Pod/shop"],
                          input="\n---\n".join(map(json.dumps, documents)), capture_output=True, text=True, check=True)
    pods = [document for document in yaml.safe_load_all(done.stdout) if document and document["kind"] == "Pod"]
    (container,) = pods[0]["spec"]["initContainers"]
    return container


def command_of_the_patch(image, options):
    """The init container as patched fills the volume, and again does nothing."""
    container = init_container(options)
    assert container["image"] == image.descriptor["annotations"]["io.containerd.image.name"], container["image"]
    with Root(image) as root:
        for attempt in ("copied to", "complete in"):
            done = root.run(*container["command"], *container.get("args", []))
            assert done.returncode == 0 and done.stderr.count(attempt) == 3, f"{attempt}: {done.returncode} {done.stderr}"
        done = root.run("/obtrace-loaders", "verify", "/obtrace", "--language", "nodejs,python,java")
        assert done.returncode == 0, done.stderr
    return " ".join(container["command"])


def shell_and_cp(image, _):
    """The form of the specification, for each language: the same files as the image has."""
    for language in ("nodejs", "python", "java", "dotnet", "php", "ruby"):
        with Root(image) as root:
            done = root.run("/bin/sh", "-c", f"cp -r /agent/{language}/* /obtrace/")
            assert done.returncode == 0, f"{language}: {done.stderr}"
            done = root.run("/obtrace-loaders", "verify", "/obtrace", "--language", language)
            assert done.returncode == 0, f"{language}: {done.stderr}"
            written = root.run("/bin/sh", "-c", "echo x > /agent/x")
            assert written.returncode != 0, "the root file system can be written to"
    return ""


CASES = [archive_is_sound, files_are_plain, licences_are_there, builds_are_equal, command_of_the_patch, shell_and_cp]


def separate():
    """Goes on in a mount namespace of its own."""
    if os.environ.get(SEPARATED) == str(os.getpid()):
        return
    if os.geteuid() != 0:
        print("not root: nothing can be mounted")
        sys.exit(77)
    os.environ[SEPARATED] = str(os.getpid())
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--again", type=pathlib.Path, required=True, help="the same, made once more")
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True)
    options = parser.parse_args()
    separate()
    image = Image(options.image)
    failed = 0
    for case in CASES:
        try:
            print(f"{case.__name__.replace('_', '-'):<24} ok      {case(image, options)}", flush=True)
        except (AssertionError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"{case.__name__.replace('_', '-'):<24} FAILED  {error}", flush=True)
    print(f"\n{len(CASES) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
