"""Processes: how they end, how they multiply, what they print; the receiver may be dead, slow or silent."""

import contextlib
import re
import signal
import time

from receiver import Receiver
from upstream import Upstream
from world import equal, expect

from python.rig import clean, launch, observed, python

ENDS = {"return": 0, "exit": 3, "raise": 1, "hard": 4, "interrupt": -signal.SIGINT, "thread": 0}


def run(world, receiver, work, end, version="3.12", env=None, bare=False, options=()):
    """(exit code, output, errors, seconds) of the script."""
    began = time.monotonic()
    application = launch(world, receiver, python(version), *options, "script.py", work, end, env=env, bare=bare)
    code = application.wait(40)
    return code, application.out, application.err, time.monotonic() - began


def ends_as_without_us(world):
    """An application's exit code or output would be another one; what it said last would be lost."""
    with Upstream() as upstream:
        for version in ("3.8", "3.13"):
            for end, code in ENDS.items():
                with observed(world) as receiver:
                    env = {"UPSTREAM_PORT": upstream.port}
                    bare = run(world, receiver, "call", end, version, env, bare=True)
                    ours = run(world, receiver, "call", end, version, env)
                    equal(ours[:3], bare[:3], f"code, output and errors at {end!r} on {version}")
                    equal(ours[0], code, f"exit code at {end!r}")
                    if end != "hard":
                        equal([span.name for span in receiver.spans()], ["GET"], f"spans after {end!r} on {version}")
                    clean(receiver)


def sigterm_kills(world):
    """A process that does not handle SIGTERM would go on, or lose what was queued, or show a handler that is not its own."""
    with Upstream() as upstream:
        for work, end, code in (("call", "sleep", -signal.SIGTERM), ("nothing", "sleep", -signal.SIGTERM), ("handled", "sleep", 5)):
            with observed(world) as receiver:
                env = {"UPSTREAM_PORT": upstream.port}
                seen = []
                for bare in (True, False):
                    application = launch(world, receiver, python(), "script.py", work, end, env=env, bare=bare)
                    ready(application)
                    began = time.monotonic()
                    seen.append((application.end(), application.out, application.err))
                    expect(time.monotonic() - began < 2, "takes more than 2 s to die")
                equal(seen[1], seen[0], f"what is seen of {work!r}")
                equal(seen[1][0], code, f"exit code of {work!r}")
                equal(len(receiver.spans()), 1 if work == "call" else 0, "spans")


def ready(application):
    deadline = time.monotonic() + 20
    while "worked" not in application.out and "ready" not in application.out and time.monotonic() < deadline:
        time.sleep(0.02)


def sigterm_in_c_code(world):
    """A process whose main thread is in a library's C code when SIGTERM comes would live on, since a handler of Python's waits
    for that to end."""
    with observed(world) as receiver:
        application = launch(world, receiver, python(), "-c", "import logging, script; logging.getLogger('a').warning('said'); script.blocked()", "blocked", "x")
        ready(application)
        equal(application.end(within=5), -signal.SIGTERM, "exit code")
        equal([record.body for record in receiver.logs()], ["said"], "log records")


def burst(world):
    """Thirteen hundred items at once would go in a batch that is too large, or be lost."""
    with observed(world) as receiver:
        equal(run(world, receiver, "burst", "return")[0], 0, "exit code")
        equal(len(receiver.logs()), 1300, "log records")
        clean(receiver)
        return f"{sum(request['path'].endswith('logs') for request in receiver.requests)} requests"


def children(world):
    """What the children of multiprocessing did would be lost, or sent twice."""
    with Upstream() as upstream:
        for version in ("3.8", "3.13"):
            for how in ("fork", "spawn", "forkserver"):
                with observed(world) as receiver:
                    env = {"UPSTREAM_PORT": upstream.port}
                    ours = run(world, receiver, how, "return", version, env)
                    equal(ours[:3], run(world, receiver, how, "return", version, env, bare=True)[:3], f"code, output, errors of {how} on {version}")
                    equal(len(receiver.spans()), 3, f"spans of three children by {how} on {version}")
                    equal(len({span["traceId"] for span in receiver.spans()}), 3, "traces")
                    clean(receiver)


def fork_under_load(world):
    """A child forked while the sender works would hang, or send what is its parent's."""
    notes = []
    for version in ("3.9", "3.13"):
        with observed(world) as receiver:
            ours = run(world, receiver, "forks", "return", version)
            equal(ours[:2], (0, "True\nworked\n"), f"code and output on {version}: {ours[2][-500:]}")
            equal("obtrace" in ours[2], False, "whether errors tell of us")
            clean(receiver)
            parent = {record.resource["process.pid"] for record in receiver.logs() if record.body == "load"}
            equal(len(parent), 1, "processes that sent what the parent said")
            children = [record for record in receiver.logs() if record.body.startswith("child")]
            equal({record.body for record in children} >= {f"child {number}" for number in range(55, 60)}, True, "children that lived on for 2 s sent")
            equal(len({record.resource["service.instance.id"] for record in children}), len(children), "instance ids of children")
            notes.append(f"{len(receiver.logs())} records on {version}")
    return ", ".join(notes)


def sends_after_a_fork(world):
    """A process would send no more once it forked: here only its own thread can, as it says and does nothing after."""
    body = ("import logging, os, time\ndef fork():\n    return os.fork()\nlogging.warning('parent'); pid = fork()\n"
            "if not pid: os._exit(0)\nos.waitpid(pid, 0); time.sleep(60)")
    with observed(world), contextlib.ExitStack() as stack:
        started = []
        for version in ("3.8", "3.12", "3.13"):
            receiver = stack.enter_context(Receiver())
            started.append((version, receiver, launch(world, receiver, python(version), "-c", body)))
        for version, receiver, application in started:
            receiver.wait(receiver.logs, 8)
            equal([record.body for record in receiver.logs()], ["parent"], f"log records on {version}")
            application.end()
            equal(application.err, "WARNING:root:parent\n", f"errors on {version}")


def forks_without_a_word(world):
    """Python counts our threads, and from 3.12 on warns of forks that would otherwise be of a single thread."""
    body = ("import logging, os, threading, time; logging.basicConfig(format='%(message)s'); log = logging.getLogger('a')\n"
            "{more}\n"
            "for number in range(20):\n    log.warning('parent %d', number); pid = os.fork()\n"
            "    if not pid: os._exit(0)\n    os.waitpid(pid, 0)\nprint(threading.active_count())")
    for version in ("3.12", "3.13"):
        for options in (("-W", "error"), ("-W", "always"), ()):
            # With a thread of the application's own Python warns, and goes on doing so.
            for more, warns in (("time.sleep(0.1)", False), ("threading.Thread(target=time.sleep, args=(3,), daemon=True).start()", True)):
                words = (python(version), *options, "-c", body.format(more=more))
                with observed(world) as receiver:
                    seen = []
                    for application in [launch(world, receiver, *words, bare=bare) for bare in (True, False)]:
                        code = application.wait(40)
                        seen.append((code, application.out, re.sub(r"pid=\d+", "pid", application.err)))
                    equal(seen[1], seen[0], f"code, output and errors on {version} with {options}")
                    equal("multi-threaded" in seen[0][2], warns and options != ("-W", "error"), "whether Python warns")
                    equal([record.body for record in receiver.logs()], [f"parent {number}" for number in range(20)], "log records")


def odd_records(world):
    """Records that cannot be formatted, or that log while they are, would fail otherwise than without us."""
    with observed(world) as receiver:
        ours = run(world, receiver, "broken", "return")
        equal(ours[:3], run(world, receiver, "broken", "return", bare=True)[:3], "code, output and errors")
        equal([(record.scope["name"], record.body) for record in receiver.logs()], [("None", "nameless"), ("script.child", "fine")], "log records")
        equal(run(world, receiver, "loop", "return")[0], 0, "exit code")


def dead_and_silent_receivers(world):
    """An application would wait for a receiver, or print of it."""
    with Upstream() as upstream:
        env = {"UPSTREAM_PORT": upstream.port}
        with observed(world) as receiver:
            bare = run(world, receiver, "call", "return", env=env, bare=True)
        for what, url, options in (("dead", "http://127.0.0.1:1", {}), ("silent", None, {"silent": True}), ("slow", None, {"delay": 1})):
            with Receiver(**options) as receiver:
                ours = run(world, url or receiver.url, "call", "return", env=env)
                equal(ours[:3], bare[:3], f"code, output and errors with a  receiver")
                more = ours[3] - bare[3]
                expect(more < (1 if what == "dead" else 2.5), f"a  receiver: {more:.1f} s more")


def tried_again(world):
    """What a receiver cannot take now would be lost; what it refuses would be sent for ever."""
    body = "import logging, time; logging.getLogger('a').warning('said'); time.sleep(60)"
    with observed(world), contextlib.ExitStack() as stack:
        started = []
        for replies, lost in (([(503, {})], False), ([(429, {"Retry-After": "1"})], False), ([(400, {})], True)):
            receiver = stack.enter_context(Receiver(replies=replies))
            started.append((replies[:], lost, receiver, launch(world, receiver, python(), "-c", body)))
        for replies, lost, receiver, application in started:
            receiver.wait(lambda: receiver.logs(), 4 if lost else 12)
            application.end()
            equal([record.body for record in receiver.logs()], [] if lost else ["said"], f"log records after {replies}")
            dropped = [(attributes["signal"], attributes["reason"], int(point["asInt"])) for metric in receiver.metrics("obtrace.loader.dropped")
                       for attributes, point in metric.points]
            equal(dropped, [("logs", "rejected", 1)] if lost else [], "items that were counted as lost")


def ratio_and_choices(world):
    """Settings would not be heeded: sampling, signals, span kinds."""
    with Upstream() as upstream:
        env = {"UPSTREAM_PORT": upstream.port}
        with observed(world) as receiver:
            run(world, receiver, "call", "return", env={**env, "OBTRACE_TRACE_SAMPLE_RATIO": "0"})
            equal(upstream.headers("/script")["traceparent"][-3:], "-00", "flag of a trace that is not kept")
            equal((receiver.spans(), len(receiver.metrics("http.client.request.duration"))), ([], 1), "spans, metrics")
        for signals, names in (("traces", {"traces"}), ("metrics", {"metrics"}), ("logs", {"logs"}), ("nonsense", {"traces", "logs", "metrics"})):
            with observed(world) as receiver:
                run(world, receiver, "both", "return", env={**env, "OBTRACE_SIGNALS": signals})
                equal({request["path"].rsplit("/", 1)[1] for request in receiver.requests}, names, f"signals with {signals!r}")
        with observed(world) as receiver:
            run(world, receiver, "call", "return", env={**env, "OBTRACE_TRACED": "server"})
            equal(receiver.spans(), [], "spans of kinds that another tool reports")
            expect(upstream.headers("/script").get("traceparent"), "context is passed on all the same")


CASES = [ends_as_without_us, sigterm_kills, sigterm_in_c_code, burst, children, fork_under_load, sends_after_a_fork, forks_without_a_word,
         odd_records, dead_and_silent_receivers, tried_again, ratio_and_choices]
