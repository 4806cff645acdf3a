"""Reasons to leave a process alone (contract, section 2) beyond those that obtrace_loader.py sees."""

import _signal
import os
import sys

TOOLS = {
    "pip", "pipx", "conda", "mamba", "micromamba", "poetry", "uv", "uvx", "pipenv", "pdm", "hatch", "ensurepip", "venv", "virtualenv", "twine", "build",
    "easy_install", "compileall", "py_compile", "pyenv", "pip-compile", "pip-sync",
}
# What an agent of the application's own is imported as.
AGENTS = {
    "opentelemetry/sdk": "an OpenTelemetry SDK", "ddtrace": "Datadog", "newrelic": "New Relic", "elasticapm": "Elastic APM", "oneagent": "Dynatrace",
    "autodynatrace": "Dynatrace", "appdynamics": "AppDynamics", "instana": "Instana", "skywalking": "SkyWalking",
}


def arguments():
    """The words of the command line. `sys.orig_argv` came with 3.10."""
    try:
        return list(sys.orig_argv)
    except AttributeError:
        try:
            with open("/proc/self/cmdline", "rb") as line:
                return [os.fsdecode(word) for word in line.read().split(b"\0")[:-1]]
        except OSError:
            return [sys.executable or "python", *getattr(sys, "argv", [])]


def program(words):
    """(what runs, its path if it is a file): the module of `-m`, the script, or nothing for `-c` and the prompt."""
    index = 1
    while index < len(words):
        word = words[index]
        if word.startswith("-m") and not word.startswith("--"):
            return (word[2:] or "".join(words[index + 1:index + 2])), None
        if word.startswith("-c"):
            return "", None
        if not word.startswith("-"):
            return os.path.basename(word), word
        index += 2 if word in ("-W", "-X", "--check-hash-based-pycs") else 1
    return "", None


def is_tool(name):
    name = name.split(".")[0] if name.split(".")[0] in TOOLS else name
    return name in TOOLS or name.rstrip("0123456789.") in TOOLS


def agent(script):
    """The agent that the application brings, if it brings one."""
    folders = [entry or "." for entry in sys.path]
    if script is not None:
        folders.append(os.path.dirname(os.path.abspath(script)))
    for path, name in AGENTS.items():
        if path.replace("/", ".") in sys.modules or any(os.path.isdir(os.path.join(folder, path)) for folder in folders):
            return name
    return None


def is_main():
    """Whether this is the first interpreter of its process, which alone may have to do with signals. A thread of ours in
    another one would stop the process when that ends."""
    try:
        before = _signal.set_wakeup_fd(-1)
        if before != -1:
            _signal.set_wakeup_fd(before)
    except ValueError:
        return False
    return True


def reason():
    """Why to step aside, or None."""
    name, script = program(arguments())
    # An application's build.py is no tool.
    if not name.endswith(".py") and is_tool(name):
        return "this is a tool, not an application: " + name
    if not is_main():
        return "this is not the main interpreter of its process"
    found = agent(script)
    return "the application has an agent of its own: " + found if found else None
