"""OTLP JSON. It is put together from texts: the same keys and values come again and again, and their texts are kept, which
costs a fifth of building dictionaries for `json.dumps`."""

from json.encoder import encode_basestring_ascii as _quoted

TEXT_LIMIT = 4096
BODY_LIMIT = 16384
_ATTRIBUTES = 128
_KEPT = 4096
_KEPT_LENGTH = 128
_LONG = {"exception.stacktrace": 16384}
_texts = {}


def quoted(text):
    """A JSON string. What is no Unicode (a lone surrogate, as of a file name) becomes a question mark."""
    return _quoted(text if text.isascii() else text.encode("utf-8", "replace").decode())


def value(item, limit=TEXT_LIMIT):
    """An AnyValue."""
    if item is True:
        return '{"boolValue":true}'
    if item is False:
        return '{"boolValue":false}'
    if isinstance(item, int):
        if -(1 << 63) <= item < 1 << 63:
            return '{"intValue":"%d"}' % item
    elif isinstance(item, float):
        if item - item == 0:
            return '{"doubleValue":%s}' % float.__repr__(item)
    elif isinstance(item, (list, tuple)):
        return '{"arrayValue":{"values":[%s]}}' % ",".join([value(inner) for inner in item[:_ATTRIBUTES]])
    return '{"stringValue":%s}' % quoted(str(item)[:limit])


def attribute(key, item):
    kind = type(item)
    if kind is int or kind is str and len(item) <= _KEPT_LENGTH:
        text = _texts.get((key, item, kind))
        if text is None:
            text = '{"key":%s,"value":%s}' % (quoted(key), value(item))
            if len(_texts) >= _KEPT:
                _texts.clear()
            _texts[key, item, kind] = text
        return text
    return '{"key":%s,"value":%s}' % (quoted(key), value(item, _LONG.get(key, TEXT_LIMIT)))


def attributes(found):
    """A list of KeyValue; None stands for what is not known."""
    texts = [attribute(key, item) for key, item in found.items() if item is not None]
    return ",".join(texts if len(texts) <= _ATTRIBUTES else texts[:_ATTRIBUTES])


def _event(event):
    return '{"timeUnixNano":"%d","name":"exception","attributes":[%s]}' % (event[0], attributes(event[1]))


def _link(link):
    return '{"traceId":"%s","spanId":"%s"}' % link


def span(item):
    """A Span of spans.py."""
    more = ""
    if item.parent_id:
        more = ',"parentSpanId":"%s"' % item.parent_id
    if item.state:
        more += ',"traceState":%s' % quoted(item.state)
    if item.events:
        more += ',"events":[%s]' % ",".join(map(_event, item.events))
    if item.links:
        more += ',"links":[%s]' % ",".join(map(_link, item.links))
    if item.failed:
        more += ',"status":{"code":2}'
    return '{"traceId":"%s","spanId":"%s","name":%s,"kind":%d,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[%s]%s}' % (
        item.trace_id, item.span_id, quoted(item.name[:TEXT_LIMIT]), item.kind, item.start, item.start + item.duration, attributes(item.attributes), more)


def record(item):
    """A log record: (logger, time, number, text, body, span, attributes)."""
    _, time, number, text, body, span, found = item
    more = ""
    if span is not None and span.trace_id:
        more = ',"traceId":"%s","flags":%d' % (span.trace_id, span.sampled)
        if span.span_id:
            more += ',"spanId":"%s"' % span.span_id
    return '{"timeUnixNano":"%d","observedTimeUnixNano":"%d","severityNumber":%d,"severityText":%s,"body":{"stringValue":%s},"attributes":[%s]%s}' % (
        time, time, number, quoted(text), quoted(body[:BODY_LIMIT]), attributes(found), more)


def _envelope(outer, middle, inner, resource, groups, version):
    scopes = ",".join(['{"scope":{"name":%s%s},"%s":[%s]}' % (quoted(scope[:TEXT_LIMIT]), version, inner, ",".join(texts))
                       for scope, texts in groups.items()])
    return ('{"%s":[{"resource":{"attributes":[%s]},"%s":[%s]}]}' % (outer, resource, middle, scopes)).encode()


def _grouped(items, scope_of, text_of):
    groups = {}
    for item in items:
        groups.setdefault(scope_of(item), []).append(text_of(item))
    return groups


def spans(items, resource, version):
    """The body of a request to /v1/traces."""
    groups = _grouped(items, lambda item: item.scope, span)
    return _envelope("resourceSpans", "scopeSpans", "spans", resource, groups, ',"version":%s' % quoted(version))


def logs(items, resource, _version):
    """The body of a request to /v1/logs; the scope of a record is its logger."""
    return _envelope("resourceLogs", "scopeLogs", "logRecords", resource, _grouped(items, lambda item: item[0], record), "")


def metrics(items, resource, version):
    """The body of a request to /v1/metrics: (scope, head of the metric, data point) of each."""
    heads = {}
    for scope, head, point in items:
        heads.setdefault((scope, head), []).append(point)
    groups = {}
    for (scope, head), points in heads.items():
        groups.setdefault(scope, []).append('{%s"dataPoints":[%s]}}' % (head, ",".join(points)))
    return _envelope("resourceMetrics", "scopeMetrics", "metrics", resource, groups, ',"version":%s' % quoted(version))
