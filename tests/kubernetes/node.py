"""node.py FILE: the first process of a node, in namespaces that were made for it.

It gives the node folders of its own where the programs have theirs on any machine, starts them, and takes the exit statuses of processes
whose parents are gone. It ends when one of its programs does, and everything on the node with it.
"""

import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import time

import rig

SOCKET = "/run/containerd/containerd.sock"
# Kubelet would set these for the whole machine, and one of them makes a kernel that stumbles reboot. It leaves alone what it finds set.
SETTINGS = {
    "vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1, "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000}


def furnish(folder):
    """Mounts what is the node's alone."""
    rig.mount("--make-rshared", "/")
    for name, place in (("lib", "/var/lib"), ("log", "/var/log"), ("run", "/run")):
        rig.mount("--bind", folder / name, place)
    rig.mount("-t", "bpf", "bpf", "/sys/fs/bpf")
    for name, value in SETTINGS.items():
        file = pathlib.Path("/proc/sys", name)
        if file.exists():
            shown = folder / name.replace("/", "-")
            shown.write_text(f"{value}\n")
            rig.mount("--bind", shown, file)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def start(name, command):
    # Where one looks for it on a node.
    with open(f"/var/log/{name}.log", "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def fail(name, status):
    print(f"{name} ended with {status}; it said last:")
    print("\n".join(pathlib.Path(f"/var/log/{name}.log").read_text(errors="replace").splitlines()[-8:]), flush=True)
    sys.exit(1)


def is_socket(path):
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def main():
    told = json.loads(pathlib.Path(sys.argv[1]).read_text())
    socket.sethostname(told["name"])
    os.environ["PATH"] = f"{told['path']}:{os.environ['PATH']}"
    furnish(pathlib.Path(told["folder"]))
    commands, running = told["commands"], {}
    engine = start("containerd", commands["containerd"])
    while not is_socket(SOCKET):
        if engine.poll() is not None:
            fail("containerd", engine.returncode)
        time.sleep(0.05)
    running[engine.pid] = "containerd"
    for name in ("kubelet", "kube-proxy"):
        running[start(name, commands[name]).pid] = name
    while True:
        process, status = os.wait()
        if process in running:
            fail(running[process], os.waitstatus_to_exitcode(status))


main()
