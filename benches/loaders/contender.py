"""An application under measurement, and what its process tree has cost."""

import collections
import os
import pathlib
import re
import subprocess
import time

from world import Wrong, free_port, program

TICK = os.sysconf("SC_CLK_TCK")
# Who loses more of the spans of requests than the rest did less work than it was asked to.
LEAST = 0.9


class Contender:
    """An application that is the same for all but its variables. `command` is given a port; `files`: what it needs on disk
    beyond the application; `path`: what is asked; `signals`: what must reach the receiver for its cost to count (the bare one: nothing);
    `spans`: of each request; `pause`: milliseconds that each connection waits before a request; `warm`: seconds that it is asked before
    it is measured, at least."""

    def __init__(self, name, command, env, files=None, folder=None, path="/user/42", signals=("traces", "logs", "metrics"), spans=1,
                 pause=0, warm=0):
        self.name, self.command, self.env, self.files, self.folder, self.path = name, command, env, files, folder, path
        self.signals = () if name == "bare" else signals
        self.spans, self.pause, self.warm, self.script = spans, pause, warm, []
        self.starts, self.requests, self.application = [], [], None
        self.asked, self.arrived = 0, collections.Counter()

    def start(self, world):
        port = free_port()
        self.application = world.start(*self.command(port), env=self.env, folder=self.folder, port=port)
        if self.pause:
            script = world.folder / f"pause-{self.pause}.lua"
            script.write_text(f"function delay() return {self.pause} end\n")
            self.script = ["-s", script]
        self.application.ready(self.path, within=180)
        self.serving(within=20)
        self.starts.append(cpu(self.application.pid))
        return self.application

    def serving(self, within):
        """Waits until the answer is the application's: what stands before it (nginx) may listen first, and say 502 until then."""
        deadline = time.monotonic() + within
        while (status := self.application.get(self.path)[0]) != 200:
            if time.monotonic() > deadline:
                raise Wrong(f"{self.name} answers {status}: {self.application.err[-500:]}")
            time.sleep(0.005)

    def ask(self, seconds, settle):
        """CPU microseconds a request, what it does when they are over included: `settle` waits until it has sent what it has."""
        before = cpu(self.application.pid)
        command = [program("wrk"), "-t1", "-c8", f"-d{seconds}s", *self.script, f"http://127.0.0.1:{self.application.port}{self.path}"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        count = int(re.search(r"(\d+) requests in", told)[1])
        if re.search(r"Non-2xx|Socket errors", told):
            raise Wrong(f"{self.name}: {told.strip().splitlines()[-3:]}")
        settle()
        self.asked += count
        self.requests.append((cpu(self.application.pid) - before) * 1e6 / count)

    def judge(self):
        """A cost counts only for what was delivered."""
        missing = [signal for signal in self.signals if not self.arrived[signal]]
        if missing:
            raise Wrong(f"{self.name}: no {' and no '.join(missing)} reached the receiver in {self.asked} requests: its cost says nothing")
        spans = self.arrived["traces"]
        if "traces" in self.signals and spans < LEAST * self.spans * self.asked:
            raise Wrong(f"{self.name}: only {spans} spans of {self.asked} requests, {self.spans} each, reached the receiver: its cost says nothing")


def family(pid):
    """A process and everything below it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu(pid):
    """Seconds of user and system time of a process tree, its ended children included."""
    total = 0
    for member in family(pid):
        fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(field) for field in fields[11:15])
    return total / TICK
