#!/usr/bin/env python3
"""overload.py --agent PATH: nothing is lost without being counted.

Clients and servers count the messages, calls and bytes of each of their connections while the agent runs at a tenth of
its speed (it is stopped and continued). Connections begin and end all the while. Afterwards, for each side of each
connection and each direction: bytes = captured + skipped + lost by reason, exactly, and calls that moved bytes = records
captured + records lost, exactly; all that is not there together equals the bytes that the kernel counted as lost.
"""
import argparse
import collections
import ctypes
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time

from observe import Agent

BODY = b"x" * 700


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Side:
    """One end of a connection, and what it moved."""

    def __init__(self, name, peer):
        self.peer, self.held = peer, b""
        self.row = {"side": name, "local": "%s:%d" % peer.getsockname(), "remote": "%s:%d" % peer.getpeername()}
        self.row |= {"messages": 0, "sent": 0, "received": 0, "sent_calls": 0, "received_calls": 0}

    def receive(self):
        more = self.peer.recv(65536)
        self.held += more
        self.row["received"] += len(more)
        self.row["received_calls"] += bool(more)
        return more

    def message(self):
        """Takes one HTTP message with a Content-Length; whether there was one."""
        while (end := self.held.find(b"\r\n\r\n")) < 0:
            if not self.receive():
                return False
        head = self.held[: end + 4]
        length = len(head) + int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(self.held) < length:
            if not self.receive():
                raise SystemExit("a message was cut short")
        self.held = self.held[length:]
        self.row["messages"] += 1
        return True

    def send(self, message):
        # A blocking send of so little takes all of it in one call.
        if self.peer.send(message) != len(message):
            raise SystemExit("a send was partial")
        self.row["sent"] += len(message)
        self.row["sent_calls"] += 1

    def close(self, out):
        self.peer.close()
        os.write(out, (json.dumps(self.row) + "\n").encode())


def serve(listener, out):
    def one(side):
        while side.message():
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
        side.close(out)

    while True:
        side = Side("server", listener.accept()[0])
        threading.Thread(target=one, args=(side,), daemon=True).start()


def drive(address, number, until, messages, out):
    """One connection after the other, some long, some of a few messages only."""
    turn = 0
    while time.monotonic() < until:
        side = Side("client", socket.create_connection(address))
        for count in range(messages if turn % 2 == 0 else 3):
            request = b"POST /overload/%d/%d/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n%s"
            side.send(request % (number, turn, count, b"y" * 64))
            if not side.message():
                raise SystemExit("an answer is missing")
        side.close(out)
        turn += 1


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        code = 1
        try:
            run(*arguments)
            code = 0
        finally:
            os._exit(code)
    return pid


def slow_down(pid, stop):
    """A tenth of its speed: 10 ms of running, 90 ms of standing still."""
    while not stop.is_set():
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.09)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)


def moved(side):
    """What an account says of one direction: bytes and calls that moved."""
    return side["captured"] + side["skipped"] + sum(side["lost"].values()), side["records"] + side["lost_records"]


def check(truth, accounts):
    """What does not add up, one line each; and the totals. A pair of addresses may have been used again."""
    told, known = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for row in truth:
        counts = tuple((row[direction], row[f"{direction}_calls"]) for direction in ("sent", "received"))
        told[row["local"], row["remote"]][counts] += 1
    totals = {"captured": 0, "skipped": 0, "lost": {}, "records": 0, "lost_records": 0}
    for account in accounts:
        ends = account["local"], account["remote"]
        if ends not in told:
            continue  # of somebody else on this machine
        known[ends][tuple(moved(account[direction]) for direction in ("sent", "received"))] += 1
        for direction in ("sent", "received"):
            side = account[direction]
            for name in ("captured", "skipped", "records", "lost_records"):
                totals[name] += side[name]
            for reason, count in side["lost"].items():
                totals["lost"][reason] = totals["lost"].get(reason, 0) + count
    wrong = [f"{ends}: (bytes, calls) sent and received {dict(known[ends])} of {dict(counts)}"
             for ends, counts in told.items() if known[ends] != counts]
    return wrong, totals


def overload(options, listener, folder):
    """Runs it. The rows of the truth, whether the agent lived, and its exit code."""
    out = os.open(f"{folder}/truth", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    # Others on the machine would take places that are counted on here: only this program and what it starts is observed.
    settings = ["--pid", str(os.getpid()), "--accounts", f"{folder}/accounts"]
    with Agent(options.agent, *settings, errors=f"{folder}/errors") as agent:
        server = child(serve, listener, out)
        time.sleep(0.5)
        stop = threading.Event()
        slower = threading.Thread(target=slow_down, args=(agent.process.pid, stop))
        slower.start()
        until = time.monotonic() + options.seconds
        address = listener.getsockname()
        clients = [child(drive, address, number, until, options.messages, out) for number in range(options.connections)]
        failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in clients)
        stop.set()
        slower.join()
        alive = agent.process.poll() is None
        time.sleep(3)
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
        time.sleep(1)
        code = agent.stop()
    if failed:
        raise SystemExit(f"{failed} clients failed")
    return [json.loads(line) for line in open(f"{folder}/truth")], alive, code


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=16, help="at a time")
    parser.add_argument("--messages", type=int, default=500, help="of a long connection")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="obtrace-overload-")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    truth, alive, code = overload(options, listener, folder)
    wrong, totals = check(truth, [json.loads(line) for line in open(f"{folder}/accounts")])
    said = open(f"{folder}/errors").read().strip()
    result = {"sides": len(truth), "messages": sum(row["messages"] for row in truth)}
    result["calls"] = sum(row["sent_calls"] + row["received_calls"] for row in truth)
    result["bytes"] = sum(row["sent"] + row["received"] for row in truth)
    print(json.dumps({**result, **totals, "exit": code, "alive": alive}))
    print(said)
    names = [row["side"] for row in truth]
    if names.count("client") != names.count("server") or not names:
        wrong.append(f"{names.count('client')} clients and {names.count('server')} servers reported")
    if not totals["lost"].get("lost"):
        wrong.append("nothing was lost: the overload was none")
    # The kernel counts records of every kind, of which only these carry bytes.
    kernel = re.search(r"^not captured, ring: (\d+) events, (\d+) bytes", said, re.MULTILINE)
    if not kernel or int(kernel[1]) < totals["lost_records"] or int(kernel[2]) != totals["lost"].get("lost"):
        wrong.append("the kernel did not count what is lost")
    for line in wrong[:20]:
        print("WRONG", line)
    sys.exit(0 if not wrong and alive and code == 0 else 1)


if __name__ == "__main__":
    main()
