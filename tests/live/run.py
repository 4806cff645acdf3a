#!/usr/bin/env python3
"""run.py --agent PATH [--container] [--only WORD]... [--keep FOLDER]: the agent beside real servers and clients.

The agent runs with nothing configured. What the client programs logged that they did is the truth: every request has
to appear once on each side, with the right names, and both ends in one trace. Needs root; `cargo xtask test --part live`
installs what it needs. With --container everything runs as in a container, in a nested PID namespace and without a
mount of the host, and the agent has four capabilities.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import compare
from agent import Agent
from world import HERE, PORTS, POSTGRES, REDIS, World, as_child, enter_namespaces

PARALLEL = 32
CHAINS = 20
# The server's chains run on the thread that read the request, one at a time: each call has to find its parent. Go moves
# goroutines between threads, and puma reads a late request in its reactor: there a call may have none.
ONE_STRAND = ("nginx", "uvicorn", "gunicorn", "node", "java")


class Client:
    """A client program; it runs at once, or waits for `go` where it connects before the agent starts."""

    def __init__(self, world, name, command, waits=False):
        self.name, self.waits = name, waits
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE if waits else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=as_child, cwd=world.folder,
            env={**os.environ, "OTEL_SERVICE_NAME": f"live-{name}", "PYTHONDONTWRITEBYTECODE": "1"})
        if waits and "connected" not in self.process.stderr.readline():
            sys.exit(f"{name} did not connect: {self.process.stderr.read()}")

    def records(self):
        """Lets it finish; what it logged."""
        out, err = self.process.communicate("" if self.waits else None, timeout=120)
        if self.process.returncode != 0:
            sys.exit(f"client {self.name} failed: {err.strip() or out.strip()}")
        return [json.loads(line) for line in out.splitlines()]


class Case:
    """One line of the table: a client, whom it talks to, and what must come of it."""

    def __init__(self, name, server, command, waits=False, check=None):
        self.name, self.server, self.command, self.waits = name, server, command, waits
        self.check = check or linked
        self.records, self.client = [], None

    def start(self, world):
        self.client = Client(world, self.name, self.command, self.waits)


# The line of the table about the agent's own end.
THE_END = types.SimpleNamespace(name="agent-ends")


def service_of(server):
    """What the server's spans must be called: by its setting, else by its program."""
    return {"nginx": "nginx", "postgres": "postgres", "redis": "redis-server"}.get(server, f"live-{server}")


def linked(case, spans):
    lines = compare.client_and_server(spans, f"live-{case.name}", case.records, service_of(case.server))
    # nginx hands on under the same path: two spans a side.
    if case.server in PORTS and case.server != "nginx":
        lines += compare.once_per_side(spans, case.records)
    return lines, f"{len(case.records)} requests"


def one_at_a_time(case, spans):
    lines, _ = linked(case, spans)
    right, none, wrong = compare.chains(spans, service_of(case.server), case.mark)
    each = calls_in_chain(case.server)
    if right + none + len(wrong) != each * len(case.records):
        lines.append(f"{right + none + len(wrong)} calls made for {len(case.records)} chains, not {each} each")
    if case.server in ONE_STRAND and none:
        lines.append(f"{none} calls without a parent")
    return lines + wrong, f"{len(case.records)} chains, {right} calls with the right parent, {none} with none"


def at_once(case, spans):
    lines, _ = linked(case, spans)
    right, none, wrong = compare.chains(spans, service_of(case.server), case.mark)
    return lines + wrong, f"{len(case.records)} chains, {PARALLEL} at once: {right} calls right, {none} no parent, {len(wrong)} wrong"


def calls_in_chain(server):
    """nginx makes one call, uvicorn and gunicorn ask PostgreSQL and Redis too; asyncpg prepares nothing apart."""
    return 3 if server in ("uvicorn", "gunicorn") else 1


def cases(world):
    """All cases, in the order in which they run; those that wait connect before the agent starts."""
    python = [sys.executable]
    web = [*python, HERE / "clients/web.py"]
    database = [*python, HERE / "clients/database.py"]
    cache = [*python, HERE / "clients/cache.py", REDIS]
    mark = lambda name: name.replace("-", "").replace("_", "")

    def http(server, plan, *more, **options):
        name = f"{server}-{plan}"
        case = Case(name, server, [*web, PORTS[server], mark(name), plan, *more], **options)
        case.mark = mark(name)
        return case

    for server in PORTS:
        if server in world.servers:
            for plan in ("usual", "bytes", "big"):
                yield http(server, plan)
            yield http(server, "waiting", waits=True)
            yield http(server, "chain", CHAINS, check=one_at_a_time)
            if server in ("uvicorn", "node", "nginx", "gunicorn", "go"):
                yield http(server, "parallel", PARALLEL, check=at_once)
            paths = [f"http://127.0.0.1:{PORTS[server]}/items/{server}curl{number}" for number in range(5)]
            record = json.dumps({"protocol": "http", "method": "%{method}", "path": "PATH", "status": "STATUS", "port": PORTS[server]})
            record = record.replace("PATH", "/items/%{filename_effective}").replace('"STATUS"', "%{http_code}")
            outputs = [word for path in paths for word in ("-o", path.rsplit("/", 1)[-1], path)]
            yield Case(f"{server}-curl", server, ["curl", "-s", "-w", record + "\n", *outputs])
    for driver in ("psycopg2", "psycopg3", "asyncpg"):
        for kind, host in (("tcp", "127.0.0.1"), ("unix", world.folder / "postgres")):
            yield Case(f"{driver}-{kind}", "postgres", [*database, driver, host, f"{driver}{kind}"])
        yield Case(f"{driver}-waiting", "postgres", [*database, driver, "127.0.0.1", f"{driver}waiting", "waiting"], waits=True)
    for plan in ("usual", "pipeline", "transaction", "bytes"):
        yield Case(f"redis-{plan}", "redis", [*cache, f"redis{plan}", plan])
    yield Case("redis-waiting", "redis", [*cache, "rediswaiting", "waiting"], waits=True)


def run(options):
    world = World(options.container)
    world.postgres()
    world.redis()
    chosen = [name for name in PORTS if not options.only or any(name.startswith(word.split("-")[0]) or word in ("web", "http") for word in options.only)]
    # Chains end at nginx's static files, and nginx hands on to uvicorn.
    needed = [name for name in PORTS if name in chosen or (chosen and name in ("nginx", "uvicorn"))]
    world.web(needed)
    selected = [case for case in cases(world) if not options.only or any(case.name.startswith(word) for word in options.only)]
    if not selected:
        sys.exit(f"no case begins with {' or '.join(options.only)}")
    results, agent = play(world, selected, options)
    again = [case for case, lines, _ in results if lines]
    if again and THE_END not in again and agent.ring_was_full():
        # The agent says so itself: it did not get the processor while megabytes went by. One that is too slow loses again.
        print(f" -> the ring buffer was full for a moment; once more: {', '.join(case.name for case in again)}", flush=True)
        show(results, agent)
        repeated, agent = play(world, again, options)
        results = [result for result in results if not result[1]] + repeated
    show(results, agent)
    failed = sum(bool(lines) for _, lines, _ in results)
    print(f"\n{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def play(world, selected, options):
    """An agent beside the cases: (case, differences, what was seen) of each and of the agent's end, and the agent."""
    for case in selected:
        if case.waits:
            case.start(world)
    agent = Agent(options.agent, world.folder, options.container, options.arguments)
    problem = agent.ready()
    if problem:
        # What the agent says (77: this machine cannot) is for whoever called us.
        print(f"the agent ended: {problem}")
        sys.exit(77 if problem.startswith("exit code 77") else 1)
    for case in selected:
        if not case.waits:
            case.start(world)
        case.records = case.client.records()
        print(f" -> {case.name}: {len(case.records)} requests", flush=True)
    agent.settle()
    ended = agent.stop()
    spans = compare.Spans(agent.spans())
    if options.keep:
        shutil.copytree(world.folder, options.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("postgres", "static"))
        pathlib.Path(options.keep, "truth.jsonl").write_text(
            "".join(json.dumps({"case": case.name, **record}) + "\n" for case in selected for record in case.records))
    results = [(case, *case.check(case, spans)) for case in selected]
    if ended != 0:
        results.append((THE_END, [f"the agent ended with {ended}"], agent.log()[-500:]))
    else:
        results.append((THE_END, [], "exit code 0 after SIGINT"))
    return results, agent


def show(results, agent):
    """The table, the differences, the agent's totals."""
    print(f"\n{'case':<22} {'result':<7} what")
    for case, lines, what in results:
        print(f"{case.name:<22} {'FAILED' if lines else 'ok':<7} {what}")
    for case, lines, _ in results:
        for line in lines[:8]:
            print(f"  {case.name}: {line}")
        if len(lines) > 8:
            print(f"  {case.name}: and {len(lines) - 8} more differences")
    print("\nthe agent's summary:")
    print("\n".join("  " + line for line in agent.log().strip().splitlines()[-20:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    parser.add_argument("--container", action="store_true", help="own PID, mount, network, UTS, IPC and cgroup namespaces; four capabilities")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases whose name begins with it")
    parser.add_argument("--keep", metavar="FOLDER", help="put spans, truth and logs there")
    parser.add_argument("arguments", nargs="*", help="more arguments for the agent, after --")
    options = parser.parse_args()
    options.agent = options.agent.resolve()
    if os.geteuid() != 0:
        print("needs root: the agent loads BPF programs, and the servers get namespaces of their own")
        sys.exit(77)
    enter_namespaces(options.container)
    sys.exit(run(options))


main()
