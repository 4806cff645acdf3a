"""HTTP/2 by h2load and nghttp with many requests at the same time: `http2_load_client.py nghttpd=PORT apache=PORT`. Each
says itself what it was answered."""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

from truth import log, token

SMALL, BIG = "/small.txt", "/big.bin"


def h2load(port, path, count, *words, method="GET"):
    """Its log has a line for each request: the moment in microseconds, the status, how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        lines = pathlib.Path(folder, "log")
        command = ["h2load", f"--requests={count}", f"--log-file={lines}", "--clients=2", "--max-concurrent-streams=10", *words, f"http://127.0.0.1:{port}{path}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        told = [list(map(int, line.split())) for line in lines.read_text().splitlines()]
    if len(told) != count:
        sys.exit(f"{len(told)} of {count} requests")
    for start, status, took in told:
        log("http2", port, [method, path], status, start * 1000, (start + took) * 1000)


# The last column of its statistics, behind moments and size.
NGHTTP = re.compile(r"^ *\d+ +\+\S+ +\+\S+ +\S+ +(\d{3}) +\S+ (/\S*)$", re.MULTILINE)


def nghttp(port, paths, *words):
    start = time.time_ns()
    urls = [f"http://127.0.0.1:{port}{path}" for path in paths]
    done = subprocess.run(["nghttp", "--null-out", "--stat", "--no-push", *words, *urls], check=True, stdout=subprocess.PIPE, timeout=60)
    told = NGHTTP.findall(done.stdout.decode())
    if len(told) < len(paths):
        sys.exit(f"nghttp tells {len(told)} of {len(paths)}: {done.stdout.decode()}")
    for status, path in told:
        log("http2", port, ["GET", path], int(status), start, time.time_ns())


def main():
    for port in (int(word.split("=")[1]) for word in sys.argv[1:]):
        h2load(port, SMALL, 60)
        h2load(port, f"/none-{token()}", 20, "--header=x-token: " + token())
        h2load(port, BIG, 6, "--window-bits=18", "--connection-window-bits=20")
        # A window of one frame: the body waits for the client again and again.
        h2load(port, BIG, 2, "--window-bits=14", "--connection-window-bits=14", "--clients=1")
        h2load(port, SMALL, 20, "--header-table-size=0", "--encoder-header-table-size=0")
        nghttp(port, [SMALL, "/style.css", f"/none-{token()}", BIG])
        nghttp(port, [SMALL], "--multiply=40", "--window-bits=15")
        nghttp(port, [BIG, SMALL], "--padding=200", "--continuation", "--hexdump")


main()
