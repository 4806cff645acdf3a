"""The definition of ObtraceInstrumentation: installed, and asked what it accepts."""

import time

RESOURCES = "/apis/obtrace.io/v1alpha1/namespaces/default/obtraceinstrumentations"
URL = "https://ingest.example.com"

ACCEPTED = {
    "only the URL": {"ingestUrl": URL},
    "everything": {
        "ingestUrl": "http://ingest.shop.svc:4318/base", "apiKeySecretRef": {"name": "key", "key": "token"},
        "namespaceSelector": {"matchLabels": {"team": "shop"}},
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]},
        "strategy": "hybrid", "placement": "node", "containers": ["app"], "environment": "production", "samplingRatio": 0.25,
        "overrides": [{"selector": {"matchLabels": {"app": "a"}}, "language": "python", "strategy": "sdk", "framework": "django"},
                      {"imageEnv": {"PYTHONPATH": "/app"}}],
        "images": {"agent": "registry.example/agent:1", "ebpf": "registry.example/ebpf:1"},
        "resources": {"init": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": 1}}, "sidecar": {}},
        "exclude": {"namespaces": ["x"], "selector": {"matchLabels": {"no": "thanks"}}, "containers": ["y"]},
        "coexist": True, "rolloutRestart": "onChange"},
    "no URL": {"strategy": "ebpf"},
    "ratios at the ends": {"ingestUrl": URL, "samplingRatio": 0},
}

REFUSED = {
    "a URL that is a number": ({"ingestUrl": 4318}, "ingestUrl"),
    "another scheme": ({"ingestUrl": "ftp://ingest"}, "must begin with http:// or https://"),
    "a URL without host": ({"ingestUrl": "https://"}, "must begin with http:// or https://"),
    "an unknown strategy": ({"ingestUrl": URL, "strategy": "magic"}, "strategy"),
    "an unknown placement": ({"ingestUrl": URL, "placement": "moon"}, "placement"),
    "a ratio over 1": ({"ingestUrl": URL, "samplingRatio": 1.5}, "samplingRatio"),
    "a negative ratio": ({"ingestUrl": URL, "samplingRatio": -0.1}, "samplingRatio"),
    "an empty environment": ({"ingestUrl": URL, "environment": ""}, "environment"),
    "an override of nothing": ({"ingestUrl": URL, "overrides": [{"selector": {}}]}, "must set language"),
    "an unknown language": ({"ingestUrl": URL, "overrides": [{"language": "cobol"}]}, "language"),
    "an unknown framework": ({"ingestUrl": URL, "overrides": [{"framework": "struts"}]}, "framework"),
    "an SDK for Go": ({"ingestUrl": URL, "overrides": [{"language": "go", "strategy": "sdk"}]}, "have no SDK"),
    "an unknown restart": ({"ingestUrl": URL, "rolloutRestart": "always"}, "rolloutRestart"),
    "a Secret without a name": ({"ingestUrl": URL, "apiKeySecretRef": {"name": ""}}, "apiKeySecretRef"),
    "too many overrides": ({"ingestUrl": URL, "overrides": [{"language": "go"}] * 101}, "overrides"),
    "a field of the wrong type": ({"ingestUrl": URL, "containers": "app"}, "containers"),
}


def resource(name, spec):
    return {"apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation", "metadata": {"name": name}, "spec": spec}


def check(api, report, path):
    answer = api.must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", path.read_bytes(), "application/yaml")
    wait_established(api, answer["metadata"]["name"])
    for number, (what, spec) in enumerate(ACCEPTED.items()):
        status, answer = api.request("POST", RESOURCES, resource(f"good-{number}", spec))
        faults = [] if status == 201 else [f"{status} {answer.get('message')}"]
        if status == 201:
            # What the server keeps is what was sent: nothing of it is pruned.
            faults += [f"{key} became {answer['spec'].get(key)}" for key, value in spec.items() if not kept(value, answer["spec"].get(key))]
        report.check(f"definition accepts {what}", faults)
    defaults = api.must("GET", f"{RESOURCES}/good-0")["spec"]
    expected = {"strategy": "auto", "placement": "auto", "coexist": False, "rolloutRestart": "never",
                "apiKeySecretRef": {"name": "obtrace-api-key", "key": "api-key"}}
    report.check("definition fills in defaults", [f"{key} is {defaults.get(key)}" for key, value in expected.items() if defaults.get(key) != value])
    for number, (what, (spec, message)) in enumerate(REFUSED.items()):
        status, answer = api.request("POST", RESOURCES, resource(f"bad-{number}", spec))
        fine = status == 422 and message in answer.get("message", "")
        report.check(f"definition refuses {what}", [] if fine else [f"{status} {answer.get('message', 'accepted')}"])
    names = api.must("GET", "/apis/obtrace.io/v1alpha1")["resources"][0]
    report.check("short name and category", [] if (names["shortNames"], names["categories"]) == (["oi"], ["obtrace"]) else [str(names)])
    status = {"status": {"observedGeneration": 1, "totals": {"workloads": 2, "instrumented": 1, "pending": 1, "skipped": 0}, "truncated": False,
                         "workloads": [{"kind": "Deployment", "namespace": "shop", "name": "web", "language": "nodejs", "strategy": "sdk",
                                        "confidence": 0.9, "state": "instrumented"}]}}
    answer = api.must("PATCH", f"{RESOURCES}/good-0/status", status, "application/merge-patch+json")
    report.check("status is a subresource and kept whole", [] if kept(status["status"], answer["status"]) else [str(answer["status"])])


def kept(sent, got):
    if isinstance(sent, dict):
        return isinstance(got, dict) and all(kept(value, got.get(key)) for key, value in sent.items())
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(kept, sent, got))
    return sent == got


def wait_established(api, name):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        conditions = api.must("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")["status"].get("conditions") or []
        if any(it["type"] == "Established" and it["status"] == "True" for it in conditions):
            # Discovery follows a moment later.
            if api.request("GET", RESOURCES)[0] == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{name} was not established within 30 s: {conditions}")
