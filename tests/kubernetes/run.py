#!/usr/bin/env python3
"""run.py --obtrace-zero PATH: what the API server of Kubernetes says of what we make.

The definition of the custom resource is installed and asked to refuse what is wrong. Every golden Pod of obtrace-patch is
created as it was and as it is patched, in a namespace with the level of Pod Security that its settings name. Every manifest below
`manifests/` goes through `obtrace-zero preview`; an independent implementation of RFC 6902 applies the patch. Obtrace Zero is installed,
asked, upgraded and taken away. In namespaces with quotas and limits it has no Pod refused. Its own traces arrive. A leader
after another goes on with what that knew.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[1:1] = [str(ROOT / "tests/loaders"), str(ROOT / "tests")]

import build  # noqa: E402
import cluster  # noqa: E402
import definition  # noqa: E402
import golden  # noqa: E402
import install  # noqa: E402
import limits  # noqa: E402
import preview  # noqa: E402
import succession  # noqa: E402
import traces  # noqa: E402
from report import Report  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True, help="the program")
    arguments = parser.parse_args()
    report = Report(quiet=True)
    with cluster.running() as api:
        definition.check(api, report, ROOT / "deploy/crd/obtraceinstrumentation.yaml")
        golden.check(api, report, ROOT / "obtrace-patch/testdata/golden")
        program = preview.Program(arguments.obtrace_zero, build.VERSION)
        preview.check_manifests(api, report, program, HERE / "manifests", golden.pod_of)
        preview.check_golden(report, program, ROOT / "obtrace-patch/testdata/golden")
    with cluster.running(controllers=True) as api:
        install.check(api, report, arguments.obtrace_zero, ROOT / "deploy")
    with cluster.running(*limits.FLAGS, *traces.FLAGS, controllers=True, folder=traces.folder()) as api:
        limits.check(api, report, arguments.obtrace_zero)
        traces.check(api, report, arguments.obtrace_zero)
        succession.check(api, report, arguments.obtrace_zero)
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
