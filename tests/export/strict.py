"""OpenTelemetry's own types for Python read what obtrace-export wrote, strictly: no unknown field in either form, the same
telemetry in both, and the protobuf is byte for byte what protobuf's library makes of it.

    OBTRACE_BODIES=DIR cargo test -p obtrace-export --test wire bodies_for_other_readers
    python3 tests/export/strict.py --bodies DIR
"""

import argparse
import base64
import collections
import json
import pathlib
import sys

from google.protobuf import json_format, unknown_fields
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest, "metrics": ExportMetricsServiceRequest}
# Of profiles alone, where texts are in a table.
OTHERS = {"KeyValue.key_strindex", "AnyValue.string_value_strindex"}
IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def with_ids(value):
    """The same JSON with ids as the mapping of protobuf has them: OTLP's are hexadecimal, all others of bytes base64."""
    if isinstance(value, list):
        return [with_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for name, item in value.items():
        if name in IDS:
            raw = bytes.fromhex(item)
            if len(raw) != IDS[name] or item != item.lower():
                raise ValueError(f"{name} is {item!r}")
            item = base64.b64encode(raw).decode()
        else:
            item = with_ids(item)
        changed[name] = item
    return changed


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a field comes twice: {names}")
    return dict(pairs)


def walk(message, seen):
    """Notes which fields are set; nothing may be unknown."""
    unknown = unknown_fields.UnknownFieldSet(message)
    if len(unknown):
        raise ValueError(f"{message.DESCRIPTOR.name}: unknown field {unknown[0].field_number}")
    for field, value in message.ListFields():
        seen[f"{message.DESCRIPTOR.name}.{field.name}"] += 1
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "DESCRIPTOR") else value:
            walk(inner, seen)


def fields(descriptor, found):
    """Every field of a message and of those in it: what the bodies must have had, or they prove too little."""
    for field in descriptor.fields:
        name = f"{descriptor.name}.{field.name}"
        if name not in found and name not in OTHERS:
            found.add(name)
            if field.message_type is not None:
                fields(field.message_type, found)
    return found


def check(request, text, binary, seen):
    of_json = request()
    json_format.ParseDict(with_ids(json.loads(text, object_pairs_hook=no_duplicates)), of_json)
    of_binary = request.FromString(binary)
    walk(of_json, seen)
    walk(of_binary, seen)
    if of_json != of_binary:
        raise ValueError("the JSON says something else than the protobuf")
    if of_binary.SerializeToString(deterministic=True) != binary:
        raise ValueError("protobuf's library writes other bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=pathlib.Path, required=True, help="folder of traces-*.json, traces-*.pb and so on")
    bodies = parser.parse_args().bodies
    passed = failures = 0
    for signal, request in REQUESTS.items():
        seen, files = collections.Counter(), sorted(bodies.glob(f"{signal}-*.json"))
        for text in files:
            try:
                check(request, text.read_bytes(), text.with_suffix(".pb").read_bytes(), seen)
                passed += 1
            except (ValueError, OSError, json_format.ParseError) as error:
                failures += 1
                print(f"FAILED {text.name}: {error}")
        missing = sorted(fields(request.DESCRIPTOR, set()) - seen.keys())
        if missing:
            failures += 1
            print(f"FAILED {signal}: none of {len(files)} bodies has {', '.join(missing)}")
        print(f"{signal}: {len(files)} bodies in both forms, {len(seen)} fields of their messages were set")
    print(f"{passed} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
