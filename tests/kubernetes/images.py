"""Images without an engine and without a registry: OCI archives made of folders, for `ctr images import`."""

import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def described(data, kind):
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def layer(root):
    """A folder as a tar file: everything root's, of the year 1970, in order."""
    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(root, arcname=".", filter=plain)
    return data.getvalue()


def write(path, name, root, command, user="65532:65532", entrypoint=None):
    """Writes the archive of an image with one layer."""
    data = layer(root)
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]},
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Entrypoint": entrypoint, "Cmd": command, "User": user}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described(config, CONFIG), "layers": [described(data, LAYER)]}).encode()
    index = {**described(manifest, MANIFEST), "annotations": {"io.containerd.image.name": name}}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps({"schemaVersion": 2, "manifests": [index]}).encode()}
    files |= {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (data, config, manifest)}
    with tarfile.open(path, "w") as archive:
        for file, content in files.items():
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def place(root, path, content):
    """Copies a file or folder of this machine to `path` below `root`."""
    target = root / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if content.is_dir():
        shutil.copytree(content, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "test", "*.a"))
    else:
        shutil.copy(content, target)
    return target


def pause(folder, program, name):
    """The image of a Pod's sandbox; its archive."""
    root, archive = folder / "root-pause", folder / "pause.tar"
    place(root, "/pause", program)
    write(archive, name, root, ["/pause"])
    shutil.rmtree(root)
    return archive


def image(folder, programs, name, fill, command):
    """The image registry.test/NAME:1 of a busybox and what `fill` puts beside it; its archive."""
    root, archive = folder / f"root-{name}", folder / f"{name}.tar"
    busybox(root, next(path for path in (programs / "bin/busybox", programs / "usr/bin/busybox") if path.exists()))
    fill(root)
    write(archive, f"registry.test/{name}:1", root, command)
    shutil.rmtree(root)
    return archive


def libraries(root, *programs):
    """Copies the shared libraries that these programs are linked with."""
    for linked in programs:
        told = subprocess.run(["ldd", linked], capture_output=True, text=True).stdout
        for word in told.split():
            if word.startswith("/") and os.path.exists(word):
                place(root, word, pathlib.Path(word).resolve())


def busybox(root, program):
    place(root, "/bin/busybox", program)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def command(root, program, path):
    """A program of this machine and the libraries it needs."""
    place(root, path, program)
    libraries(root, program)


def python(root):
    """Debian's Python and its standard library."""
    program = pathlib.Path("/usr/bin/python3").resolve()
    place(root, "/usr/bin/python3", program)
    library = pathlib.Path(f"/usr/lib/{program.name}")
    place(root, library, library)
    extensions = sorted((library / "lib-dynload").glob("*.so"))
    libraries(root, program, *extensions)


def java(root, home, modules):
    """A Java runtime of these modules, made by jlink of the JDK in `home`."""
    target = root / "usr/lib/java"
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([home / "bin/jlink", "--add-modules", ",".join(modules), "--output", target, "--strip-debug", "--no-man-pages", "--no-header-files"],
                   check=True, capture_output=True)
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/java").symlink_to("../lib/java/bin/java")
    libraries(root, target / "bin/java", *sorted((target / "lib").rglob("*.so")))
