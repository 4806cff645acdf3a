"""All six loaders in one trace, and as `obtrace-agent receive` tells of it."""

import json
import pathlib
import re
import signal
import time

from dotnet import rig as dotnet
from receiver import Receiver
from world import Missing, equal, expect, free_port, program, until

APPS = pathlib.Path(__file__).resolve().parent / "apps"
# Who is called after whom, with the image that its Pod would have.
ORDER = ("dotnet", "nodejs", "python", "java", "ruby", "php")
LOGGING = ("nodejs", "python", "java", "ruby")


class Told:
    """`obtrace-agent receive`: what it printed, line by line."""

    def __init__(self, world):
        if world.options.obtrace_agent is None:
            raise Missing("no obtrace-agent was given")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.application = world.start(world.options.obtrace_agent, "receive", "--listen", f"127.0.0.1:{self.port}", "--print", "jsonl", port=self.port)
        self.application.ready()

    def lines(self, signal_name):
        whole = self.application.out.rpartition("\n")[0]
        return [line for line in map(json.loads, whole.splitlines()) if line["signal"] == signal_name]


def servers(world, java_classes):
    """Language, image, command by port and address of the next one, further variables."""
    return [
        ("php", "php:8.2-cli", lambda port, following: [program("php"), "-S", f"127.0.0.1:{port}", "-t", APPS / "php"], []),
        ("ruby", "ruby:3.1", lambda port, following: [program("puma"), "--quiet", "--bind", f"tcp://127.0.0.1:{port}", APPS / "hop.ru"], ["NEXT"]),
        ("java", "eclipse-temurin:17", lambda port, following: [program("java"), "-cp", java_classes, "Hop", port, following], []),
        ("python", "python:3.12", lambda port, following: [program("python3"), APPS / "hop.py", port, following], []),
        ("nodejs", "node:22", lambda port, following: [program("node"), APPS / "hop.js", port, following], []),
    ]


def start_all(world, url):
    """Starts every server, the last one first; where the first of them listens, and where the last."""
    classes = world.made("together-java", [APPS / "Hop.java"], lambda folder: world.run(program("javac"), "-d", folder, APPS / "Hop.java"))
    following, last = "", None
    for language, image, command, variables in servers(world, classes):
        port = free_port()
        env = {name: following for name in variables}
        words = command(port, following)
        names = [pathlib.Path(str(words[0])).name, *words[1:]]
        env.update(world.environment(image, names, url, workload=f"{language}-hop", env=env))
        application = world.start(*words, env=env, port=port)
        application.ready(within=120)
        following = f"http://127.0.0.1:{port}/{language}"
        last = last or application
    return following, last


def play(world, url):
    """One call through all of them, and what PHP has spooled."""
    world.mount(world.volume(*sorted(ORDER)))
    first, php = start_all(world, url)
    env = world.environment("mcr.microsoft.com/dotnet/runtime:8.0", ["dotnet", "Hop.dll"], url, workload="dotnet-hop",
                            env={"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"})
    began = world.start(dotnet.host(world, dotnet.NEW), dotnet.compiled(world, "Hop") / "Hop.dll", first, env=env)
    equal(began.wait(60), 0, f"exit code of the first one ({began.err[-500:]})")
    equal(began.out, "node python java ruby php\n", "the answer")
    time.sleep(2.1)
    php.get("/later")
    return began


def chain_of(spans):
    """The spans of the trace that .NET began, in the order in which one is the parent of the next."""
    by_parent = {span["parent"]: span for span in spans if span["parent"]}
    at = [span for span in spans if span["language"] == "dotnet" and span["kind"] == "client"]
    equal(len(at), 1, "spans of the first call")
    while at[-1]["id"] in by_parent:
        at.append(by_parent[at[-1]["id"]])
    return at


def one_trace(world):
    """A call through six languages is one trace: each server is the child of the call that reached it."""
    with Receiver() as receiver:
        play(world, receiver.url)
        wanted = [("dotnet", "client")] + [pair for language in ORDER[1:-1] for pair in ((language, "server"), (language, "client"))] + [("php", "server")]

        def seen():
            spans = [{"id": span["spanId"], "parent": span.parent, "trace": span["traceId"], "kind": span.kind,
                      "language": span.resource.get("telemetry.sdk.language")} for span in receiver.spans() if span.kind in ("server", "client")]
            try:
                return chain_of(spans)
            except Exception:
                return []

        receiver.wait(lambda: len(seen()) == len(wanted), 20)
        chain = seen()
        equal([(span["language"], span["kind"]) for span in chain], wanted, "spans from parent to child")
        trace = {span["trace"] for span in chain}
        equal(len(trace), 1, "traces")
        for language in LOGGING:
            text = f"{'node' if language == 'nodejs' else language} hop"
            logs = receiver.wait(lambda: [log for log in receiver.logs() if text in str(log.body)])
            expect(logs, f"no log record of {language}")
            equal({log.get("traceId") for log in logs}, trace, f"trace of the log record of {language}")
        return f"{len(chain)} spans, {len(LOGGING)} log records"


def as_the_agent_tells(world):
    """The same, looked at with `obtrace-agent receive`: what a user sees who has no backend."""
    told = Told(world)
    play(world, told.url)

    def spans():
        return [{"id": line["span_id"], "parent": line.get("parent_span_id"), "trace": line["trace_id"], "kind": line["kind"],
                 "language": line["resource"]["telemetry.sdk.language"]} for line in told.lines("span") if line["kind"] in ("server", "client")]

    until(lambda: {span["language"] for span in spans()} == set(ORDER), "spans of every language")
    chain = chain_of(spans())
    equal([span["language"] for span in chain][::2] + [chain[-1]["language"]], list(ORDER), "languages along the trace")
    equal(len({span["trace"] for span in chain}), 1, "traces")
    until(lambda: {line["resource"]["telemetry.sdk.language"] for line in told.lines("log")} >= set(LOGGING), "log records of every language that has them")
    code = told.application.end(signal.SIGTERM)
    equal(code, 0, "exit code")
    expect(re.search(r"spans [1-9]", told.application.err), f"no summary: {told.application.err!r}")
    return f"{len(chain)} spans"


CASES = [one_trace, as_the_agent_tells]
