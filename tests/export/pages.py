"""Prometheus' own readers take the pages that obtrace-export wrote: `promtool check metrics` those of text, the strict parser of
OpenMetrics those of OpenMetrics. Both forms of a page tell the same.

    OBTRACE_PAGES=DIR cargo test -p obtrace-export --features prometheus --test prometheus_page pages_for_other_readers
    python3 tests/export/pages.py --pages DIR
"""

import argparse
import math
import pathlib
import subprocess
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict

def promtool(page):
    """What promtool says of a page: nothing, if it finds nothing."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    said = (done.stdout + done.stderr).decode().splitlines()
    return said or ([f"exit code {done.returncode}"] if done.returncode else [])


def samples(families):
    """Every sample by its name and labels; what only one of the forms has is left out."""
    told = {}
    for family in families:
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in told:
                raise ValueError(f"twice: {key}")
            told[key] = "NaN" if math.isnan(sample.value) else sample.value
    return told


def check(text, om):
    """Problems of one page in its two forms, and how many samples and exemplars there are."""
    problems = [f"{text.name}: promtool: {line}" for line in promtool(text.read_bytes())]
    open_page = om.read_text()
    families = list(strict.text_string_to_metric_families(open_page))
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
    for exemplar in exemplars:
        if not {"trace_id", "span_id"} <= exemplar.labels.keys() or exemplar.timestamp is None:
            problems.append(f"{om.name}: {exemplar}")
    one, other = samples(parser.text_string_to_metric_families(text.read_text())), samples(families)
    # The info of the targets is a gauge where there is no such type.
    problems += [f"{text.stem}: only in one form: {key}" for key in one.keys() ^ other.keys()]
    problems += [f"{text.stem}: {key}: {one[key]} {other[key]}" for key in one.keys() & other.keys() if one[key] != other[key]]
    return problems, len(other), len(exemplars)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pages", type=pathlib.Path, required=True)
    folder = arguments.parse_args().pages
    pages = sorted(folder.glob("*.txt"))
    passed = failures = 0
    for text in pages:
        try:
            problems, count, exemplars = check(text, text.with_suffix(".om"))
        except (ValueError, OSError) as error:
            problems, count, exemplars = [f"{text.stem}: {error}"], 0, 0
        if not problems and not (count and exemplars):
            problems = [f"{text.stem}: {count} samples, {exemplars} exemplars"]
        passed += not problems
        failures += bool(problems)
        print(f"{text.stem}: {count} samples in both forms, {exemplars} exemplars")
        for problem in problems[:20]:
            print(f"FAILED {problem}")
    print(f"{passed} passed, {failures} failed")
    sys.exit(1 if failures or not passed else 0)


if __name__ == "__main__":
    main()
