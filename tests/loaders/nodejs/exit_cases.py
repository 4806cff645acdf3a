"""How a process ends, and that what it did is sent: exit codes, signals and output are those of a run without us."""

import re
import signal
import socket
import time

from nodejs.rig import USUAL, VERSIONS, Stage
from receiver import Receiver
from tls import authority
from world import equal, expect

SLACK = 2.0


def plain(text):
    """Output without what differs from run to run."""
    return re.sub(r"obtrace-loaders-\w+/run-\d+|\(node:\d+\)", "", text)


def outcome(stage, way, number=None, **options):
    """Exit code, output, seconds of a run that ends in this way."""
    application = stage.run("script.cjs", way, **options)
    if number is not None:
        stage.until(lambda: "ready" in application.out)
    began = time.monotonic()
    code = application.end(number) if number is not None else application.wait()
    return code, plain(application.out), plain(application.err), time.monotonic() - began


def same_end(world, way, number=None, version=USUAL, wanted=None, count=4):
    with Stage(world, version, part=None) as stage, Stage(world, version, part=None, bare=True) as bare:
        ours, other = outcome(stage, way, number), outcome(bare, way, number)
        equal(ours[:3], other[:3], f"exit code, output and errors of `{way}`")
        if wanted is not None:
            equal(ours[0], wanted, "exit code")
        equal(len(stage.spans(count, within=3)), count, "spans sent by the end")
        expect(stage.receiver.metrics("process.cpu.time"), "no last report of metrics")
        stage.settle()
        return f"{ours[3] - other[3]:+.2f} s" if number is not None else ""


def exit_by_exit(world):
    """`process.exit(3)` right after the work: nothing asynchronous can happen any more."""
    return same_end(world, "exit", wanted=3)


def exit_by_exit_18(world):
    """The same on the oldest supported Node.js."""
    return same_end(world, "exit", version=VERSIONS[0], wanted=3)


def exit_by_exit_26(world):
    """The same on the newest."""
    return same_end(world, "exit", version=VERSIONS[4], wanted=3)


def exit_by_throw(world):
    """An error that nobody catches: code 1, and the stack as Node.js prints it."""
    return same_end(world, "throws", wanted=1)


def exit_by_rejection(world):
    """A rejection that nobody handles."""
    return same_end(world, "rejects", wanted=1)


def exit_by_drain(world):
    """Nothing is left to do."""
    return same_end(world, "drain", wanted=0)


def exit_code_kept(world):
    """`process.exitCode` is kept."""
    return same_end(world, "code", wanted=4)


def exit_before_exit(world):
    """An application that listens to `beforeExit` hears it as often as without us."""
    return same_end(world, "before", wanted=0)


def exit_by_sigterm(world):
    """SIGTERM without a handler: the process dies of the signal, soon, with its last spans sent."""
    return same_end(world, "waits", signal.SIGTERM, wanted=-15)


def exit_by_sigint(world):
    """The same for SIGINT."""
    return same_end(world, "waits", signal.SIGINT, wanted=-2)


def exit_handled(world):
    """The application's own handler decides."""
    return same_end(world, "handles", signal.SIGTERM, wanted=7)


def exit_signal_exit(world):
    """Libraries that end the process if they listen alone still do: our listener is none that they see."""
    return same_end(world, "once", signal.SIGTERM, wanted=-15)


def ends_in_time(world, stage, way, number=None):
    with Stage(world, part=None, bare=True) as bare:
        other = outcome(bare, way, number)
    ours = outcome(stage, way, number)
    equal(ours[:3], other[:3], "exit code and output")
    expect(ours[3] < other[3] + SLACK + 0.5, f"{ours[3]:.1f} s at the end, {other[3]:.1f} s without us")
    return f"{ours[3] - other[3]:+.2f} s"


def receiver_dead(world):
    """Nobody listens at the receiver's address: the process ends as soon as without us."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with Stage(world, part=None) as stage:
            stage.receiver.close()
            stage.receiver.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            return " ".join(ends_in_time(world, stage, way, number) for way, number in (("waits", signal.SIGTERM), ("exit", None), ("drain", None)))


def receiver_silent(world):
    """The receiver never answers: the process ends at most 2 s later."""
    with Stage(world, part=None, receiver=Receiver(silent=True)) as stage:
        return " ".join(ends_in_time(world, stage, way, number) for way, number in (("waits", signal.SIGTERM), ("exit", None), ("drain", None)))


def receiver_busy(world):
    """429 and 503 are tried again, nothing is lost."""
    replies = [(429, {"Retry-After": "1"}), (503, {})]
    with Stage(world, part=None, receiver=Receiver(replies=replies)) as stage:
        stage.run("script.cjs", "waits", env={"OBTRACE_SIGNALS": "traces"})
        spans = stage.spans(4, within=15)
        equal(len({span["spanId"] for span in spans}), 4, "spans")
        equal([request["status"] for request in stage.receiver.requests], [429, 503, 200], "answers")
        stage.settle()


def receiver_refuses(world):
    """400 is not tried again, and what was lost is told."""
    with Stage(world, part=None, receiver=Receiver(replies=[(400, {})])) as stage:
        application = stage.run("script.cjs", "waits", env={"OBTRACE_SIGNALS": "traces,metrics", "OBTRACE_METRIC_INTERVAL": 600})
        stage.receiver.wait(lambda: stage.receiver.requests)
        time.sleep(2.5)
        equal(len(stage.receiver.requests), 1, "requests")
        application.end()
        points = stage.metric("obtrace.loader.dropped").points
        equal([(at, point["asInt"]) for at, point in points], [({"signal": "traces", "reason": "rejected"}, "4")], "what was dropped")


def burst(world):
    """1,300 items at once go in batches of at most 500, each once."""
    with Stage(world, part=None) as stage:
        stage.run("burst.cjs")
        stage.receiver.wait(lambda: len(stage.receiver.logs()) >= 1300, 15)
        bodies = [record.body for record in stage.receiver.logs()]
        equal((len(bodies), len(set(bodies))), (1300, 1300), "records")
        stage.settle()
        return f"{len([request for request in stage.receiver.requests if request['path'].endswith('logs')])} batches"


def stacks(world):
    """Errors that nobody catches, thrown while a file is loaded and from the events of servers and calls: their stacks are as without
    us, on the oldest and the newest Node.js, and a call that was refused is sent."""
    for version in (VERSIONS[0], VERSIONS[4]):
        with Stage(world, version, part=None) as stage, Stage(world, version, part=None, bare=True) as bare:
            for way in ("require", "refused", "data", "finish", "response", "end"):
                started = [it.run("stacks.cjs", way, shown=[it.node, "script.cjs"]) for it in (stage, bare)]
                ours, other = [re.sub(r"127\.0\.0\.1:\d+", "", str((it.wait(), it.out, plain(it.err)))) for it in started]
                equal(ours, other, f"exit code, output and errors of `{way}` on {version}")
            refused = stage.spans(1, "client")
            equal([span.attributes.get("error.type") for span in refused], ["ECONNREFUSED"], "errors of the calls that ended")


def https_trusted(world):
    """A receiver with a certificate of a private authority, which `NODE_EXTRA_CA_CERTS` names: what is queued arrives whichever way the
    process ends, on the oldest and the newest Node.js."""
    known = authority(world)
    for version in (VERSIONS[0], VERSIONS[4]):
        for way, number, code in (("exit", None, 3), ("waits", signal.SIGTERM, -15)):
            with Stage(world, version, part=None, receiver=Receiver(tls=known)) as stage:
                ours = outcome(stage, way, number, env={"NODE_EXTRA_CA_CERTS": known.root})
                equal(ours[:3], (code, "ready\n", ""), f"exit code, output and errors on {version}")
                equal(len(stage.spans(4)), 4, "spans")
                equal(stage.receiver.distrusted, 0, "connections that came to nothing")
                stage.settle()


def https_not_verified(world):
    """`NODE_TLS_REJECT_UNAUTHORIZED=0`: the application trusts everybody, its last words with it."""
    with Stage(world, part=None, receiver=Receiver(tls=authority(world))) as stage:
        equal(outcome(stage, "exit", env={"NODE_TLS_REJECT_UNAUTHORIZED": 0})[0], 3, "exit code")
        equal(len(stage.spans(4)), 4, "spans")


def https_not_trusted(world):
    """The certificate of an authority that nobody here knows is refused: nothing is sent, the application does not notice, and whoever
    sets OBTRACE_DEBUG is told what was refused and that it is dropped."""
    known = authority(world)
    with Stage(world, part=None, receiver=Receiver(tls=known)) as stage, Stage(world, part=None, bare=True) as bare:
        env = {"NODE_EXTRA_CA_CERTS": known.stranger}
        for way, number in (("exit", None), ("drain", None), ("waits", signal.SIGTERM)):
            ours, other = outcome(stage, way, number, env=env), outcome(bare, way, number, env=env)
            equal(ours[:3], other[:3], f"exit code, output and errors of `{way}`")
        told = outcome(stage, "waits", signal.SIGTERM, env={**env, "OBTRACE_DEBUG": 1})[2].splitlines()
        for line in ("[obtrace] traces: UNABLE_TO_VERIFY_LEAF_SIGNATURE", "[obtrace] traces are dropped: send_failed"):
            expect(line in told, f"{line!r} is not told: {told}")
        equal(stage.receiver.requests, [], "requests")


CASES = [exit_by_exit, exit_by_exit_18, exit_by_exit_26, exit_by_throw, exit_by_rejection, exit_by_drain, exit_code_kept, exit_before_exit,
         exit_by_sigterm, exit_by_sigint, exit_handled, exit_signal_exit, receiver_dead, receiver_silent, receiver_busy, receiver_refuses, burst,
         stacks, https_trusted, https_not_verified, https_not_trusted]
