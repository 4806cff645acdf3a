"""What applications do that an agent in their process does not expect."""

import signal

from dotnet.rig import NEW, clean, compiled, host, launch, observed, on_each, only, run, variables
from upstream import Upstream
from world import equal, expect


@on_each
def odd_ends(world, version):
    """An application would hang, or end with another code, where it ends in a static constructor, on a thread of the pool, or by an exception on
    a thread."""
    with observed(world) as receiver, Upstream() as upstream:
        for spans, (verb, code) in enumerate((("static", 4), ("pool", 5), ("thread", -signal.SIGABRT)), 1):
            seen = [launch(world, version, "Odd", verb, f"{upstream.url}/{verb}", to=receiver, bare=bare).result(30) for bare in (True, False)]
            equal(seen[1], seen[0], f"{verb}: code, output and errors with us and without")
            equal((seen[1][0], len(receiver.spans())), (code, spans), f"{verb}: code and spans so far")
        clean(receiver)


@on_each
def another_culture(world, version):
    """With a culture of its own an application would make us send numbers that nobody reads."""
    with observed(world) as receiver, Upstream() as upstream:
        equal(run(world, version, "Odd", "culture", f"{upstream.url}/a?n=1", to=receiver), "minus1,5\nok\n", "output")
        clean(receiver)
        equal(only(receiver.spans(), "spans").attributes["url.full"], f"{upstream.url}/a?n=REDACTED", "url.full")
        point = only(receiver.metrics("http.client.request.duration"), "histograms").points[0][1]
        expect(isinstance(point["sum"], float) and 0.005 in point["explicitBounds"], f"the histogram {point}")


@on_each
def a_busy_thread_pool(world, version):
    """Where the application has taken every thread of the pool, when one wants to see it most, nothing would be sent."""
    with observed(world) as receiver, Upstream() as upstream:
        launch(world, version, "Odd", "starve", f"{upstream.url}/a", to=receiver).said("ready")
        expect(receiver.wait_spans(1, within=5), "no span in 5 s")


@on_each
def an_application_that_listens(world, version):
    """An application that looks at HttpClient's events itself would see others, or none."""
    with observed(world) as receiver, Upstream() as upstream:
        seen = [launch(world, version, "Odd", "listens", f"{upstream.url}/a", to=receiver, bare=bare).result(30) for bare in (True, False)]
        equal(seen[1], seen[0], "code, output and errors with us and without")
        expect("System.Net.Http.HttpRequestOut.Stop System.Net.Http.HttpRequestOut" in seen[0][1], f"events {seen[0][1]}")
        equal(len(receiver.spans()), 1, "spans")


@on_each
def a_plugin_that_goes(world, version):
    """Plugins that an application unloads would stay in memory, one more with each reload."""
    plugin = compiled(world, "Databases") / "Databases.dll"
    with observed(world) as receiver, Upstream() as upstream:
        out = run(world, version, "Odd", "plugin", upstream.url, plugin, to=receiver)
        equal(out.splitlines()[-1], "unloaded", "the plugin")
        equal(len(receiver.spans()), 4, "spans of its commands")


def an_ignored_signal(world):
    """A process that was started to ignore SIGINT (`nohup`, a shell's `&`) would die of it."""
    with observed(world) as receiver, Upstream() as upstream:
        application = world.start("sh", "-c", "trap '' INT; exec \"$@\"", "sh", host(world, NEW), compiled(world, "Calls") / "Calls.dll", "wait",
                                  f"{upstream.url}/a", env=variables(world, receiver.url)).said("ready")
        application.process.send_signal(signal.SIGINT)
        expect(receiver.wait_spans(1, within=5), "no span")
        expect(application.process.poll() is None, f"ended with {application.process.poll()}")
        equal(application.end(), 143, "code after SIGTERM")


CASES = [odd_ends, another_culture, a_busy_thread_pool, an_application_that_listens, a_plugin_that_goes, an_ignored_signal]
