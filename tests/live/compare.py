"""Spans against what the clients logged."""

import collections


def attribute(span, name):
    return span["attributes"].get(name)


def service(span):
    return span["resource"].get("service.name")


def key(span):
    """What a span says of its exchange, in the words of the clients' logs. Servers' and clients' spans must agree on it."""
    if span["protocol"] == "http":
        return ("http", attribute(span, "http.request.method"), attribute(span, "url.path"), attribute(span, "http.response.status_code"))
    if span["protocol"] == "postgres":
        return ("postgres", attribute(span, "db.query.summary") or attribute(span, "db.operation.name"), attribute(span, "db.response.status_code"))
    if span["protocol"] == "redis":
        operation = attribute(span, "db.operation.name")
        return ("redis", operation.split()[0], None if own(operation) else span["status"] == "error")
    return (span["protocol"], span["name"])


def path_of(span):
    """The path that a span names: a client's span has the whole URL."""
    path = attribute(span, "url.path")
    if path is None and attribute(span, "url.full"):
        path = "/" + attribute(span, "url.full").split("/", 3)[-1]
    return path


def truth(record):
    if record["protocol"] == "http":
        return ("http", record["method"], record["path"], record["status"])
    if record["protocol"] == "postgres":
        return ("postgres", record["summary"], record["error"])
    return ("redis", record["operation"], None if own(record["operation"]) else record["failed"])


def own(operation):
    """What a library tells the server about itself: it does not say how the server took it."""
    return operation.split()[0] in ("CLIENT", "HELLO")


class Spans:
    """All spans of a run, found by service, parent and path."""

    def __init__(self, spans):
        for span in spans:
            if span["protocol"] == "http":
                span["attributes"]["url.path"] = path_of(span)
        self.all = spans
        self.by_id = {span["span_id"]: span for span in spans}
        self.of_service = collections.defaultdict(list)
        self.children = collections.defaultdict(list)
        self.of_path = collections.defaultdict(list)
        for span in spans:
            self.of_service[service(span), span["kind"]].append(span)
            self.children[span.get("parent_span_id")].append(span)
            if span["protocol"] == "http":
                self.of_path[attribute(span, "url.path")].append(span)


def multiset(found, wanted, what):
    """One line for each difference."""
    found, wanted = collections.Counter(found), collections.Counter(wanted)
    lines = [f"{what}: {count} x missing {item}" for item, count in (wanted - found).items()]
    return lines + [f"{what}: {count} x too many {item}" for item, count in (found - wanted).items()]


def client_and_server(spans, name, records, server, server_seen=True):
    """Every record once on the client's side and, linked to it, once on the server's: differences as lines."""
    # A library also asks the system, over sockets of its own (name services): only the protocol of the case counts.
    clients = [span for span in spans.of_service[name, "client"] if span["protocol"] == records[0]["protocol"]]
    lines = multiset(map(key, clients), map(truth, records), "client")
    ports = {record["port"] for record in records}
    for span in clients:
        lines += peer(span, ports)
        if span["completeness"] != "complete":
            lines.append(f"client {key(span)}: completeness {span['completeness']}")
        if not server_seen:
            continue
        other = [child for child in spans.children[span["span_id"]] if child["kind"] == "server"]
        if len(other) != 1:
            lines.append(f"client {key(span)}: {len(other)} server spans have it as their parent")
            continue
        lines += both_ends(span, other[0], server)
    return lines


def peer(span, ports):
    """The address that the client's span names is the server's."""
    address, port = attribute(span, "server.address"), attribute(span, "server.port")
    if attribute(span, "network.transport") == "unix":
        return [] if address is None or address.startswith("/") else [f"client {key(span)}: server.address is {address}"]
    if address not in ("127.0.0.1", "localhost", "live", "upstream") and attribute(span, "network.peer.address") != "127.0.0.1":
        return [f"client {key(span)}: server.address is {address}"]
    if attribute(span, "network.peer.port") not in ports and port not in ports:
        return [f"client {key(span)}: peer port is {attribute(span, 'network.peer.port')}, server.port {port}"]
    return []


def both_ends(client, server, name):
    lines = []
    if key(client) != key(server):
        lines.append(f"client says {key(client)}, server {key(server)}")
    if service(server) != name:
        lines.append(f"server {key(server)}: service is {service(server)}, not {name}")
    if client["trace_id"] != server["trace_id"]:
        lines.append(f"server {key(server)}: another trace than its client's")
    if not client["start_unix_nano"] <= server["start_unix_nano"]:
        lines.append(f"server {key(server)}: begins before its client's request")
    if server["resource"].get("process.pid") in (None, client["resource"].get("process.pid")):
        lines.append(f"server {key(server)}: process.pid is {server['resource'].get('process.pid')}")
    return lines


def once_per_side(spans, records, client_observed=True):
    """A path is unique, so that a request is exactly one client span and one server span wherever they are."""
    lines = []
    for record in records:
        kinds = collections.Counter(span["kind"] for span in spans.of_path[record["path"]])
        wanted = {"client": 1, "server": 1} if client_observed else {"server": 1}
        if dict(kinds) != wanted:
            lines.append(f"{record['method']} {record['path']}: spans {dict(kinds)}")
    return lines


def mark_of(span):
    """The name that a request and the calls it causes share."""
    if span["protocol"] == "http":
        return (attribute(span, "url.path") or "").rsplit("/", 1)[-1]
    if span["protocol"] == "postgres":
        text = attribute(span, "db.query.text") or ""
        return next((word[2:] for word in text.replace(",", " ").split() if word.startswith("q_")), None)
    if span["protocol"] == "redis":
        text = attribute(span, "db.query.text") or ""
        return next((word[2:] for word in text.split() if word.startswith("k:")), None)
    return None


def chains(spans, name, prefix):
    """The calls that a front service made for its requests: how many have the right parent, none, and a wrong one."""
    right = none = 0
    wrong = []
    for span in spans.of_service[name, "client"]:
        mark = mark_of(span)
        if not mark or not mark.startswith(prefix):
            continue
        parent = spans.by_id.get(span.get("parent_span_id"))
        if parent is None:
            none += 1
        elif parent["kind"] == "server" and service(parent) == name and mark_of(parent) == mark:
            right += 1
        else:
            wrong.append(f"wrong parent: {key(span)} of {mark} is below {key(parent)}")
    return right, none, wrong
