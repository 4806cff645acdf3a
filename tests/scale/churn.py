#!/usr/bin/env python3
"""churn.py --agent PATH [--minutes N]: short connections and short processes for a long time; nothing may pile up.

1,000 connections and 20 processes a second. Prints one JSON line a minute and one at the end; fails if resident memory
grows by more than 1 MB an hour after minute 5 (in a shorter run: by more than 512 KiB, which 6 bytes a connection make
in a minute and a half), or if descriptors, programs, links or map entries at the end differ from those at
the start. It grows to its lasting size in the first two minutes.
"""
import argparse
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from observe import Agent

REQUEST = b"GET /churn/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def serve(listener):
    while True:
        peer, _ = listener.accept()
        peer.recv(4096)
        peer.sendall(ANSWER)
        peer.close()


def connect(address, per_second):
    start = time.monotonic()
    done = 0
    while True:
        with socket.create_connection(address) as peer:
            peer.sendall(REQUEST)
            while peer.recv(4096):
                pass
        done += 1
        ahead = done / per_second - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)


def spawn(per_second, stop):
    while not stop.wait(1 / per_second):
        subprocess.run(["/bin/true"], check=True)


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        try:
            run(*arguments)
        finally:
            os._exit(1)
    return pid


def slope(samples):
    """Least squares, bytes an hour."""
    n = len(samples)
    mean_t = sum(t for t, _ in samples) / n
    mean_v = sum(v for _, v in samples) / n
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    return sum((t - mean_t) * (v - mean_v) for t, v in samples) / spread * 3600 if spread else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--settle", type=float, default=5, help="minutes before the slope is taken")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = child(serve, listener)
    errors = tempfile.mkstemp(prefix="obtrace-churn-")[1]
    samples = []
    # Others on the machine must not be taken for growth: only this program and what it starts is observed.
    with Agent(options.agent, "--pid", str(os.getpid()), errors=errors) as agent:
        before = agent.held(), agent.map_entries()
        client = child(connect, listener.getsockname(), 1000)
        stop = threading.Event()
        spawner = threading.Thread(target=spawn, args=(20, stop))
        spawner.start()
        start = time.monotonic()
        while (passed := time.monotonic() - start) < options.minutes * 60:
            time.sleep(10)
            if passed > options.settle * 60:
                samples.append((passed, agent.rss()))
            if int(passed) % 60 < 10:
                told = {"minute": round(passed / 60, 1), "rss": agent.rss(), "cpu_s": agent.cpu_seconds()}
                print(json.dumps(told), flush=True)
        stop.set()
        spawner.join()
        os.kill(client, signal.SIGKILL)
        os.waitpid(client, 0)
        time.sleep(15)
        after = agent.held(), agent.map_entries()
        code = agent.stop()
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    if len(samples) < 6:
        sys.exit("the run is too short to judge its growth")
    growth = slope(samples)
    # What memory does by chance, a page here and there, must not be taken for a leak over a short time.
    bound = 1_000_000 if options.minutes >= 20 else 512 * 1024 * 3600 / (samples[-1][0] - samples[0][0])
    # One map has the ports that anybody on this machine listens on: there may be fewer afterwards.
    same = before[0] == after[0] and all(count <= before[1].get(name, 0) for name, count in after[1].items())
    result = {"growth_bytes_per_hour": round(growth), "bound": round(bound)}
    print(json.dumps({**result, "before": before, "after": after, "exit": code}))
    print(open(errors).read().strip())
    sys.exit(0 if growth <= bound and same and code == 0 else 1)


if __name__ == "__main__":
    main()
