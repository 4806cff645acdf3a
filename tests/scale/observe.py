"""What the scale tests have in common: the agent under test, and what it holds."""
import json
import os
import re
import signal
import subprocess
import time

class Agent:
    """A running `obtrace-agent run`; ended on leaving the `with` block."""

    def __init__(self, path, *options, errors):
        self.errors_path = errors
        self.errors = open(errors, "w")
        self.process = subprocess.Popen(
            [path, "run", "--print", "none", *options], stdout=subprocess.DEVNULL, stderr=self.errors
        )

    def __enter__(self):
        deadline = time.monotonic() + 30
        # Maps exist long before anything is attached; this line it says when it watches.
        while not re.search(r"^watching \d+ process", self.said(), re.MULTILINE):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the agent did not start:\n{self.said()}")
            time.sleep(0.1)
        time.sleep(1)
        return self

    def said(self):
        """What it wrote to standard error so far."""
        with open(self.errors_path, errors="replace") as errors:
            return errors.read()

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it as a service manager would. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.errors.close()
        return code

    def rss(self):
        """Resident bytes without the ring buffer's pages, which some kernels count and some do not."""
        total = ring = 0
        counted = False
        for line in open(f"/proc/{self.process.pid}/smaps"):
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                counted = "bpf-map" in line or "bpf_ringbuf" in line
            elif line.startswith("Rss:"):
                kib = int(line.split()[1])
                total += kib
                ring += kib if counted else 0
        return (total - ring) * 1024

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _fdinfo(self):
        folder = f"/proc/{self.process.pid}/fdinfo"
        for name in os.listdir(folder):
            try:
                yield dict(line.split(":", 1) for line in open(f"{folder}/{name}") if ":" in line)
            except OSError:
                continue

    def held(self):
        """How many descriptors, BPF programs, links and maps it has open."""
        infos = list(self._fdinfo())
        count = lambda key: sum(key in info for info in infos)
        return {"descriptors": len(infos), "programs": count("prog_id"), "links": count("link_id"), "maps": count("map_id")}

    def map_bytes(self):
        """Kernel memory of its maps, as the kernel accounts it."""
        maps = {info["map_id"].strip(): int(info["memlock"]) for info in self._fdinfo() if "map_id" in info}
        return sum(maps.values())

    def map_entries(self):
        """Entries of each of its hash maps, by name."""
        ids = {info["map_id"].strip() for info in self._fdinfo() if "map_id" in info}
        entries = {}
        for number in ids:
            shown = subprocess.run(["bpftool", "-j", "map", "show", "id", number], capture_output=True, text=True)
            if shown.returncode:
                continue
            info = json.loads(shown.stdout)
            if info.get("type") != "hash":
                entries.setdefault(info.get("name", number), 0)
                continue
            dump = subprocess.run(["bpftool", "-j", "map", "dump", "id", number], capture_output=True, text=True)
            entries[info["name"]] = len(json.loads(dump.stdout or "[]"))
        return entries


def namespace(name):
    """A network namespace of our own with loopback up; enters it, so that every child starts inside."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
    with open(f"/run/netns/{name}") as handle:
        os.setns(handle.fileno(), 0x40000000)
