#!/usr/bin/env python3
"""run.py --image A.tar --again B.tar --obtrace-zero PATH: whether the agent's image is what a Pod needs.

The archive is read as the OCI specification says and unpacked; what a patched Pod says is run in it, as a user that the
image does not know, with a root file system that nobody can write to. Needs root, for namespaces.
"""

import argparse
import filecmp
import json
import pathlib
import subprocess

import yaml
from archive import MIB, Image, Root, check_archive, check_files, licensed_crates, members, play, separate

MOST_MIB = 48
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": {"containers": [
    {"name": "web", "image": "node:22"}, {"name": "jobs", "image": "python:3.13", "command": ["python", "jobs.py"]},
    {"name": "store", "image": "eclipse-temurin:21"}]}}


def archive_is_sound(image, _):
    """An engine can load it; its user is a number that is not root's."""
    user, group = map(int, image.config["config"]["User"].split(":"))
    assert user > 0 and group > 0, "it runs as root"
    return check_archive(image)


def files_are_plain(image, _):
    size = sum(map(len, image.layers))
    assert size < MOST_MIB * MIB, f"{size} bytes"
    return check_files(image)


def licences_are_there(image, _):
    """Whose work is in it: ours, busybox with where its source is, the C library, each crate, what is bundled for Node.js."""
    names = {member.name for member in members(image)}
    wanted = {"licenses/obtrace-zero/LICENSE", "licenses/busybox/GPL-2", "licenses/busybox/SOURCE", "licenses/glibc/LGPL-2.1",
              "agent/nodejs/obtrace-node.LEGAL.txt"}
    assert wanted <= names, sorted(wanted - names)
    crates = licensed_crates(image)
    assert {"clap", "sha2", "rustix", "serde_json"} <= crates, sorted(crates)
    return f"{len(crates)} crates"


def builds_are_equal(image, options):
    """Made twice, it is the same, byte for byte."""
    assert filecmp.cmp(options.image, options.again, shallow=False), f"{Image(options.again).descriptor['digest']} the second time"
    return image.descriptor["digest"]


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--again", type=pathlib.Path, required=True, help="the same, made once more")
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True)
    options = parser.parse_args()
    separate()
    play(CASES, Image(options.image), options)


main()
