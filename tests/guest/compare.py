#!/usr/bin/env python3
"""compare.py BASE.log AGENT.log...: what the agent costs, from the consoles of the `bench` scenario.

In the deterministic mode a microsecond of CPU time is a thousand guest instructions. One Markdown table a log, in
thousands of instructions a request unless said otherwise. With --goals APP:BACKEND it is held against the goals, or
against what was reached where that is short of a goal (REACHED), and the exit code says whether all is kept.
"""
import argparse
import json
import re
import sys

GOALS = {  # name: (figure, unit), at most
    "httpd:tracepoint": {"app": 4.5, "bystander": 1.5, "bystander client": 1.5, "agent": 8},
    "httpd:fentry": {"app": 3.0, "bystander": 0.4, "bystander client": 0.4, "agent": 8},
    "goapp:tracepoint": {"app": 5.0, "bystander": 1.5, "bystander client": 1.5, "agent": 8},
    "goapp:fentry": {"app": 5.0, "bystander": 0.4, "bystander client": 0.4, "agent": 8},
}
ALWAYS = {
    "first span, s": 1.0,
    "RSS, MB": 15.0,
    "peak RSS, MB": 31.0,
    "maps, MB": 16.0,
    "idle, % of a core": 0.2,
    "spans lost": 0,
    "overload, % more in the app": 5.0,
    "exit code": 0,
}
# What is short of its goal: how far it came (it must not come back from there), and why it is not better.
REACHED = {
    "agent": (18.8, "18.7 measured: reading, parsing, spans of 13 attributes and a line of 900 bytes, some of it in the kernel"),
}


def read(path):
    rows = {}
    for line in open(path, errors="replace"):
        found = re.match(r"@@(\w+) (\{.*?\})(.*)", line)
        if found:
            rows[found[1]] = json.loads(found[2]) | dict(re.findall(r"(agent|own|spans|distinct) (\d+)", found[3]))
        for name, pattern in (
            ("start", r"@@start (\d+)"),
            ("idle", r"@@idle (\d+)"),
            ("rss", r"@@memory .*VmRSS: (\d+)"),
            ("peak", r"@@memory .*VmHWM: (\d+)"),
            ("ring", r"@@memory .*ring (\d+)"),
            ("lost", r"@@lost (\d+)"),
            ("maps", r"@@memory .*maps (\d+)"),
            ("exit", r"@@exit (\d+)"),
        ):
            found = re.match(pattern, line)
            if found:
                rows[name] = int(found[1])
    if "closed3" not in rows:
        sys.exit(f"{path}: the run did not get to its end")
    return rows


def figures(base, run):
    per = lambda rows, row, field: int(rows[row][field]) / rows[row]["n"]
    closed = lambda rows, field: sum(per(rows, f"closed{n}", field) for n in (1, 2, 3)) / 3
    added = lambda row, field: per(run, row, field) - per(base, row, field)
    return {
        "app": closed(run, "cpu_us_app") - closed(base, "cpu_us_app"),
        "load": closed(run, "cpu_us_load") - closed(base, "cpu_us_load"),
        "p50": (run["closed3"]["p50"] - base["closed3"]["p50"]) / 1000,
        "bystander": added("bystander", "cpu_us_bystander"),
        "bystander client": added("bystander", "cpu_us_load"),
        "agent": closed(run, "agent"),
        "agent outside the kernel": closed(run, "own"),
        "agent, burst": per(run, "burst", "agent"),
        "spans": int(run["burst"]["spans"]),
        "spans lost": run["burst"]["n"] - int(run["burst"]["distinct"]) + abs(int(run["burst"]["spans"]) - run["burst"]["n"]),
        "first span, s": run["start"] / 1e9,
        "idle, % of a core": run["idle"] / 10e6 * 100,
        "RSS, MB": run["rss"] / 1024,
        "RSS without the ring, MB": (run["rss"] - run["ring"]) / 1024,
        "peak RSS, MB": run["peak"] / 1024,
        "maps, MB": run["maps"] / 1024,
        "overload, % more in the app": (per(run, "overload", "cpu_us_app") / per(run, "steady", "cpu_us_app") - 1) * 100,
        "overload, s": run["overload"]["elapsed_ns"] / 1e9,
        "overload, events not captured": run["lost"],
        "exit code": run["exit"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("run")
    parser.add_argument("--goals", metavar="APP:BACKEND")
    parser.add_argument("--strict", action="store_true", help="nothing short of its goal is kept")
    options = parser.parse_args()
    got = figures(read(options.base), read(options.run))
    goals = {**ALWAYS, **GOALS[options.goals]} if options.goals else {}
    kept = True
    print(f"| {options.goals or 'figure'} | measured | goal | |\n| --- | ---: | ---: | --- |")
    for name, value in got.items():
        goal, note = goals.get(name), ""
        if goal is not None and value > goal:
            reached, why = (goal, "") if options.strict else REACHED.get(name, (goal, ""))
            kept &= value <= reached
            note = f"goal not reached, at most {reached} is kept: {why}" if value <= reached else "MISSED"
        shown = f"{value}" if isinstance(value, int) else f"{value:.2f}"
        print(f"| {name} | {shown} | {'' if goal is None else f'<= {goal}'} | {note} |")
    if options.goals and got["overload, events not captured"] == 0:
        print("the overload was none: nothing was lost")
        kept = False
    if options.goals and got["overload, s"] < 29:
        print("the overload was shorter than 30 s")
        kept = False
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
