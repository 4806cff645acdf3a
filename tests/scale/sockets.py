#!/usr/bin/env python3
"""sockets.py --agent PATH: what a socket costs while it is only open, with 200,000 of them observed.

Pairs of processes hold the connections (a process may have 20,000 descriptors here). Each connection has carried one
HTTP request. Prints one JSON line; fails if user memory is over 512 bytes or kernel memory over 256 bytes a socket,
or, run with the default table, if sockets past the bound are not counted as not observed.
"""
import argparse
import ctypes
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time

from observe import Agent

REQUEST = b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(listener, connections):
    held = []
    for _ in range(connections):
        peer, _ = listener.accept()
        peer.recv(4096)
        peer.sendall(ANSWER)
        held.append(peer)
    signal.pause()


def hold(address, connections, ready):
    held = []
    for _ in range(connections):
        peer = socket.create_connection(address)
        peer.sendall(REQUEST)
        peer.recv(4096)
        held.append(peer)
    os.write(ready, b"x")
    signal.pause()


def child(run, *arguments):
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        try:
            run(*arguments)
        finally:
            os._exit(1)
    return pid


def open_all(pairs, each):
    """Forks the pairs one after the other; their process ids."""
    pids = []
    for pair in range(pairs):
        listener = socket.create_server((f"127.0.1.{pair + 1}", 0), backlog=4096)
        read, write = os.pipe()
        pids.append(child(serve, listener, each))
        pids.append(child(hold, listener.getsockname(), each, write))
        os.close(write)
        listener.close()
        if os.read(read, 1) != b"x":
            sys.exit("a pair could not open its connections")
        os.close(read)
    return pids


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", required=True)
    parser.add_argument("--sockets", type=int, default=200_000)
    parser.add_argument("--table", type=int, help="size of the agent's socket table; without it the default is tested")
    options = parser.parse_args()
    each = 16_700
    pairs = -(-options.sockets // (2 * each))
    # Others on the machine must not be taken for these: only this program and what it starts is observed.
    settings = ["--pid", str(os.getpid())]
    settings += ["--max-sockets", str(options.table)] if options.table else []
    errors = tempfile.mkstemp(prefix="obtrace-sockets-")[1]
    with Agent(options.agent, *settings, errors=errors) as agent:
        before = agent.rss(), agent.map_bytes()
        pids = open_all(pairs, each)
        time.sleep(18)  # after 10 s without traffic, looked for every 5 s, connections give their buffers back
        count = 2 * each * pairs
        entries = max(agent.map_entries().values())
        result = {
            "sockets": count,
            "observed": entries,
            "user_bytes": round((agent.rss() - before[0]) / min(count, entries), 1),
            "kernel_bytes": round((agent.map_bytes() - before[1]) / min(count, entries), 1),
        }
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        time.sleep(2)
        result["left"] = max(agent.map_entries().values())
        code = agent.stop()
    summary = open(errors).read()
    unobserved = re.search(r"^not captured, sockets: (\d+) events", summary, re.MULTILINE)
    result["unobserved_events"] = int(unobserved[1]) if unobserved else 0
    result["exit"] = code
    print(json.dumps(result))
    if options.table:
        good = result["user_bytes"] <= 512 and result["kernel_bytes"] <= 256 and entries >= count
    else:
        # At least its beginning, of each socket that found no place.
        good = entries < count and result["unobserved_events"] >= count - entries
        print(summary.strip())
    sys.exit(0 if good and code == 0 else 1)


if __name__ == "__main__":
    main()
