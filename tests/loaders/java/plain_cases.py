"""Programs without a framework: how they end, where they cannot write, a jar that is not whole."""

import re
import shutil
import signal
import zipfile

from java.rig import QUICK, bare, environment, jdk, main_classes, one, ours, plain, without_jvm_lines
from receiver import Receiver
from world import equal, expect

# An end, its exit code, and the runtime that plays it.
ENDS = (("exit", 3, 11), ("throw", 1, 21), ("wait", 143, 25))


def plain_programs(world):
    """Programs that call System.exit, throw, or are ended by SIGTERM, on JDK 11, 21 and 25, with options of their own in
    JAVA_TOOL_OPTIONS: same exit code and output as without us, their child's too; what was queued is sent: client spans, logs of
    java.util.logging with their exception, and in the last report the JVM's metrics; others come at the interval that is asked for."""
    world.mount(world.volume("java"))
    for way, code, version in ENDS:
        with Receiver() as receiver:
            own = {"JAVA_TOOL_OPTIONS": "-Dshop.flavour=vanilla -Xmx200m"}
            often = {"OBTRACE_METRIC_INTERVAL": "1"} if way == "wait" else {}
            env = environment(world, receiver.url, ["java", "Main"], **own, **often)
            equal(env["JAVA_TOOL_OPTIONS"].split()[:2], own["JAVA_TOOL_OPTIONS"].split(), "options of the application's own")
            arguments = (way, f"{receiver.url}/nothing?key=secret", "1")
            runs = [plain(world, variables, *arguments, version=version) for variables in (env, {**bare(env), **own})]
            for run in runs:
                if way == "wait":
                    run.said("waits", within=180)
                    expect(run is runs[1] or receiver.wait(lambda: receiver.metrics("http.client.request.duration"), 60), "no metrics in a minute")
                    run.end(signal.SIGTERM)
                equal(run.wait(180), code, f"exit code of {way}")
            expect("flavour vanilla\nsaid by a child\nchild 7\n" in runs[0].out, f"what it says: {runs[0].out}")
            equal(runs[0].out, runs[1].out, f"output of {way}")
            equal(without_jvm_lines(runs[0].err), without_jvm_lines(runs[1].err), f"standard error of {way}")
            delivered(receiver, way, int(re.search("status ([0-9]+)", runs[0].out)[1]), version)
    return ", ".join(f"{way} on {version}" for way, _, version in ENDS)


def delivered(receiver, way, status, version):
    """What a program's run has to have sent."""
    call = one(receiver.spans(), f"call before {way}", kind=3)
    equal((call.attributes["http.response.status_code"], call.failed), (status, status >= 400), "status of a call")
    expect(call.attributes["url.full"].endswith("/nothing?key=REDACTED"), f"url.full: {call.attributes['url.full']}")
    expect(call.resource["process.runtime.version"].startswith(f"{version}."), f"runtime: {call.resource['process.runtime.version']}")
    severe = one(receiver.logs(), f"log before {way}", severityText="SEVERE")
    equal((severe["severityNumber"], severe.attributes.get("exception.type")), (17, "java.lang.IllegalStateException"), "log record")
    equal(one(receiver.logs(), f"log before {way}", severityText="FINE")["severityNumber"], 5, "severity")
    last = [request for request in receiver.requests if request["path"].endswith("/metrics")][-1]
    names = {metric.name for metric in receiver.metrics() if metric.request is last}
    missing = {"http.client.request.duration", "jvm.memory.used", "jvm.thread.count", "jvm.cpu.time", "process.cpu.time"} - names
    expect(not missing, f"{sorted(missing)} missing in the last report before {way}: {sorted(names)}")
    receiver.clean("java")


def nothing_to_write_to(world):
    """A root, home, /tmp, /var/tmp and /dev/shm that cannot be written: the program does what it does without us, and all is sent."""
    world.mount(world.volume("java"))
    locked = "for it in /tmp /var/tmp /dev/shm /; do mount --bind $it $it && mount -o remount,bind,ro $it || exit 90; done; cd /; exec \"$@\""
    with Receiver() as receiver:
        env = environment(world, receiver.url, ["java", "Main"])
        command = (jdk(world), *QUICK, "-cp", main_classes(world), "Main", "write", f"{receiver.url}/nothing", "1")
        runs = [world.start("unshare", "--mount", "--propagation", "private", "sh", "-c", locked, "sh", *command, env=variables)
                for variables in (env, bare(env))]
        equal([run.wait(180) for run in runs], [0, 0], "exit codes")
        equal(runs[0].out, runs[1].out, "output")
        equal((runs[0].out.count("can be written: false"), runs[0].out.count("can be written: true")), (6, 0), f"what it can write: {runs[0].out}")
        equal(without_jvm_lines(runs[0].err), without_jvm_lines(runs[1].err), "standard error")
        expect((len(receiver.spans()), len(receiver.logs())) == (1, 2) and receiver.metrics("jvm.memory.used"), "not all is sent")
        receiver.clean("java")


def jar_is_not_whole(world):
    """A volume whose jar is missing or cut off stops a JVM with a message of its own, which nobody can prevent: that is why the installer
    writes the jar last and by rename. Damage inside of it is a reason to step aside: the program runs as without us."""
    whole = world.volume("java") / "obtrace-agent.jar"
    content = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as jar:
        places = [entry.header_offset for entry in jar.infolist() if entry.filename.startswith("inst/io/opentelemetry/javaagent/tooling/A")]
    expect(len(places) > 5, "the agent's classes are not where they were")
    content[places[0]:places[-1]] = bytes(places[-1] - places[0])
    env = environment(world, "http://127.0.0.1:9", ["java", "Main"])
    without = plain(world, bare(env), "exit")
    equal(without.wait(), 3, "exit code of the bare run")
    stopped, goes_on = (1, "Error opening zip file"), (3, "[obtrace] steps aside: ")
    for name, given, (code, said) in (("missing", None, stopped), ("cut", content[:100_000], stopped), ("damaged", content, goes_on)):
        volume = world.folder / f"volume-{name}"
        shutil.copytree(whole.parent, volume)
        (volume / whole.name).unlink()
        if given:
            (volume / whole.name).write_bytes(given)
        world.mount(volume)
        run = plain(world, {**env, "OBTRACE_DEBUG": "1"}, "exit")
        equal(run.wait(), code, f"exit code with a jar that is {name}: {run.err[-500:]}")
        expect(said in run.err, f"{name}: {run.err}")
        if code == 3:
            equal((run.out, len(ours(run.err))), (without.out, 1), f"output and debug lines: {run.err}")


CASES = [plain_programs, nothing_to_write_to, jar_is_not_whole]
