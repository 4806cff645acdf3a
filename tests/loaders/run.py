"""Every loader on its real runtimes: started with exactly the environment that a Pod would get, judged by what a receiver
takes, by exit codes and by output. Needs root: the volume is mounted at /obtrace in a mount namespace of our own."""

import argparse
import importlib
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import traceback

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from world import Missing, World, Wrong  # noqa: E402

LANGUAGES = ("nodejs", "python", "java", "dotnet", "php", "ruby")
# What is about no language alone.
MORE = ("installer", "together")
# With --lanes these go side by side, each lane one after the other: those that start database servers are in one.
LANES = (("nodejs", "python", "ruby"), ("java", "dotnet", "php"))
SEPARATED = "OBTRACE_TEST_NAMESPACE"


def separate():
    """Goes on in a mount namespace of its own."""
    if os.environ.get(SEPARATED) == str(os.getpid()):
        return
    if os.geteuid() != 0:
        print("not root: a volume cannot be mounted at /obtrace")
        sys.exit(77)
    os.environ[SEPARATED] = str(os.getpid())
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def cases(options):
    """(name, function) of every case. A folder's module `cases.py` has CASES: functions that take a world."""
    for name in options.language or LANGUAGES + MORE:
        for function in importlib.import_module(f"{name}.cases").CASES:
            yield f"{name}/{function.__name__.replace('_', '-')}", function


def judge(function, world):
    """None and a note if all is well; else the lines that say what is not, and a word."""
    try:
        return "ok", [], function(world) or ""
    except Missing as missing:
        return "skipped", [], str(missing)
    except Wrong as wrong:
        return "FAILED", wrong.lines, ""
    except Exception:
        return "FAILED", traceback.format_exc().splitlines()[-12:], ""
    finally:
        world.end_all()
        world.unmount()


class Played:
    """What a run of this program for one language printed, and its counts."""

    def __init__(self, arguments, environment):
        done = subprocess.run([sys.executable, __file__, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        told, _, summary = done.stdout.rstrip().rpartition("\n")
        found = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", summary)
        # Without a summary it broke: that counts as a failure, and cannot be played again.
        self.told = told.rstrip() if found else done.stdout
        self.counts = [int(count) for count in found.groups()] if found else [0, 1, 0]
        self.failed = re.findall(r"^(\S+) +FAILED ", told, re.MULTILINE) if found else []

    def lines_of(self, name):
        """What is wrong with a case."""
        return [line for line in self.told.splitlines() if line.startswith(f"    {name}: ")]


def alone(played, arguments, environment):
    """A case that failed beside the other lane is played once more with the machine to itself: what fails there too, failed. One that does
    not is told, with what was wrong the first time."""
    for name in played.failed:
        print(f" -> {name} once more, alone", flush=True)
        again = Played([*arguments, "--case", name], environment)
        print(again.told, flush=True)
        if again.counts == [1, 0, 0]:
            played.counts = [played.counts[0] + 1, played.counts[1] - 1, played.counts[2]]
            print(f"ONLY ALONE {name}: beside others:\n" + "\n".join(played.lines_of(name)), flush=True)
        else:
            print("\n".join([f"FAILED TWICE {name}: beside others:", *played.lines_of(name), "  alone:", *again.lines_of(name)]), flush=True)


def in_lanes():
    """Runs the languages in lanes, each as a program of its own; the exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--lanes"]
    environment = {name: value for name, value in os.environ.items() if name != SEPARATED}
    everything, telling = [], threading.Lock()

    def lane(languages):
        for language in languages:
            print(f" -> {language}", flush=True)
            played = Played([*arguments, "--language", language], environment)
            with telling:
                print(played.told, flush=True)
                everything.append((language, played))

    threads = [threading.Thread(target=lane, args=(languages,)) for languages in LANES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for language, played in everything:
        alone(played, [*arguments, "--language", language], environment)
    passed, failed, skipped = (sum(played.counts[index] for _, played in everything) for index in range(3))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0])
    parser.add_argument("--obtrace-zero", required=True, type=pathlib.Path)
    parser.add_argument("--obtrace-loaders", type=pathlib.Path)
    parser.add_argument("--obtrace-agent", type=pathlib.Path)
    parser.add_argument("--agent-files", required=True, type=pathlib.Path, help="the folder with one folder a language, as /agent in the image")
    parser.add_argument("--language", action="append", choices=LANGUAGES + MORE)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases that have this in their name")
    parser.add_argument("--case", metavar="NAME", help="one case, by its whole name")
    parser.add_argument("--lanes", action="store_true", help="all languages, two at a time; what each printed comes when it has ended")
    options = parser.parse_args()
    if options.lanes:
        sys.exit(in_lanes())
    separate()
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    world = World(options)
    counts, notes = {"ok": 0, "FAILED": 0, "skipped": 0}, []
    for name, function in cases(options):
        if options.case not in (None, name) or options.only and not any(word in name for word in options.only):
            continue
        began = time.monotonic()
        word, lines, note = judge(function, world)
        counts[word] += 1
        print(f"{name:<44} {word:<7} {time.monotonic() - began:5.1f} s  {note}", flush=True)
        for line in lines:
            print(f"    {name}: {line}", flush=True)
        if word == "skipped":
            notes.append(f"SKIPPED {name}: {note}")
    for line in notes:
        print(line)
    print(f"\n{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["FAILED"] else 0)


main()
