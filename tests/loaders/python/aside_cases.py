"""Where the loader is to do nothing, and what of the application's own has to go on."""

import errno
import shutil

from world import Missing, equal, expect

from python.rig import clean, launch, observed, python, venv

SAY = "import logging; logging.warning('said'); print('done')"


def run(world, receiver, *command, env=None, bare=False, **options):
    application = launch(world, receiver, *command, env=env, bare=bare, **options)
    return application.wait(40), application.out, application.err


def same(world, receiver, *command, env=None, sent=False, **options):
    """Runs a command with us and without; what is seen has to be the same."""
    ours, bare = run(world, receiver, *command, env=env, **options), run(world, receiver, *command, env=env, bare=True, **options)
    equal(ours, bare, f"code, output and errors of {' '.join(map(str, command[1:4]))} {env or ''}")
    equal(bool(receiver.requests), sent, f"whether {' '.join(map(str, command[1:4]))} {env or ''} sent anything")
    clean(receiver)
    receiver.requests.clear()


def old_versions(world):
    """An old Python would not start."""
    found = []
    for version in ("2.7", "3.6", "3.7"):
        try:
            interpreter = python(version)
        except Missing:
            continue
        with observed(world) as receiver:
            same(world, receiver, interpreter, "-c", SAY)
            found.append(version)
    expect(found, "no old Python on this machine")
    return ", ".join(found)


def isolated(world):
    """-I, -E and -S keep us out, and would not if we broke them."""
    with observed(world) as receiver:
        for option in ("-I", "-E", "-S"):
            same(world, receiver, python(), option, "-c", SAY)
        same(world, receiver, python(), "-c", SAY, sent=True)


def own_sitecustomize(world):
    """The application's own sitecustomize and usercustomize would not run, or run twice."""
    folder = world.folder / "own-path"
    folder.mkdir(exist_ok=True)
    (folder / "usercustomize.py").write_text("print('user')\n")
    for text in ("print('own', __name__, __file__)\n", "raise ValueError('own')\n", "import no_such_module\n",
                 "import sys; print([entry for entry in sys.path if 'obtrace' in entry])\n"):
        (folder / "sitecustomize.py").write_text(text)
        with observed(world) as receiver:
            command = f"import sitecustomize; print(sitecustomize.__file__); {SAY}" if "print" in text else SAY
            same(world, receiver, python(), "-c", command, env={"PYTHONPATH": folder}, sent=True)


def path_and_modules(world):
    """What is ours would be importable, or seen in what the application looks at."""
    with observed(world) as receiver:
        code = ("import sys, threading, signal, logging; print([entry for entry in sys.path if 'obtrace' in entry]); logging.warning('said'); "
                "print(len(threading.enumerate()), signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1), sys.dont_write_bytecode)")
        same(world, receiver, python(), "-c", code, sent=True)
        same(world, receiver, venv(world, "large") / "python", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:terminal", "own_tests.py", sent=True)


def tools(world):
    """pip and its like would be observed as if they were the application."""
    with observed(world) as receiver:
        binaries = venv(world, "small")
        same(world, receiver, binaries / "pip", "--version")
        same(world, receiver, binaries / "python", "-m", "pip", "list", "--disable-pip-version-check")


def switched_off(world):
    """OBTRACE_DISABLED, no URL or no other reason would be said nowhere, or printed unasked."""
    for env, word in (({"OBTRACE_DISABLED": "1"}, "OBTRACE_DISABLED"), ({"OBTRACE_INGEST_URL": "ftp://x"}, "OBTRACE_INGEST_URL")):
        with observed(world) as receiver:
            same(world, receiver, python(), "-c", SAY, env=env)
            errors = run(world, receiver, python(), "-c", SAY, env={**env, "OBTRACE_DEBUG": "1"})[2]
            lines = [line for line in errors.splitlines() if line.startswith("[obtrace] ")]
            equal((len(lines), word in lines[0]), (1, True), f"debug lines: {lines}")
    with observed(world) as receiver:
        same(world, receiver, python(), "-c", SAY, env={"OBTRACE_DISABLED": "0"}, sent=True)


def other_agents(world):
    """An agent would be doubled. Stand-ins for those that vendor_cases.py does not have: packages of their names are what the loader
    looks for. OpenTelemetry's API alone is no agent."""
    for package in ("instana", "skywalking", "appdynamics", "autodynatrace"):
        folder = world.folder / f"agent-{package}"
        (folder / package).mkdir(parents=True, exist_ok=True)
        (folder / package / "__init__.py").touch()
        with observed(world) as receiver:
            same(world, receiver, python(), "-c", SAY, env={"PYTHONPATH": folder})
    with observed(world) as receiver:
        code = f"from opentelemetry import trace; trace.get_tracer('a').start_span('b').end(); {SAY}"
        same(world, receiver, venv(world, "large") / "python", "-c", code, sent=True)


def half_copied(world):
    """A volume that is not complete would stop the application."""
    whole = world.volume("python")
    for missing in ("obtrace_loader.py", "obtrace_python", "obtrace_python/sender.py", "obtrace_python/logs.py"):
        folder = world.folder / ("half-" + missing.replace("/", "-"))
        shutil.copytree(whole, folder)
        (shutil.rmtree if (folder / missing).is_dir() else lambda path: path.unlink())(folder / missing)
        with observed(world) as receiver:
            world.mount(folder)
            same(world, receiver, python(), "-c", SAY)


def odd_settings(world):
    """A PYTHONPATH that is odd would become another one; a receiver's address or key that is would stop what is sent, or be printed."""
    folder = world.folder / "odd path \u00e9"
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text("")
    code = f"import sys; print(sys.path); {SAY}"
    with observed(world) as receiver:
        for value in ("", ":", "/nowhere::relative", f"{folder}:", "/obtrace", f"/obtrace/:{folder}", "/usr/share/none.zip"):
            same(world, receiver, python(), "-c", code, env={"PYTHONPATH": value}, sent=True)
        same(world, receiver, python(), "-c", SAY, env={"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}, sent=True)
        code, _, errors = launch(world, receiver, python(), "-c", SAY, extra={"OBTRACE_API_KEY": "test-key\n", "OBTRACE_DEBUG": "1"}).result()
        equal((code, [record.body for record in receiver.logs()], "test-key" in errors), (0, ["said"], False),
              "exit code, log records, whether the key is printed")
        clean(receiver)
        for url in ("http://[", "http://127.0.0.1:port", "http://"):
            equal(launch(world, receiver, python(), "-c", SAY, extra={"OBTRACE_INGEST_URL": url}).result(), (0, "done\n", "WARNING:root:said\n"),
                  f"code, output and errors with {url}")


def odd_places(world):
    """A closed standard error, no folder for temporary files, or a file system that cannot be written would stop it."""
    with observed(world) as receiver:
        same(world, receiver, "sh", "-c", f"exec 2>&-; exec {python()} -c \"{SAY}\"", sent=True)
        read_only = "for it in /tmp /var/tmp /dev/shm /; do mount --bind $it $it && mount -o remount,bind,ro $it || exit 90; done; cd /; exec \"$@\""
        tried = ("for place in ('/tmp', '/var/tmp', '/'):\n    try: open(place + '/obtrace-cannot-be', 'w')\n"
                 f"    except OSError as error: print(error.errno)\n{SAY}")
        command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", read_only, "sh", python(), "-c", tried)
        for bare in (False, True):
            seen = run(world, receiver, *command, env={"TMPDIR": "/nowhere"}, bare=bare)
            equal(seen, (0, f"{errno.EROFS}\n" * 3 + "done\n", "WARNING:root:said\n"), "code, output and errors where nothing can be written")
        equal([record.body for record in receiver.logs()], ["said"], "log records")
        expect(not list(world.volume("python").rglob("*.pyc")), "caches below /obtrace")


CASES = [old_versions, isolated, own_sitecustomize, path_and_modules, tools, switched_off, other_agents, half_copied, odd_settings, odd_places]
