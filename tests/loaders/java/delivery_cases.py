"""Receivers that fail, ask for patience, or speak https."""

import time

from java.rig import AGENT, environment, jdk, one, ours, plain, without_jvm_lines
from receiver import Receiver
from tls import Authority
from upstream import Upstream
from world import equal, expect, free_port


def receivers_that_fail(world):
    """A receiver that never answers costs the program at most 2 s at its end, one that is not there nothing; one that takes a second
    gets spans, log records and metrics all the same. And a JVM without a writable temporary folder works."""
    world.mount(world.volume("java"))
    notes = []
    with Receiver(silent=True) as silent, Receiver(delay=1.1) as slow, Upstream() as target:
        runs = []
        for name, url in (("silent", silent.url), ("dead", f"http://127.0.0.1:{free_port()}"), ("slow", slow.url)):
            env = environment(world, url, ["java", "Main"], OBTRACE_DEBUG="1", JAVA_TOOL_OPTIONS="-Djava.io.tmpdir=/proc/none")
            runs.append((name, plain(world, env, "wait", f"{target.url}/nothing", "1")))
        for name, run in runs:
            run.said("waits", within=180)
            began = time.monotonic()
            equal(run.end(), 143, f"exit code, {name} receiver")
            took = time.monotonic() - began
            expect(took < (2 if name == "dead" else 4), f"{name} receiver: the end took {took:.1f} s")
            expect("[obtrace] started" in run.err, f"did not start without a temporary folder: {run.err}")
            equal([line for line in without_jvm_lines(run.err).splitlines() if line not in ours(run.err)], ["on standard error"], "lines")
            notes.append(f"{name} {took:.1f} s")
        equal((len(slow.spans()), len(slow.logs()), bool(slow.metrics("jvm.memory.used"))), (1, 2, True), "what a slow receiver got")
    return ", ".join(notes)


def tries_again(world):
    """503 and 429 (with its Retry-After), then 200: the batch comes once and whole. What is refused with 400 is not sent again, and
    counted. With OBTRACE_SIGNALS only what it names is sent."""
    world.mount(world.volume("java"))
    with Receiver(replies=[(503, {}), (429, {"Retry-After": "1"})]) as patient, Receiver(replies=[(400, {})]) as strict, Upstream() as target:
        arguments = ("wait", f"{target.url}/nothing", "3")
        again = plain(world, environment(world, patient.url, ["java", "Main"], OBTRACE_SIGNALS="traces"), *arguments)
        refused = plain(world, environment(world, strict.url, ["java", "Main"], OBTRACE_SIGNALS="traces,metrics"), *arguments)
        for run in (again, refused):
            run.said("waits", within=180)
        expect(patient.wait(lambda: len(patient.requests) == 3, 30), f"{len(patient.requests)} requests")
        expect(strict.wait(lambda: strict.requests, 30), "no request")
        equal((again.end(), refused.end()), (143, 143), "exit codes")
        equal([request["status"] for request in patient.requests], [503, 429, 200], "replies")
        times = [request["time"] for request in patient.requests]
        expect(1.9 < times[1] - times[0] < 4 and 0.9 < times[2] - times[1] < 3, f"pauses: {[round(it - times[0], 1) for it in times]}")
        equal(len({request["body"] for request in patient.requests}), 1, "bodies of three attempts")
        equal((len(patient.spans()), patient.logs(), patient.metrics()), (3, [], []), "what is sent")
        equal([request["path"].rpartition("/")[2] for request in strict.requests][:2], ["traces", "metrics"], "requests")
        equal((len([it for it in strict.requests if it["path"].endswith("traces")]), strict.logs()), (1, []), "requests with spans")
        dropped = one(strict.metrics(), "metric of losses", name="obtrace.loader.dropped")
        losses = [(attributes, int(point["asInt"])) for attributes, point in dropped.points]
        equal(losses, [({"signal": "traces", "reason": "rejected"}, 3)], "losses")
        patient.clean("java")
        strict.clean("java")


def over_https(world):
    """A receiver with a private authority's certificate. A trust store in JAVA_TOOL_OPTIONS: all is sent. None: nothing is, which is counted
    and said, and the program ends as ever. And a program that names its trust store itself, after we began to send, can still do so
    (whoever makes the process' default context before it takes that away from it), and we then trust what it trusts."""
    world.mount(world.volume("java"))
    authority = Authority(world, world.folder / "tls")
    store = world.folder / "tls/trust.jks"
    world.run(jdk(world, tool="keytool"), "-importcert", "-noprompt", "-alias", "root", "-file", authority.root, "-keystore", store,
              "-storetype", "JKS", "-storepass", "changeit")
    with Receiver(tls=authority) as trusted, Receiver(tls=authority) as distrusted, Receiver(tls=authority) as late, Upstream() as target:
        arguments = ("wait", f"{target.url}/nothing", "1")
        option = f"-Djavax.net.ssl.trustStore={store}"
        env = environment(world, trusted.url, ["java", "Main"], JAVA_TOOL_OPTIONS=option)
        equal(env["JAVA_TOOL_OPTIONS"], f"{option} {AGENT}", "JAVA_TOOL_OPTIONS")
        # The JDK tells its loggers of every handshake, ours too: which must not be sent, or each delivery would be the reason of the next.
        chatty = world.folder / "logging.properties"
        chatty.write_text("javax.net.ssl.level=ALL\nhandlers=\n")
        talks = ("-Djavax.net.debug=", f"-Djava.util.logging.config.file={chatty}")
        runs = [plain(world, env, *arguments, options=talks),
                plain(world, environment(world, distrusted.url, ["java", "Main"], OBTRACE_DEBUG="1"), *arguments),
                plain(world, environment(world, late.url, ["java", "Main"]), *arguments, store, f"{late.url}/own")]
        for run in runs:
            run.said("waits", within=180)
        expect(trusted.wait_spans(1, within=20) and late.wait_spans(2, within=20), f"spans: {len(trusted.spans())} and {len(late.spans())}")
        expect(distrusted.wait(lambda: distrusted.distrusted, 20), "nobody tried")
        equal([run.end() for run in runs], [143] * 3, "exit codes")
        equal((len(trusted.logs()), bool(trusted.metrics("jvm.memory.used")), trusted.distrusted), (2, True, 0), "what is sent")
        expect(late.distrusted, "the program named its trust store before anything was sent: this shows nothing")
        expect("trusted 200" in runs[2].out, f"the program's own call: {runs[2].out} {runs[2].err}")
        equal(distrusted.requests, [], "requests to whom nobody trusts")
        said = ours(runs[1].err)
        expect(any("SSLHandshakeException" in line for line in said) and "[obtrace] traces dropped: send_failed" in said, f"lines: {said}")
        for receiver in (trusted, late):
            receiver.clean("java")
    return "trusted, not trusted, trusted late"


CASES = [receivers_that_fail, tries_again, over_https]
