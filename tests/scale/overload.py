#!/usr/bin/env python3
"""overload.py --agent PATH: nothing is lost without being counted.

Clients and servers count the messages and bytes of each of their connections while the agent runs at a tenth of its
speed (it is stopped and continued). Afterwards, for each side of each connection: bytes sent = captured + skipped +
lost by reason, exactly, and likewise for bytes received; and the messages, each a span or lost, add up in total.
"""
import argparse
import ctypes
import json
import os
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


def read_message(peer, held):
    """One HTTP message with a Content-Length from `held` and what follows; its size, and what is left over."""
    while (end := held.find(b"\r\n\r\n")) < 0:
        more = peer.recv(65536)
        if not more:
            return 0, b""
        held += more
    head = held[: end + 4]
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(held) < len(head) + length:
        held += peer.recv(65536)
    return len(head) + length, held[len(head) + length :]


def serve(listener, out):
    def one(peer, address):
        counts = {"messages": 0, "sent": 0, "received": 0}
        held = b""
        while True:
            size, held = read_message(peer, held)
            if not size:
                break
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
            peer.sendall(answer)
            counts = {"messages": counts["messages"] + 1, "sent": counts["sent"] + len(answer), "received": counts["received"] + size}
        local = peer.getsockname()
        peer.close()
        os.write(out, (json.dumps({"side": "server", "local": "%s:%d" % local, "remote": "%s:%d" % address, **counts}) + "\n").encode())

    while True:
        threading.Thread(target=one, args=listener.accept(), daemon=True).start()


def drive(address, number, until, out):
    counts = {"messages": 0, "sent": 0, "received": 0}
    peer = socket.create_connection(address)
    local = peer.getsockname()
    held = b""
    while time.monotonic() < until:
        request = b"POST /overload/%d/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n%s" % (number, counts["messages"], b"y" * 64)
        peer.sendall(request)
        size, held = read_message(peer, held)
        counts = {"messages": counts["messages"] + 1, "sent": counts["sent"] + len(request), "received": counts["received"] + size}
    peer.close()
    os.write(out, (json.dumps({"side": "client", "local": "%s:%d" % local, "remote": "%s:%d" % address, **counts}) + "\n").encode())


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        try:
            run(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def slow_down(pid, stop):
    """A tenth of its speed: 10 ms of running, 90 ms of standing still."""
    while not stop.is_set():
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.09)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)


def check(truth, accounts):
    """What does not add up, one line each; and the totals."""
    by_addresses = {(account["local"], account["remote"]): account for account in accounts}
    wrong, lost, captured = [], {}, 0
    for row in truth:
        account = by_addresses.get((row["local"], row["remote"]))
        if account is None:
            wrong.append(f"no account of {row}")
            continue
        for direction in ("sent", "received"):
            side = account[direction]
            total = side["captured"] + side["skipped"] + sum(side["lost"].values())
            captured += side["captured"]
            for reason, count in side["lost"].items():
                lost[reason] = lost.get(reason, 0) + count
            if total != row[direction]:
                wrong.append(f"{row['side']} {row['local']}-{row['remote']} {direction} {row[direction]}, accounted {total}: {side}")
    return wrong, lost, captured


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="obtrace-overload-")
    accounts_path, errors = f"{folder}/accounts", f"{folder}/errors"
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    truth_read, truth_write = os.pipe()
    with Agent(options.agent, "--accounts", accounts_path, errors=errors) as agent:
        server = child(serve, listener, truth_write)
        time.sleep(0.5)
        stop = threading.Event()
        slower = threading.Thread(target=slow_down, args=(agent.process.pid, stop))
        slower.start()
        until = time.monotonic() + options.seconds
        clients = [child(drive, listener.getsockname(), number, until, truth_write) for number in range(options.connections)]
        for pid in clients:
            os.waitpid(pid, 0)
        stop.set()
        slower.join()
        alive = agent.process.poll() is None
        time.sleep(3)
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
        time.sleep(1)
        code = agent.stop()
    os.close(truth_write)
    truth = [json.loads(line) for line in os.fdopen(truth_read).read().splitlines()]
    accounts = [json.loads(line) for line in open(accounts_path)]
    wrong, lost, captured = check(truth, accounts)
    messages = sum(row["messages"] for row in truth)
    moved = sum(row["sent"] + row["received"] for row in truth)
    print(json.dumps({"sides": len(truth), "messages": messages, "bytes": moved, "captured": captured, "lost": lost, "exit": code, "alive": alive}))
    print(open(errors).read().strip())
    for line in wrong[:20]:
        print("WRONG", line)
    if len(truth) != 2 * options.connections:
        wrong.append("a side did not report")
        print(f"WRONG {len(truth)} of {2 * options.connections} sides reported")
    if not sum(lost.values()):
        wrong.append("nothing was lost: the overload was none")
        print("WRONG nothing was lost: the overload was none")
    sys.exit(0 if not wrong and alive and code == 0 else 1)


if __name__ == "__main__":
    main()
