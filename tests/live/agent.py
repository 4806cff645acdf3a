"""The agent under test: started, ended, its spans read."""

import json
import os
import signal
import subprocess
import time

CAPABILITIES = ("bpf", "perfmon", "net_admin", "sys_ptrace")


def with_capabilities(names):
    """The words before a command that leave it exactly these capabilities."""
    kept = ",".join(f"+{name}" for name in names)
    bounding = f"-all,{kept}" if kept else "-all"
    return ["setpriv", f"--bounding-set={bounding}", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"]


class Agent:
    """`obtrace-agent run --print jsonl`, with nothing configured but what `arguments` and `variables` say."""

    def __init__(self, program, folder, container=False, arguments=(), variables=None):
        self.out = folder / "spans.jsonl"
        self.err = folder / "agent.log"
        command = [program, "run", "--print", "jsonl", *arguments]
        if container:
            command = with_capabilities(CAPABILITIES) + command
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OBTRACE_"))}
        environment.update(variables or {})
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True)

    def ready(self):
        """Waits until it has attached; the reason why it ended if it did."""
        end = time.monotonic() + 120
        while self.process.poll() is None and "watching " not in self.log():
            if time.monotonic() > end:
                return "it does not say that it watches anything"
            time.sleep(0.05)
        return None if self.process.poll() is None else f"exit code {self.process.returncode}: {self.log().strip()}"

    def settle(self, seconds=10):
        """Waits until it has written nothing for a second and a half."""
        end, size, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < 1.5:
            now = self.out.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
            time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "did not end within 20 s of SIGINT"

    def spans(self):
        with open(self.out, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def ring_was_full(self):
        """Whether it says that events found no room in the kernel's ring buffer."""
        return "not captured, ring: " in self.log()

    def log(self):
        return self.err.read_text(errors="replace")
