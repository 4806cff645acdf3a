"""The variables of the contract (section 3), read once when the loader starts."""

import os
import sys

SIGNALS = ("traces", "logs", "metrics")
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}


def truth(name):
    return os.environ.get(name, "").lower() not in ("", "0", "false")


def number(text, otherwise, least, most):
    """The number in a text, within bounds; `otherwise` if there is none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return otherwise
    return otherwise if value != value else min(most, max(least, value))


def chosen(name, every):
    words = {word.strip().lower() for word in os.environ.get(name, "").split(",")}.intersection(every)
    return words or set(every)


debug_on = truth("OBTRACE_DEBUG")
url = (os.environ.get("OBTRACE_INGEST_URL") or "").rstrip("/")
# A secret's file often ends with a line feed, which no header may have.
api_key = (os.environ.get("OBTRACE_API_KEY") or "").strip()
ratio = number(os.environ.get("OBTRACE_TRACE_SAMPLE_RATIO") or "", 1.0, 0.0, 1.0)
signals = chosen("OBTRACE_SIGNALS", SIGNALS)
kinds = {KINDS[word] for word in chosen("OBTRACE_TRACED", KINDS)}
metric_interval = number(os.environ.get("OBTRACE_METRIC_INTERVAL") or "", 60.0, 1.0, 86400.0)

if not (api_key.isascii() and api_key.isprintable()):
    api_key = ""
_said = set()


def debug(text):
    """Says something once, if OBTRACE_DEBUG asks for it."""
    if debug_on and text not in _said and len(_said) < 1000:
        _said.add(text)
        try:
            sys.stderr.write("[obtrace] " + text + "\n")
        except Exception:
            pass


def fault(where, error):
    """Says what was swallowed."""
    if debug_on:
        debug("%s: %s: %s" % (where, type(error).__name__, error))
