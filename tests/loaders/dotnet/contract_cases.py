"""The contract's sections 1 and 9 on .NET: the application comes first, delivery."""

import re
import signal
import time

from dotnet.rig import OLD, clean, compiled, host, launch, observed, on_each, only, run, variables
from tls import authority
from upstream import Upstream
from world import equal, expect, free_port

ENDS = {"get": 0, "exit": 3, "throw": -signal.SIGABRT, "failfast": -signal.SIGABRT}


def without_stacks(text):
    """Standard error without what differs from run to run."""
    return re.sub(r"createdump.*\n", "", text)


@on_each
def the_end_is_the_same(world, version):
    """An application would end with another code, or say something else, because of us. Environment.FailFast ends at once: what is queued
    then is lost."""
    with observed(world) as receiver, Upstream() as upstream:
        for verb, code in ENDS.items():
            seen = []
            for bare in (True, False):
                application = launch(world, version, "Calls", verb, f"{upstream.url}/{verb}", to=receiver, bare=bare)
                seen.append((application.wait(30), application.out, without_stacks(application.err)))
            equal(seen[1], seen[0], f"{verb}: code, output and errors with us and without")
            expect(seen[0][0] in (code, 128 + abs(code)), f"{verb}: {seen[0][0]} without us")
            count = len(receiver.spans())
            equal(count, {"get": 1, "exit": 2, "throw": 3, "failfast": 3}[verb], f"spans after {verb}")
        clean(receiver)


@on_each
def signals_are_the_same(world, version):
    """A Pod would not end when it is told to, or the last spans would be lost. (SIGINT that the application does not handle ends a process
    of .NET before 6 at once; nothing of its runtime runs then.)"""
    late = 0 if version == OLD else 1
    with observed(world) as receiver, Upstream() as upstream:
        for verb, number, code, spans in (("wait", signal.SIGTERM, 143, 1), ("handle", signal.SIGINT, 7, 2),
                                          ("wait", signal.SIGINT, -signal.SIGINT, late)):
            seen = []
            for bare in (True, False):
                application = launch(world, version, "Calls", verb, f"{upstream.url}/a", to=receiver, bare=bare)
                application.said("ready")
                before = len(receiver.spans())
                seen.append((application.end(number), application.out, application.err))
            equal(seen[1], seen[0], f"{verb}, signal {number}: code, output and errors with us and without")
            equal(seen[0][0], code, f"{verb}: the end without us")
            expect(len(receiver.spans()) - before >= spans, f"{verb}, signal {number}: {len(receiver.spans()) - before} spans at the end")
        clean(receiver)


@on_each
def the_host_drains_first(world, version):
    """Requests that a host finishes after SIGTERM would be lost: its handler of the end was registered after ours."""
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "drain", f"{upstream.url}/a", to=receiver)
        application.said("ready")
        expect(receiver.wait_spans(1), "no span of the first call")
        time.sleep(0.3)
        application.end()
        equal(len(receiver.spans()), 2, "spans, one made while the process ended")


@on_each
def sent_within_two_seconds(world, version):
    """What a killed Pod did in its last minutes would be lost."""
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver)
        application.said("ready")
        began = time.monotonic()
        expect(receiver.wait_spans(1, within=6), "no span while the application runs")
        expect(time.monotonic() - began < 4, f"the span came after {time.monotonic() - began:.1f} s")
        application.end(signal.SIGKILL)
        clean(receiver)


@on_each
def dead_receiver(world, version):
    """An application would fail, or end late, when our receiver is down."""
    with observed(world), Upstream() as upstream:
        began = time.monotonic()
        bare = run(world, version, "Calls", "get", f"{upstream.url}/a", bare=True)
        alone = time.monotonic() - began
        application = launch(world, version, "Calls", "get", f"{upstream.url}/a", to=f"http://127.0.0.1:{free_port()}")
        began = time.monotonic()
        equal(application.wait(30), 0, "exit code")
        late = time.monotonic() - began - alone
        expect(late < 1.5, f"ended {late:.1f} s later, with the connection refused")
        equal((application.out, application.err), (bare, ""), "output")


@on_each
def silent_receiver(world, version):
    """An application would hang at its end when the receiver accepts and never answers."""
    with observed(world, silent=True) as receiver, Upstream() as upstream:
        for verb, code in (("get", 0), ("throw", -signal.SIGABRT)):
            began = time.monotonic()
            run(world, version, "Calls", verb, f"{upstream.url}/a", bare=True, code=code)
            alone = time.monotonic() - began
            application = launch(world, version, "Calls", verb, f"{upstream.url}/a", to=receiver)
            began = time.monotonic()
            expect(application.wait(30) in (code, 128 - code), f"{verb}: exit code")
            late = time.monotonic() - began - alone
            expect(late < 2.6, f"{verb}: ended {late:.1f} s later")


@on_each
def over_tls(world, version):
    """Receivers with https would get nothing, or a stranger's certificate would be good enough; and an application without OpenSSL would die of our
    https: the runtime aborts the process then. 3.1 knows OpenSSL up to 1.1, so on a machine with 3.0 alone it must step aside."""
    trusting = authority(world)
    with observed(world, tls=trusting) as receiver, Upstream() as upstream:
        for trusted, spans in ((trusting.stranger, 0), (trusting.root, 1)):
            application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver.url.replace("127.0.0.1", "localhost"),
                                 extra={"SSL_CERT_FILE": trusted, "OBTRACE_DEBUG": "1"})
            application.said("ready")
            if "no OpenSSL for https" in application.err:
                expect(application.process.poll() is None, "ended")
                return f"no OpenSSL for {version}"
            expect(receiver.wait(lambda: len(receiver.spans()) >= spans and (spans or "AuthenticationException" in application.err), 20),
                   f"{trusted} trusted: {len(receiver.spans())} spans, {application.err}")
            equal((application.end(), application.out, len(receiver.spans())), (143, "200 ok\nready\n", spans), "code, output, spans")
        clean(receiver)


@on_each
def sent_again(world, version):
    """A receiver that restarts would cost data: 503 and 429 are sent again, after 2 s where the receiver does not say when."""
    status = 429 if version == OLD else 503
    with observed(world, replies=[(status, {})]) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_SIGNALS": "traces"})
        application.said("ready")
        expect(receiver.wait_spans(1, within=10), f"no span after a {status}")
        first, second = receiver.requests[0], receiver.requests[1]
        equal(first["body"], second["body"], "the batch that was sent again")
        pause = second["time"] - first["time"]
        expect(1.5 < pause < 3.5, f"sent again after {pause:.1f} s")
        clean(receiver)


@on_each
def given_up(world, version):
    """A receiver that is overloaded for long would be sent the same for ever, or before it asked for it, or nobody would learn of what was lost."""
    busy = (503, {"Retry-After": "1"})
    with observed(world, replies=[busy, busy, busy]) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver)
        application.said("ready")
        expect(receiver.wait(lambda: len(receiver.requests) >= 3, 10), "not tried three times")
        first, second = (request["time"] for request in receiver.requests[:2])
        expect(0.8 < second - first < 1.9, f"sent again after {second - first:.1f} s, not 1")
        equal((application.end(), application.err), (143, ""), "code and errors")
        attributes, point = only(only(receiver.metrics("obtrace.loader.dropped"), "metrics").points, "points")
        equal((attributes, point["asInt"]), ({"signal": "traces", "reason": "send_failed"}, "1"), "dropped")
        equal(receiver.spans(), [], "spans")
        clean(receiver)


@on_each
def refused_for_good(world, version):
    """A wrong key would make us send the same for ever: 401 is dropped and counted."""
    with observed(world, replies=[(401, {})]) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_METRIC_INTERVAL": "4"})
        application.said("ready")
        expect(receiver.wait(lambda: receiver.metrics("obtrace.loader.dropped"), 10), "no obtrace.loader.dropped")
        attributes, point = only(receiver.metrics("obtrace.loader.dropped")[0].points, "points")
        equal((attributes, point["asInt"]), ({"signal": "traces", "reason": "rejected"}, "1"), "dropped")
        equal(receiver.spans(), [], "spans")


@on_each
def nothing_can_be_written(world, version):
    """On a read-only root without /tmp we would fail where the application does not; nor do we leave files anywhere."""
    with observed(world) as receiver, Upstream() as upstream:
        # The runtime's own sockets for diagnosis, which it makes below /tmp.
        quiet = {"DOTNET_EnableDiagnostics": "0", "COMPlus_EnableDiagnostics": "0"}
        script = "for it in /tmp /var/tmp /; do mount --bind $it $it && mount -o remount,bind,ro $it || exit 90; done; exec \"$@\""
        application = world.start("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", host(world, version),
                                  compiled(world, "Calls") / "Calls.dll", "get", f"{upstream.url}/a",
                                  env={**variables(world, receiver.url), **quiet}, folder="/")
        equal((application.wait(30), application.out, application.err), (0, "200 ok\n", ""), "code, output and errors")
        equal(len(receiver.spans()), 1, "spans")


@on_each
def signals_are_chosen(world, version):
    """OBTRACE_SIGNALS would not spare what an operator does not want to pay for."""
    with observed(world) as receiver, Upstream() as upstream:
        for wanted in ("traces", "metrics", "logs"):
            before = len(receiver.requests)
            run(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_SIGNALS": wanted})
            paths = {request["path"].rsplit("/", 1)[-1] for request in receiver.requests[before:]}
            equal(paths, set() if wanted == "logs" else {wanted}, f"what was sent with OBTRACE_SIGNALS={wanted}")
        expect(all(headers["traceparent"].endswith("-01") for _, headers in upstream.seen), "a kept trace is passed on as not kept")


@on_each
def debug_lines(world, version):
    """Whoever looks for a fault would see nothing, or the key."""
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_DEBUG": "1"})
        application.wait(30)
        lines = application.err.splitlines()
        expect(lines and all(line.startswith("[obtrace] ") for line in lines), f"lines {lines}")
        equal(len(set(lines)), len(lines), "each line once")
        expect("test-key" not in application.err, "the key is said")


@on_each
def many_calls_at_once(world, version):
    """Concurrent calls would lose spans or mix up their ids."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "many", f"{upstream.url}/a", "400", to=receiver)
        passed = {headers["traceparent"][3:52] for _, headers in upstream.seen}
        equal({f"{span['traceId']}-{span['spanId']}" for span in receiver.spans()}, passed, "ids of spans and of what was passed on")
        equal(len(passed), 400, "calls")
        clean(receiver)


CASES = [the_end_is_the_same, signals_are_the_same, the_host_drains_first, sent_within_two_seconds, dead_receiver, silent_receiver, over_tls,
         sent_again, given_up, refused_for_good, nothing_can_be_written, signals_are_chosen, debug_lines, many_calls_at_once]
