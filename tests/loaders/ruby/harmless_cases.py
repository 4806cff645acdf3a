"""What must not change in someone else's process: threads, forks, boot caches, other vendors' libraries; and delivery over https."""

import re
import shutil
import signal

import tls
from ruby.rig import APPS, asked, clean, launch, needs, observed, puma, script, serve
from upstream import Upstream
from world import equal, expect, one, program, same_as_bare, until

CALL = 'require "logger"; Logger.new($stdout, formatter: ->(*, text) { "#{text}\\n" }).info("said"); $stdout.flush; '


def threads_of_the_application(world):
    """Who waits for all threads, of a group or of the process, would wait for ours for ever; who kills them all would lose what comes
    after; a text in an encoding that nothing reads would take its whole batch with it."""
    with observed(world) as receiver:
        code, out, _ = same_as_bare(lambda bare: launch(world, receiver, "ruby", APPS / "threads.rb", bare=bare).result(20), "threads")
        equal((code, out.splitlines()[-1]), (0, "end"), "code and last line")
        equal([record.body for record in receiver.logs()], ["from a group", "an odd\ufffdone", "after all were killed"], "records")
        clean(receiver)


def forks_under_load(world):
    """40 forks while four threads call and log: no child hangs on a lock that a thread of the parent held, each child's call arrives once."""
    with observed(world) as receiver, Upstream() as upstream:
        app = launch(world, receiver, "ruby", APPS / "load.rb", env={"UPSTREAM": upstream.url, "OBTRACE_SIGNALS": "traces,logs"})
        equal(app.result(), (0, "{0=>40}\n", ""), "result")
        calls = [span for span in receiver.spans("client") if span.attributes["url.full"].endswith("/child")]
        different = {span.resource["process.pid"] for span in calls}, {span["spanId"] for span in calls}
        equal((len(calls), *map(len, different)), (40, 40, 40), "children's calls")
        clean(receiver)


def https_receivers(world):
    """Over https what is queued arrives where SSL_CERT_FILE names the receiver's authority; a stranger's is refused, told for OBTRACE_DEBUG
    alone, and a Ruby without OpenSSL goes on as well: same output, same exit code."""
    authority = tls.authority(world)
    text = CALL + "exit 3"
    with observed(world, tls=authority) as receiver:
        bare = script(world, receiver, text, bare=True)
        equal(script(world, receiver, text, extra={"SSL_CERT_FILE": authority.root}), bare, "trusted")
        equal(([record.body for record in receiver.logs()], receiver.distrusted), (["said"], 0), "records")
        clean(receiver)
        taken = len(receiver.requests)
        equal(script(world, receiver, text, extra={"SSL_CERT_FILE": authority.stranger}), bare, "not trusted")
        code, out, err = script(world, receiver, text, extra={"SSL_CERT_FILE": authority.stranger, "OBTRACE_DEBUG": "1"})
        equal((code, out), bare[:2], "not trusted, with OBTRACE_DEBUG")
        expect("[obtrace] sending logs: OpenSSL::SSL::SSLError" in err and "items dropped: send_failed" in err, err)
        expect(receiver.distrusted >= 2, f"{receiver.distrusted} connections came to nothing")
        without = world.folder / "without-openssl"
        without.mkdir()
        (without / "openssl.rb").write_text('raise LoadError, "cannot load such file -- openssl"\n')
        equal(script(world, receiver, f"Thread.abort_on_exception = true; {text}", "-I", without), bare, "no OpenSSL")
        equal(len(receiver.requests), taken, "requests")


def restarts_of_a_cluster(world):
    """Bootsnap's caches, cold and warm; log lines while the application boots, in a master that preloads it, too; a phased restart and one
    of the whole (SIGUSR1, SIGUSR2): each answered request has its span, with its route, of the worker that answered."""
    needs("bootsnap")
    cache = world.folder / "bootsnap"
    with observed(world) as receiver:
        app = puma(world, receiver, "-w", "2", "-t", "1:1", "--preload", app="boot.ru", env={"BOOTSNAP": cache})
        app.get("/users/0")
        expect("Preloading" in app.out and "Thread(s)" not in app.out, f"Puma saw a thread of ours: {app.out}")
        equal(app.end(), -signal.SIGTERM, "exit code")
        equal([span.name for span in asked(receiver)], ["GET /users/:id"], "spans with cold caches")
    with observed(world) as receiver:
        app = puma(world, receiver, "-w", "2", "-t", "1:1", app="boot.ru", env={"BOOTSNAP": cache})
        count = 0
        for number, mark in ((None, ""), (signal.SIGUSR1, ", phase: 1"), (signal.SIGUSR2, "Restarting")):
            if number:
                app.process.send_signal(number)
                until(lambda: app.out.count(mark) >= (2 if "phase" in mark else 1), lambda: f"{mark} in {app.out[-300:]}", 60)
                app.ready("/ready")
            count += 10
            equal([app.get(f"/users/{index}") for index in range(10)], [(200, f"user {index}") for index in range(10)], f"answers after {number}")
        equal(app.end(), -signal.SIGTERM, "exit code")
        spans = asked(receiver)
        equal(({span.name for span in spans}, len(spans)), ({"GET /users/:id"}, count), "spans")
        expect(len({span.resource["process.pid"] for span in spans}) >= 3, "spans of the workers of three generations")
        clean(receiver)


def grape(world):
    """Grape's routes, below a prefix and a version."""
    needs("grape")
    with observed(world) as receiver:
        app = serve(world, receiver, "puma", "--quiet", "-b", "tcp://127.0.0.1:{port}", "grape.ru")
        equal([app.get(f"/shop/v1/parts/{part}") for part in ("7", "7/price")], [(200, '{"id":"7"}'), (503, '{"error":"no price"}')], "answers")
        app.end()
        equal([(span.name, span.failed) for span in asked(receiver)],
              [("GET /shop/:version/parts/:id", False), ("GET /shop/:version/parts/:id/price", True)], "spans")
        clean(receiver)


def spring(world):
    """Spring keeps a loaded application and forks it for each command: same output and exit code, each command's call and line arrive."""
    needs("bundler", "spring/version")
    text = 'require "net/http"; Rails.logger.info("runs"); puts Net::HTTP.get(URI(ENV["UPSTREAM"] + "/run")); exit 3'
    with observed(world) as receiver, Upstream() as upstream:
        def run(bare):
            folder = world.folder / f"spring-{'bare' if bare else 'ours'}"
            shutil.copytree(APPS / "spring", folder)
            (folder / "log").mkdir()
            try:
                for _ in range(2):
                    app = launch(world, receiver, "bundle", "exec", "spring", "rails", "runner", text, folder=folder, bare=bare, env={"UPSTREAM": upstream.url})
                    yield app.wait(240), app.out, re.sub(r"\d+$", "N", app.err, flags=re.M)
            finally:
                # It is in a session of its own, which the rig does not end.
                world.run(program("bundle"), "exec", "spring", "stop", folder=folder)

        results = same_as_bare(lambda bare: list(run(bare)), "a command by Spring")
        equal([(code, out) for code, out, _ in results], [(3, "ok\n")] * 2, "code and output")
        calls = receiver.spans("client")
        equal((len(calls), len({span.resource["process.pid"] for span in calls})), (2, 2), "calls, processes")
        equal([record.body for record in receiver.logs()].count("runs"), 2, "records")
        clean(receiver)


SENTRY = """
require "logger"
require "net/http"
require "sentry-ruby"
Sentry.init do |config|
  config.dsn, config.logger = ENV["SENTRY_DSN"], Logger.new(nil)
  config.background_worker_threads, config.traces_sample_rate = 0, 1.0
end
transaction = Sentry.start_transaction(name: "script", op: "task")
Sentry.get_current_scope.set_span(transaction)
puts Net::HTTP.get(URI(ENV["UPSTREAM"] + "/called"))
Sentry.capture_exception(ArgumentError.new("told to Sentry"))
transaction.finish
exit 3
"""


def sentry(world):
    """The one vendor's library that Debian has for Ruby, its Net::HTTP patch and its own trace on: both see the call, both headers leave,
    what Sentry sends arrives, output and exit code as without us."""
    needs("sentry-ruby")
    with observed(world) as receiver, Upstream() as upstream, Upstream() as vendor:
        # Sentry leaves calls of its own host alone.
        env = {"UPSTREAM": f"http://localhost:{upstream.port}", "SENTRY_DSN": f"http://key@127.0.0.1:{vendor.port}/42"}
        equal(same_as_bare(lambda bare: script(world, receiver, SENTRY, env=env, bare=bare), "Sentry"), (3, "ok\n", ""), "result")
        told = [path for path, _ in vendor.seen]
        half = len(told) // 2
        expect(half and told[:half] == told[half:], f"what Sentry sent, without us and with us: {told}")
        call = one([span for span in receiver.spans("client") if span.attributes["url.full"].endswith("/called")], "calls")
        headers = upstream.headers("/called")
        equal(headers.get("traceparent"), f"00-{call['traceId']}-{call['spanId']}-01", "our header")
        expect("sentry-trace" in headers, f"Sentry's header: {headers}")
        clean(receiver)


CASES = [threads_of_the_application, forks_under_load, https_receivers, restarts_of_a_cluster, grape, spring, sentry]
