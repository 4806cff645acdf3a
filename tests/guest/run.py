#!/usr/bin/env python3
"""run.py [--agent STATIC_BINARY] [--only NAME]... [--strict]: the agent in emulated guests with other kernels than the host's.

On each kernel every BPF program goes through the verifier and real requests become spans with each back end; on 6.1
instructions are counted and held against the goals (README of benches/). Kernels come from Debian as packages that
are unpacked, not installed; everything is kept in OBTRACE_CACHE/guest.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("OBTRACE_CACHE") or pathlib.Path.home() / ".cache/obtrace-zero") / "guest"
BACKENDS = ("tracepoint", "fentry")
# The applications and the requests of each closed loop: Go's garbage collector runs once in a thousand or so, and must
# not be what tells two runs apart.
APPS = {"httpd": 2000, "goapp": 4000}


def sh(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, text=True, **options)


def output(*command, **options):
    return sh(*command, stdout=subprocess.PIPE, **options).stdout


def kernel(series):
    """The newest kernel of a series that Debian offers; unpacked into the cache."""
    names = output("apt-cache", "search", "--names-only", rf"^linux-image-{re.escape(series)}\.[.0-9]*(-[0-9]+|\+deb[0-9]+)-amd64$")
    found = sorted((line.split()[0] for line in names.splitlines()), key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
    kept = sorted(CACHE.glob(f"vmlinuz-{series}.*-amd64"))
    if not found:
        if kept:
            return kept[-1]
        sys.exit(f"no kernel {series} is offered by apt; run `apt-get update` first")
    image = CACHE / found[-1].replace("linux-image-", "vmlinuz-")
    if not image.exists():
        print(f" -> fetching {found[-1]}", flush=True)
        sh("apt-get", "-q", "download", found[-1], cwd=CACHE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        package = next(CACHE.glob(f"{found[-1]}_*.deb"))
        unpacked = CACHE / "unpacked"
        sh("dpkg-deb", "-x", package, unpacked)
        (unpacked / "boot" / image.name).rename(image)
        sh("rm", "-rf", unpacked, package)
    return image


def applications():
    folder = CACHE / "app"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("httpd", "load", "mix"):
        sh("gcc", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", folder / name, HERE / f"app/{name}.c")
    # Go looks for its caches in HOME, which need not be set.
    go = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(CACHE / "go-build"), "GOPATH": str(CACHE / "go")}
    sh("go", "build", "-trimpath", "-o", folder / "goapp", "goapp.go", cwd=HERE / "app", env=go)
    return [folder / name for name in ("httpd", "load", "mix", "goapp")]


def static_agent():
    """The agent without shared libraries: the guest has none."""
    target = ROOT / "target" / "guest"
    flags = {**os.environ, "RUSTFLAGS": "-C target-feature=+crt-static", "CARGO_TARGET_DIR": str(target)}
    triple = re.search(r"host: (\S+)", output("rustc", "-vV"))[1]
    sh("cargo", "build", "--quiet", "--release", "--locked", "--package", "obtrace-agent", "--target", triple, cwd=ROOT, env=flags)
    return target / triple / "release/obtrace-agent"


class Tests:
    def __init__(self, only):
        self.only, self.passed, self.failed = only, 0, []

    def wanted(self, name):
        return not self.only or any(part in name for part in self.only)

    def result(self, name, good, said=""):
        print(f"{'ok    ' if good else 'FAILED'} {name}{': ' + said if said and not good else ''}", flush=True)
        self.passed += good
        if not good:
            self.failed.append(name)


def boot(image, initramfs, log, *settings):
    """Boots, keeps the console in `log`, returns it."""
    with open(log, "w") as console:
        subprocess.run([HERE / "boot.sh", image, initramfs, *settings], stdout=console, stderr=subprocess.STDOUT, check=False)
    return open(log, errors="replace").read()


def verifier(tests, series, image, initramfs):
    for backend in BACKENDS:
        name = f"{series}: spans by {backend}"
        if tests.wanted(name):
            log = CACHE / f"smoke-{series}-{backend}.log"
            said = boot(image, initramfs, log, "G_SCENARIO=smoke", f"G_BACKEND={backend}")
            tests.result(name, "@@smoke ok" in said, f"see {log}")


def bench(tests, image, initramfs, strict):
    for app, count in APPS.items():
        base = CACHE / f"base-{app}.log"
        for backend in BACKENDS:
            name = f"instructions: {app} by {backend}"
            if not tests.wanted(name):
                continue
            if "@@closed3" not in (base.read_text() if base.exists() else ""):
                boot(image, initramfs, base, "G_SCENARIO=bench", f"G_APP={app}", f"G_N={count}")
            log = CACHE / f"bench-{app}-{backend}.log"
            boot(image, initramfs, log, "G_SCENARIO=bench", f"G_APP={app}", f"G_N={count}", f"G_BACKEND={backend}")
            goals = ["--goals", f"{app}:{backend}", *(["--strict"] if strict else [])]
            compared = subprocess.run([HERE / "compare.py", base, log, *goals])
            tests.result(name, compared.returncode == 0, f"see {log}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", help="a static build; made if it is not given")
    parser.add_argument("--only", action="append", default=[], metavar="PART_OF_NAME")
    parser.add_argument("--strict", action="store_true", help="what is short of its goal and known to be fails, too")
    options = parser.parse_args()
    tests = Tests(options.only)
    CACHE.mkdir(parents=True, exist_ok=True)
    agent = pathlib.Path(options.agent) if options.agent else static_agent()
    initramfs = CACHE / "initramfs.cpio"
    sh(HERE / "image.sh", initramfs, agent, *applications())
    for log in CACHE.glob("base-*.log"):
        log.unlink()
    for series in ("6.1", "6.12"):
        image = kernel(series)
        print(f" -> {image.name}", flush=True)
        verifier(tests, series, image, initramfs)
        if series == "6.1":
            bench(tests, image, initramfs, options.strict)
    print(f"{tests.passed} passed, {len(tests.failed)} failed")
    sys.exit(1 if tests.failed else 0)


if __name__ == "__main__":
    main()
