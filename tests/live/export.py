#!/usr/bin/env python3
"""export.py --agent PATH: what the agent posts, to whom, and what becomes of it when the receiver cannot take it.

One program is observed while it answers requests. The lines that the agent prints say which spans there were: each has
to arrive exactly once, or to be counted as dropped. Needs root.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import sys
import time

from agent import Agent
from receiver import Receiver, wrong
from world import World, enter_namespaces, free_port

REQUESTS = 40
KEY = "key-that-nobody-may-see"
JSON = {"Content-Type": "application/json"}


class Run:
    """The agent beside a server that is asked; ended when `done` says so."""

    def __init__(self, program, world, number, variables, arguments=()):
        folder = world.folder / f"run-{number}"
        folder.mkdir()
        self.server_port = free_port()
        server = world.start(f"server-{number}", sys.executable, "-m", "http.server", self.server_port, "--bind", "127.0.0.1", "--directory", folder)
        world.answers(self.server_port)
        self.agent = Agent(program, folder, arguments=["--pid", str(server.pid), *arguments], variables=variables)
        problem = self.agent.ready()
        if problem:
            print(f"the agent ended: {problem}")
            sys.exit(77 if problem.startswith("exit code 77") else 1)

    def ask(self):
        for number in range(REQUESTS):
            connection = http.client.HTTPConnection("127.0.0.1", self.server_port)
            connection.request("GET", f"/missing/{number}")
            connection.getresponse().read()
            connection.close()

    def printed(self, count=REQUESTS):
        """Waits until this many spans were printed: from then on they are on their way to the receiver as well."""
        end = time.monotonic() + 30
        while self.agent.out.read_bytes().count(b"\n") < count and time.monotonic() < end:
            time.sleep(0.05)

    def end(self):
        """Ends the agent: what is wrong about that, its spans, what it says of them."""
        start = time.monotonic()
        status = self.agent.stop()
        took = time.monotonic() - start
        lines = [] if status == 0 else [f"the agent ended with {status}"]
        if took > 5.5:
            lines.append(f"the end took {took:.1f} s")
        said = next((line for line in self.agent.log().splitlines() if line.startswith("exported ")), "nothing")
        spans = self.agent.spans()
        if len(spans) != REQUESTS:
            lines.append(f"{len(spans)} spans printed for {REQUESTS} requests")
        return lines, spans, said


def once(spans, receiver):
    """Every printed span arrived once, and is the same."""
    lines = []
    arrived = collections.Counter((span["traceId"], span["spanId"]) for span in receiver.spans())
    wanted = collections.Counter((span["trace_id"], span["span_id"]) for span in spans)
    if arrived != wanted:
        lines.append(f"{sum((wanted - arrived).values())} spans did not arrive, {sum((arrived - wanted).values())} were not printed or came twice")
    by_id = {span["span_id"]: span for span in spans}
    for span in receiver.spans():
        printed = by_id.get(span["spanId"])
        if printed and (span["name"], int(span["startTimeUnixNano"])) != (printed["name"], printed["start_unix_nano"]):
            lines.append(f"{span['name']} was printed as {printed['name']}")
    for request in receiver.requests:
        lines += wrong(json.loads(request["body"]))
    return lines


def headers(receiver, path, wanted, absent=()):
    lines = []
    for request in receiver.requests:
        if request["path"] != path:
            lines.append(f"posted to {request['path']}")
        lines += [f"{name}: {request['headers'][name]}, not {value}" for name, value in wanted.items() if request["headers"][name] != value]
        lines += [f"{name} was sent" for name in absent if name in request["headers"]]
        if not request["headers"]["User-Agent"].startswith("obtrace-agent/"):
            lines.append(f"User-Agent: {request['headers']['User-Agent']}")
    return lines


def said_all(said, exported=REQUESTS):
    return [] if said == f"exported {exported} of {REQUESTS} spans" else [f"it says: {said}"]


def plain(program, world, number):
    """`--otlp URL`."""
    receiver = Receiver()
    run = Run(program, world, number, {}, ["--otlp", f"http://127.0.0.1:{receiver.port}"])
    run.ask()
    # By itself, within its two seconds: not because it ends.
    lines = [] if receiver.wait(REQUESTS) else ["not every span came before the end"]
    more, spans, said = run.end()
    lines += more + once(spans, receiver) + said_all(said)
    lines += headers(receiver, "/v1/traces", JSON, ("X-API-Key", "X-Obtrace-Source"))
    receiver.close()
    return lines, said


def ingest(program, world, number):
    """`OBTRACE_INGEST_URL` with a key."""
    receiver = Receiver()
    variables = {"OBTRACE_INGEST_URL": f"http://127.0.0.1:{receiver.port}/base", "OBTRACE_API_KEY": KEY}
    run = Run(program, world, number, variables)
    run.ask()
    run.printed()
    # The end sends what has not left yet.
    lines, spans, said = run.end()
    lines += once(spans, receiver) + said_all(said)
    lines += headers(receiver, "/base/otlp/v1/traces", {**JSON, "X-API-Key": KEY, "X-Obtrace-Source": "zero-agent-ebpf"})
    if KEY in run.agent.log():
        lines.append("the key is in the log")
    receiver.close()
    return lines, said


def busy(program, world, number):
    """The receiver asks twice for patience."""
    receiver = Receiver([(503, {"Retry-After": "2"}), (429, {"Retry-After": "1"})])
    run = Run(program, world, number, {}, ["--otlp", f"http://127.0.0.1:{receiver.port}"])
    run.ask()
    lines = [] if receiver.wait(REQUESTS) else ["not every span came before the end"]
    more, spans, said = run.end()
    lines += more + once(spans, receiver) + said_all(said)
    # The same batch again, not before it was asked for.
    first = receiver.requests[0]
    again = [request for request in receiver.requests[1:] if request["body"] == first["body"]]
    if not again or again[0]["time"] - first["time"] < 2:
        lines.append("the refused batch was not sent again after 2 s")
    receiver.close()
    return lines, said


def refused(program, world, number):
    """The receiver calls the first batch wrong: it is not to be sent again."""
    receiver = Receiver([(400, {})])
    run = Run(program, world, number, {}, ["--otlp", f"http://127.0.0.1:{receiver.port}"])
    run.ask()
    run.printed()
    lines, spans, said = run.end()
    bad = json.loads(receiver.requests[0]["body"])
    count = sum(len(scope["spans"]) for resource in bad["resourceSpans"] for scope in resource["scopeSpans"])
    if len(receiver.spans()) != REQUESTS - count or said != f"exported {REQUESTS - count} of {REQUESTS} spans, {count} dropped (refused)":
        lines.append(f"{len(receiver.spans())} spans taken and {count} refused, but it says: {said}")
    receiver.close()
    return lines, said


def away(program, world, number):
    """Nobody listens when the agent ends."""
    run = Run(program, world, number, {}, ["--otlp", f"http://127.0.0.1:{free_port()}"])
    run.ask()
    run.printed()
    lines, _, said = run.end()
    if said != f"exported 0 of {REQUESTS} spans, {REQUESTS} dropped (shutdown)":
        lines.append(f"it says: {said}")
    return lines, said


def silent(program, world, number):
    """Somebody listens and never answers."""
    receiver = Receiver(silent=True)
    run = Run(program, world, number, {}, ["--otlp", f"http://127.0.0.1:{receiver.port}"])
    run.ask()
    run.printed()
    lines, _, said = run.end()
    if said != f"exported 0 of {REQUESTS} spans, {REQUESTS} dropped (shutdown)":
        lines.append(f"it says: {said}")
    receiver.close()
    return lines, said


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    agent = parser.parse_args().agent.resolve()
    if os.geteuid() != 0:
        print("needs root: the agent loads BPF programs")
        sys.exit(77)
    enter_namespaces(container=False)
    world = World()
    failed = 0
    cases = (plain, ingest, busy, refused, away, silent)
    for number, case in enumerate(cases):
        lines, said = case(agent, world, number)
        failed += bool(lines)
        print(f"{case.__name__:<22} {'FAILED' if lines else 'ok':<7} {said}", flush=True)
        for line in lines[:8]:
            print(f"  {line}")
    print(f"\n{len(cases) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


main()
