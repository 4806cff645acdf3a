#!/usr/bin/env python3
"""run.py --process PATH [--detect PATH] [--only WORD]...: what is said of real processes.

Starts programs of every language, some under misleading names or behind wrappers, and asks `process PID` (the example of
obtrace-detect) about each; with --detect also `obtrace-zero detect --json --pid PID`. `cargo xtask test --part detect-live`
installs what it needs. What cannot run here is skipped with its reason.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from world import APPS, Missing, World, as_child, program  # noqa: E402

# So long a process may take until it shows what it is: a JVM on a busy machine.
PATIENCE = 40


class Case:
    """A process, and what must be said of it: fields of the answer, `confidence` as (lowest, highest)."""

    def __init__(self, name, start, **expected):
        self.name, self.start, self.expected = name, start, expected
        self.process, self.answer, self.wrong = None, {}, ["not asked"]

    def ask(self, command):
        done = subprocess.run([*command, str(self.process.pid)], capture_output=True, text=True, timeout=30)
        self.answer = json.loads(done.stdout) if done.returncode == 0 else {}
        self.wrong = [f"exit code {done.returncode}: {done.stderr.strip()}"] if done.returncode else list(self.differences())
        if self.process.poll() is not None:
            self.wrong = [f"the process ended with {self.process.returncode}"]

    def differences(self):
        for field, expected in self.expected.items():
            found = self.answer.get(field)
            if field == "confidence":
                right = isinstance(found, float) and expected[0] <= found <= expected[1]
            elif field == "version":
                right = (found or "").startswith(expected)
            else:
                right = found == expected
            if not right:
                yield f"{field} is {found!r}, not {expected!r}"
        if not self.answer.get("evidence"):
            yield "gives no evidence"


SURE = (0.9, 0.9)
FAIR = (0.7, 0.9)


def sdk(language, runtime, framework=None, **more):
    return {"language": language, "runtime": runtime, "framework": framework, "strategy": "sdk", "confidence": SURE, **more}


def ebpf(language, runtime, framework=None, **more):
    return {**sdk(language, runtime, framework, **more), "strategy": "ebpf"}


def python_cases(world):
    folder, python = APPS / "python", lambda name: world.python(name)
    yield Case("python", lambda: world.start(sys.executable, folder / "plain.py"), **sdk("python", "cpython", libc="glibc", agents=[]))
    yield Case("python-system", lambda: world.start("/usr/bin/python3", "plain.py", folder=folder), **sdk("python", "cpython", version="3."))
    yield Case("python-isolated", lambda: world.start(sys.executable, "-u", "-m", "http.server", "0"), **sdk("python", "cpython"))
    yield Case("flask", lambda: world.start(sys.executable, "flask_app.py", folder=folder), **sdk("python", "cpython", "flask"))
    yield Case("flask-run", lambda: world.start(python("flask"), "--app", "flask_app", "run", "--port", "0", folder=folder), **sdk("python", "cpython", "flask"))
    yield Case("gunicorn", lambda: world.start(python("gunicorn"), "-b", "127.0.0.1:0", "flask_app:app", folder=folder), **sdk("python", "cpython", "flask"))
    yield Case("uvicorn", lambda: world.start(python("uvicorn"), "--port", "0", "fastapi_app:app", folder=folder), **sdk("python", "cpython", "fastapi"))
    yield Case("django", lambda: world.start(sys.executable, "django_app.py", folder=folder), **sdk("python", "cpython", "django"))
    yield Case("celery", lambda: world.start(python("celery"), "-A", "celery_app", "worker", "-P", "solo", folder=folder), **sdk("python", "cpython", "celery"))
    yield Case("pypy", lambda: world.start(program("pypy3"), "plain.py", folder=folder), **sdk("python", "pypy"))
    yield Case(
        "uwsgi", lambda: world.start(program("uwsgi"), "--plugin", "python3", "--http-socket", "127.0.0.1:0", "--wsgi-file", "wsgi.py", folder=folder),
        **{**sdk("python", "cpython"), "confidence": FAIR})
    # Python inside of a debugger, which is a program in C++.
    yield Case("gdb", lambda: world.start(program("gdb"), "-q", "-batch", "-ex", "python import time; time.sleep(600)"),
               **{**ebpf("unknown", "unknown"), "confidence": (0.3, 0.6)})
    yield Case("otel-python", lambda: world.start(sys.executable, folder / "plain.py", PYTHONPATH="/otel-auto-instrumentation/python"),
               **sdk("python", "cpython", agents=["opentelemetry"]))


def node_cases(world):
    folder = APPS / "node"
    modules = lambda: {"NODE_PATH": world.node_modules()}
    yield Case("node", lambda: world.start(program("node"), "plain.js", folder=folder), **sdk("nodejs", "node", libc="glibc"))
    yield Case("node-npm", lambda: world.start(world.runtime("node"), "plain.js", folder=folder, NODE_VERSION="22.23.3"), **sdk("nodejs", "node", version="22."))
    yield Case("express", lambda: world.start(program("node"), "express.js", folder=folder, **modules()), **sdk("nodejs", "node", "express"))
    yield Case("fastify", lambda: world.start(program("node"), linked(world, "fastify.mjs")), **sdk("nodejs", "node", "fastify"))
    yield Case("bun", lambda: world.start(world.runtime("bun"), "bun.ts", folder=folder), **sdk("nodejs", "bun"))
    yield Case("deno", lambda: world.start(world.runtime("deno"), "run", "--allow-net", "--no-lock", "deno.ts", folder=folder), **ebpf("nodejs", "deno"))
    # The name says nothing, the content does.
    yield Case("node-renamed", lambda: world.start(renamed(world, world.runtime("node"), "shop"), "plain.js", folder=folder), **{**sdk("nodejs", "node"), "confidence": FAIR})
    yield Case("npm", lambda: world.start(program("npm"), "start", folder=folder), language="nodejs", wrapper="npm", confidence=(0.5, 0.7))
    yield Case("dd-trace", lambda: world.start(program("node"), "--require", str(fake_agent(world)), "plain.js", folder=folder), **sdk("nodejs", "node", agents=["datadog"]))


def linked(world, script):
    """A script beside its packages: modules are not looked for in NODE_PATH."""
    folder = world.node_modules().parent
    copy = folder / script
    copy.write_bytes((APPS / "node" / script).read_bytes())
    return copy


def renamed(world, path, name):
    copy = world.folder / name
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o755)
    return copy


def fake_agent(world):
    """A package of the vendor's name, as the loader of the vendor would be found."""
    folder = world.folder / "node_modules/dd-trace"
    folder.mkdir(parents=True)
    (folder / "init.js").write_text("")
    return folder / "init.js"


def java_cases(world):
    def start(main, *arguments, **environment):
        return world.start(program("java"), "-Xmx64m", "-cp", f"{world.java()}:{world.java()}/*", main, *arguments, **environment)

    def archive(name):
        if not (world.java() / name).exists():
            raise Missing(f"no {name} on this machine")

    def framework(name, *arguments):
        archive({"Spring": "spring-core-4.3.30.jar", "Tomcat": "tomcat-embed-core-10.1.jar"}[name])
        return start(name, *arguments)

    yield Case("java", lambda: world.start(program("java"), "-Xmx64m", "-cp", world.java(), "Plain"), **sdk("java", "jvm", version="", libc="glibc"))
    yield Case("spring", lambda: framework("Spring"), **sdk("java", "jvm", "spring"))
    yield Case("tomcat", lambda: world.start(
        program("java"), "-Xmx96m", "-cp", f"{world.java()}:{world.java()}/tomcat-embed-core-10.1.jar:/usr/share/java/tomcat10-annotations-api.jar:/usr/share/java/*",
        "Tomcat", world.folder), **sdk("java", "jvm", "tomcat"))
    yield Case("jruby", lambda: world.start(program("jruby"), "plain.rb", folder=APPS / "ruby"), **ebpf("ruby", "jruby"))


def other_cases(world):
    ruby, php = APPS / "ruby", APPS / "php"
    yield Case("ruby", lambda: world.start(program("ruby"), "plain.rb", folder=ruby), **sdk("ruby", "cruby", version="3."))
    yield Case("sinatra", lambda: world.start(program("ruby"), "sinatra_app.rb", folder=ruby), **sdk("ruby", "cruby", "sinatra"))
    yield Case("puma", lambda: world.start(program("puma"), "-b", "tcp://127.0.0.1:0", folder=ruby / "plain"), **sdk("ruby", "cruby", "puma"))
    yield Case("puma-sinatra", lambda: world.start(program("puma"), "-b", "tcp://127.0.0.1:0", folder=ruby), **sdk("ruby", "cruby", "sinatra"))
    yield Case("php", lambda: world.start(program("php"), "-S", "127.0.0.1:0", folder=php), **sdk("php", "php", version=""))
    yield Case("php-fpm", lambda: fpm(world), **sdk("php", "php"))
    yield Case("dotnet", lambda: dotnet(world), **sdk("dotnet", "coreclr", version="8."))
    yield Case("mono", lambda: world.start(program("mono"), world.dotnet()[1]), **ebpf("dotnet", "mono"))


def fpm(world):
    programs = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))
    if not programs:
        raise Missing("no php-fpm on this machine")
    settings = world.folder / "fpm.conf"
    who = "user = nobody\ngroup = nogroup\n" if os.geteuid() == 0 else ""
    settings.write_text(f"[global]\nerror_log = {world.folder}/fpm.log\n[www]\n{who}listen = {world.folder}/fpm.sock\npm = static\npm.max_children = 1\n")
    return world.start(programs[0], "-F", "-n", "-y", settings)


def dotnet(world):
    runtime, assembly = world.dotnet()
    return world.start(runtime, assembly, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1)


def native_cases(world):
    yield Case("go", lambda: world.start(world.go("plain", "server")), **ebpf("go", "go", version="1."))
    yield Case("go-named-node", lambda: world.start(world.go("plain", "node", "-ldflags=-s -w"), "server.js"), **ebpf("go", "go"))
    yield Case("go-static", lambda: world.start(static(world)), **ebpf("go", "go", libc="static"))
    yield Case("gin", lambda: world.start(world.go("gin", "shop")), **ebpf("go", "go", "gin"))
    yield Case("rust-named-node", lambda: world.start(world.rust() / "node"), **{**ebpf("rust", "rust", "axum"), "confidence": FAIR})
    yield Case("rust-stripped", lambda: world.start(renamed(world, world.rust() / "stripped", "api")), **ebpf("rust", "rust", "axum"))
    unknown = {**ebpf("unknown", "unknown"), "confidence": (0.3, 0.6)}
    yield Case("redis", lambda: world.start(program("redis-server"), "--port", "0", "--unixsocket", world.folder / "redis.sock"), **unknown)
    yield Case("nginx", lambda: nginx(world), **unknown)
    # Wrappers that still run: the application is a child.
    yield Case("sh", lambda: world.start("/bin/sh", "-c", f"{sys.executable} plain.py; true", folder=APPS / "python"), wrapper="dash", runtime="unknown")
    yield Case("tini", lambda: world.start(program("tini"), "-s", "--", program("node"), "plain.js", folder=APPS / "node"), wrapper="tini", runtime="unknown")
    yield Case("other-mounts", lambda: other_mounts(world), **sdk("nodejs", "node", "express"))


def static(world):
    os.environ["CGO_ENABLED"] = "0"
    try:
        return world.go("plain", "static", "-trimpath")
    finally:
        del os.environ["CGO_ENABLED"]


def nginx(world):
    settings = world.folder / "nginx.conf"
    settings.write_text(f"daemon off; pid {world.folder}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; server {{ listen unix:{world.folder}/nginx.sock; }} }}")
    return world.start(program("nginx"), "-p", world.folder, "-c", settings, "-e", "stderr")


def other_mounts(world):
    """The program and its script are in a file system that only the process sees."""
    program("unshare")
    script = APPS / "node/express.js"
    modules = world.node_modules()
    inside = world.folder / "inside"
    inside.mkdir()
    steps = f"mount -t tmpfs tmpfs {inside} && cp {program('node')} {inside}/node && cp {script} {inside}/server.js && cd {inside} && exec ./node server.js"
    check = subprocess.run(["unshare", "--mount", "--map-root-user" if os.geteuid() else "--mount", "true"], capture_output=True, text=True)
    if check.returncode:
        raise Missing(f"no mount namespaces for this user: {check.stderr.strip()}")
    return world.start("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", steps, NODE_PATH=modules)


def refusals(command, world):
    """Processes that cannot be read: (name, differences, what was said)."""
    def said(name, pid, *words, command=command):
        done = subprocess.run([*command, str(pid)], capture_output=True, text=True)
        text = done.stderr.strip()
        right = done.returncode == 1 and all(word in text for word in words) and len(text.splitlines()) == 1
        return name, [] if right else [f"exit code {done.returncode}: {text!r}"], text

    gone = subprocess.Popen(["true"])
    gone.wait()
    yield said("gone", gone.pid, f"/proc/{gone.pid}", "there is no process")
    zombie = subprocess.Popen(["true"])
    time.sleep(0.3)
    yield said("zombie", zombie.pid, f"/proc/{zombie.pid}", "has ended")
    zombie.wait()
    if pathlib.Path("/proc/2/comm").exists() and pathlib.Path("/proc/2/comm").read_text().strip() == "kthreadd":
        if os.geteuid() == 0:
            yield said("kernel-thread", 2, "/proc/2/exe", "thread of the kernel")
    if os.geteuid() == 0:
        nobody = [program("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        # Where the others may reach it, too.
        copy = renamed(world, pathlib.Path(command[0]), "process")
        yield said("foreign", os.getpid(), "Permission denied", "another user", command=[*nobody, str(copy)])
    wrong, ended = [], 0
    for _ in range(100):
        child = subprocess.Popen(["sh", "-c", "exec true"], preexec_fn=as_child)
        done = subprocess.run([*command, str(child.pid)], capture_output=True, text=True)
        ended += done.returncode != 0
        if done.returncode not in (0, 1) or "panicked" in done.stderr:
            wrong.append(f"exit code {done.returncode}: {done.stderr.strip()!r}")
        child.wait()
    yield "ending", wrong, f"100 processes asked while they ended, {ended} of them too late"


def judge(cases, command, again=None):
    """Starts everything, asks until the answers are right or patience ends, then asks once more."""
    skipped, running = [], []
    for case in cases:
        try:
            case.process = case.start()
            running.append(case)
        except Missing as missing:
            skipped.append((case.name, str(missing)))
    deadline = time.monotonic() + PATIENCE
    open_cases = running
    while open_cases and time.monotonic() < deadline:
        for case in open_cases:
            case.ask(command)
        open_cases = [case for case in open_cases if case.wrong]
        time.sleep(0.5 if open_cases else 0)
    for case in running:
        case.ask(command)
        yield case.name, case.wrong, told(case.answer)
        if again:
            fields = ("language", "runtime", "framework", "strategy", "confidence")
            case.expected = {field: expected for field, expected in case.expected.items() if field in fields}
            # What is known of a wrapper alone is what its command line says.
            if "wrapper" not in case.answer or not case.answer["wrapper"]:
                case.ask(again)
                yield f"{case.name}-cli", case.wrong, told(case.answer)
    for name, reason in skipped:
        yield name, None, reason


def told(answer):
    words = [answer.get(field) for field in ("language", "runtime", "version", "framework", "strategy", "confidence", "libc", "wrapper")]
    return " ".join(str(word) for word in words if word is not None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--process", required=True, type=pathlib.Path, help="the example of obtrace-detect")
    parser.add_argument("--detect", type=pathlib.Path, help="obtrace-zero")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases whose name begins with it")
    options = parser.parse_args()
    command = [str(options.process.resolve())]
    again = [str(options.detect.resolve()), "detect", "--json", "--pid"] if options.detect else None
    world = World(pathlib.Path(os.environ.get("OBTRACE_CACHE", pathlib.Path.home() / ".cache/obtrace-zero")))
    groups = (python_cases, node_cases, java_cases, other_cases, native_cases)
    cases = [case for group in groups for case in group(world)]
    if options.only:
        cases = [case for case in cases if any(case.name.startswith(word) for word in options.only)]
    results = list(judge(cases, command, again))
    if not options.only:
        results += refusals(command, world)
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for name, wrong, what in results:
        word = "skipped" if wrong is None else "FAILED" if wrong else "ok"
        counts[word] += 1
        print(f"{name:<18} {word:<7} {what}")
        for line in wrong or []:
            print(f"    {name}: {line}")
    for name, wrong, what in results:
        if wrong is None:
            print(f"SKIPPED {name}: {what}")
    print(f"\n{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["FAILED"] else 0)


main()
