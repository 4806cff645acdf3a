"""Nothing breaks: whatever runs Node.js, however it is set up, behaves as without us, and is observed where it can be."""

import json
import shutil

from nodejs.exit_cases import plain
from nodejs.rig import OLD, USUAL, VERSIONS, Stage, Upstream, installed, placed
from world import equal, expect, program

BUN, DENO = "@oven/bun-linux-x64@1.4.5", "@deno/linux-x64-glibc@2.9.6"


def untouched(world, version=USUAL, env=None, words=("script.cjs", "exit"), prepare=None, path=None, why=None):
    """The application runs as without us, and nothing is sent; with OBTRACE_DEBUG one line says why."""
    with Stage(world, version, part=None) as stage, Stage(world, version, part=None, bare=True) as bare:
        if prepare:
            prepare(stage)
        ours = stage.run(*words, env=env, folder=path)
        other = bare.run(*words, folder=path)
        results = [(it.wait(), plain(it.out), plain(it.err)) for it in (ours, other)]
        equal(results[0], results[1], "exit code, output and errors with and without us")
        equal(len(stage.receiver.requests), 0, "requests")
        if why:
            told = stage.run(*words, env={**(env or {}), "OBTRACE_DEBUG": 1}, folder=path)
            told.wait()
            lines = [line for line in told.err.splitlines() if line.startswith("[obtrace]")]
            expect(len(lines) == 1 and why in lines[0], f"the line that says why: {told.err[-500:]}")


def aside_disabled(world):
    """OBTRACE_DISABLED switches everything off."""
    untouched(world, env={"OBTRACE_DISABLED": "true"}, why="OBTRACE_DISABLED")


def aside_without_url(world):
    """Without a receiver's address nothing is done."""
    untouched(world, env={"OBTRACE_INGEST_URL": ""}, why="no OBTRACE_INGEST_URL")


def aside_old_versions(world):
    """Node.js 14 and 16 run as without us."""
    for version in OLD:
        untouched(world, version, words=("-p", "[1, 2].map(it => it * 2).join()"), why="older than 18.19")


def replaced(world, change):
    """A copy of the volume that `change(folder)` has spoiled, mounted in its place."""
    def prepare(_):
        folder = world.folder / f"spoiled-{world.count}"
        shutil.copytree(world.volume("nodejs"), folder)
        change(folder)
        world.mount(folder)

    return prepare


def aside_missing_file(world):
    """The real file is not there."""
    untouched(world, prepare=replaced(world, lambda folder: (folder / "obtrace-node.js").unlink()), why="Cannot find module")


def aside_half_copied(world):
    """The real file is there in part."""
    def cut(folder):
        whole = (folder / "obtrace-node.js").read_bytes()
        (folder / "obtrace-node.js").write_bytes(whole[:len(whole) * 2 // 3])

    untouched(world, prepare=replaced(world, cut), why="steps aside")


def aside_other_agents(world):
    """Agents that are no part of the real ones in agent_cases.py, by folders of their names: in the dependencies, in pnpm's store."""
    for name in ("@instana/collector", ".pnpm/@opentelemetry+sdk-trace-base@2"):
        folder = placed(world, f"nodejs-agent-{world.count}")
        (folder / "node_modules" / name).mkdir(parents=True)
        untouched(world, path=folder, why="the application has")
    agent = world.folder / "dd-trace"
    agent.mkdir()
    (agent / "init.js").write_text("")
    untouched(world, env={"NODE_OPTIONS": f"--require {agent}/init.js"}, why=None)


def own_sdk(world):
    """An OpenTelemetry SDK of the application's own gets all its spans, we step aside."""
    with Stage(world, part="own") as stage:
        application = stage.run("own.cjs")
        equal((application.wait(), application.out), (0, "2 spans\n"), "what the application's own SDK has seen")
        equal(len(stage.receiver.requests), 0, "requests")


def own_api(world):
    """The OpenTelemetry API alone is no reason to step aside, and we do not register anything with it."""
    libraries = installed(world, "own") / "node_modules"
    folder = placed(world, "nodejs-api")
    (folder / "node_modules/@opentelemetry").mkdir(parents=True)
    (folder / "node_modules/@opentelemetry/api").symlink_to(libraries / "@opentelemetry/api")
    with Stage(world, part=None) as stage:
        application = stage.run("api-only.cjs", folder=folder)
        equal((application.wait(), application.out), (0, "nothing is registered\n"), "the application's API")
        equal(stage.log("nothing is registered").scope["name"], "console", "we are there all the same")


def package_managers(world):
    """npm is left alone, what it starts is observed."""
    with Stage(world, part=None) as stage:
        folder = placed(world, "nodejs-npm")
        (folder / "package.json").write_text(json.dumps({"name": "shop", "version": "1.0.0", "scripts": {"start": "node script.cjs drain"}}))
        application = stage.run(program("npm"), "start", "--silent", program="/usr/bin/env", folder=folder, env={"OBTRACE_DEBUG": 1})
        equal(application.wait(), 0, f"exit code of npm: {application.err[-800:]}")
        expect("steps aside: a package manager" in application.err, f"npm is not left alone: {application.err}")
        equal(len({span.resource["process.pid"] for span in stage.spans(4)}), 1, "processes observed")


def es_modules(world):
    """`"type": "module"`: named imports of node:http, Express and pg from an ES module."""
    with Stage(world) as stage, Upstream() as upstream:
        application = stage.serve("module.mjs", env={"TARGET": upstream.url})
        application.get("/user/4")
        user = stage.span("GET /user/:id")
        equal(upstream.asked("/asked")["traceparent"].split("-")[1], user["traceId"], "the trace of a call by a named import")
        application.get("/database")
        request = stage.span("GET /database")
        equal(stage.span("SELECT nobody").parent, request["spanId"], "the parent of a database's span")
        stage.settle()


def typescript(world):
    """tsx with CommonJS and ES modules, and Node.js's own type stripping."""
    strip = ("--experimental-strip-types", "--no-warnings")
    runs = [(USUAL, strip, "typed.ts", "GET"), (VERSIONS[3], (), "typed.ts", "GET"),
            (USUAL, ("--import", "tsx"), "typed-express.ts", "GET /user/:id"),
            (VERSIONS[1], ("--import", "tsx"), "typed-express.ts", "GET /user/:id")]
    for version, options, application, name in runs:
        with Stage(world, version) as stage:
            started = stage.serve(application, options=options)
            started.get("/user/4")
            stage.span(name)
            equal(started.end(), -15, "exit code")


def cluster(world):
    """Each worker of a cluster reports for itself, none loses its last spans."""
    with Stage(world, part=None) as stage:
        application = stage.serve("cluster.cjs", path="/")
        before = len(stage.receiver.spans())
        seen = {application.get("/")[1] for _ in range(20)}
        equal(application.end(), 0, "exit code")
        spans = stage.spans(20 + before)
        expect(seen <= {str(span.resource["process.pid"]) for span in spans} and len(seen) == 2, f"workers: {seen}")
        equal(len({span.resource["service.instance.id"] for span in spans}), 2, "instances")
        stage.settle()


def threads_and_children(world):
    """Worker threads run as without us (only the main thread is observed); children are observed as the processes they are."""
    with Stage(world, part=None) as stage, Upstream() as upstream:
        application = stage.run("children.cjs", env={"TARGET": upstream.url})
        equal((application.wait(), application.out), (0, "thread 0\nchild 0\n"), "exit code and output")
        stage.spans(2, "client")
        told = sorted(span.attributes["url.full"].rsplit("/", 1)[1] for span in stage.receiver.spans("client"))
        equal(told, ["child", "main"], "calls that are told of")
        expect("traceparent" not in upstream.asked("/thread"), "context from a thread that is not observed")
        stage.settle()


def module_at_root(world):
    """An image whose application lies at its root, with `"type": "module"`: our files stay what they are."""
    for version in VERSIONS:
        with Stage(world, version, part=None) as stage:
            image = world.folder / f"image-{world.count}"
            shutil.copytree(world.volume("nodejs"), image / "obtrace")
            (image / "package.json").write_text('{"type": "module"}')
            (image / "server.js").write_text("console.log('up', import.meta.filename !== null);")
            options = {"NODE_OPTIONS": f"--require {image}/obtrace/obtrace-loader.js", "OBTRACE_INGEST_URL": stage.receiver.url}
            application = world.start(stage.node, "server.js", env=options, folder=image)
            equal((application.wait(), application.out, application.err), (0, "up true\n", ""), f"exit code and output on {version}")
            stage.log("up true")


# Options that change the language or the runtime below our feet.
STRICT = ("--throw-deprecation --pending-deprecation --disable-proto=throw --disallow-code-generation-from-strings --preserve-symlinks"
          " --preserve-symlinks-main --unhandled-rejections=strict --jitless", "--frozen-intrinsics --disable-proto=delete")


def strict_options(world):
    """Options that make Node.js strict stop nothing of ours, and nothing of ours trips over them."""
    for version in (VERSIONS[0], VERSIONS[4]):
        for options in STRICT:
            with Stage(world, version, part=None) as stage, Stage(world, version, part=None, bare=True) as bare:
                started = [it.run("script.cjs", "exit", options=options.split(), shown=[it.node, "script.cjs"]) for it in (stage, bare)]
                results = [(it.wait(), plain(it.out), plain(it.err)) for it in started]
                equal(results[0], results[1], f"exit code, output and errors with {options} on {version}")
                equal(len(stage.spans(4, within=3)), 4, f"spans with {options} on {version}")


def permissions(world):
    """Under `--permission` the entry file may be read and nothing else of ours: we step aside."""
    for version in VERSIONS[2:]:
        with Stage(world, version, part=None) as stage:
            options = ("--permission", f"--allow-fs-read={stage.folder}")
            (stage.folder / "allowed.cjs").write_text("console.log('up');")
            application = stage.run("allowed.cjs", options=options, env={"OBTRACE_DEBUG": 1})
            equal((application.wait(), application.out), (0, "up\n"), f"exit code and output on {version} ({application.err[-300:]})")
            equal(application.err.count("[obtrace] steps aside"), 1, "lines that say so")


def node_options(world):
    """Options of the operator's own stay: quotes, other preloads, imports, limits."""
    folder = placed(world, "nodejs options")
    (folder / "first one.cjs").write_text("global.first = 'yes';")
    (folder / "second.mjs").write_text("globalThis.second = 'yes';")
    options = f'--max-old-space-size=96 --require "{folder}/first one.cjs" --import={folder.as_uri()}/second.mjs'
    (folder / "show.cjs").write_text("console.log(first, second, require('v8').getHeapStatistics().heap_size_limit < 2 ** 28);")
    with Stage(world, part=None) as stage:
        application = stage.run("show.cjs", env={"NODE_OPTIONS": options}, folder=folder)
        equal((application.wait(), application.out), (0, "yes yes true\n"), f"exit code and output ({application.err[-500:]})")
        stage.log("yes yes true")


def signals_chosen(world):
    """OBTRACE_SIGNALS: what is not named is not sent."""
    with Stage(world, part=None) as stage:
        application = stage.run("script.cjs", "drain", env={"OBTRACE_SIGNALS": "logs"})
        equal(application.wait(), 0, "exit code")
        equal({request["path"].rsplit("/", 1)[1] for request in stage.receiver.requests}, {"logs"}, "signals")
        stage.settle()


def kinds_chosen(world):
    """OBTRACE_TRACED=server: another tool reports the calls; the server's context goes on with them."""
    with Stage(world) as stage, Upstream() as upstream:
        application = stage.serve("express5.cjs", env={"TARGET": upstream.url, "OBTRACE_TRACED": "server"})
        application.get("/out")
        span = stage.span("GET /out")
        application.end()
        equal({it.kind for it in stage.receiver.spans()}, {"server"}, "kinds")
        for path in ("/fetched", "/asked"):
            equal(upstream.asked(path)["traceparent"], f"00-{span['traceId']}-{span['spanId']}-01", "context")
        equal(sum(int(point["count"]) for _, point in stage.metric("http.client.request.duration").points), 2, "calls measured")


def unsampled(world):
    """A ratio of 0: nothing is sent, the decision is passed on, calls with a sampled parent are kept, all are measured."""
    with Stage(world) as stage, Upstream() as upstream:
        application = stage.serve("express5.cjs", env={"TARGET": upstream.url, "OBTRACE_TRACE_SAMPLE_RATIO": 0})
        application.get("/out")
        expect(all(upstream.asked(path)["traceparent"].endswith("-00") for path in ("/fetched", "/asked")), "the decision is not passed on")
        state = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
        equal(json.loads(application.get("/headers", state)[1])["tracestate"], "vendor=1", "what the application sees")
        application.end()
        equal([span.name for span in stage.spans(1)], ["GET /headers"], "spans")
        points = {at.get("http.route"): int(point["count"]) for at, point in stage.metric("http.server.request.duration").points}
        equal((points["/out"], points["/headers"]), (1, 1), "calls measured")
        stage.settle()


def read_only(world):
    """A read-only root and no place to write to, /tmp included."""
    with Stage(world, part=None) as stage:
        script = " && ".join((
            "mount --bind / /", "mount -o remount,bind,ro /", "mount -t tmpfs -o ro none /var/tmp", "mount -t tmpfs -o ro none /dev/shm",
            'cd "$1"', "shift", 'exec "$@"'))
        words = ("unshare", "--mount", "sh", "-c", script, "sh", stage.folder, stage.node, "script.cjs", "exit")
        application = stage.run(*words, program="/usr/bin/env", env={"TMPDIR": "/nowhere"}, shown=[stage.node, "script.cjs"])
        equal((application.wait(), application.out, application.err), (3, "ready\n", ""), "exit code and output")
        stage.spans(4)


def bun(world):
    """Bun by BUN_OPTIONS: servers and calls of node:http, Bun.serve and fetch."""
    runtime = world.npm(BUN) / "bin/bun"
    with Stage(world) as stage, Upstream() as upstream:
        env = {"TARGET": upstream.url, "BUN_OPTIONS": "--preload /obtrace/obtrace-loader.js"}
        application = stage.serve("express5.cjs", program=runtime, env=env)
        equal(application.get("/user/4")[1], '{"id":"4"}', "the answer")
        equal(application.get("/out")[0], 200, "status of a call that calls")
        stage.span("GET /user/:id")
        out = stage.span("GET /out")
        equal({span.parent for span in stage.spans(2, "client")}, {out["spanId"]}, "parents of the calls")
        application.end()
        stage.settle()
    with Stage(world, part=None) as stage, Upstream() as upstream:
        application = stage.serve("bun-serve.js", program=runtime, env={**env, "TARGET": upstream.url})
        equal(application.get("/out")[1], "bun", "the answer")
        served = stage.span("GET", "server")
        equal(stage.spans(1, "client")[0].parent, served["spanId"], "the parent of a call")
        equal(stage.log("served /out")["spanId"], served["spanId"], "the span of a line")
        stage.settle()


def deno(world):
    """Deno honours NODE_OPTIONS for node:http applications; it must not break."""
    runtime = world.npm(DENO) / "deno"
    runtime.chmod(0o755)
    with Stage(world, part=None) as stage:
        application = stage.serve("run", "--allow-all", "--no-lock", "frameworks.cjs", "http", program=runtime, shown=[stage.node, "frameworks.cjs"])
        equal(application.get("/anything", data=b"four"), (200, "plain"), "the answer")
        span, line = stage.span("POST"), stage.log("read 4")
        equal((line["spanId"], span.resource["process.runtime.name"]), (span["spanId"], "deno"), "the span of a line, the runtime")
        equal(application.end(), -15, "exit code")
        stage.settle()


CASES = [aside_disabled, aside_without_url, aside_old_versions, aside_missing_file, aside_half_copied, aside_other_agents, own_sdk, own_api,
         package_managers, es_modules, typescript, cluster, threads_and_children, module_at_root, strict_options, permissions, node_options,
         signals_chosen, kinds_chosen, unsampled, read_only, bun, deno]
