#!/usr/bin/env python3
"""measure.py --operator PROGRAM: what discovery costs the operator in large clusters.

The whole operator runs against an API server of this folder, over TLS: lists in pages, watches that are held, a Lease, a Secret, statuses. Counted is the
processor time of the operator alone, from its start until the status of everything is written, and for a list of all workloads anew; and what stays
resident. Exit code 1: a goal is missed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import objects

HERE = pathlib.Path(__file__).resolve().parent
DEPLOYED = HERE.parents[1] / "deploy/kustomize/obtrace-zero.yaml"
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST = 600
# How long nothing may happen before what is resident counts as kept, in seconds.
QUIET = 2
# Changes of Pods a second, and for how many seconds.
RATE, SECONDS = 100, 15
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: bench, cluster: {{server: "https://localhost:{port}", certificate-authority: {folder}/server.crt}}}}]
users: [{{name: bench, user: {{token: none}}}}]
contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]
current-context: bench
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key", "-out", "server.crt",
                    "-subj", "/CN=localhost", "-days", "2", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
                   cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Server:
    """The API server, on the second processor if there is one."""

    def __init__(self, folder, workloads, namespaces, pods):
        self.context = ssl.create_default_context(cafile=folder / "server.crt")
        command = [*pinned(1), sys.executable, HERE / "server.py", "--workloads", workloads, "--namespaces", namespaces, "--pods", pods,
                   "--certificate", folder / "server.crt", "--key", folder / "server.key"]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        told = json.loads(self.process.stdout.readline())
        self.port, self.bytes = told["port"], told["bytes"]

    def ask(self, put=None):
        request = urllib.request.Request(f"https://localhost:{self.port}/bench", data=put, method="GET" if put is None else "PUT")
        with urllib.request.urlopen(request, context=self.context, timeout=60) as answer:
            return json.load(answer)

    def change(self, rate):
        """Has so many Pods change a second."""
        self.ask(str(rate).encode())


def allocation():
    """What the Deployment says to the allocator: without it what a page of a list took is kept."""
    found = dict(re.findall(r'- name: (MALLOC_\w+)\n +value: "?(\d+)"?\n', DEPLOYED.read_text()))
    return found or sys.exit(f"{DEPLOYED} says nothing to the allocator any more")


class Operator:
    """The operator, on the first processor if there are two."""

    def __init__(self, program, folder, server, resync):
        (folder / "kubeconfig").write_text(KUBECONFIG.format(port=server.port, folder=folder))
        self.health, self.metrics = free_port(), free_port()
        addresses = {"webhook": free_port(), "health": self.health, "metrics": self.metrics}
        flags = [word for name, port in addresses.items() for word in (f"--{name}-address", f"127.0.0.1:{port}")]
        self.log = folder / "operator.log"
        self.began = time.monotonic()
        self.process = subprocess.Popen([*pinned(0), str(program), "operator", *flags, "--resync", f"{resync}s", "--linger", "0s"], stdin=subprocess.DEVNULL,
                                        stderr=open(self.log, "wb"), env={**os.environ, **allocation(), "KUBECONFIG": str(folder / "kubeconfig")})

    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            return None

    def until(self, what, condition, pause=0.01):
        """What a condition comes to, once that is something."""
        deadline = time.monotonic() + LONGEST
        while (found := condition()) is None or found is False:
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{what}: not within {LONGEST} s; the operator's last words:\n{self.log.read_text()[-1500:]}")
            time.sleep(pause)
        return found

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, name="VmRSS"):
        """What is resident, or was at most (`VmHWM`), in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024

    def settle(self):
        """Waits until it has nothing to do."""
        before, since = self.cpu(), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(0.1)
            if self.cpu() - before > 0.02 * (1 + time.monotonic() - since):
                before, since = self.cpu(), time.monotonic()

    def scans(self):
        """How many scans there were, and how long they took in all, in seconds."""
        text = self.get(self.metrics, "/metrics") or ""
        samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("obtrace_zero_discovery_scan_duration_seconds_"))
        return (int(float(samples.get("obtrace_zero_discovery_scan_duration_seconds_count", 0))), float(samples.get("obtrace_zero_discovery_scan_duration_seconds_sum", 0)))


def pinned(processor):
    return ["taskset", "-c", str(processor)] if len(os.sched_getaffinity(0)) > 1 else []


@contextlib.contextmanager
def running(make):
    made = make()
    try:
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        try:
            made.process.wait(20)
        except subprocess.TimeoutExpired:
            made.process.kill()
            made.process.wait()


def run(options, workloads, namespaces, pods, resync):
    """One cluster: its figures."""
    with tempfile.TemporaryDirectory(prefix="obtrace-discovery-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        make_certificate(folder)
        server = stack.enter_context(running(lambda: Server(folder, workloads, namespaces, pods)))
        operator = stack.enter_context(running(lambda: Operator(options.operator, folder, server, resync)))
        operator.until("ready", lambda: operator.get(operator.health, "/readyz") is not None)
        ready = time.monotonic() - operator.began

        def whole():
            status = server.ask()["last"]["status"]
            return status.get("totals", {}).get("workloads") == workloads or None

        operator.until("a status of all workloads", whole, 0.1)
        first, (_, elapsed) = operator.cpu(), operator.scans()
        operator.settle()
        kept, most = operator.memory(), operator.memory("VmHWM")
        seen = operator.scans()[0]
        before = operator.cpu()
        operator.until("a list anew", lambda: operator.scans()[0] > seen, 0.1)
        count, total = operator.scans()
        operator.settle()
        again, wall = operator.cpu() - before, (total - elapsed) / max(count - 1, 1)
        last, kept_after = server.ask()["last"], operator.memory()
        changes = changing(server, operator) if pods else None
        return {"changes": changes, "workloads": workloads, "namespaces": namespaces, "pods": pods, "listed": sum(server.bytes.values()), "ready": ready, "first": first, "elapsed": elapsed,
                "again": again, "again_elapsed": wall, "kept": kept, "kept_after": kept_after, "most": max(most, operator.memory("VmHWM")),
                "status": last["bytes"], "totals": last["status"]["totals"]}


def changing(server, operator):
    """The share of a processor that changes of Pods take, in percent."""
    server.change(RATE)
    operator.until("changes", lambda: server.ask()["changed"] > RATE, 0.1)
    began, before = time.monotonic(), operator.cpu()
    time.sleep(SECONDS)
    return 100 * (operator.cpu() - before) / (time.monotonic() - began)


def tell(it):
    print(f"{it['workloads']:>9,} {it['namespaces']:>10} {it['pods']:>8,} {it['listed'] / 1e6:>7.0f} {it['ready']:>7.2f} {it['first']:>8.2f} {it['elapsed']:>7.2f} "
          f"{it['again']:>8.2f} {it['again_elapsed']:>7.2f} {it['kept'] / 1e6:>7.1f} {it['kept_after'] / 1e6:>7.1f} {it['most'] / 1e6:>7.1f} {it['status']:>8,}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--operator", required=True, type=pathlib.Path, help="obtrace-zero, built for release")
    parser.add_argument("--large", type=int, default=100_000, help="workloads of the largest cluster, and Pods of the one with Pods")
    parser.add_argument("--only", choices=("5000", "10000", "large", "pods"), action="append")
    parser.add_argument("--quick", action="store_true", help="one small cluster, to see that all of it works; no goal is judged, and any build will do")
    options = parser.parse_args()
    wanted = options.only or ["5000", "10000", "pods", "large"]
    found = {}
    print(f"{'':>9} {'':>10} {'':>8} {'listed':>7} {'ready':>7} {'first scan':>16} {'list anew':>16} {'resident, MB':>23} {'status':>8}")
    print(f"{'workloads':>9} {'namespaces':>10} {'Pods':>8} {'MB':>7} {'s':>7} {'CPU s':>8} {'s':>7} {'CPU s':>8} {'s':>7} {'first':>7} {'anew':>7} {'most':>7} {'bytes':>8}")
    if options.quick:
        it = run(options, 500, 20, 0, 3)
        tell(it)
        sys.exit(None if it["totals"]["workloads"] == 500 and it["totals"]["instrumented"] else f"the status tells of {it['totals']}")
    for name, cluster in (("5000", (5_000, 500, 0, 15)), ("10000", (10_000, 500, 0, 15)), ("pods", (10_000, 500, options.large, 30)), ("large", (options.large, 500, 0, 40))):
        if name in wanted or (name == "10000" and "pods" in wanted):
            found[name] = run(options, *cluster)
            tell(found[name])
    judge(found, options)


def judge(found, options):
    """The goals, and which are missed."""
    goals = []
    for name, seconds in (("10000", 1), ("large", 10 * options.large / 100_000)):
        if name in found:
            it = found[name]
            goals += [(f"CPU seconds until {it['workloads']:,} workloads are in the status", it["first"], seconds), (f"CPU seconds to list {it['workloads']:,} anew", it["again"], seconds)]
    if "5000" in found:
        goals += [(f"MB resident {what}, 5,000 workloads in 500 namespaces", found["5000"][name] / 1e6, 40) for what, name in (("in the end", "kept_after"), ("at most", "most"))]
    if "pods" in found:
        goals.append(("bytes a Pod", (found["pods"]["kept"] - found["10000"]["kept"]) / found["pods"]["pods"], 512))
        goals.append((f"percent of a processor for {RATE} changes of Pods a second", found["pods"]["changes"], 2))
    for name, it in found.items():
        goals += [(f"{name}: bytes of the status", it["status"], 256 << 10), (f"{name}: seconds to ready", it["ready"], 2)]
    missed = 0
    for what, figure, goal in goals:
        missed += figure > goal
        print(f"{what}: {figure:,.2f} of {goal:,.2f}{'' if figure <= goal else '  MISSED'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
