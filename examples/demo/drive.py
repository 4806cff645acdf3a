"""Drives the demo: `drive.py wait URL...` until every URL answers, `drive.py order URL COUNT` sends orders."""

import collections
import http.client
import sys
import time
import urllib.parse
import urllib.request


def wait(urls):
    end = time.monotonic() + 30
    for url in urls:
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > end:
                    sys.exit(f"{url} does not answer: {error}")
                time.sleep(0.1)


def order(url, count):
    """Every eleventh product does not exist, so that a failure is among what is shown."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    answers = collections.Counter()
    for number in range(count):
        connection.request("POST", f"/orders/{number % 11 + 1}")
        response = connection.getresponse()
        response.read()
        answers[response.status] += 1
    print(f"{count} orders sent:", ", ".join(f"{n} × {status}" for status, n in sorted(answers.items())))


if sys.argv[1] == "wait":
    wait(sys.argv[2:])
else:
    order(sys.argv[2], int(sys.argv[3]))
