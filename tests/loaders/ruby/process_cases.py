"""How processes begin and end: exit codes, signals, output, forks, odd options, agents of the application's own, broken volumes."""

import re
import shutil
import signal
import time

from receiver import Receiver
from ruby.rig import APPS, IMAGE, asked, clean, launch, needs, observed, puma, script, serve
from upstream import Upstream
from world import Missing, equal, expect, free_port, program

SAY = 'require "net/http"; require "logger"; Logger.new($stdout, formatter: ->(*, text) { "#{text}\\n" }).info("said"); $stderr.puts "complained"'
MODULES = "exit!(defined?(ObtraceZero) && ObtraceZero.respond_to?(:active) && ObtraceZero.active ? 10 : 20)"
THERE, ASIDE = 10, 20


def plain(text):
    """What was printed, without what differs from one run to the next."""
    return re.sub(r"0x[0-9a-f]{16}", "0x", text)


def begun(world, receiver, upstream, words, env=None, **options):
    return launch(world, receiver, "ruby", APPS / "work.rb", *words, env={"UPSTREAM": upstream.url, **(env or {})}, **options)


def both(world, receiver, *words, **options):
    """(exit code, output, errors) of a command, without us and with us, side by side."""
    return [app.result() for app in [launch(world, receiver, *words, bare=bare, **options) for bare in (True, False)]]


def ended(app, number=None):
    """(exit code, output, errors) of an application, to which a signal is sent once it has worked."""
    if number:
        app.said("worked")
        time.sleep(0.1)
        app.end(number)
    code, out, err = app.result(30)
    return code, plain(out), plain(err)


def worked(world, receiver, upstream, words, **options):
    return ended(begun(world, receiver, upstream, words, **options))


def endings_are_the_same(world):
    """Every way to end gives the exit code and the output of a run without us, and what was queued arrives; after `exit!` it is lost."""
    ways = [(["end"], None), (["late"], None), (["exit3"], None), (["abort"], None), (["raise"], None), (["throw"], None), (["thread"], None), (["refused"], None), (["block"], None),
            (["wait"], signal.SIGTERM), (["wait"], signal.SIGINT), (["wait"], signal.SIGHUP), (["trap"], signal.SIGTERM),
            (["signal", "USR1"], None), (["exit!"], None)]
    more = {"late": ["at-exit"], "refused": ["127.0.0.1:1"], "block": ["block"]}
    for words, number in ways:
        with observed(world) as receiver, Upstream() as upstream:
            apps = [begun(world, receiver, upstream, words, bare=bare) for bare in (True, False)]
            bare, ours = (ended(app, number) for app in apps)
            equal(ours, bare, f"{words} {number or ''}: code, output, errors")
            if words == ["exit!"]:
                equal(receiver.requests, [], "requests after exit!")
                continue
            names = [span.attributes["url.full"].rsplit("/", 1)[1] for span in receiver.spans("client")]
            equal(names, ["work", *more.get(words[0], [])], f"{words}: spans")
            equal([record.body for record in receiver.logs()], ["one line"], f"{words}: records")
            expect(receiver.metrics("process.cpu.time"), f"{words}: no last report of metrics")
            clean(receiver)


def forks_send_their_own(world):
    """Eight children of a process with queued items: 80 spans of theirs, one of the parent's, no id twice; a daemon keeps what was queued."""
    with observed(world) as receiver, Upstream() as upstream:
        equal(worked(world, receiver, upstream, ["fork"])[0], 0, "exit code")
        spans = receiver.spans("client")
        equal(sorted({span.attributes["url.full"].rsplit("/", 1)[1]: 0 for span in spans}), ["child", "work"], "calls")
        equal(len([span for span in spans if span.attributes["url.full"].endswith("/child")]), 80, "children's spans")
        equal((len(spans), len({span["spanId"] for span in spans})), (81, 81), "ids")
        equal(len({span.resource["service.instance.id"] for span in spans}), 9, "instances")
        equal(len(receiver.logs()), 1, "records")
        clean(receiver)
    with observed(world) as receiver, Upstream() as upstream:
        equal(worked(world, receiver, upstream, ["daemon"])[0], 0, "exit code")
        expect(receiver.wait_spans(2, "client", 6), f"{len(receiver.spans())} spans of a daemon")
        clean(receiver)


def unreachable_receivers_cost_nothing(world):
    """Nobody listens, nobody answers, a slow answer: the same code and output, at most two seconds at the end."""
    def timed(receiver, bare=False):
        began = time.monotonic()
        return worked(world, receiver, upstream, ["exit3"], bare=bare), time.monotonic() - began

    with Upstream() as upstream:
        nobody = f"http://127.0.0.1:{free_port()}"
        bare, alone = timed(nobody, bare=True)
        # What the machine is busy with costs both.
        allowed = 2 * alone + 0.5
        world.mount(world.volume("ruby"))
        seen, took = timed(nobody)
        equal(seen, bare, "nobody listens")
        expect(took < allowed, f"refused, and {took:.1f} s; {alone:.1f} s without us")
        for options in ({"silent": True}, {"delay": 1}):
            with Receiver(**options) as receiver:
                seen, took = timed(receiver)
                equal(seen, bare, options)
                expect(took < allowed + 2, f"{options}: {took:.1f} s; {alone:.1f} s without us")


def answers_that_say_later(world):
    """After a 429 and a 503 the same spans are sent again and arrive once; a 400 is not repeated and is counted."""
    with observed(world, replies=[(429, {"Retry-After": "1"}), (503, {})]) as receiver:
        app = puma(world, receiver, env={"OBTRACE_SIGNALS": "traces"})
        app.get("/users/1")
        expect(receiver.wait_spans(2, "server", 12), "nothing after two refusals")
        app.end()
        equal([request["status"] for request in receiver.requests], [429, 503, 200], "answers")
        clean(receiver)
    with observed(world, replies=[(400, {})]) as receiver:
        app = puma(world, receiver, env={"OBTRACE_METRIC_INTERVAL": "1"})
        app.get("/users/1")
        expect(receiver.wait(lambda: receiver.metrics("obtrace.loader.dropped"), 8), "no count of what was dropped")
        attributes, point = receiver.metrics("obtrace.loader.dropped")[-1].points[0]
        equal(attributes["reason"], "rejected", "reason")
        app.end()


def broken_volumes_step_aside(world):
    """A file that is missing, or cut anywhere, leaves the application as it is."""
    with observed(world) as receiver, Upstream() as upstream:
        bare = worked(world, receiver, upstream, ["exit3"], bare=True)
        whole = world.volume("ruby")
        names = sorted(path.relative_to(whole) for path in whole.rglob("*.rb") if path.name != "obtrace_loader.rb")
        apps = []
        for index, name in enumerate(names):
            broken = world.folder / f"broken-{index}"
            shutil.copytree(whole, broken)
            if index % 2:
                (broken / name).unlink()
            else:
                text = (broken / name).read_bytes()
                (broken / name).write_bytes(text[:len(text) * 2 // 3])
            # Those that are read where OBTRACE_AGENT_PATH leads can run side by side; one is a volume as Pods have it.
            if index == 0:
                world.mount(broken)
                equal(worked(world, receiver, upstream, ["exit3"]), bare, name)
                world.mount(whole)
            apps.append((name, begun(world, receiver, upstream, ["exit3"], extra={"OBTRACE_AGENT_PATH": broken})))
            if len(apps) == 4 or name == names[-1]:
                for each, app in apps:
                    equal(ended(app), bare, each)
                apps = []
        equal(receiver.requests, [], "requests")
        return f"{len(names)} files"


def steps_aside_where_told(world):
    """Disabled, without a URL, tools, and agents of the application's own: we are not there."""
    with observed(world) as receiver:
        def code(text=MODULES, *options, env=None):
            return script(world, receiver, text, *options, env=env)

        equal(code(), (THERE, "", ""), "plain")
        for env in ({"OBTRACE_DISABLED": "1"}, {"OBTRACE_DISABLED": "yes"}, {"OBTRACE_INGEST_URL": "ftp://x"}):
            equal(code(env=env), (ASIDE, "", ""), env)
        equal(code(env={"OBTRACE_DISABLED": "False"})[0], THERE, "OBTRACE_DISABLED=False")
        lone = code(env={"OBTRACE_DISABLED": "1", "OBTRACE_DEBUG": "1"})
        equal(lone, (ASIDE, "", "[obtrace] stepping aside: OBTRACE_DISABLED is set\n"), "said")
        folder = world.folder / "with-a-bundle"
        folder.mkdir(exist_ok=True)
        for gem, wanted in (("opentelemetry-sdk", ASIDE), ("ddtrace", ASIDE), ("newrelic_rpm", ASIDE), ("elastic-apm", ASIDE), ("skylight", ASIDE),
                            ("scout_apm", ASIDE), ("opentelemetry-api", THERE), ("dogstatsd-ruby", THERE)):
            (folder / "Gemfile.lock").write_text(f"GEM\n  remote: https://rubygems.org/\n  specs:\n    {gem} (1.2.3)\n      logger\n\nDEPENDENCIES\n  {gem}\n")
            equal(script(world, receiver, MODULES, folder=folder)[0], wanted, gem)
        for text, wanted in (("module OpenTelemetry; module SDK; end; end", ASIDE), ("module OpenTelemetry; module Trace; end; end", THERE),
                             ("module Datadog; module Tracing; end; end", ASIDE), ("module Datadog; class Statsd; end; end", THERE),
                             ("module NewRelic; module Agent; end; end", ASIDE)):
            equal(code(f"{text}\n{MODULES}"), (wanted, "", ""), text)
        equal(code('require "net/http"; module OpenTelemetry; module SDK; end; end; '
                   f'begin; Net::HTTP.get(URI("{receiver.url}")); rescue StandardError; end'), (0, "", ""), "an SDK that comes later")
        equal(receiver.requests, [], "requests")


def tools_and_questions(world):
    """gem, irb, rake, `ruby -v`, `ruby -c` and filters do what they do, and nothing of ours is said or sent."""
    with observed(world) as receiver:
        file = world.folder / "fine.rb"
        file.write_text("puts 1\n")
        rakefile = world.folder / "Rakefile"
        rakefile.write_text("task(:default) { puts((begin; ObtraceZero.active; rescue NameError; nil; end).inspect) }\n")
        for words in (("ruby", "-v"), ("ruby", "--version"), ("ruby", "-c", file), ("gem", "--version"), ("rake", "-f", rakefile), ("irb", "--version"),
                      ("irb", "-f"), ("erb", "--version"), ("ruby", "-ne", "print", file), ("ruby", "-x", "-C", world.folder, file)):
            bare, ours = both(world, receiver, *words)
            equal(ours, bare, words)
        equal(receiver.requests, [], "requests")


def odd_options(world):
    """RUBYOPT and command lines that change how files are read: same output, and we are there."""
    text, taken = f"{SAY}; {MODULES.replace('exit!', 'exit')}", []
    with observed(world) as receiver:
        for options in ("-W0", "-W:no-deprecated", "-w", "-W2", "--disable-gems", "--disable=did_you_mean", "--enable=frozen-string-literal",
                        "-Ku", "-EASCII-8BIT:ASCII-8BIT", "-rjson -rset", "--yjit", "--jit"):
            env = {"RUBYOPT": options, "LANG": "C"}
            bare, ours = both(world, receiver, "ruby", "-e", text, env=env)
            if bare[0] != ASIDE or "invalid" in bare[2] or "warning" in bare[2]:
                continue
            equal(ours, (THERE, *bare[1:]), options)
            taken.append(options)
        for option in ("-w", "--disable-gems", "-Ku", "--disable=all"):
            bare, ours = both(world, receiver, "ruby", option, "-e", SAY)
            equal(ours, bare, option)
        clean(receiver)
        expect(len(receiver.logs()) >= len(taken) > 8, f"{len(receiver.logs())} records with {taken}")


def no_place_to_write(world):
    """A root that is read-only and no /tmp: all the same."""
    with observed(world) as receiver, Upstream() as upstream:
        text = f'require "net/http"; Net::HTTP.get(URI("{upstream.url}/x")); puts "done"; begin; File.write("/tmp/x", ""); rescue SystemCallError; puts "no /tmp"; end'
        env = world.environment(IMAGE, ["ruby"], receiver.url)
        inner = ["ruby", "-e", text]
        app = world.start(program("unshare"), "--mount", "sh", "-c",
                          "mount -t tmpfs -o ro none /tmp && mount -o remount,bind,ro / 2>/dev/null; cd /; exec \"$@\"", "sh", *inner, env=env)
        equal((app.wait(), app.out, app.err), (0, "done\nno /tmp\n", ""), "output")
        equal(len(receiver.spans("client")), 1, "spans")


def signals_and_kinds(world):
    """OBTRACE_SIGNALS and OBTRACE_TRACED leave out what they do not name; context is passed on all the same."""
    for env, kinds, logs, metrics in (({"OBTRACE_SIGNALS": "logs"}, set(), True, False), ({"OBTRACE_SIGNALS": "traces, metrics"}, {"server", "client"}, False, True),
                                      ({"OBTRACE_TRACED": "client"}, {"client"}, True, True), ({"OBTRACE_TRACED": "server"}, {"server"}, True, True)):
        with observed(world) as receiver, Upstream() as upstream:
            app = puma(world, receiver, env={"UPSTREAM": upstream.url, **env})
            app.get("/call", {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
            app.get("/users/1")
            app.end()
            equal({span.kind for span in receiver.spans()}, kinds, f"{env}: kinds")
            equal((bool(receiver.logs()), bool(receiver.metrics("http.server.request.duration"))), (logs, metrics), f"{env}: logs, metrics")
            seen = upstream.headers("/status/200")["traceparent"]
            expect(seen.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-") and seen.endswith("-01"), seen)
            if env.get("OBTRACE_TRACED") == "client":
                equal(receiver.spans("client")[0].parent, "00f067aa0ba902b7", "parent of a call whose server span another tool reports")
            clean(receiver)


def ratio_zero(world):
    """Nothing is kept, what comes sampled is; calls carry the flag 00; durations count everything."""
    with observed(world) as receiver, Upstream() as upstream:
        app = puma(world, receiver, env={"UPSTREAM": upstream.url}, instrumentation={"samplingRatio": 0})
        app.get("/call")
        expect(upstream.headers("/status/200")["traceparent"].endswith("-00"), upstream.seen)
        app.get("/users/9", {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
        app.end()
        equal([span.name for span in receiver.spans()], ["GET /users/:id"], "spans")
        points = [point for metric in receiver.metrics("http.server.request.duration") for point in metric.points]
        expect("/call" in {attributes.get("http.route") for attributes, _ in points}, "an unsampled request is not measured")


def silent_unless_asked(world):
    """Without OBTRACE_DEBUG there is not a word; with it each line begins with our mark."""
    with observed(world) as receiver, Upstream() as upstream:
        silent = worked(world, f"http://127.0.0.1:{free_port()}", upstream, ["end"])
        equal(silent[2], "one line\n", "standard error")
        told = worked(world, receiver, upstream, ["end"], env={"OBTRACE_DEBUG": "1"})
        lines = [line for line in told[2].splitlines() if line != "one line"]
        expect(lines and all(line.startswith("[obtrace] ") for line in lines), lines)
        equal(len(lines), len(set(lines)), "each once")
        expect("test-key" not in told[2], "the key was told")


def old_and_other_rubies(world):
    """JRuby 9.3 (the grammar of Ruby 2.6) reads the entry file and goes on without us. CRuby 2 cannot be had here."""
    try:
        jruby = program("jruby")
    except Missing:
        raise Missing("no JRuby, the only older grammar that can be had") from None
    with observed(world) as receiver:
        env = world.environment(IMAGE, ["ruby"], receiver.url, env={"OBTRACE_DEBUG": "1"})
        app = world.start(jruby, "-e", "puts defined?(ObtraceZero).inspect", env=env)
        equal((app.wait(120), app.out), (0, "nil\n"), "JRuby")
        expect("only CRuby is supported" in app.err, app.err)


def bundler_keeps_its_choice(world):
    """`bundle exec puma` of a frozen bundle, booted by bootsnap, works and is seen; a bundle may have other versions of default gems than
    those we would have loaded."""
    needs("bundler", "bootsnap")
    folder = world.folder / "bundle"
    gem = folder / "gems/io-wait-9.9.9"
    (gem / "lib").mkdir(parents=True)
    (gem / "io-wait.gemspec").write_text('Gem::Specification.new { |s| s.name = "io-wait"; s.version = "9.9.9"; s.summary = s.author = "x"; s.files = ["lib/none.rb"] }\n')
    (gem / "lib/none.rb").write_text("")
    (folder / "Gemfile").write_text('gem "puma"\ngem "sinatra"\ngem "webrick"\ngem "bootsnap"\ngem "io-wait", path: "gems/io-wait-9.9.9"\n')
    for name in ("shop.ru", "boot.ru"):
        shutil.copy(APPS / name, folder)
    world.run(program("bundle"), "lock", "--local", folder=folder)
    # Bundler alone takes many seconds on a busy machine.
    options = {"folder": folder, "within": 240}
    with observed(world) as receiver:
        late = ('require "logger"; Logger.new(File.open(File::NULL, "w")).info("early"); sleep 2.5; require "bundler"; Bundler.setup; '
                'puts Gem.loaded_specs["io-wait"].version; puts "set up"')
        bare = script(world, receiver, late, bare=True, **options)
        equal(bare[:2], (0, "9.9.9\nset up\n"), f"without us: {bare[2][-300:]}")
        # An address with https needs `openssl` as well, of which libraries leave an autoload.
        for text, url in ((late, receiver), (f'autoload(:OpenSSL, "openssl"); {late}', "https://127.0.0.1:9")):
            equal(script(world, url, text, env={"BUNDLE_FROZEN": "true"}, **options), bare, f"a bundle that is set up late, {url}")
        # A machine on which the files before take longer than a process is waited for that reads none.
        (folder / "slow.rb").write_text(late.replace("sleep 2.5", 'sleep ENV["SLOW"].to_f'))
        slow = script(world, "https://127.0.0.1:9", 'require "./slow"', env={"BUNDLE_FROZEN": "true", "SLOW": "12"}, **options)
        equal(slow, bare, "a bundle that is set up very late, in a file that is required")
        equal([record.body for record in receiver.logs()], ["early"], "records")
        app = serve(world, receiver, "bundle", "exec", "puma", "--quiet", "-b", "tcp://127.0.0.1:{port}", "boot.ru",
                    env={"BUNDLE_FROZEN": "true", "BOOTSNAP": world.folder / "bundle-cache"}, **options)
        equal(app.get("/users/3"), (200, "user 3"), "answer")
        app.end()
        equal([span.name for span in asked(receiver)], ["GET /users/:id"], "spans")
        clean(receiver)


CASES = [endings_are_the_same, forks_send_their_own, unreachable_receivers_cost_nothing, answers_that_say_later, broken_volumes_step_aside,
         steps_aside_where_told, tools_and_questions, odd_options, no_place_to_write, signals_and_kinds, ratio_zero, silent_unless_asked,
         old_and_other_rubies, bundler_keeps_its_choice]
