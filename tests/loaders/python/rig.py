"""What the cases of Python share: interpreters, virtual environments, started applications."""

import os
import pathlib

from launch import Language
from world import Missing, free_port

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
SUPPORTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
MAIN = "3.12"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CALLER = {"traceparent": TRACEPARENT}
PYTHON = Language("python", f"python:{MAIN}", APPS, always={"PYTHONUNBUFFERED": "1"})
observed, launch, clean = PYTHON.observed, PYTHON.launch, PYTHON.clean


def python(version=MAIN):
    """The interpreter of a version."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    if not found:
        raise Missing(f"no Python {version} below {root}/versions")
    return found[-1]


def venv(world, size="small", version=MAIN):
    """The `bin` folder of a virtual environment with requirements-SIZE.txt."""
    interpreter, wanted = python(version), HERE / f"requirements-{size}.txt"

    def build(folder):
        world.run(interpreter, "-m", "venv", folder / "venv")
        world.run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)

    return world.made(f"python-{size}-{version}", [wanted, interpreter], build) / "venv/bin"


def serve(world, receiver, command, path="/ready", env=None, wait=True, **options):
    """Starts a server, once it answers (where `wait` says so); `{port}` in the command is its port, which `PORT` names as well."""
    port = free_port()
    words = [str(word).replace("{port}", str(port)) for word in command]
    server = launch(world, receiver, *words, env={"PORT": port, **(env or {})}, port=port, **options)
    return server.ready(path) if wait else server
