#!/usr/bin/env python3
"""run.py --agent PATH [--long]: loss identity, 200,000 sockets, churn.

Without --long the overload takes 6 seconds instead of 30, the churn four minutes instead of twenty; its slope is then
judged over less and only coarse leaks show.
"""
import argparse
import pathlib
import resource
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--long", action="store_true", help="30 seconds of overload, twenty minutes of churn")
    parser.add_argument("--only", action="append", choices=("overload", "sockets", "churn"))
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    churn = ["--minutes", "20"] if options.long else ["--minutes", "4", "--settle", "2.5"]
    cases = (
        ("overload", ["overload.py", "--seconds", "30" if options.long else "6"]),
        ("sockets: enlarged table", ["sockets.py", "--table", "250000"]),
        ("sockets: default table", ["sockets.py", "--sockets", "66800"]),
        ("churn", ["churn.py", *churn]),
    )
    passed = failed = 0
    for name, (program, *arguments) in cases:
        if options.only and not name.startswith(tuple(options.only)):
            continue
        command = [sys.executable, HERE / program, "--agent", options.agent, *arguments]
        good = subprocess.run([str(word) for word in command]).returncode == 0
        print(f"{'ok    ' if good else 'FAILED'} {name}", flush=True)
        passed += good
        failed += not good
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
