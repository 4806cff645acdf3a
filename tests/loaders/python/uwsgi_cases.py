"""uWSGI, Debian's and that of PyPI: it embeds Python, forks without telling it, and runs threads only if told to."""

import contextlib
import http.client
import re
import time

from receiver import Receiver
from world import equal, expect, program

from python.rig import CALLER, TRACE, clean, observed, serve, venv

FLASK, PLAIN, HOOKS = ("GET /user/<int:user>", "/user/0"), ("GET", "/ready"), ("GET", "/hooks")
MODULE, FILE = ("--module", "plain_wsgi"), ("--wsgi-file", "plain_wsgi.py")
# (application, name and path of its requests, further options).
STARTED = (
    (("--wsgi", "flask_app:app"), FLASK, ()), (("--wsgi", "flask_app:app"), FLASK, ("--enable-threads", "--lazy-apps")),
    (("--wsgi-file", "flask_app.py", "--callable", "app"), FLASK, ("--skip-atexit-teardown",)),
    (MODULE, PLAIN, ("--lazy-apps",)), (MODULE, PLAIN, ("--threads", "2")),
    (FILE, PLAIN, ()), (FILE, PLAIN, ("--enable-threads",)), (FILE, PLAIN, ("--lazy-apps",)), (("--file", "plain_wsgi.py"), PLAIN, ("--threads", "2")),
    (("--mount", "/=plain_wsgi.py"), PLAIN, ("--manage-script-name",)), (("--wsgi-file", "uwsgi_app.py"), HOOKS, ()))


def debian(world):
    """uWSGI with the distribution's Python, whose plugin it is."""
    version = re.search(r"3\.\d+", world.run("/usr/bin/python3", "-I", "--version"))[0]
    packages = next((venv(world, "small", version).parent / "lib").glob("python*/site-packages"))
    return [program("uwsgi"), "--plugin", "python3", "--pythonpath", packages]


def command(binary, application, *options):
    return [*binary, "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2", *options, "--need-app", "--die-on-term", *application]


def uwsgi(world):
    """A worker's spans would be lost, or an application of no framework not be seen, be it a module or a file that uWSGI runs by
    itself."""
    with observed(world), contextlib.ExitStack() as stack:
        started = []
        for binary in (debian(world), [venv(world, "large") / "uwsgi"]):
            for application, (name, path), options in STARTED:
                receiver = stack.enter_context(Receiver())
                server = serve(world, receiver, command(binary, application, *options), None, env={"UPSTREAM_PORT": 1}, wait=False)
                started.append((f"{binary[0]} {' '.join((*application, *options))}", receiver, server, name, path))
        for what, _, server, _, path in started:
            server.ready()
            for _ in range(5):
                equal(server.get(path, headers=CALLER)[0], 200, f"status with {what}")
        # uWSGI runs no hooks of a worker that is ended within a request, and of one with several threads not always.
        time.sleep(0.3)
        for what, receiver, _, _, _ in started:
            if "--threads" in what:
                expect(receiver.wait_spans(5, "server", within=6), f"nothing is sent with {what} while it runs")
        for number, (what, receiver, server, name, _) in enumerate(started):
            # A few at once: each has 2 s for its last words.
            for _, _, ending, _, _ in started[number:number + 4] if number % 4 == 0 else ():
                ending.process.terminate()
            equal(server.wait(), 0, f"exit code with {what}")
            equal([span.name for span in receiver.spans("server") if span.get("traceId") == TRACE], [name] * 5, f"spans with {what}")
            expect(receiver.metrics("http.server.request.duration"), f"no metrics with {what}")
            clean(receiver)
        return f"started in {len(started)} ways"


def answer(server, path):
    """What a request is answered; nothing at all where the application fails."""
    try:
        return server.get(path)
    except http.client.RemoteDisconnected:
        return None


def uwsgi_is_left_as_it_is(world):
    """The application's own hooks, or what it sees of itself, would be others. Several applications in one process have an
    interpreter each: a thread of ours in the second stops the process at its end."""
    several = ("--mount", "/a=uwsgi_app.py", "--mount", "/ready=plain_wsgi.py", "--manage-script-name")
    with observed(world) as receiver:
        for application, path, options in ((("--wsgi", "uwsgi_app:application"), "/hooks", ()), (("--wsgi-file", "uwsgi_app.py"), "/hooks", ()),
                                           (several, "/ready", ("--enable-threads",)), (("--wsgi-file", "uwsgi_app.py"), "/fail", ())):
            seen = []
            for bare in (True, False):
                server = serve(world, receiver, command([venv(world, "large") / "uwsgi"], application, *options), None, bare=bare)
                answers = [answer(server, path) for _ in range(3)]
                time.sleep(0.3)
                code = server.end()
                told = sorted(line for line in (server.out + server.err).splitlines() if line.startswith(("hook ", "Fatal", "Value", "Module", "KeyError")))
                seen.append((code, answers, told))
            equal(seen[1], seen[0], f"code, answers and what is printed with {application} {options} {path}")
            equal(len(seen[0][2]) > 10, application is not several, f"whether hooks ran: {seen[0][2]}")


def uwsgi_and_a_silent_receiver(world):
    """Without threads each request would wait for a receiver that does not answer."""
    with observed(world) as _, Receiver(silent=True) as silent:
        server = serve(world, silent, command(debian(world), MODULE, "--processes", "1"))
        began = time.monotonic()
        for _ in range(200):
            equal(server.get("/ready")[0], 200, "status")
        expect(time.monotonic() - began < 5, f"200 requests took {time.monotonic() - began:.1f} s")
        began = time.monotonic()
        equal(server.end(), 0, "exit code")
        expect(time.monotonic() - began < 5, f"the end took {time.monotonic() - began:.1f} s")


CASES = [uwsgi, uwsgi_is_left_as_it_is, uwsgi_and_a_silent_receiver]
