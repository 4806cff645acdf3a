#!/usr/bin/env python3
"""narrow.py --agent PATH [--container]: `--port` observes who listens on a port or calls it, and nobody else.

Servers and clients begin before and after the agent, on ports that were asked for and on others. The agent counts the
sockets that it was told of: were others observed and only left out of the output, there would be more. Needs root.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

from agent import Agent
from world import World, as_child, enter_namespaces, free_port

REQUESTS = 20
BYSTANDERS = 300
CLIENT = """
import http.client, sys
port, count, mark = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
kept = http.client.HTTPConnection("127.0.0.1", port)
kept.connect()
if mark == "before":
    print("connected", flush=True)
    sys.stdin.readline()
for number in range(count):
    connection = kept if mark == "before" else http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/{mark}/{number}")
    connection.getresponse().read()
"""


def server(world, name, port):
    world.start(name, sys.executable, "-c", "import http.server as h; h.SimpleHTTPRequestHandler.protocol_version = 'HTTP/1.1'; h.test(h.SimpleHTTPRequestHandler, "
                f"h.ThreadingHTTPServer, 'HTTP/1.1', {port}, '127.0.0.1')", OTEL_SERVICE_NAME=name)
    world.answers(port)


def client(world, name, port, count, mark):
    """Runs it to its end, or until it is connected if it is one from `before`."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(port), str(count), mark], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=as_child, cwd=world.folder, env={**os.environ, "OTEL_SERVICE_NAME": name})
    if mark == "before":
        process.stdout.readline()
    else:
        finish(process)
    return process


def finish(process):
    process.communicate(b"\n", timeout=60)
    if process.returncode != 0:
        sys.exit("a client failed")


def spans_of(spans, service, kind, mark):
    path = re.compile(rf"/{mark}/[0-9]+$")
    found = [span for span in spans if span["resource"].get("service.name") == service and span["kind"] == kind]
    return len([span for span in found if path.search(span["attributes"].get("url.path") or span["attributes"].get("url.full") or "")])


def narrowed(options, world):
    early, late, other = free_port(), free_port(), free_port()
    server(world, "early", early)
    server(world, "other", other)
    before = client(world, "client-before", early, REQUESTS, "before")
    agent = Agent(options.agent, world.folder, options.container, ["--port", f"{early},{late}", "--exclude", "*/curl"])
    problem = agent.ready()
    if problem:
        print(f"the agent ended: {problem}")
        sys.exit(77 if problem.startswith("exit code 77") else 1)
    client(world, "bystander", other, BYSTANDERS, "bystander")
    finish(before)
    client(world, "client-after", early, REQUESTS, "after")
    server(world, "late", late)
    client(world, "client-late", late, REQUESTS, "late")
    agent.settle()
    ended = agent.stop()
    # The rig itself looks whether a server is up: connects that fail.
    spans = [span for span in agent.spans() if span["protocol"] != "connect"]
    lines = [] if ended == 0 else [f"the agent ended with {ended}"]
    for side, kind, mark in (("early", "server", "before"), ("client-before", "client", "before"), ("early", "server", "after"),
                             ("client-after", "client", "after"), ("late", "server", "late"), ("client-late", "client", "late")):
        count = spans_of(spans, side, kind, mark)
        if count != REQUESTS:
            lines.append(f"{count} {kind} spans of {side} for {REQUESTS} requests")
    if len(spans) != 6 * REQUESTS:
        lines.append(f"{len(spans)} spans, not {6 * REQUESTS}")
    sockets = int(re.search(r" spans of (\d+) sockets", agent.log())[1])
    # One kept connection, and one for each later request, at both ends; a few that look whether a server is up.
    if not 4 * REQUESTS <= sockets < BYSTANDERS:
        lines.append(f"{sockets} sockets were observed")
    return lines, f"{len(spans)} spans of {sockets} sockets; {BYSTANDERS} connections of others left alone"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    parser.add_argument("--container", action="store_true", help="as run.py has it")
    options = parser.parse_args()
    options.agent = options.agent.resolve()
    if os.geteuid() != 0:
        print("needs root: the agent loads BPF programs")
        sys.exit(77)
    enter_namespaces(options.container)
    lines, what = narrowed(options, World(options.container))
    print(f"narrowed-by-port       {'FAILED' if lines else 'ok':<7} {what}")
    for line in lines:
        print(f"  {line}")
    print(f"\n{0 if lines else 1} passed, {1 if lines else 0} failed, 0 skipped")
    sys.exit(1 if lines else 0)


main()
