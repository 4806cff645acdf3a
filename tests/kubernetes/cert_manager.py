#!/usr/bin/env python3
"""cert_manager.py --obtrace-zero PATH: the operator in a cluster whose certificates cert-manager makes.

cert-manager's controller and injector run beside a real control plane; `obtrace-zero install` finds them there. The operator runs as a process with the
rights of its account. Pods are created under `failurePolicy: Fail` while the certificate and its CA are issued anew, and after the Secret was deleted.
"""

import argparse
import base64
import contextlib
import http.client
import pathlib
import signal
import socket
import ssl
import sys
import threading
import urllib.request

import yaml

import build
import cluster
from install import ACCOUNT, SYSTEM, Installer, listing
from processes import until
from report import Report

CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/obtrace-zero"
CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{SYSTEM}/certificates"
SERVING, CA = "obtrace-zero-webhook", "obtrace-zero-webhook-ca"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/obtrace-zero-webhook-tls"
SERVICE = f"/api/v1/namespaces/{SYSTEM}/services/{SERVING}"
HOST = f"{SERVING}.{SYSTEM}.svc"
PODS_AT_ONCE, RENEWALS, PODS_AFTER = 2, 5, 20
MERGE = "application/merge-patch+json"


def start_cert_manager(api):
    """Its definitions, its controller and what writes bundles; it has an administrator's rights."""
    paths = build.cert_manager()
    api.apply(*(document for document in yaml.safe_load_all(paths["crds"].read_text()) if document))
    for name in ("controller", "cainjector"):
        ports = ("--metrics-listen-address=127.0.0.1:0",) if name == "controller" else ()
        api.processes.start(f"cert-manager-{name}", paths[name], f"--kubeconfig={api.kubeconfig}", "--leader-elect=false", *ports)


def reach(api, port):
    """Has the API server ask the process on that port: here the Service is the name of this machine, as nothing brings its traffic to Pods."""
    api.must("PATCH", SERVICE, {"spec": {"type": "ExternalName", "externalName": "localhost", "selector": None, "clusterIP": None, "clusterIPs": None}}, MERGE)
    service = [{"op": "add", "path": "/webhooks/0/clientConfig/service/port", "value": port}]
    api.must("PATCH", CONFIGURATION, service, "application/json-patch+json")


def secret(api, name="tls.crt"):
    found = api.get(SECRET)
    return found and base64.b64decode((found.get("data") or {}).get(name, "")).decode()


def presented(api, port):
    """The certificate that the webhook presents, PEM, verified under the bundle that the API server has; None if it cannot be."""
    text = api.must("GET", CONFIGURATION)["webhooks"][0]["clientConfig"].get("caBundle")
    if not text:
        return None
    context = ssl.create_default_context(cadata=base64.b64decode(text).decode())
    with contextlib.suppress(OSError, ssl.SSLError):

        with socket.create_connection(("localhost", port), timeout=10) as raw, context.wrap_socket(raw, server_hostname=HOST) as connection:
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    return None


def is_served(api, port):
    """Whether what is presented is the first certificate of the Secret."""
    ours, theirs = secret(api), presented(api, port)
    return bool(ours and theirs) and ssl.PEM_cert_to_DER_cert(theirs) == ssl.PEM_cert_to_DER_cert(ours[: ours.index("-----END CERTIFICATE-----") + 25] + "\n")


def renew(api, name):
    """Asks for a certificate anew, as `cmctl renew` does, and waits until it is issued."""
    path = f"{CERTIFICATES}/{name}"
    revision = api.must("GET", path)["status"]["revision"]
    # cert-manager writes the same status.
    api.wait_for(lambda: ask_anew(api, path) != 409, f"{name} is asked for anew")
    api.wait_for(lambda: api.must("GET", path)["status"]["revision"] > revision, f"{name} is issued anew")


def ask_anew(api, path):
    """The status of the request."""
    found = api.must("GET", path)
    asked = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "asked for anew", "observedGeneration": found["metadata"]["generation"],
             "lastTransitionTime": found["status"]["conditions"][0]["lastTransitionTime"]}
    found["status"]["conditions"] = [it for it in found["status"]["conditions"] if it["type"] != "Issuing"] + [asked]
    status, answer = api.request("PUT", f"{path}/status", found)
    if status not in (200, 409):
        raise RuntimeError(f"PUT {path}/status: {status} {answer}")
    return status


class Load:
    """Creates Pods that no node gets, until it is told to stop."""

    def __init__(self, api):
        self.api, self.stop, self.made, self.faults = api, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(PODS_AT_ONCE)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        count = 0
        while not self.stop.wait(0.02):
            count += 1
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"shop-{number}-{count}", "namespace": "shop"},
                   "spec": {"schedulingGates": [{"name": "test/never"}], "containers": [{"name": "app", "image": "node:22"}]}}
            try:
                status, answer = self.api.request("POST", "/api/v1/namespaces/shop/pods", pod)
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, answer = 0, {"message": f"no answer: {error}"}
            if status != 201:
                self.faults.append(f"{status} {answer.get('message', answer)}")
            elif answer["metadata"].get("labels", {}).get("obtrace.io/instrumented") != "true":
                self.faults.append(f"{answer['metadata']['name']} is not injected")
            self.made += 1

    def more(self, count):
        """Waits until so many more were made."""
        wanted = self.made + count
        until(lambda: self.made >= wanted, f"{count} more Pods", 180)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=60)
        return self.faults[:5] + ([] if len(self.faults) <= 5 else [f"and {len(self.faults) - 5} more"])


def check(api, report, program):
    api.namespace("shop")
    before = listing(api)
    installer = Installer(program, api)
    _, said = installer.run("install", "--no-wait", "--failure-policy", "fail", "--api-key", "a-key-of-a-test", "--ingest-url", "http://localhost:4318")
    kinds = [api.get(f"{CERTIFICATES}/{name}") for name in (SERVING, CA)]
    report.check("an installation finds cert-manager and asks it for certificates", [] if all(kinds) else [said])
    installer.run("allow", "-n", "shop")
    port, health, metrics = (cluster.free_port() for _ in range(3))
    reach(api, port)
    api.wait_for(lambda: secret(api), "cert-manager writes the Secret")
    config = api.client("operator", f"/O=system:serviceaccounts/CN={ACCOUNT}")
    flags = (f"--webhook-address=[::]:{port}", f"--health-address=127.0.0.1:{health}", f"--metrics-address=127.0.0.1:{metrics}")
    operator = api.processes.start("operator", program, "operator", *flags, KUBECONFIG=str(config), POD_NAME="the-only-one")
    api.wait_for(lambda: is_served(api, port), "the operator serves what cert-manager has issued, and the bundle is right")
    api.wait_for(lambda: ready(health), "the operator is ready")
    check_renewals(api, report, port)
    check_doctor(report, installer)
    operator.send_signal(signal.SIGTERM)
    report.check("the operator ends when it is told to", [] if operator.wait(timeout=120) == 0 else [str(operator.returncode)])
    del api.processes.running["operator"]
    for pod in api.pods("shop"):
        api.must("DELETE", f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")
    installer.run("uninstall", "--yes")
    left = lambda: sorted(path for path in listing(api).keys() - before.keys() if "kube-root-ca.crt" not in path and "leases" not in path)
    with contextlib.suppress(RuntimeError):
        api.wait_for(lambda: not left(), "nothing is left", 60)
    report.check("nothing of it is left", left())


def check_renewals(api, report, port):
    load = Load(api)
    load.more(PODS_AFTER)
    seen = {secret(api)}
    for _ in range(RENEWALS):
        renew(api, SERVING)
        api.wait_for(lambda: is_served(api, port), "the new certificate is served")
        load.more(PODS_AFTER)
        seen.add(secret(api))
    report.check(f"{RENEWALS} new certificates are served without a restart", [] if len(seen) == RENEWALS + 1 else [f"{len(seen)} different ones"])
    bundle = api.must("GET", CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"]
    renew(api, CA)
    renew(api, SERVING)
    api.wait_for(lambda: api.must("GET", CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] != bundle, "the bundle has the new CA")
    api.wait_for(lambda: is_served(api, port), "what the new CA has signed is served")
    load.more(PODS_AFTER)
    last = secret(api)
    api.must("DELETE", SECRET)
    api.wait_for(lambda: secret(api) not in (None, "", last), "cert-manager makes a Secret that was deleted")
    api.wait_for(lambda: is_served(api, port), "what it has issued then is served")
    load.more(PODS_AFTER)
    report.check("no Pod is refused or left as it is meanwhile", load.end())
    print(f"   {load.made} Pods were made", flush=True)


def check_doctor(report, installer):
    """What it says of the certificate; the operator's Pods run nowhere here, so that it has to fail."""
    out, _ = installer.run("doctor", "--json", code=1)
    found = {it["name"]: it for it in yaml.safe_load(out)["checks"]}
    report.check("doctor finds the certificate right", [] if found["certificate"]["result"] == "ok" else [str(found["certificate"])])


def ready(port):

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        return answer.status == 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obtrace-zero", type=pathlib.Path, required=True, help="the program")
    arguments = parser.parse_args()
    report = Report()
    with cluster.running("--enable-aggregator-routing=false", controllers=True) as api:
        start_cert_manager(api)
        check(api, report, arguments.obtrace_zero.resolve())
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
