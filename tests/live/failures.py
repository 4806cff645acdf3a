#!/usr/bin/env python3
"""failures.py --agent PATH: what the agent says, how it ends and what it leaves where it cannot do its work.

Each case wants one clear message on stderr, the right exit code (0 fine, 1 failed, 2 usage, 77 this machine cannot), and
as many BPF programs, links and maps afterwards as before.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

from agent import CAPABILITIES, with_capabilities

FRAME = bytes.fromhex("000000000000000000000000080045000028000100004006000001010101020202020050c35000000001000000005002200000000000")


def attached(program):
    """Programs, links and maps that no process holds, or one that runs `program`: other users of BPF come and go."""
    found = {}
    for what in ("prog", "link", "map"):
        listed = subprocess.run(["bpftool", "--json", what, "list"], check=True, capture_output=True, text=True).stdout
        found[what] = {entry["id"] for entry in json.loads(listed or "[]") if ours(entry, program)}
    return found


def ours(entry, program):
    owners = entry.get("pids") or []
    return not owners or any(runs(owner["pid"], program) for owner in owners)


def runs(pid, program):
    try:
        return os.readlink(f"/proc/{pid}/exe") == str(program)
    except OSError:
        return False


def captures(folder):
    """Files that are no captures, or broken ones."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    packet = struct.pack("<IIII", 0, 0, len(FRAME), len(FRAME)) + FRAME
    files = {
        "empty.pcap": b"", "text.pcap": b"this is not a capture\n" * 10, "cut-header.pcap": header[:10],
        "cut-packet.pcap": header + packet + packet[:30], "whole.pcap": header + packet,
        "absurd-length.pcap": header + struct.pack("<IIII", 0, 0, 0xFFFFFFF0, 0xFFFFFFF0) + FRAME,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "whole.pcap").chmod(0o644)
    return folder


def cases(agent, folder):
    """(name, command, exit code, words that stderr must hold one of; capabilities are named exactly)."""
    every = tuple(f"CAP_{name.upper()}" for name in CAPABILITIES)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]
    yield "without root", [*nobody, agent, "run"], 77, every
    yield "unknown flag", [agent, "run", "--no-such-flag"], 2, ("--no-such-flag",)
    yield "unknown command", [agent, "observe"], 2, ("observe",)
    yield "unknown printer", [agent, "run", "--print", "xml"], 2, ("xml",)
    yield "bad port", [agent, "run", "--port", "70000"], 2, ("70000",)
    for missing in ("bpf", "perfmon"):
        left = [name for name in CAPABILITIES if name != missing]
        yield f"without CAP_{missing.upper()}", [*with_capabilities(left), agent, "run"], 77, (f"CAP_{missing.upper()}",)
    yield "without any capability", [*with_capabilities(()), agent, "run"], 77, every
    yield "configuration that is not there", [agent, "run", "--config", folder / "none.yaml"], 2, ("none.yaml",)
    for name in ("empty", "text", "cut-header"):
        yield f"{name} capture", [agent, "replay", folder / f"{name}.pcap"], 1, (f"{name}.pcap",)
    yield "absurd length in a capture", [agent, "replay", folder / "absurd-length.pcap"], 1, ("absurd-length.pcap",)
    yield "capture cut inside a packet", [agent, "replay", folder / "cut-packet.pcap"], 1, ("cut-packet.pcap",)
    yield "no such capture", [agent, "replay", folder / "none.pcap"], 1, ("none.pcap", "No such file")
    yield "capture that may not be read", [*nobody, agent, "replay", folder / "secret.pcap"], 1, ("secret.pcap",)
    yield "whole capture", [agent, "replay", folder / "whole.pcap"], 0, ("packet",)
    yield "check", [agent, "check"], 0, ("",)


def settled(before, program):
    """What is attached beyond `before`, once the kernel had time to free it."""
    for _ in range(50):
        more = {what: ids - before[what] for what, ids in attached(program).items()}
        if not any(more.values()):
            return {}
        time.sleep(0.1)
    return {what: sorted(ids) for what, ids in more.items() if ids}


def one(command, code, words):
    """Differences of one case, and the first line of what was said."""
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return ["does not end"], ""
    said = done.stderr.strip()
    lines = []
    if done.returncode != code:
        lines.append(f"exit code {done.returncode}, not {code}")
    if not any(word in said for word in words):
        lines.append(f"stderr names none of {words}: {said[:300]!r}")
    named = set(re.findall(r"CAP_\w+", said))
    if named and named != set(words):
        lines.append(f"names {sorted(named)}, but {sorted(words)} are missing")
    if "replay" in command:
        told = said.splitlines() or [""]
        if code and sum(line.startswith("error: ") for line in told) != 1 or not told[-1].startswith("error: " if code else ""):
            lines.append(f"has not exactly one message, last: {said[:300]!r}")
    if code and not said:
        lines.append("says nothing")
    if "panicked" in said:
        lines.append(f"panics: {said[:300]}")
    if code and len(said.splitlines()) > 12:
        lines.append(f"says {len(said.splitlines())} lines")
    return lines, (said.splitlines() or [""])[0]


def ended_by(agent, number):
    """A running agent that gets a signal leaves nothing attached; SIGKILL too, since links die with their owner."""
    process = subprocess.Popen([agent, "run", "--print", "none"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(2)
    if process.poll() is not None:
        return [f"ended by itself: {process.stderr.read().decode()[:300]}"]
    process.send_signal(number)
    try:
        status = process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return ["does not end within 20 s"]
    wanted = -number if number == signal.SIGKILL else 0
    return [] if status == wanted else [f"ends with {status}, not {wanted}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    agent = parser.parse_args().agent.resolve()
    if os.geteuid() != 0:
        print("needs root: programs and links can be counted by nobody else")
        sys.exit(77)
    results = []
    with tempfile.TemporaryDirectory(prefix="obtrace-failures-") as name:
        folder = captures(pathlib.Path(name))
        folder.chmod(0o755)
        (folder / "secret.pcap").write_bytes((folder / "whole.pcap").read_bytes())
        (folder / "secret.pcap").chmod(0o600)
        # Where everybody may run it: the build folder may be root's alone.
        copy = folder / "obtrace-agent"
        copy.write_bytes(agent.read_bytes())
        copy.chmod(0o755)
        before = attached(copy)
        for title, command, code, words in cases(copy, folder):
            lines, said = one(command, code, words)
            left = settled(before, copy)
            results.append((title, lines + ([f"left attached: {left}"] if left else []), said))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            lines = ended_by(copy, number)
            left = settled(before, copy)
            results.append((f"ended by {number.name}", lines + ([f"left attached: {left}"] if left else []), ""))
    failed = 0
    for title, lines, said in results:
        failed += bool(lines)
        print(f"{title:<34} {'FAILED' if lines else 'ok':<7} {said[:110]}")
        for line in lines:
            print(f"    {line}")
    print(f"\n{len(results) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


main()
