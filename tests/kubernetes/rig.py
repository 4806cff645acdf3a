"""Namespaces of our own: what is started in them ends with us, whatever ends us, and leaves neither files nor control groups."""

import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MARK = "OBTRACE_RIG"
GROUPS = pathlib.Path("/sys/fs/cgroup")
CLEAN_SECONDS = 60


def separate():
    """Goes on in mount, network and process namespaces of our own; the folder for whatever the test makes.

    The program is run once more in them, and this one waits for it, removes what it left and ends as it did. Should this one be killed, the
    kernel ends everything in the namespaces, and a process that waits for nothing else removes what is left."""
    if MARK in os.environ:
        # The first process of a process namespace hears only signals that it asks for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        return pathlib.Path(os.environ[MARK])
    if os.geteuid() != 0:
        print("not root: a node needs namespaces, mounts and control groups")
        sys.exit(77)
    # Sockets go below it: the path has to be short.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obk-"))
    watch(folder)
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    inside = subprocess.Popen(command, env={**os.environ, MARK: str(folder)})
    # Of the terminal: it reaches the one inside, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = inside.wait()
    clean(folder)
    sys.exit(status if status >= 0 else 128 - status)


def watch(folder):
    """Starts the process that cleans up if we cannot."""
    ours = os.pidfd_open(os.getpid())
    if os.fork():
        os.close(ours)
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    with contextlib.suppress(BaseException):
        select.select([ours], [], [])
        clean(folder)
    os._exit(0)


def clean(folder):
    """Removes what is left of the rig in `folder`, once its processes are gone."""
    end = time.monotonic() + CLEAN_SECONDS
    while not remove_groups(group_of(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def group_of(folder):
    """The control group that everything of a rig is below, in each hierarchy."""
    return f"/obtrace-{folder.name}"


def hierarchies():
    """Where control groups are: one tree of version 2, or some of version 1 and perhaps one of version 2 beside them."""
    if (GROUPS / "cgroup.procs").exists():
        return [GROUPS]
    return [folder for folder in sorted(GROUPS.iterdir()) if (folder / "cgroup.procs").exists()]


def make_group(path):
    """Makes a control group in every hierarchy."""
    for hierarchy in hierarchies():
        group = hierarchy
        for part in path.strip("/").split("/"):
            group = group / part
            group.mkdir(exist_ok=True)
            # Of version 1, without which nothing can be put into it.
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (group.parent / file).exists() and (group / file).exists() and not (group / file).read_text().strip():
                    (group / file).write_text((group.parent / file).read_text())


def remove_groups(path):
    """Removes a control group and what is below it everywhere; whether nothing of it is left."""
    left = 0
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / path.strip("/"), topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                left += 1
    return not left


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def ip(*commands, namespace=None):
    """Runs `ip` commands, in a network namespace that it knows by name."""
    for command in commands:
        done = subprocess.run(["ip", *(["-n", namespace] if namespace else []), *command.split()], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ip {command}: {done.stderr.strip()}")
