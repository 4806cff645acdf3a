#!/usr/bin/env python3
"""Replays captures of real servers and clients and compares the spans with what the clients say they did.

    python3 tests/replay/run.py --agent PATH [--only http,grpc-go] [--keep FOLDER] [--seed NUMBER]

Each protocol, and some once more with other servers and clients, is recorded on its standard port and on an odd one. The
whole capture has to give exactly what the clients logged, also as pcapng, with every packet twice and with neighbours out
of order; tshark counts the requests, too. Of captures that lost packets or have a short snap length nothing wrong may
come, and all that the loss did not touch has to. Exit code 0 if all is so.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

import capture
import compare
import oracle
import parts
import witness
import world

CLIENTS = {
    "http": lambda at: [f"{name}={ports[at]}" for name, ports in
                        (("nginx", world.NGINX), ("uvicorn", world.UVICORN), ("gunicorn", world.GUNICORN), ("node", world.NODE), ("odd", world.ODD))],
    "http2": lambda at: [f"nghttpd={world.NGHTTPD[at]}", f"apache={world.APACHE[at]}"],
    "http2-load": lambda at: [f"nghttpd={world.NGHTTPD[at]}", f"apache={world.APACHE[at]}"],
    "grpc": lambda at: [world.GRPC[at]],
    "grpc-go": lambda at: [world.GRPC[at]],
    "grpc-node": lambda at: [world.GRPC[at]],
    "fastcgi": lambda at: [world.FASTCGI[at], world.HERE / "servers/index.php", f"fastcgi-{world.FASTCGI[at]}", f"fastcgi-kept-{world.FASTCGI[at]}"],
    "kafka": lambda at: [world.KAFKA[at]],
    "kafka-sasl": lambda at: [world.KAFKA[at]],
    "mongodb": lambda at: [world.MONGODB[at], *(f"{name}={ports[at]}" for name, ports in world.COMPRESSING.items())],
    "mongodb-java": lambda at: [world.MONGODB[at]],
    "mongodb-node": lambda at: [world.MONGODB[at]],
    "mysql": lambda at: [world.MYSQL[at]],
    "mysql-node": lambda at: [world.MYSQL[at]],
    "redis": lambda at: [world.REDIS[at]],
    "postgres": lambda at: [world.POSTGRES[at]],
    "genai": lambda at: [world.GENAI[at]],
    "dns": lambda at: [world.DNS[at], world.SILENT],
    "mqtt": lambda at: [world.MQTT[at]],
    "mqtt-node": lambda at: [world.MQTT[at]],
    "websocket": lambda at: [f"library={world.WEBSOCKET[at]}", f"uvicorn={world.UVICORN_SOCKETS[at]}"],
}
# The kinds of messages, sent and delivered, as each end sees them.
MESSAGES = {"client": ("producer", "consumer"), "server": ("producer",)}
# Operations of a protocol, at least.
LEAST = 500


def program(name, place):
    """The client of a case: in Python, or else for Node.js."""
    path = world.HERE / f"clients/{name.replace('-', '_')}_client.py"
    return [place.python, path] if path.exists() else ["node", path.with_suffix(".cjs")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agent", required=True, type=pathlib.Path, help="the obtrace-agent program")
    parser.add_argument("--only", default=",".join(CLIENTS), help="protocols, separated by commas")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for captures, logs and spans")
    parser.add_argument("--rounds", type=int, default=2, help="how many times captures are damaged, each time otherwise")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="of what is lost")
    arguments = parser.parse_args()
    missing = [name for name in ("tcpdump", "tshark", "editcap", "mosquitto", "nginx", "apache2", "curl", "nghttp", "nghttpd", "h2load", "kcat", "go", "node", "redis-server", "dnsmasq", "mariadbd", "java", "mvn", "npm", "ip", "unshare") if not shutil.which(name)]
    if missing:
        sys.exit(f"not installed: {' '.join(missing)}; apt-get install tcpdump tshark mosquitto nginx-light apache2-bin curl nghttp2-client nghttp2-server redis-server dnsmasq mariadb-server kcat golang-go nodejs npm postgresql default-jdk-headless maven iproute2 util-linux")
    interpreter = parts.prepare(arguments.only.split(","))
    world.enter_namespace()
    print(f"seed {arguments.seed}")
    failures, passed, failed = [], 0, 0
    for name in arguments.only.split(","):
        # Servers of two cases have the same ports.
        place = world.World(interpreter)
        getattr(place, name.replace("-", "_"))()
        case = Case(name, place, arguments)
        failures += case.check()
        passed, failed = passed + case.passed, failed + case.failed
        place.close()
    print("\n".join(failures) if failures else "all captures gave what the clients did")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failures else 0)


class Case:
    """A protocol, or certain servers and clients of it: the captures and what comes of them."""

    def __init__(self, name, place, arguments):
        self.name, self.place, self.agent = name, place, arguments.agent.resolve()
        self.protocol = name.split("-")[0]
        self.seed, self.rounds = arguments.seed, arguments.rounds
        self.folder = (arguments.keep or place.folder / "captures") / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.failures = []
        # Captures that were replayed and compared.
        self.passed = self.failed = 0

    def check(self):
        everything = []
        for at, ports in enumerate(("standard", "odd")):
            path = self.folder / f"{ports}.pcap"
            log = self.place.record(path, [*program(self.name, self.place), *CLIENTS[self.name](at)])
            capture.order(path)
            (self.folder / f"{ports}.truth.jsonl").write_bytes(log)
            records = [json.loads(line) for line in log.splitlines()]
            everything += records
            self.whole(path, records, f"{ports} ports")
            self.tell_witness(path, records)
            self.others(path, records)
        if len(everything) < LEAST:
            self.failures.append(f"{self.name}: only {len(everything)} operations")
        return self.failures

    def replay(self, path, perspective="client"):
        command = [self.agent, "replay", path, "--print", "jsonl", "--perspective", perspective]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode != 0:
            self.failures.append(f"{self.name} {path.name}: exit code {done.returncode}: {done.stderr.decode()[-500:]}")
        spans = [json.loads(line) for line in done.stdout.splitlines()]
        path.with_suffix(f".{perspective}.jsonl").write_bytes(done.stdout)
        # A broker is a client of its own controller.
        spans = [span for span in spans if span["protocol"] != "kafka" or compare.port_of(span) in world.KAFKA]
        for span in spans:
            if span["kind"] != perspective and span["kind"] not in MESSAGES[perspective]:
                self.failures.append(f"{self.name} {path.name}: a span of kind {span['kind']}")
                break
        # Connects that fail are spans of their own kind, not exchanges of the protocol.
        return [span for span in spans if span["protocol"] != "connect"]

    def whole(self, path, records, name):
        start = time.monotonic()
        spans = self.replay(path)
        took = time.monotonic() - start
        lines = compare.whole(spans, records)
        self.say(lines, f"{self.name}, {name}")
        verdict = "recall and precision 100 %" if not lines else "DIFFERENT"
        print(f"{self.name:13} {name}: {len(records)} operations, {len(spans)} spans, {verdict} ({took:.2f} s)", flush=True)

    def say(self, lines, name):
        if lines:
            self.failures += [f"{name}:", *lines]
        self.failed += bool(lines)
        self.passed += not lines

    def others(self, path, records):
        """The same packets in another form, and with losses."""
        self.say(compare.whole(self.replay(path, "server"), records), f"{self.name}, the servers' side")
        other = path.with_suffix(".pcapng")
        subprocess.run(["editcap", "-F", "pcapng", path, other], check=True)
        self.say(compare.whole(self.replay(other), records), f"{self.name}, pcapng")
        head, packets = capture.read(path)
        for name, changed in capture.disorders(packets, self.seed):
            other = path.with_name(f"{path.stem}-{name.replace(' ', '-')}.pcap")
            capture.write(other, head, changed)
            self.say(compare.whole(self.replay(other), records), f"{self.name}, {name}")
        known = oracle.Oracle(packets, self.replay(path))
        if len(known.spans) != len(records):
            self.failures.append(f"{self.name}: the packets of {len(records) - len(known.spans)} operations are not known")
        # A line without a length: after a loss nothing tells it from the rest of a value.
        exempt = {compare.truth(record) for record in records if record.get("inline")}
        damages = [damage for number in range(self.rounds) for damage in capture.damages(packets, self.seed + number)]
        for number, (name, changed, kept) in enumerate(damages):
            other = path.with_name(f"{path.stem}-damaged-{number}.pcap")
            capture.write(other, head, changed)
            lines, untouched, recall = compare.damaged(self.replay(other), known, kept, exempt, name)
            self.say(lines, f"{self.name}, {other.name}")
            verdict = ", WRONG" if lines else ""
            if not lines:
                other.unlink()
                other.with_suffix(".client.jsonl").unlink()
            print(f"{self.name:13} {name}: {untouched:.1%} untouched, {recall:.1%} complete{verdict}", flush=True)

    def tell_witness(self, path, records):
        """Compares the number of requests with tshark's, for what both count alike."""
        ports = {record["port"] for record in records}
        seen = getattr(witness, self.protocol)(path, ports)
        told = [record for record in records if not witness.apart(self.protocol, record)]
        if seen != len(told):
            self.failures.append(f"{self.name}: tshark sees {seen} requests, the clients say {len(told)}")
        print(f"{self.name:13} tshark: {seen} requests", flush=True)


if __name__ == "__main__":
    main()
