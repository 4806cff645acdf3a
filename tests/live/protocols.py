#!/usr/bin/env python3
"""protocols.py --agent PATH [--only WORD]... [--keep FOLDER]: the agent beside the servers and clients of tests/replay.

The agent runs with nothing configured. On their standard ports the servers are asked by connections that begin after the
agent, on the odd ones also by connections that were there before it. What the clients logged is the truth: each end tells all
of it once, and nothing else; a client's span is the parent of the server's. Needs root; `cargo xtask test --part live`
installs what it needs.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

REPLAY = pathlib.Path(__file__).resolve().parents[1] / "replay"
# Servers, clients and comparison are those of the captures.
sys.path.insert(0, str(REPLAY))

import compare
import parts
import world
from agent import Agent

HERE = pathlib.Path(__file__).resolve().parent
# The share of the operations of which a span may tell a part only: of a call the kernel's side captures no more than
# 256 KiB, and what an answer has to be known by may have passed before a connection was seen.
SELDOM = 0.05
SECOND = 1_000_000_000
# What was said of header fields and of the version before the connection was seen is not known; a Kafka broker sends records past
# user memory.
IN_PART = {"http2-older": 1, "grpc-older": 1, "mqtt-older": 1, "kafka-usual": 0.08}
# PHP-FPM's bodies go by at more than 100 MB/s, of which the ring buffer holds an instant: a client takes so many seconds after each.
PAUSES = {"fastcgi": 0.02}
# What a server pushes it sends before its client knows of it; one that refuses instead of greeting speaks first, and has ended by then.
UNLINKED = {"http2-usual": 8, "mysql-usual": 2}
PARTIAL = ("gap", "truncated", "complete")
# Programs by their services: servers, and who asks in the place of a case's client.
SERVICES = {
    "fastcgi": {"nginx", *(path.name for path in pathlib.Path("/usr/sbin").glob("php-fpm*"))}, "genai": {"genai"}, "grpc": {"grpc_server"},
    "http2": {"nghttpd", "apache2"}, "kafka": {"Kafka"}, "mongodb": {"secantusd-py", "compressing"}, "mqtt": {"mosquitto"},
    "mysql": {"mariadbd"}, "websocket": {"websocket"},
}
# Attributes that every span of a protocol has, and their values.
CONVENTIONS = {
    "fastcgi": {"network.protocol.name": ["fastcgi"]}, "grpc": {"rpc.system.name": ["grpc"], "network.protocol.version": ["2"]},
    "http2": {"network.protocol.version": ["2"]}, "kafka": {"messaging.system": ["kafka"]}, "mongodb": {"db.system.name": ["mongodb"]},
    "mqtt": {"messaging.system": ["mqtt"]}, "mysql": {"db.system.name": ["mysql", "mariadb"]},
    "websocket": {"network.protocol.name": ["websocket"]},
}
THE_END = "agent-ends"
# The attribute of the resource that tells processes of this run.
RUN = "live.run"
# What stands for the port where a socket of a file is asked.
LOCAL = 1


class Place(world.World):
    """The servers of the captures, and some that listen on sockets of files."""

    def fastcgi(self):
        super().fastcgi()
        local = self.folder / "local"
        local.mkdir()
        (local / "fpm.conf").write_text(
            f"[global]\nerror_log = {local}/fpm.errors\ndaemonize = no\n"
            f"[www]\nuser = root\ngroup = root\nlisten = {local}/fpm\npm = static\npm.max_children = 3\n")
        program = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1]
        self.start("fpm-local", program, "--allow-to-run-as-root", "-d", "display_errors=0", "-F", "-y", local / "fpm.conf")
        servers = f"upstream kept {{ server unix:{local}/fpm; keepalive 2; }}\n"
        for name, passes in (("single", f"fastcgi_pass unix:{local}/fpm;"), ("kept", "fastcgi_pass kept; fastcgi_keep_conn on;")):
            servers += f"server {{ listen unix:{local}/{name}; location / {{ {passes} }} }}\n"
        text = (REPLAY / "servers/fastcgi.conf").read_text()
        for word, value in (("FOLDER", str(local)), ("SCRIPT;", f"{REPLAY}/servers/index.php;"), ("SERVERS", servers)):
            text = text.replace(word, value)
        (local / "nginx.conf").write_text(text)
        self.start("nginx-local", "nginx", "-e", local / "nginx.errors", "-c", local / "nginx.conf")
        for _ in range(300):
            if (local / "fpm").exists() and (local / "kept").exists():
                return
            time.sleep(0.1)
        sys.exit("PHP-FPM does not listen")


class Case:
    """One line of the table: a client, the port it asks, and what must come of it."""

    def __init__(self, name, protocol, client, older=False):
        self.name, self.protocol, self.client, self.older = name, protocol, client, older
        self.records, self.process, self.took = [], None, 0

    def start(self, place):
        environment = {**os.environ, "OTEL_SERVICE_NAME": f"live-{self.name}", "PYTHONDONTWRITEBYTECODE": "1",
                       "TRUTH_PAUSE": str(PAUSES.get(self.protocol, 0))}
        self.process = subprocess.Popen(
            [str(word) for word in (place.python, *self.client)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment, cwd=place.folder, preexec_fn=world.as_child)
        while self.older:
            line = self.process.stderr.readline()
            if line == "connected\n":
                return
            if not line:
                sys.exit(f"{self.name} did not connect: {self.process.communicate()}")

    def run(self, place):
        """Lets it do what it does; what it logged."""
        begun = time.monotonic()
        if not self.older:
            self.start(place)
        out, err = self.process.communicate("", timeout=180)
        if self.process.returncode != 0:
            sys.exit(f"{self.name} failed: {err[-2000:]}")
        self.records = [json.loads(line) for line in out.splitlines()]
        self.took = time.monotonic() - begun
        print(f" -> {self.name}: {len(self.records)} operations ({self.took:.1f} s)", flush=True)

    def most_in_part(self):
        return IN_PART.get(self.name, SELDOM)

    def most_unlinked(self):
        return UNLINKED.get(self.name, len(self.records) * SELDOM if self.older else 0)


def client(name):
    return REPLAY / f"clients/{name}_client.py"


def cases(place):
    """Those with older connections first: their clients connect before the agent starts. What takes longest begins first."""
    older = {"kafka": world.KAFKA, "mongodb": world.MONGODB, "mysql": world.MYSQL, "mqtt": world.MQTT, "http2": world.NGHTTPD, "grpc": world.GRPC,
             "websocket": world.WEBSOCKET, "fastcgi": world.FASTCGI, "genai": world.GENAI}
    for protocol, (_, odd) in older.items():
        more = [place.folder / f"fastcgi-kept-{odd}"] if protocol == "fastcgi" else []
        yield Case(f"{protocol}-older", protocol, [HERE / "clients/pools.py", protocol, odd, *more], older=True)
    for protocol, sockets in (("mysql", [f"mysql-{world.MYSQL[0]}-run/socket"]), ("fastcgi", ["local/kept", "local/single"])):
        paths = [place.folder / name for name in sockets]
        yield Case(f"{protocol}-local", protocol, [HERE / "clients/pools.py", f"{protocol}_local", LOCAL, *paths], older=True)
    arguments = {
        "kafka": [world.KAFKA[0]],
        "mongodb": [world.MONGODB[0], *(f"{name}={ports[0]}" for name, ports in world.COMPRESSING.items())],
        "mysql": [world.MYSQL[0]],
        "mqtt": [world.MQTT[0]],
        "http2": [f"nghttpd={world.NGHTTPD[0]}", f"apache={world.APACHE[0]}"],
        "grpc": [world.GRPC[0]],
        "websocket": [f"library={world.WEBSOCKET[0]}", f"uvicorn={world.UVICORN_SOCKETS[0]}"],
        "fastcgi": [world.FASTCGI[0], REPLAY / "servers/index.php", f"fastcgi-{world.FASTCGI[0]}", f"fastcgi-kept-{world.FASTCGI[0]}"],
        "genai": [world.GENAI[0]],
    }
    for protocol, words in arguments.items():
        yield Case(f"{protocol}-usual", protocol, [client(protocol), *words])


def attribute(span, *names):
    return compare.attribute(span, *names)


class Ends:
    """The spans of a case, those of its clients' ends and those of its servers'."""

    def __init__(self, case, spans):
        protocols, ports = {record["protocol"] for record in case.records}, {record["port"] for record in case.records}
        self.client, self.server = [], []
        for span in spans:
            if span["protocol"] not in protocols:
                continue
            if attribute(span, "network.transport") == "unix":
                span["attributes"]["network.peer.port" if span["kind"] == "client" else "server.port"] = LOCAL
            if attribute(span, "network.peer.port") in ports:
                self.client.append(span)
            elif attribute(span, "server.port") in ports:
                # What a broker delivers is told as what is sent to it: by the port of the peer.
                span["attributes"]["network.peer.port"] = attribute(span, "server.port")
                self.server.append(span)

    def unlinked(self):
        """What does not have the other end as its only child or as its parent: who sends first is the parent."""
        lines, below = [], collections.Counter()
        ends = ({span["span_id"]: span for span in self.client}, {span["span_id"]: span for span in self.server})
        parents = {}
        for own, others in (ends, ends[::-1]):
            for span in own.values():
                parent = others.get(span.get("parent_span_id"))
                # A relay is a client of one port for what it is asked for on another.
                if parent and compare.port_of(parent) == compare.port_of(span) and parent["trace_id"] == span["trace_id"]:
                    parents[span["span_id"]] = parent
                    below[parent["span_id"]] += 1
        for name, spans in zip(("client", "server"), ends):
            for number, span in spans.items():
                # Both ends know of a session when it is there: the server first.
                if span["protocol"] != "websocket" and below[number] + (number in parents) != 1:
                    lines.append(f"{name}: {below[number]} of the other end below it, {number in parents} above it: {compare.key(span)}")
        return lines


def living():
    """The processes in this network namespace: nothing but this run."""
    own, found = os.readlink("/proc/self/ns/net"), set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/ns/net") == own:
                found.add(int(name))
        except OSError:
            pass  # it is gone
    return found


def agrees(span, record):
    """Whether a span of which a part was not seen says nothing else than what was done, and lies in its time."""
    (*found, completeness), (*wanted, _) = compare.key(span), compare.truth(record)
    same = len(found) == len(wanted) and all(one in (None, "", other) or compare.agree(one, other) for one, other in zip(found, wanted))
    start = span["start_unix_nano"]
    return same and completeness in PARTIAL and record["start"] - compare.SLACK <= start <= record["end"] + compare.SLACK


def distance(moment, record):
    """How far outside the time of what was done a moment is, and how far behind its beginning."""
    return (max(record["start"] - moment, moment - record["end"], 0), abs(moment - record["start"]))


def split(spans, records):
    """What is left of both without the operations of which a span tells a part only, and how many these are."""
    waiting = collections.defaultdict(list)
    for record in records:
        waiting[compare.truth(record)].append(record)
    exact, others, cut = [], [], []
    for span in sorted(spans, key=lambda span: span["start_unix_nano"]):
        # Of those that are called alike the one in whose time it lies, or nearest to it.
        record = min((record for record in waiting[compare.key(span)] if agrees(span, record)),
                     key=lambda record: distance(span["start_unix_nano"], record), default=None)
        if record:
            waiting[compare.key(span)].remove(record)
        (exact if record else others).append(span)
    missing = [record for record in records if any(record is other for other in waiting[compare.truth(record)])]
    for span in list(others):
        record = next((record for record in missing if agrees(span, record)), None)
        if record:
            missing = [other for other in missing if other is not record]
            others = [other for other in others if other is not span]
            cut.append(id(record))
    return exact + others, [record for record in records if id(record) not in cut], len(cut)


def named(span):
    """The differences from the conventions: who it is of, and how the span is called."""
    wanted = CONVENTIONS.get(span["protocol"], {})
    lines = [f"{name} is {attribute(span, name)}: {compare.key(span)}" for name, values in wanted.items() if attribute(span, name) not in values]
    begins = attribute(span, "http.request.method", "rpc.method", "messaging.operation.name", "db.query.summary", "db.operation.name")
    begins = begins or {"websocket": "websocket", "grpc": "grpc"}.get(span["protocol"])
    if attribute(span, "gen_ai.operation.name"):
        begins = attribute(span, "gen_ai.operation.name")
    if not begins or not span["name"].startswith(begins):
        lines.append(f"it is called {span['name']}: {compare.key(span)}")
    return lines


def check(case, spans):
    ends = Ends(case, spans)
    lines, cut = [], []
    for name, found in (("client", ends.client), ("server", ends.server)):
        # A server may hear of the end a while after its client.
        later = [{**record, "end": record["end"] + (SECOND if name == "server" else 0)} for record in case.records]
        whole, records, partial = split(found, later)
        lines += [f"{name}: {line.strip()}" for line in compare.whole(whole, records)]
        lines += [f"{name}: {line}" for span in found for line in named(span)]
        services = {span["resource"].get("service.name") for span in found}
        if services - SERVICES[case.protocol] - {f"live-{case.name}"}:
            lines.append(f"{name}: services {sorted(services)}")
        cut.append(partial)
        if partial > len(case.records) * case.most_in_part():
            lines.append(f"{name}: only a part is told of {partial} of {len(case.records)}")
    unlinked = ends.unlinked()
    if len(unlinked) > 2 * case.most_unlinked():
        lines += unlinked
    return lines, (f"{len(case.records)} operations, {len(ends.client)} and {len(ends.server)} spans, {cut[0]} and {cut[1]} in part, "
                   f"{len(unlinked)} not linked")


def together(place, chosen):
    """Starts the servers, all at the same time. The threads have to stay: their children end with them."""
    threads = concurrent.futures.ThreadPoolExecutor(len(chosen))
    for started in [threads.submit(getattr(place, protocol)) for protocol in chosen]:
        started.result()
    return threads


def run(options, interpreter):
    results, agent = play(options, interpreter, options.only)
    again = [name for name, lines, _ in results if lines and name != THE_END]
    if again and "not captured, ring: " in agent.said:
        # The agent says so itself: it did not get the processor while megabytes went by. One that is too slow loses again.
        print(f" -> the ring buffer was full for a moment; once more: {', '.join(again)}", flush=True)
        show(results, agent)
        repeated, agent = play(options, interpreter, again)
        results = [result for result in results if not result[1]] + repeated
    show(results, agent)
    failed = sum(bool(lines) for _, lines, _ in results)
    print(f"\n{len(results) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def play(options, interpreter, only):
    """Servers, an agent and the cases: the name, the differences and what was seen of each and of the agent's end."""
    place = Place(interpreter)
    selected = [case for case in cases(place) if not only or any(case.name.startswith(word) for word in only)]
    if not selected:
        sys.exit(f"no case begins with {' or '.join(only)}")
    begun = time.monotonic()
    threads = together(place, list(dict.fromkeys(case.protocol for case in selected)))
    print(f" -> servers ({time.monotonic() - begun:.1f} s)", flush=True)
    for case in selected:
        if case.older:
            case.start(place)
    agent = Agent(options.agent, place.folder, arguments=options.arguments)
    problem = agent.ready()
    if problem:
        # What the agent says (77: this machine cannot) is for whoever called us.
        print(f"the agent ended: {problem}")
        sys.exit(77 if problem.startswith("exit code 77") else 1)
    for case in selected:
        case.run(place)
    agent.settle()
    ended = agent.stop()
    agent.said = agent.log()
    # The agent sees the whole machine. What writes over its environment is told by its number.
    alive = living()
    spans = [span for span in agent.spans() if span["resource"].get(RUN) == str(os.getpid()) or span["resource"].get("process.pid") in alive]
    if options.keep:
        keep(options.keep, agent, selected)
    place.close()
    threads.shutdown()
    results = [(case.name, *check(case, spans)) for case in selected]
    results.append((THE_END, [] if ended == 0 else [f"the agent ended with {ended}"], agent.said.strip().splitlines()[0]))
    return results, agent


def keep(folder, agent, selected):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for path in (agent.out, agent.err):
        shutil.copy(path, folder)
    pathlib.Path(folder, "truth.jsonl").write_text(
        "".join(json.dumps({"case": case.name, **record}) + "\n" for case in selected for record in case.records))


def show(results, agent):
    """The table, the differences, the agent's totals."""
    print(f"\n{'case':<22} {'result':<7} what")
    for name, lines, what in results:
        print(f"{name:<22} {'FAILED' if lines else 'ok':<7} {what}")
    for name, lines, _ in results:
        for line in lines[:30]:
            print(f"  {name}: {line}")
        if len(lines) > 30:
            print(f"  {name}: and {len(lines) - 30} more differences")
    print("\nthe agent's summary:")
    print("\n".join("  " + line for line in agent.said.strip().splitlines()[-20:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="cases whose name begins with it")
    parser.add_argument("--keep", metavar="FOLDER", help="put spans, truth and the agent's log there")
    parser.add_argument("arguments", nargs="*", help="more arguments for the agent, after --")
    options = parser.parse_args()
    options.agent = options.agent.resolve()
    if os.geteuid() != 0:
        print("needs root: the agent loads BPF programs, and the servers get a namespace of their own")
        sys.exit(77)
    interpreter = parts.prepare(SERVICES)
    world.enter_namespace()
    os.environ["OTEL_RESOURCE_ATTRIBUTES"] = f"{RUN}={os.getpid()}"
    if not os.listdir("/sys/kernel/tracing"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)
    sys.exit(run(options, interpreter))


main()
