#!/usr/bin/env python3
"""program.py --image A.tar --again B.tar: whether the image of one static program is what a Pod needs.

It is unpacked and run with a root file system that nobody can write to. Needs root, for namespaces.
"""

import argparse
import filecmp
import pathlib

from archive import MIB, Image, Root, check_archive, check_files, licensed_crates, members, play, separate

MOST_MIB = 40


def archive_is_sound(image, _):
    return check_archive(image)


def only_what_is_needed(image, _):
    """One program, certificates, users, licences: no shell, no library."""
    program = image.config["config"]["Entrypoint"][0].removeprefix("/")
    files = {member.name for member in members(image) if member.isfile()}
    others = {name for name in files if not name.startswith("licenses/")} - {program, "etc/passwd", "etc/group", "etc/ssl/certs/ca-certificates.crt"}
    assert program in files and not others, sorted(others)
    size = sum(map(len, image.layers))
    assert size < MOST_MIB * MIB, f"{size} bytes"
    return check_files(image)


def licences_are_there(image, _):
    names = {member.name for member in members(image)}
    wanted = {"licenses/obtrace-zero/LICENSE", "licenses/glibc/LGPL-2.1", "licenses/ca-certificates/MPL-2.0"}
    assert wanted <= names, sorted(wanted - names)
    crates = licensed_crates(image)
    assert {"clap", "kube", "rustls", "serde_json"} <= crates, sorted(crates)
    return f"{len(crates)} crates"


def builds_are_equal(image, options):
    assert filecmp.cmp(options.image, options.again, shallow=False), f"{Image(options.again).descriptor['digest']} the second time"
    return image.descriptor["digest"]


def certificates_are_certificates(image, _):
    (text,) = [layer for layer in image.layers if b"BEGIN CERTIFICATE" in layer][:1]
    count = text.count(b"-----BEGIN CERTIFICATE-----")
    assert count > 100 and count == text.count(b"-----END CERTIFICATE-----"), count
    return f"{count} certificates"


def program_starts(image, _):
    """As its user, without a library of this machine, without a writable file."""
    config = image.config["config"]
    with Root(image, volume=None) as root:
        done = root.run(*config["Entrypoint"], "--version", user=config["User"])
        assert done.returncode == 0 and config["Labels"]["org.opencontainers.image.version"] in done.stdout, done.stderr or done.stdout
    return f"{done.stdout.strip()} as {config['User']}"


CASES = [archive_is_sound, only_what_is_needed, licences_are_there, builds_are_equal, certificates_are_certificates, program_starts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=pathlib.Path, required=True)
    parser.add_argument("--again", type=pathlib.Path, required=True, help="the same, made once more")
    options = parser.parse_args()
    separate()
    play(CASES, Image(options.image), options)


main()
