"""Programs in the background, and waiting for what they do."""

import contextlib
import http.client
import os
import subprocess
import time


def until(condition, what, seconds, check=lambda: None, details=lambda: ""):
    """What `condition` gives as soon as it gives something; meanwhile `check` may fail, and at the end `details` says how things are."""
    end = time.monotonic() + seconds
    while True:
        # What is being started refuses connections, or breaks them off.
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = condition()
            if found:
                return found
        check()
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}\n{details()}".rstrip())
        time.sleep(0.1)


class Processes:
    """Running programs, each with a file in `folder` for what it says."""

    def __init__(self, folder):
        self.folder, self.running = folder, {}

    def start(self, name, *command, **environment):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.running[name] = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                                  env={**os.environ, **environment})
        return self.running[name]

    def tail(self, name, lines=6):
        return "\n".join(f"    {line}" for line in (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def check(self):
        """Fails if one has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.tail(name)}")

    def until(self, condition, what, seconds=180):
        return until(condition, what, seconds, self.check, lambda: "\n".join(f"{name} said last:\n{self.tail(name)}" for name in self.running))

    def end(self):
        """Ends them at once: nothing that they have is kept."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        self.running.clear()
