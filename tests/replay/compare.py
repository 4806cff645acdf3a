"""Spans against what the clients logged."""

import collections
import re

from oracle import moments

TOKEN = re.compile(r"\bt\d+x\b", re.IGNORECASE)
# A part of an outcome that a span does not tell.
UNKNOWN = "-"
SLACK = 5_000_000  # what the clients' clocks and the capture's may differ by
# A request that comes byte by byte while nobody knows yet what is spoken: of many pieces the time of every second one is
# kept, or fourth, so that it begins that much too early at most. When it ended is exact.
PIECES = 2_000_000


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
    if span["protocol"] in ("fastcgi", "http", "http2"):
        method = attribute(span, "http.request.method")
        return (method, "" if method == "CONNECT" else path_of(span))
    if span["protocol"] == "grpc":
        messages = "/".join(str(attribute(span, f"grpc.{end}.messages")) for end in ("client", "server"))
        return (attribute(span, "rpc.method"), messages)
    if span["protocol"] == "dns":
        return (attribute(span, "dns.question.type") or span["name"].split(" ")[-1], attribute(span, "dns.question.name"))
    if span["protocol"] == "websocket":
        return ("session", path_of(span))
    if span["protocol"] == "mqtt":
        delivers = span["kind"] == "producer" and attribute(span, "client.address") is not None
        return ("receive" if delivers else attribute(span, "messaging.operation.name"), attribute(span, "messaging.destination.name"))
    if span["protocol"] == "mongodb":
        return (attribute(span, "db.operation.name").upper(), token_of(attribute(span, "db.collection.name")))
    if span["protocol"] == "kafka":
        return kafka(span)
    text = attribute(span, "db.query.text")
    operation = attribute(span, "db.operation.name") or ""
    if span["protocol"] in ("mysql", "postgres"):
        operation = operation or (attribute(span, "db.query.summary") or span["name"]).split(" ")[0]
    return (operation.split(" ")[0].upper(), token_of(text))


# Operations of which kafka-python's log has the topic.
WITH_TOPIC = ("send", "poll", "commit", "OffsetFetch", "ListOffsets")


def kafka(span):
    """Librdkafka and kafkajs say of a request what it is called, kafka-python all of it."""
    name, client = attribute(span, "messaging.operation.name"), attribute(span, "messaging.client.id")
    if not TOKEN.fullmatch(client or ""):
        return (name, client)
    count, topic = attribute(span, "messaging.batch.message_count"), attribute(span, "messaging.destination.name")
    if name not in WITH_TOPIC or name == "poll" and not count:
        topic = None
    return (name, client, topic, count, attribute(span, "messaging.consumer.group.name"))


def outcome(span):
    if span["protocol"] in ("fastcgi", "http", "http2"):
        return attribute(span, "http.response.status_code")
    if span["protocol"] == "grpc":
        return attribute(span, "rpc.response.status_code")
    if span["protocol"] == "dns":
        return attribute(span, "dns.response_code")
    if span["protocol"] == "websocket":
        return session_outcome(span)
    if span["protocol"] == "mqtt":
        return message_outcome(span)
    if span["protocol"] == "kafka":
        return attribute(span, "error.type") if TOKEN.fullmatch(attribute(span, "messaging.client.id") or "") else None
    return attribute(span, "db.response.status_code")


def message_outcome(span):
    """What was sent, or what came of it; None if nobody knows yet."""
    if "error.type" in span["attributes"]:
        return attribute(span, "error.type")
    if span["completeness"] != "complete":
        return None
    if attribute(span, "messaging.mqtt.qos") is not None:
        # Without the version nobody knows where a payload begins.
        size = attribute(span, "messaging.message.body.size")
        size = UNKNOWN if size is None else size
        retained = int(attribute(span, "messaging.mqtt.retained") or False)
        return f"q{attribute(span, 'messaging.mqtt.qos')} {size} {retained}"
    if attribute(span, "messaging.operation.name") == "connect":
        return f"{attribute(span, 'messaging.mqtt.reason_code')} {attribute(span, 'messaging.client.id')}"
    return "ok"


def agree(outcome, known):
    """Whether an outcome is the known one, as far as it says anything."""
    if not isinstance(outcome, str) or UNKNOWN not in outcome:
        return outcome == known
    words, others = outcome.split(" "), known.split(" ")
    return len(words) == len(others) and all(word in (other, UNKNOWN) for word, other in zip(words, others))


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


def port_of(span):
    """Where the packets went: `server.port` may be what a header says at the client. Only servers' spans have a client."""
    return attribute(span, "network.peer.port" if attribute(span, "client.address") is None else "server.port")


def key(span):
    port = port_of(span)
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
    return lines + outside(spans, records) + attributes(spans, records)


def words(told):
    return {word for value in told.values() if isinstance(value, str) for word in TOKEN.findall(value)}


def attributes(spans, records):
    """What a client logged of the attributes of its operation's span, where that is not so. The word that stands in no other
    operation tells which span it is; without one the name does. `absent`: there must be none."""
    lines, known = [], collections.defaultdict(list)
    for span in spans:
        for word in words(span["attributes"]) or {None}:
            known[word].append(span)
    for record in records:
        told = record.get("attributes")
        if told is None:
            continue
        word = next(iter(words(told)), None)
        of = [span for span in known[word] if key(span) == truth(record)] if word else [span for span in spans if key(span) == truth(record)]
        wrong = [{name: span["attributes"].get(name) for name, value in told.items() if not same(span, name, value)} for span in of]
        if not of or all(wrong):
            lines.append(f"  {record['what']}, {told}: {wrong[0] if wrong else 'no span'}")
    return lines[:12] + ([f"  and {len(lines) - 12} more"] if len(lines) > 12 else [])


def same(span, name, wanted):
    found, status = span["attributes"].get(name), outcome(span)
    if name == "error.type" and span["kind"] == "server" and isinstance(status, int) and 400 <= status < 500:
        return True  # what a client did wrong is no error of the server's
    return found is None if wanted == "absent" else found == wanted


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
        began, end = moments(span)
        start = oracle.again.get(began, began)
        if span["completeness"] == "complete":
            told = [known for known in truth[start] if says(span, known)]
            if not told and began in oracle.again:
                # The first segment of its request was lost, and is here as it was sent again.
                told = [known for known, *_ in oracle.spans if says(span, known)]
            if not told:
                told = [known for known, *_ in oracle.spans
                        if moments(known)[1] == end and 0 < moments(known)[0] - start < PIECES and says(span, known)]
                start = moments(told[0])[0] if told else start
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
    return agree(outcome(span), outcome(known))


def says(span, known):
    """Whether a span says nothing else than `known`. The text of a statement may have been lost before."""
    (protocol, port, (name, token), *result), (_, _, (known_name, known_token), *known_result) = (
        (at[0], at[1], at[2:4], *at[4:]) for at in (key(span), key(known)))
    named = token == known_token and name == known_name
    # The topic that an alias stands for, too.
    unnamed = protocol in ("mqtt", "mysql", "postgres") and token is None
    return agree(result[0], known_result[0]) and result[1:] == known_result[1:] and (named or unnamed)
