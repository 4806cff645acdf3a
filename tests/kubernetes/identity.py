#!/usr/bin/env python3
"""identity.py --program PATH: certificates and leadership of the operator's replicas, on a real API server.

PATH is the example `identity` of obtrace-operator. Two replicas run as users that have exactly the rights that they need. Certificates and
CAs are replaced every few seconds; meanwhile clients verify what each replica presents under the bundle that the API server has,
and Pods are created through the webhook with failurePolicy Fail. Leaders are killed, stopped and ended; the Secret is deleted and damaged; the
bundle is overwritten; cert-manager is played by hand.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import cluster
import keys
from processes import until
from report import Report

NAMESPACE, SERVICE, SECRET, CONFIGURATION, LEASE = (
    "obtrace-system", "obtrace-zero-webhook", "obtrace-zero-webhook-tls", "obtrace-zero", "obtrace-zero-operator")
USER = "obtrace-zero-operator"
HOST = f"{SERVICE}.{NAMESPACE}.svc"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
MERGE = "application/merge-patch+json"
# Milliseconds. Certificates are replaced soon, but would last: a machine that stands still for a minute is no failure.
SETTINGS = {"ca": 600_000, "ca_renewed_after": 6_000, "serving": 300_000, "serving_renewed_after": 2_000, "propagation": 2_000, "overlap": 2_000,
            "lease": 8_000, "renew_deadline": 5_000, "retry_period": 1_000, "cert_manager_grace": 600_000}
ROTATIONS, PODS_A_SECOND, WAIT_SECONDS = 20, 50, 300
# Verb, resource, and whether only for the object of our own.
RIGHTS = {
    ("get", "leases", LEASE), ("update", "leases", LEASE), ("create", "leases", ""),
    ("get", "secrets", SECRET), ("watch", "secrets", SECRET), ("update", "secrets", SECRET), ("create", "secrets", ""),
    ("get", "mutatingwebhookconfigurations", CONFIGURATION), ("watch", "mutatingwebhookconfigurations", CONFIGURATION),
    ("patch", "mutatingwebhookconfigurations", CONFIGURATION),
}
GROUPS = {"leases": "coordination.k8s.io", "secrets": "", "mutatingwebhookconfigurations": "admissionregistration.k8s.io"}


def rights(api):
    """Gives the replicas' user its rights."""
    rules = [{"apiGroups": [GROUPS[resource]], "resources": [resource], "verbs": [verb], **({"resourceNames": [name]} if name else {})}
             for verb, resource, name in sorted(RIGHTS)]
    for kind, is_ours in (("Role", lambda rule: rule["resources"] != ["mutatingwebhookconfigurations"]),
                          ("ClusterRole", lambda rule: rule["resources"] == ["mutatingwebhookconfigurations"])):
        metadata = {"name": USER, **({"namespace": NAMESPACE} if kind == "Role" else {})}
        group = "rbac.authorization.k8s.io"
        api.apply({"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": [rule for rule in rules if is_ours(rule)]},
                  {"apiVersion": f"{group}/v1", "kind": f"{kind}Binding", "metadata": metadata, "roleRef": {"apiGroup": group, "kind": kind, "name": USER},
                   "subjects": [{"kind": "User", "apiGroup": group, "name": USER}]})


def webhook(api, port):
    """The Service, here the name of a program on loopback, and the configuration; nobody has put a bundle into it yet."""
    api.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE},
         "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": CONFIGURATION},
         "webhooks": [{
             "name": "pods.obtrace.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 30,
             "clientConfig": {"service": {"namespace": NAMESPACE, "name": SERVICE, "path": "/mutate-pods", "port": port}},
             "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
             "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}]}]})


def bundle(api):
    """The bundle that the API server has, PEM."""
    configuration = api.must("GET", f"{CONFIGURATIONS}/{CONFIGURATION}")
    return base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle") or "").decode(errors="replace")


def secret(api):
    """The Secret's fields, decoded; None if there is none."""
    found = api.get(f"{SECRETS}/{SECRET}")
    return found and {name: base64.b64decode(value or "").decode(errors="replace") for name, value in (found.get("data") or {}).items()}


def certificates(pem):
    return [f"-----BEGIN{part}" for part in pem.split("-----BEGIN")[1:]]


class Replica:
    """A running replica, and what it said."""

    def __init__(self, api, name, config):
        self.api, self.name, self.config = api, name, config
        self.events, self.stopped, self.ended = [], False, None
        self.port = cluster.free_port()
        self.start()

    def start(self):
        self.ended = None
        environment = {**os.environ, "KUBECONFIG": str(self.config), "SETTINGS": json.dumps(SETTINGS), "RUST_LOG": "info,kube=warn"}
        with open(self.api.folder / f"replica-{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([Replica.program, self.name, str(self.port)], env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self.reader = threading.Thread(target=self.read, args=(self.process,), daemon=True)
        self.reader.start()

    def read(self, process):
        for line in process.stdout:
            self.events.append({**json.loads(line), "process": process.pid})

    def said(self, event, **wanted):
        return [it for it in self.events if it["event"] == event and it["process"] == self.process.pid and all(it.get(key) == value for key, value in wanted.items())]

    def is_serving(self):
        return not self.stopped and self.process.poll() is None and bool(self.said("ready"))

    def leads(self):
        said = self.said("leader")
        return self.process.poll() is None and bool(said) and said[-1]["leads"]

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        self.reader.join(timeout=60)
        self.ended = uptime()
        self.events.append({"event": "leader", "leads": False, "time": self.ended, "process": self.process.pid})

    def terms(self):
        """From when to when it led."""
        began, terms = None, []
        for event in self.events:
            if event["event"] == "leader":
                if event["leads"] and began is None:
                    began = event["time"]
                elif not event["leads"] and began is not None:
                    terms.append((began, event["time"], self.name))
                    began = None
        return terms + ([(began, uptime(), self.name)] if began is not None else [])

    def log(self):
        lines = (self.api.folder / f"replica-{self.name}.log").read_text(errors="replace").splitlines()
        return [f"{self.name}: {line}" for line in lines[-12:]]


def uptime():
    return float(pathlib.Path("/proc/uptime").read_text().split()[0])


class Balancer:
    """Spreads connections over the replicas that answer, as a Service does; it sees nothing of what is in them."""

    def __init__(self, replicas):
        self.replicas, self.turn, self.port = replicas, itertools.count(), cluster.free_port()
        self.loop, started = asyncio.new_event_loop(), threading.Event()

        def run():
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(asyncio.start_server(self.connect, "127.0.0.1", self.port, backlog=512))
            started.set()
            self.loop.run_forever()
        threading.Thread(target=run, daemon=True).start()
        started.wait()

    async def connect(self, reader, writer):
        first = next(self.turn)
        for replica in [self.replicas[(first + offset) % len(self.replicas)] for offset in range(len(self.replicas))]:
            if not replica.is_serving():
                continue
            with contextlib.suppress(OSError):
                other_reader, other_writer = await asyncio.open_connection("127.0.0.1", replica.port)
                await asyncio.gather(self.pump(reader, other_writer), self.pump(other_reader, writer))
                return
        writer.close()

    async def pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


class Background:
    """Threads that go on until the test is over, and can be told to pause."""

    def __init__(self, count):
        self.go, self.over, self.faults, self.lock = threading.Event(), False, [], threading.Lock()
        self.idle, self.count = threading.Semaphore(0), count
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(count)]
        self.go.set()
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.over:
            if not self.go.is_set():
                self.idle.release()
                self.go.wait()
            try:
                self.once()
            except Exception as error:
                self.fault(f"{type(error).__name__}: {error}")

    def fault(self, what):
        with self.lock:
            self.faults.append(what)

    def pause(self):
        """Returns when none of them does anything."""
        self.go.clear()
        for _ in range(self.count):
            self.idle.acquire()

    def resume(self):
        self.go.set()

    def end(self):
        self.over = True
        self.go.set()
        for thread in self.threads:
            thread.join(timeout=60)


class Clients(Background):
    """Verify what each replica presents under the bundle that the API server has at that moment."""

    def __init__(self, api, replicas):
        self.api, self.replicas, self.verified, self.seen = api, replicas, 0, {}
        super().__init__(1)

    def once(self):
        for replica in self.replicas:
            if not replica.is_serving():
                continue
            process, trusted = replica.process, bundle(self.api)
            for certificate in certificates(trusted):
                self.seen.setdefault(certificate, len(self.seen))
            error = self.verify(replica, trusted)
            # What was read before may be older than what is presented by now; a second look decides.
            if error and (now := bundle(self.api)) != trusted:
                error = self.verify(replica, now)
            if not error:
                self.verified += 1
            elif replica.process is process and replica.is_serving():
                self.fault(f"{replica.name} under {len(certificates(trusted))} certificates: {error}")
        time.sleep(0.02)

    def verify(self, replica, trusted):
        try:
            context = ssl.create_default_context(cadata=trusted)
            with socket.create_connection(("127.0.0.1", replica.port), timeout=30) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
                self.presented = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))
            return None
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"


class Creators(Background):
    """Create Pods through the webhook; each has to be accepted and injected."""

    def __init__(self, api):
        self.api, self.made, self.began, self.numbers = api, 0, time.monotonic(), itertools.count()
        super().__init__(6)

    def once(self):
        number = next(self.numbers)
        time.sleep(max(0, self.began + number / PODS_A_SECOND - time.monotonic()))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"web-{number}"},
               "spec": {"schedulingGates": [{"name": "example.com/never"}], "containers": [{"name": "web", "image": "node:22"}]}}
        status, answer = self.api.request("POST", "/api/v1/namespaces/shop/pods", pod)
        if status != 201:
            self.fault(f"web-{number}: {status} {answer.get('message', answer)}")
        elif "obtrace.io/injected" not in (answer["metadata"].get("annotations") or {}):
            self.fault(f"web-{number} is not injected")
        else:
            with self.lock:
                self.made += 1

    def resume(self):
        # What was not made meanwhile is not made up for.
        self.began = time.monotonic() - next(self.numbers) / PODS_A_SECOND
        super().resume()


class Test:
    """The cluster, its replicas and what goes on beside them."""

    def __init__(self, api, report):
        self.api, self.report = api, report
        api.namespace(NAMESPACE)
        api.namespace("shop")
        rights(api)
        config = api.client(USER, f"/CN={USER}")
        self.replicas = [Replica(api, name, config) for name in "ab"]
        self.balancer = Balancer(self.replicas)
        webhook(api, self.balancer.port)
        self.until(lambda: all(replica.is_serving() for replica in self.replicas), "both replicas serve")
        self.until(lambda: self.is_whole() and set(certificates(secret(api)["ca.crt"])) <= set(certificates(bundle(api))), "the API server has the bundle")
        # API servers see a configuration a moment after it is made.
        self.until(lambda: self.creates("first"), "the webhook is called")
        self.clients, self.creators = Clients(api, self.replicas), Creators(api)

    def until(self, condition, what):
        return until(condition, what, WAIT_SECONDS, self.api.processes.check, lambda: "\n".join(line for it in self.replicas for line in it.log()))

    def creates(self, name):
        status, answer = self.api.request("POST", "/api/v1/namespaces/shop/pods?dryRun=All", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "web", "image": "node:22"}]}})
        return status == 201 and "obtrace.io/injected" in (answer["metadata"].get("annotations") or {})

    def leader(self):
        leaders = [replica for replica in self.replicas if replica.leads()]
        return leaders[0] if len(leaders) == 1 else None

    def is_whole(self):
        """Whether the Secret has a certificate and no rotation has begun that has not ended."""
        fields = secret(self.api)
        return bool(fields and fields.get("tls.crt") and fields.get("ca.key") and "next-ca.key" not in fields)

    def authority(self):
        """The CA in use."""
        fields = secret(self.api) or {}
        return certificates(fields.get("ca.crt", ""))[:1] if fields.get("tls.crt") else []

    def another_authority(self, than, what):
        self.until(lambda: self.authority() not in ([], than) and set(self.authority()) <= set(certificates(bundle(self.api))), what)

    def quiet(self):
        for background in (self.clients, self.creators):
            background.pause()

    def loud(self):
        for background in (self.clients, self.creators):
            background.resume()

    def settle(self, what):
        """Reports what went wrong beside the test since the last time."""
        for background in (self.clients, self.creators):
            faults, background.faults = background.faults, []
            self.report.check(f"{what}: {'no verification' if background is self.clients else 'no creation'} fails",
                              [*faults[:5], f"{len(faults)} in all", *self.replicas[0].log(), *self.replicas[1].log()] if faults else [])


def rotations(test):
    first = len(test.clients.seen)
    test.until(lambda: len(test.clients.seen) - first >= ROTATIONS, f"{ROTATIONS} CAs after the first")
    made = sum(len(replica.said("rotation")) for replica in test.replicas)
    test.report.check(f"CAs were replaced {ROTATIONS} times, certificates more often", [] if made > ROTATIONS else [f"{made} certificates"])
    test.settle(f"{ROTATIONS} rotations ({test.clients.verified} handshakes, {test.creators.made} Pods)")


def killed(test):
    # Only the replica that is killed may fail its callers.
    test.creators.pause()
    test.until(lambda: test.leader() and "next-ca.key" in (secret(test.api) or {}), "a rotation begins")
    leader = test.until(test.leader, "one leads")
    # A process that dies closes its connections before it is seen to be gone.
    leader.stopped = True
    leader.end(signal.SIGKILL)
    leader.stopped = False
    before = test.authority()
    test.until(lambda: (other := test.leader()) and other is not leader, "the other replica leads")
    test.another_authority(before, "the other goes on with the rotation")
    leader.start()
    test.until(leader.is_serving, "the killed replica is back")
    test.creators.resume()
    test.settle("the leader is killed in the middle of a rotation")


def stopped(test):
    test.creators.pause()
    leader = test.until(test.leader, "one leads")
    leader.stopped = True
    leader.process.send_signal(signal.SIGSTOP)
    terms = [term for replica in test.replicas for term in replica.terms()]
    test.until(lambda: any(replica.leads() for replica in test.replicas if replica is not leader), "the other leads when the leader stands still")
    leader.process.send_signal(signal.SIGCONT)
    test.until(lambda: not leader.leads(), "the one that stood still stops leading")
    leader.stopped = False
    test.another_authority(test.authority(), "rotation goes on")
    test.creators.resume()
    test.settle("the leader stands still, and wakes up")
    return terms


def ended(test):
    test.creators.pause()
    leader = test.until(test.leader, "one leads")
    leader.stopped = True
    leader.end(signal.SIGTERM)
    lines = " ".join(leader.log())
    test.report.check("a leader that is told to end gives the Lease back", [] if leader.process.returncode == 0 and "given back" in lines else leader.log())
    test.until(lambda: (other := test.leader()) and other is not leader, "the other leads")
    leader.stopped = False
    leader.start()
    test.until(leader.is_serving, "it is back")
    test.creators.resume()
    test.settle("the leader ends")


def deleted(test):
    before = test.authority()
    test.api.must("DELETE", f"{SECRETS}/{SECRET}")
    test.another_authority(before, "a Secret is made anew")
    test.settle("the Secret is deleted")


def damaged(test):
    for field, value in (("tls.crt", "bm8="), ("tls.key", ""), ("ca.crt", "bm8="), ("ca.key", "bm8="), ("next-ca.key", "bm8=")):
        before = test.authority()
        test.api.must("PATCH", f"{SECRETS}/{SECRET}", {"data": {field: value}}, MERGE)
        test.another_authority(before, f"{field} is mended, and rotation goes on")
    test.settle("fields of the Secret are damaged")


def overwritten(test):
    keys.authority(test.api.folder, "foreign")
    foreign = (test.api.folder / "foreign.crt").read_bytes()
    for what, value in (("nothing", b""), ("what is no certificate", b"no certificate"), ("another CA", foreign)):
        test.quiet()
        patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": base64.b64encode(value).decode()}]
        test.api.must("PATCH", f"{CONFIGURATIONS}/{CONFIGURATION}", patch, "application/json-patch+json")
        test.until(lambda: set(certificates(secret(test.api)["ca.crt"])) <= set(certificates(bundle(test.api))), f"the bundle is mended after {what}")
        test.until(lambda: test.creates("mended"), "Pods can be created again")
        test.loud()
        test.another_authority(test.authority(), "rotation goes on")
    test.until(lambda: not set(certificates(foreign.decode())) & set(certificates(bundle(test.api))), "the foreign CA leaves the bundle")
    test.settle("the bundle is overwritten")


def cert_manager(test):
    """What cert-manager 1.19 writes, by hand: the Secret, a moment later the bundle; a renewal; its end."""
    folder, api = test.api.folder, test.api
    keys.authority(folder, "issuer")
    issuer = (folder / "issuer.crt").read_text()
    names = f"DNS:{HOST},DNS:{HOST}.cluster.local,DNS:{SERVICE}"

    def issue(annotations):
        keys.certificate(folder, "serving", "/CN=webhook", "server", names, "issuer")
        leaf, key = (folder / "serving.crt").read_text(), (folder / "serving.key").read_text()
        data = {name: base64.b64encode(text.encode()).decode() for name, text in (("tls.crt", leaf), ("tls.key", key), ("ca.crt", issuer))}
        data |= dict.fromkeys(("ca.key", "next-ca.crt", "next-ca.key"))
        api.must("PATCH", f"{SECRETS}/{SECRET}", {"metadata": {"annotations": annotations}, "data": data}, MERGE)
        return certificates(leaf)

    def presented():
        return [ssl.get_server_certificate(("127.0.0.1", replica.port)).strip() for replica in test.replicas]

    def inject(source):
        api.must("PATCH", f"{CONFIGURATIONS}/{CONFIGURATION}", {"metadata": {"annotations": {"cert-manager.io/inject-ca-from": source}}}, MERGE)

    mark = {"cert-manager.io/certificate-name": SERVICE}
    inject(f"{NAMESPACE}/{SERVICE}")
    issue(mark)
    # Nobody trusts it yet: callers are not to notice.
    verified = test.clients.verified
    test.until(lambda: test.clients.verified > verified + 10, "clients go on")
    test.quiet()
    test.settle("cert-manager takes the Secret over")
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": base64.b64encode(issuer.encode()).decode()}]
    api.must("PATCH", f"{CONFIGURATIONS}/{CONFIGURATION}", patch, "application/json-patch+json")
    current = (folder / "serving.crt").read_text().strip()
    test.until(lambda: presented() == [current] * 2, "both replicas serve cert-manager's certificate")
    test.until(lambda: test.creates("injected"), "Pods can be created")
    test.loud()
    issue(mark)
    renewed = (folder / "serving.crt").read_text().strip()
    test.until(lambda: presented() == [renewed] * 2, "both replicas serve the renewed one")
    test.settle("cert-manager renews the certificate")
    unchanged = secret(api)["tls.crt"].strip() == renewed and certificates(bundle(api)) == certificates(issuer)
    test.report.check("what cert-manager wrote is left alone", [] if unchanged else ["it was changed"])
    inject(None)
    api.must("DELETE", f"{SECRETS}/{SECRET}")
    test.another_authority(certificates(issuer), "the operator makes its own again")
    test.until(lambda: not set(certificates(issuer)) & set(certificates(bundle(api))), "cert-manager's CA leaves the bundle")
    test.settle("cert-manager goes away")


def one_leader(test, before_stopping):
    """No two led at the same time; after one stood still only the rest of the clock rules holds."""
    faults = []
    for (one, other) in itertools.combinations(sorted(before_stopping), 2):
        if other[0] < one[1] and one[2] != other[2]:
            faults.append(f"{one} and {other}")
    test.report.check("never two leaders at once", faults)


def verbs(test):
    used = {(it["verb"], it["resource"], "" if it["verb"] == "create" else it["name"]) for it in test.api.audited(user=USER) if it["code"] < 400 or it["code"] in (404, 409)}
    refused = {(it["verb"], it["resource"], it["name"]) for it in test.api.audited(user=USER, code=403)}
    test.report.check("the rights used are the rights granted", [f"not used: {it}" for it in sorted(RIGHTS - used)] +
                      [f"used beyond them: {it}" for it in sorted(used - RIGHTS)] + [f"refused: {it}" for it in sorted(refused)])


def check(report, program):
    """Runs all of it on a cluster of its own."""
    Replica.program = program.resolve()
    # A name outside the cluster stands for the Service, so that everything is on loopback.
    with cluster.running("--enable-aggregator-routing=false") as api:
        test = Test(api, report)
        try:
            rotations(test)
            killed(test)
            terms = stopped(test)
            ended(test)
            deleted(test)
            damaged(test)
            overwritten(test)
            cert_manager(test)
            one_leader(test, terms)
            verbs(test)
        finally:
            for background in (test.clients, test.creators):
                background.end()
            for replica in test.replicas:
                replica.process.kill()
                replica.process.wait()
        print(f"-- {test.clients.verified} handshakes verified, {test.creators.made} Pods created", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, required=True, help="the example `identity` of obtrace-operator")
    report = Report()
    check(report, parser.parse_args().program)
    sys.exit(report.conclude())


if __name__ == "__main__":
    main()
