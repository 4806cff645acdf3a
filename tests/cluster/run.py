#!/usr/bin/env python3
"""run.py: a real cluster with two nodes, all of it in namespaces of its own, and the product on it.

Needs root, Go, a JDK and Debian's packages; nothing of it stays. `--only` runs the named cases; `--shell` gives a shell in which
kubectl reaches the cluster, once the cases have run. `cargo xtask test --part cluster` builds what the options name.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests/kubernetes"), str(ROOT / "tests/loaders"), str(ROOT / "tests")]

import applications  # noqa: E402
import build  # noqa: E402
import ebpf  # noqa: E402
import foundation  # noqa: E402
import installation  # noqa: E402
import nodes  # noqa: E402
import rig  # noqa: E402
import upgrade  # noqa: E402
import workloads  # noqa: E402
from report import Report  # noqa: E402

CASES = {
    "foundation": lambda cluster, report, _: foundation.check(cluster, report),
    "applications": lambda cluster, report, _: applications.check(cluster, report),
    "installation": installation.check,
    # Leaves its agents, which an uninstall would take away.
    "ebpf": lambda cluster, report, options: ebpf.check(cluster, report, options.ebpf_image),
}


def run_case(name, cluster, report, options):
    began = time.monotonic()
    try:
        CASES[name](cluster, report, options)
    except Exception:
        report.check(f"{name} is run to its end", traceback.format_exc().splitlines())
    print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)


def shell(cluster):
    """A shell of the developer's, beside the API server."""
    paths = build.clients()
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{paths['kubectl'].parent}:{os.environ['PATH']}"}
    subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=environment, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-agent", type=pathlib.Path, required=True, help="the program that receives OTLP in the cluster")
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--operator-image", type=pathlib.Path, required=True, help="the archive of the image of the operator")
    parser.add_argument("--agent-image", type=pathlib.Path, required=True, help="the archive of the image with the loaders")
    parser.add_argument("--ebpf-image", type=pathlib.Path, required=True, help="the archive of the image of the agent of a node")
    parser.add_argument("--next-obtrace-zero", type=pathlib.Path, required=True, help="the program of the next version")
    parser.add_argument("--next-agent-image", type=pathlib.Path, required=True, help="the archive of the next version's image with the loaders")
    parser.add_argument("--node", type=pathlib.Path, required=True, help="a Node.js program")
    parser.add_argument("--jdk", type=pathlib.Path, default=pathlib.Path("/usr/lib/jvm/default-java").resolve())
    parser.add_argument("--only", action="append", choices=CASES, help="only this case (may be given more than once)")
    parser.add_argument("--shell", action="store_true")
    options = parser.parse_args()
    # While there is a network to fetch from.
    nodes.prepare()
    folder = rig.separate()
    began, report = time.monotonic(), Report()
    with nodes.with_nodes(folder) as cluster:
        print(f"-- a cluster of {len(cluster.nodes)} nodes: {time.monotonic() - began:.0f} s", flush=True)
        system = nodes.packages(build.cache())
        cluster.load_image(*workloads.archives(folder, system, options.node, options.jdk), workloads.Sink.archive(folder, system, options.obtrace_agent),
                           options.operator_image, options.agent_image, options.ebpf_image, upgrade.archive(folder, options.next_obtrace_zero), options.next_agent_image)
        print(f"-- with images: {time.monotonic() - began:.0f} s", flush=True)
        for name in options.only or CASES:
            run_case(name, cluster, report, options)
        if options.shell:
            shell(cluster)
    sys.exit(report.conclude())


main()
