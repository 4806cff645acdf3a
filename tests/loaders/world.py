"""What the loaders' tests are made of: runtimes, volumes, the environment that a Pod would get, applications."""

import atexit
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import yaml
from machine import Cache, Missing, Wrong, as_child, equal, expect, free_port, program  # noqa: F401: the cases have these from here

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VECTORS = ROOT / "obtrace-loaders/testdata"
MOUNT = pathlib.Path("/obtrace")
# What the tests themselves were started with never reaches an application.
INHERITED = ("PATH", "LANG", "TMPDIR")
FIELDS = {"metadata.name": "orders-7d4f", "metadata.namespace": "shop", "spec.nodeName": "node-1"}
API_KEY = "test-key"
# A caller's context: its trace, its span, and both as a header.
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


def one(items, what):
    """The only one of these items."""
    expect(len(items) == 1, f"{len(items)} of {what}, not 1: {[(item.get('name') or item.get('body'), item.attributes) for item in items[:4]]}")
    return items[0]


def until(ready, what, within=20):
    """Waits until `ready()` is true; what it gave."""
    deadline = time.monotonic() + within
    while not (answer := ready()):
        expect(time.monotonic() < deadline, f"{what() if callable(what) else what}: not within {within} s")
        time.sleep(0.03)
    return answer


def same_as_bare(run, what):
    """What `run(bare)` gives is the same without us as with us; what it gave."""
    without, ours = run(True), run(False)
    equal(ours, without, f"{what}: with us, not as without")
    return ours


class Application:
    """A process under test, with what it printed."""

    def __init__(self, process, folder, port):
        self.process, self.folder, self.port = process, folder, port
        self.pid = process.pid

    @property
    def out(self):
        return (self.folder / "out").read_text(errors="replace")

    @property
    def err(self):
        return (self.folder / "err").read_text(errors="replace")

    def said(self, text, within=30):
        """Waits until it has printed this."""
        def ready():
            return text in self.out or text in self.err or self.process.poll() is not None

        until(ready, lambda: f"to say {text!r}: {self.out[-300:]} {self.err[-600:]}", within)
        expect(text in self.out or text in self.err, f"ended with {self.process.returncode} and never said {text!r}: {self.out[-300:]} {self.err[-600:]}")
        return self

    def get(self, path, headers=None, data=None, method=None, timeout=20):
        """Status and text of an answer; errors of HTTP are answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers or {}, method=method)
        try:
            with DIRECT.open(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode(errors="replace")

    def ready(self, path=None, within=60):
        """Waits until it listens, and answers `path` if given."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Wrong(f"ended with {self.process.returncode} before it listened: {self.err[-2000:]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                if path is None:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                else:
                    self.get(path)
                return self
            time.sleep(0.05)
        raise Wrong(f"does not listen after {within} s: {self.err[-2000:]}")

    def end(self, number=signal.SIGTERM, within=15):
        """Sends the signal to the process; its exit code (negative: the signal it died of)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(within)

    def wait(self, within=60):
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise Wrong(f"still runs after {within} s: {self.err[-1000:]}") from None

    def result(self, within=60):
        """Waits for its end: (exit code, standard output, standard error)."""
        return self.wait(within), self.out, self.err

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class World(Cache):
    """Everything that is built and everything that runs. `close` ends what runs and gives back what was mounted."""

    def __init__(self, options):
        super().__init__(pathlib.Path(os.environ.get("OBTRACE_CACHE") or pathlib.Path.home() / ".cache/obtrace-zero") / "loaders")
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-loaders-"))
        self.folder.chmod(0o755)
        self.applications, self.mounted, self.count = [], False, 0
        atexit.register(self.close)

    def close(self):
        self.end_all()
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_all(self):
        for application in self.applications:
            application.kill()
        self.applications = []

    # -- what a Pod would have

    def volume(self, *languages):
        """A folder with what the init container would copy."""
        folder = self.folder / f"volume-{'-'.join(languages)}"
        if not folder.exists():
            folder.mkdir()
            if self.options.obtrace_loaders:
                self.run(self.options.obtrace_loaders, "copy", "--language", ",".join(languages), "--to", folder,
                         "--from", self.options.agent_files)
            else:
                for language in languages:
                    shutil.copytree(self.options.agent_files / language, folder, dirs_exist_ok=True)
        return folder

    def mount(self, folder):
        """Makes a folder visible as `/obtrace`, read-only as in an application's container; only for us and our children."""
        self.unmount()
        MOUNT.mkdir(exist_ok=True)
        self.run("mount", "--bind", folder, MOUNT)
        self.mounted = True
        self.run("mount", "-o", "remount,bind,ro", MOUNT)

    def unmount(self):
        if self.mounted:
            self.run("umount", "--lazy", MOUNT)
            self.mounted = False

    def environment(self, image, command, receiver_url, env=None, instrumentation=None, workload=None):
        """The variables of a container with this image, command and environment, exactly as `obtrace-zero preview` has
        them, with the references resolved as a kubelet would."""
        spec = {"ingestUrl": receiver_url, **(instrumentation or {})}
        container = {"name": "app", "image": image, "command": [str(word) for word in command],
                     "env": [{"name": name, "value": str(value)} for name, value in (env or {}).items()]}
        documents = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
            {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": "default", "namespace": "shop"}, "spec": spec},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orders-7d4f", "namespace": "shop", "labels": {"app": workload or "orders"}},
             "spec": {"containers": [container]}}]
        done = subprocess.run([self.options.obtrace_zero, "preview", "-f", "-", "--output", "manifest", "--only", "Pod/orders-7d4f"],
                              input="\n---\n".join(map(json.dumps, documents)), capture_output=True, text=True)
        expect(done.returncode == 0, f"obtrace-zero preview: {done.stderr}")
        pod = [document for document in yaml.safe_load_all(done.stdout) if document and document["kind"] == "Pod"][0]
        container = [it for it in pod["spec"]["containers"] if it["name"] == "app"][0]
        values = {}
        for entry in container.get("env", []):
            source = entry.get("valueFrom", {})
            if "fieldRef" in source:
                values[entry["name"]] = FIELDS[source["fieldRef"]["fieldPath"]]
            elif "secretKeyRef" in source:
                # As in a Secret that was made from a file.
                values[entry["name"]] = API_KEY + "\n"
            else:
                values[entry["name"]] = entry.get("value", "")
        return values

    # -- what runs

    def start(self, *command, env=None, folder=None, port=None, path=None):
        """Starts an application with these variables and `PATH` alone (`path`: folders before it)."""
        self.count += 1
        home = self.folder / f"run-{self.count}"
        home.mkdir()
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        if path:
            inherited["PATH"] = f"{path}:{inherited['PATH']}"
        variables = {**inherited, "HOME": str(home), **{name: str(value) for name, value in (env or {}).items()}}
        with open(home / "out", "wb") as out, open(home / "err", "wb") as err:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       preexec_fn=as_child, cwd=folder or home, env=variables)
        application = Application(process, home, port)
        self.applications.append(application)
        return application


def vectors(name):
    """The cases of a file of the contract."""
    return json.loads((VECTORS / f"{name}.json").read_text())
