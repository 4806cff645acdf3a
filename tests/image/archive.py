"""Archives of images as the OCI specification says, unpacked and run."""

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

SEPARATED = "OBTRACE_TEST_NAMESPACE"
MIB = 1024 * 1024


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


def check_archive(image):
    """An engine can load it: layout, digests of layers, a version."""
    assert json.loads(image.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in image.layers]
    assert image.config["rootfs"] == {"type": "layers", "diff_ids": diffs}
    assert image.config["config"]["Labels"]["org.opencontainers.image.version"]
    return f"{sum(map(len, image.layers)) / MIB:.1f} MiB in {len(image.layers)} layers, {image.descriptor['digest']}"


def check_files(image):
    """Nothing is set-uid, belongs to anybody but root, is closed to others, or tells when it was made."""
    seen = 0
    for member in members(image):
        assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, ""), f"{member.name}: owner or time"
        assert not member.mode & 0o6000 and member.mode & 0o444 == 0o444, f"{member.name}: {member.mode:o}"
        seen += 1
    return f"{seen} files"


def licensed_crates(image):
    """The crates whose licences are in it."""
    names = {member.name for member in members(image)}
    return {name.split("/")[2].rsplit("-", 1)[0] for name in names if name.startswith("licenses/rust/") and name.count("/") > 2}


class Root:
    """The image's root directory, read-only, with an empty volume at `volume`; given back in the end."""

    def __init__(self, image, volume="obtrace"):
        self.volume = volume
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-image-"))
        self.root = self.folder / "root"
        image.unpack(self.root)

    def __enter__(self):
        self.folder.chmod(0o755)
        subprocess.run(["mount", "--bind", self.root, self.root], check=True)
        if self.volume:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", self.root / self.volume], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.root], check=True)
        return self

    def __exit__(self, *_):
        if self.volume:
            subprocess.run(["umount", self.root / self.volume], check=True)
        subprocess.run(["umount", self.root], check=True)
        shutil.rmtree(self.folder)

    def run(self, *command, user="1000650000:0"):
        """Runs it in there without privileges, as a user that the image does not know unless another is named."""
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin")
        return subprocess.run(["unshare", "--net", "--pid", "--fork", chroot, f"--userspec={user}", self.root, *command],
                              capture_output=True, text=True, env={"PATH": "/bin:/"})


def separate():
    """Goes on in a mount namespace of its own."""
    if os.environ.get(SEPARATED) == str(os.getpid()):
        return
    if os.geteuid() != 0:
        print("not root: nothing can be mounted")
        sys.exit(77)
    os.environ[SEPARATED] = str(os.getpid())
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def play(cases, image, options):
    """Runs the cases, says how each went, and ends."""
    failed = 0
    for case in cases:
        try:
            print(f"{case.__name__.replace('_', '-'):<24} ok      {case(image, options)}", flush=True)
        except (AssertionError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"{case.__name__.replace('_', '-'):<24} FAILED  {error}", flush=True)
    print(f"\n{len(cases) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
