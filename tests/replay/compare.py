"""Spans against what the clients logged."""

import collections
import re

from oracle import moments

TOKEN = re.compile(r"\bt\d+x\b", re.IGNORECASE)
# What the clients' clocks and the capture's may differ by, and a client's way from its clock to the wire.
SLACK = 5_000_000


def attribute(span, *names):
    for name in names:
        if name in span["attributes"]:
            return span["attributes"][name]
    return None


def path_of(span):
    path = attribute(span, "url.path")
    full = attribute(span, "url.full")
    if path is None and full is not None:
        path = "/" + full.split("/", 3)[3] if full.count("/") >= 3 else ""
    return (path or "").split("?")[0]


def token_of(text):
    found = TOKEN.search(text or "")
    return found.group().lower() if found else None


def what(span):
    """What was asked for, in the words of the clients' logs."""
    if span["protocol"] in ("http", "http2"):
        method = attribute(span, "http.request.method")
        return (method, "" if method == "CONNECT" else path_of(span))
    if span["protocol"] == "grpc":
        messages = "/".join(str(attribute(span, f"grpc.{end}.messages")) for end in ("client", "server"))
        return (attribute(span, "rpc.method"), messages)
    if span["protocol"] == "dns":
        return (attribute(span, "dns.question.type") or span["name"].split(" ")[-1], attribute(span, "dns.question.name"))
    if span["protocol"] == "websocket":
        return ("session", path_of(span))
    text = attribute(span, "db.query.text")
    operation = attribute(span, "db.operation.name") or ""
    if span["protocol"] == "postgres":
        operation = operation or (attribute(span, "db.query.summary") or span["name"]).split(" ")[0]
    return (operation.split(" ")[0].upper(), token_of(text))


def outcome(span):
    if span["protocol"] in ("http", "http2"):
        return attribute(span, "http.response.status_code")
    if span["protocol"] == "grpc":
        return attribute(span, "rpc.response.status_code")
    if span["protocol"] == "dns":
        return attribute(span, "dns.response_code")
    if span["protocol"] == "websocket":
        return session_outcome(span)
    return attribute(span, "db.response.status_code")


def session_outcome(span):
    """How a session ended and what passed; of one that was not seen to its end nobody knows."""
    if span["completeness"] != "complete":
        return None
    ends = []
    for end in ("client", "server"):
        # What is compressed has another size than the client knows.
        size = "-" if path_of(span).endswith("/deflate") else attribute(span, f"websocket.{end}.payload.size")
        ends.append(f"{attribute(span, f'websocket.{end}.frames')}/{attribute(span, f'websocket.{end}.messages')}/{size}")
    return " ".join([str(attribute(span, "websocket.close.code")), *ends])


def key(span):
    # Where the packets went: `server.port` may be what a header says.
    port = attribute(span, "network.peer.port" if span["kind"] == "client" else "server.port")
    if attribute(span, "http.request.method") == "CONNECT":
        port = "proxy"  # the target's port is what it asks for
    return (span["protocol"], port, *what(span), outcome(span), span["completeness"])


def truth(record):
    port = "proxy" if record["what"][0] == "CONNECT" and record["protocol"] == "http" else record["port"]
    return (record["protocol"], port, *record["what"], record["outcome"], record["completeness"])


def show(counter, limit=12):
    lines = [f"    {count} x {item}" for item, count in list(counter.items())[:limit]]
    return lines + ([f"    and {len(counter) - limit} more kinds"] if len(counter) > limit else [])


def whole(spans, records):
    """Differences between a whole capture and the truth, as lines; none when recall and precision are 100 %."""
    found, wanted = collections.Counter(map(key, spans)), collections.Counter(map(truth, records))
    lines = []
    if wanted - found:
        lines += [f"  missing {sum((wanted - found).values())} of {len(records)}:", *show(wanted - found)]
    if found - wanted:
        lines += [f"  not done by anybody {sum((found - wanted).values())} of {len(spans)}:", *show(found - wanted)]
    return lines + outside(spans, records)


def outside(spans, records):
    """Spans that do not lie within the time in which their client did it."""
    times = collections.defaultdict(list)
    for record in records:
        times[truth(record)].append((record["start"] - SLACK, record["end"] + SLACK))
    lines = []
    for span in spans:
        start = span["start_unix_nano"]
        end = start + span["duration_ns"]
        known = times.get(key(span))
        if known and not any(first <= start and end <= last for first, last in known):
            lines.append(f"  at another time than it was done: {key(span)} {start} to {end}, done {known[:3]}")
    return lines[:12]


def damaged(spans, oracle, kept, exempt, name):
    """What is wrong about the spans of a capture that lost something, and the share of all exchanges that are still
    complete. Times tell exchanges apart: a response of another request ends at another time. Complete spans must be
    those of the whole capture; others may say less, but nothing else. What no loss touched must be there."""
    truth, lines = collections.defaultdict(list), []
    for span, _, start, _ in oracle.spans:
        truth[start].append(span)
    wrong, found, complete = [], collections.Counter(), 0
    for span in spans:
        start, end = moments(span)
        if span["completeness"] == "complete":
            told = [known for known in truth[start] if says(span, known)]
            if not any(end == moments(known)[1] or end in oracle.again for known in told):
                wrong.append((key(span), start, end))
            else:
                complete += 1
                found[start] += 1
        elif outcome(span) is not None and not any(tells(span, known) for known in truth[start]):
            wrong.append((key(span), start, end))
    if wrong:
        lines += [f"  {name}: wrong exchanges {len(wrong)}:", *[f"    {item}" for item in wrong[:12]]]
    if len(spans) > len(oracle.spans) * 1.02 + 5:
        lines.append(f"  {name}: {len(spans)} spans of {len(oracle.spans)} operations")
    untouched = [span for span in oracle.untouched(kept) if key(span) not in exempt]
    missing = [span for span in untouched if span["completeness"] == "complete" and not found[moments(span)[0]]]
    if missing:
        lines += [f"  {name}: missing of {len(untouched)} untouched exchanges:", *show(collections.Counter(map(key, missing)))]
    return lines, len(untouched) / max(len(oracle.spans), 1), complete / max(len(oracle.spans), 1)


def tells(span, known):
    """Whether the outcome of a span is that of `known`. Of a call of gRPC of which the content type was lost HTTP's status
    is told: that it was answered."""
    if (span["protocol"], known["protocol"]) == ("http2", "grpc"):
        return outcome(span) == 200
    return outcome(span) == outcome(known)


def says(span, known):
    """Whether a span says nothing else than `known`. The text of a statement may have been lost before."""
    (protocol, port, (name, token), *result), (_, _, (known_name, known_token), *known_result) = (
        (at[0], at[1], at[2:4], *at[4:]) for at in (key(span), key(known)))
    named = token == known_token and name == known_name
    return result == known_result and (named or protocol == "postgres" and token is None)
