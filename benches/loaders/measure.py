"""What a loader costs: CPU at start and a request, memory, size on disk; bare, ours, and the OpenTelemetry distribution.

    python3 benches/loaders/measure.py --obtrace-zero target/release/obtrace-zero --agent-files target/loaders nodejs

The contenders of a language are the same application with other variables. All of them run at once, and are asked in
turns, so that what disturbs the machine disturbs all; a figure is the median of the turns. CPU is user and system time
of the whole process tree as the kernel counts it, until what a turn's requests left to send has been sent. What arrived is
counted, and who delivered nothing has no figure. Needs wrk, and root for the mount at /obtrace."""

import argparse
import importlib
import json
import os
import pathlib
import re
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent.parent / "tests/loaders"))
sys.path.append(str(HERE.parent.parent / "tests"))

from arrivals import Arrivals  # noqa: E402
from contender import family  # noqa: E402
from receiver import Receiver  # noqa: E402
from world import Missing, World, Wrong  # noqa: E402

LANGUAGES = ("nodejs", "python", "java", "dotnet", "php", "ruby")
SEPARATED = "OBTRACE_BENCH_NAMESPACE"


def memory(pid):
    """MiB of a process tree, shared pages by their share."""
    total = 0
    for member in family(pid):
        total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{member}/smaps_rollup").read_text(), re.M)[1])
    return total / 1024


def size(folder):
    """MiB and number of the files below a folder."""
    if folder is None:
        return 0, 0
    files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files) / 2**20, len(files)


def measure(world, language, options):
    module = importlib.import_module(language)
    with Receiver() as receiver:
        world.mount(world.volume(language))
        contenders = module.contenders(world, receiver)
        arrivals = Arrivals(receiver)
        for contender in contenders:
            arrivals.give(contender)
        for _ in range(options.starts):
            for contender in contenders:
                contender.start(world).kill()
                world.applications.remove(contender.application)
        for contender in contenders:
            contender.start(world)
        in_turns(contenders, arrivals, options)
        rows = [row(contender) for contender in contenders]
        world.end_all()
        world.unmount()
    return rows


def in_turns(contenders, arrivals, options):
    """The turns; one before them warms up. At the end each says its last words, a report of metrics among them."""
    for contender in contenders:
        contender.ask(max(options.seconds, contender.warm), arrivals.settle)
        contender.requests.clear()
    for _ in range(options.rounds):
        arrivals.take()
        for contender in contenders:
            contender.ask(options.seconds, arrivals.settle)
    for contender in contenders:
        contender.memory = memory(contender.application.pid)
        # Not all end of it: OpenTelemetry's Node.js takes the signal away from its application.
        contender.application.process.terminate()
    arrivals.settle()
    arrivals.take()
    for contender in contenders:
        contender.judge()


def row(contender):
    megabytes, files = size(contender.files)
    spans, records = (contender.arrived[signal] / contender.asked for signal in ("traces", "logs"))
    return {
        "contender": contender.name, "start_cpu_s": statistics.median(contender.starts),
        "cpu_us_per_request": statistics.median(contender.requests), "memory_mib": contender.memory,
        "disk_mib": megabytes, "files": files,
        "requests": contender.asked, "spans_per_request": spans, "log_records_per_request": records, "metric_points": contender.arrived["metrics"]}


def show(language, rows):
    print(f"\n{language:<24}{'start, CPU s':>14}{'request, CPU us':>18}{'PSS MiB':>10}{'disk MiB':>10}{'files':>8}"
          f"{'spans':>8}{'logs':>8}{'points':>8}")
    for it in rows:
        print(f"  {it['contender']:<22}{it['start_cpu_s']:>14.2f}{it['cpu_us_per_request']:>18.1f}{it['memory_mib']:>10.1f}"
              f"{it['disk_mib']:>10.2f}{it['files']:>8}"
              f"{it['spans_per_request']:>8.2f}{it['log_records_per_request']:>8.2f}{it['metric_points']:>8}")
    print("  spans and logs: what reached the receiver, a request; points: data points of metrics in all")
    named = {it["contender"]: it for it in rows}
    for name in ("start_cpu_s", "cpu_us_per_request"):
        for contender in named:
            if contender.split()[0] != "ours":
                continue
            # "ours on 3.1" is compared with "bare on 3.1".
            bare = named[contender.replace("ours", "bare", 1)][name]
            adds = named[contender][name] - bare
            theirs = named.get(contender.replace("ours", "OpenTelemetry", 1))
            print(f"  {name}: {contender} adds {adds:.3f}" + (f" ({100 * adds / bare:.0f} % of bare)" if bare else "")
                  + (f", {adds / (theirs[name] - bare):.2f} of what the distribution adds" if theirs else ""))


def separate():
    """Goes on in a mount namespace of its own."""
    if os.environ.get(SEPARATED) != str(os.getpid()):
        os.environ[SEPARATED] = str(os.getpid())
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("languages", nargs="*", default=LANGUAGES, choices=LANGUAGES, metavar="LANGUAGE")
    parser.add_argument("--obtrace-zero", required=True, type=pathlib.Path)
    parser.add_argument("--obtrace-loaders", type=pathlib.Path)
    parser.add_argument("--agent-files", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2, help="of each turn")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    separate()
    world = World(options)
    began = time.monotonic()
    for language in options.languages:
        try:
            rows = measure(world, language, options)
        except (Wrong, Missing) as error:
            sys.exit(f"{language}: {error}")
        print(json.dumps({language: rows})) if options.json else show(language, rows)
    print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)


main()
