"""The resource of everything this process sends (contract, section 4)."""

import os
import sys

from obtrace_python import VERSION

_NAMED = {
    "OBTRACE_ENVIRONMENT": "deployment.environment.name", "OBTRACE_POD_NAME": "k8s.pod.name", "OBTRACE_POD_NAMESPACE": "k8s.namespace.name",
    "OBTRACE_NODE_NAME": "k8s.node.name",
}
_HEX = "0123456789abcdefABCDEF"


def decoded(text):
    """A percent-encoded text; None if it is not one."""
    parts = text.split("%")
    whole = parts[0].encode("utf-8", "surrogateescape")
    for part in parts[1:]:
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            return None
        whole += bytes([int(part[:2], 16)]) + part[2:].encode("utf-8", "surrogateescape")
    try:
        return whole.decode()
    except UnicodeDecodeError:
        return None


def given(environ):
    """What OTEL_RESOURCE_ATTRIBUTES has."""
    found = {}
    for pair in (environ.get("OTEL_RESOURCE_ATTRIBUTES") or "").split(","):
        key, equals, value = pair.partition("=")
        value = decoded(value.strip())
        if equals and key.strip() and value is not None:
            found[key.strip()] = value
    return found


def instance():
    """A random UUID (version 4); `uuid` itself would be slow to import."""
    digits = os.urandom(16).hex()
    return "%s-%s-4%s-%s%s-%s" % (digits[:8], digits[8:12], digits[13:16], "89ab"[int(digits[16], 16) & 3], digits[17:20], digits[20:])


def attributes(environ=os.environ):
    """The attributes of this process, now."""
    found = given(environ)
    executable = os.path.basename(sys.executable or "") or "python"
    name = environ.get("OBTRACE_SERVICE_NAME") or environ.get("OTEL_SERVICE_NAME") or found.get("service.name") or "unknown_service:" + executable
    found["service.name"] = name
    found["service.instance.id"] = instance()
    for variable, key in _NAMED.items():
        if environ.get(variable):
            found[key] = environ[variable]
    found.update({
        "host.name": os.uname().nodename, "process.pid": os.getpid(), "process.runtime.name": sys.implementation.name,
        "process.runtime.version": sys.version.split()[0], "telemetry.sdk.language": "python", "telemetry.sdk.name": "obtrace",
        "telemetry.sdk.version": VERSION, "telemetry.distro.name": "obtrace-zero", "telemetry.distro.version": VERSION,
    })
    return found
