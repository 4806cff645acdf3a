"""What must not break: an application has the same answers with us as without."""

import json
import os
import shutil
import subprocess
import threading
import time

from php.common import PARENT, TRACE, flush, no_faults, spans_of
from php.servers import SHARED_MEMORY, Fpm, apps, built_in, fpm, temporary
from receiver import Receiver
from world import MOUNT, equal, expect, program

PATHS = ("/", "/status?code=404", "/status?code=503", "/exit", "/throw", "/nothing", "/fatal", "/user-error", "/memory", "/full", "/time", "/buffers",
         "/handlers", "/warn", "/session", "/destructor", "/state", "/finish", "/handled", "/stream", "/last-words", "/plain.php",
         "/absent")


def answers(server, paths=PATHS):
    return {path: server.get(path) for path in paths}


def same_answers(world):
    """Exit, exceptions, fatal errors, exhausted memory and time, buffers, sessions, handlers: as without us, shown and hidden."""
    with Receiver() as receiver:
        for shown in (0, 1):
            ini = {"display_errors": shown, "html_errors": 0, "zend.assertions": 1}
            bare = Fpm(world, {}, ini=ini)
            server = fpm(world, receiver.url, ini=ini)
            wanted, seen = answers(bare), answers(server)
            equal({path: seen[path] for path in PATHS if seen[path] != wanted[path]}, {}, f"answers unlike {wanted}")
        expect(flush(server, receiver, lambda: len(receiver.spans()) >= 10), "nothing was sent")


def kinds_of_opcache(world):
    """Preloaded classes, scripts that are never looked at again, a cache in files, JIT, no cache at all: all is as ever, and reported."""
    folder = temporary(world)
    preloaded = apps(world) / "preloaded.php"
    preloaded.write_text("<?php class Preloaded { public const SAYS = 'preloaded'; }")
    (apps(world) / "says.php").write_text("<?php echo class_exists('Preloaded') ? Preloaded::SAYS : 'nothing';")
    kinds = ({"opcache.preload": preloaded, "opcache.preload_user": "www-data"}, {"opcache.validate_timestamps": 0},
             {"opcache.file_cache": folder, "opcache.file_cache_only": 1}, {"opcache.jit": "tracing", "opcache.jit_buffer_size": "16M"}, {"opcache.enable": 0})
    with Receiver() as receiver:
        for kind in kinds:
            server = fpm(world, receiver.url, env={"OBTRACE_SERVICE_NAME": f"with {next(iter(kind))}"}, ini={"opcache.enable": 1, **kind})
            says = "preloaded" if "opcache.preload" in kind else "nothing"
            # Often enough for JIT to find it hot.
            equal({server.get("/says.php") for _ in range(80)}, {(200, says)}, f"answers with {kind}")
            equal(server.get("/throw")[0], 500, f"a failure with {kind}")
            flush(server, receiver, lambda: len(spans_of(receiver, "/throw")) == 1)
            no_faults(receiver)
            equal(([span.attributes["error.type"] for span in spans_of(receiver, "/throw")], len(spans_of(receiver, "/says.php"))), (["RuntimeException"], 80), f"spans with {kind}")
            expect(not any(word in server.err for word in ("[obtrace]", "obtrace_php", "Warning")), f"with {kind}: {server.err[-500:]}")
            equal(server.end(), 0, f"exit code with {kind}")
            receiver.requests.clear()


def what_ends_early_or_late(world):
    """The span of an answer that is out before the work is done, of an exception that a handler took, of a failure after the answer."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url)
        for path in ("/finish", "/handled", "/stream", "/last-words"):
            server.get(path)
        flush(server, receiver, lambda: spans_of(receiver, "/last-words"))
        no_faults(receiver)
        seen = {path: [(span.attributes["http.response.status_code"], span.attributes.get("error.type")) for span in spans_of(receiver, path)]
                for path in ("/finish", "/handled", "/stream", "/last-words")}
        equal(seen, {"/finish": [(200, None)], "/handled": [(502, "502")], "/stream": [(200, None)], "/last-words": [(500, "RuntimeException")]}, "spans")


def context_goes_out(world):
    """`file_get_contents` of a URL passes the context on, sampled or not; a header of the application's own stays."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url)
        header = server.get("/context", PARENT)[1]
        expect(header.startswith(f"traceparent: 00-{TRACE}-") and header.endswith("-01"), header)
        flush(server, receiver, lambda: spans_of(receiver, "/context"))
        equal(spans_of(receiver, "/context")[0]["spanId"], header[49:65], "span that goes out")
        none = fpm(world, receiver.url, instrumentation={"samplingRatio": 0})
        expect(none.get("/context")[1].endswith("-00"), "an unsampled trace goes out with 00")


def own_prepended_files(world):
    """A file that php.ini prepends still runs, in the global scope; one of a folder's .user.ini or of the pool takes our place."""
    with Receiver() as receiver:
        folder = temporary(world)
        own = folder / "own.php"
        own.write_text("<?php $own = 'prepended'; header('X-Own: yes');")
        (folder / "index.php").write_text("<?php echo $own ?? 'none', class_exists('Obtrace\\Zero\\Request', false) ? ' with us' : '';")
        ini = folder / "php.ini"
        ini.write_text(f'auto_prepend_file = "{own}"\n')
        shutil.copytree(folder, apps(world) / "own", dirs_exist_ok=True)
        equal(fpm(world, receiver.url, php_ini=ini, app="own").get("/")[1], "prepended with us", "php.ini")
        equal(fpm(world, receiver.url, app="own", pool=f"php_admin_value[auto_prepend_file] = {own}").get("/")[1], "prepended", "pool")
        (apps(world) / "own/.user.ini").write_text(f'auto_prepend_file = "{own}"\n')
        equal(fpm(world, receiver.url, app="own").get("/")[1], "prepended", ".user.ini")


def nobody_listens(world):
    """A receiver that is dead, slow or silent costs no request more than a moment, and no worker but one at a time."""
    for options in ({"silent": True}, {"delay": 1.5}, None):
        with Receiver(**(options or {})) as receiver:
            url = receiver.url if options else "http://127.0.0.1:9"
            server = fpm(world, url, workers=3)
            server.get("/")
            slowest = 0
            for _ in range(60):
                began = time.monotonic()
                equal(server.get("/")[0], 200, "status")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.05)
            expect(slowest < 1, f"{options}: the slowest request took {slowest:.2f} s")
            began = time.monotonic()
            equal(server.end(), 0, "exit code")
            expect(time.monotonic() - began < 3, "the end takes too long")


def a_name_that_is_looked_up_once(world):
    """PHP cannot bound a look-up: the address that answered is used again, and another is looked up where it does so no more."""
    with Receiver() as receiver:
        hosts = temporary(world) / "hosts"
        hosts.write_text("127.0.0.1 receiver.test\n")
        world.run("mount", "--bind", hosts, "/etc/hosts")
        try:
            server = fpm(world, f"http://receiver.test:{receiver.port}")
            server.get("/")
            expect(receiver.wait_spans(1), "nothing was sent to a name")
            hosts.write_text("127.0.0.2 receiver.test\n")
            time.sleep(2.1)
            server.get("/status?code=201")
            flush(server, receiver, lambda: spans_of(receiver, "/status"))
            expect(spans_of(receiver, "/status"), "the name is looked up at every delivery")
            state = server.spool / "sender"
            # The state is written once the answer is there.
            time.sleep(0.5)
            text = json.loads(state.read_text())
            equal(text["peer"][:2], [f"receiver.test:{receiver.port}", f"127.0.0.1:{receiver.port}"], "address")
            for peer in ([f"receiver.test:{receiver.port}", "127.0.0.1:9", text["peer"][2]], [1, [], "x"]):
                state.write_text(json.dumps({**text, "peer": peer}))
                before = len(receiver.spans())
                hosts.write_text("127.0.0.1 receiver.test\n")
                time.sleep(2.1)
                flush(server, receiver, lambda before=before: len(receiver.spans()) > before)
                expect(len(receiver.spans()) > before, f"no way back from {peer}")
        finally:
            world.run("umount", "/etc/hosts")


def hostile_temporary_folders(world):
    """Links, files and folders of others where our folder would be: not followed, not written to; nothing is lost."""
    with Receiver() as receiver:
        first = fpm(world, receiver.url)
        first.get("/")
        name = first.spool.name
        equal(first.spool.stat().st_mode & 0o7777, 0o700, "mode of the folder")
        equal({path.name: oct(path.stat().st_mode & 0o777) for path in first.spool.iterdir() if path.name != "pending"},
              {"queue": "0o600", "sender": "0o600", "dropped": "0o600"}, "modes of the files")
        first.end()
        target = temporary(world)
        for plant in (lambda path: path.symlink_to(target), lambda path: path.mkdir(0o777), lambda path: path.write_text("x")):
            tmp = temporary(world)
            # Once for the first choice, once for both.
            for place in (SHARED_MEMORY, tmp):
                shutil.rmtree(place / name, ignore_errors=True)
                plant(place / name)
                server = fpm(world, receiver.url, tmp=tmp)
                before = len(receiver.spans())
                equal(server.get("/")[0], 200, "status")
                flush(server, receiver, lambda before=before: len(receiver.spans()) > before)
                expect(len(receiver.spans()) > before, f"nothing came from where a folder was planted in {place}")
                expect(not list(target.iterdir()), "a link was followed")
                server.end()
            for path in (SHARED_MEMORY / name, tmp / name):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def a_full_queue(world):
    """A queue that nobody takes stops at its bound; what comes then is counted, and all goes on once it is taken."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url, env={"OBTRACE_METRIC_INTERVAL": "1"})
        server.get("/")
        expect(receiver.wait_spans(1), "nothing was sent")
        queue, dropped = server.spool / "queue", server.spool / "dropped"
        with open(queue, "a") as file:
            file.write("x" * 4_200_000 + "\n")

        def pause():
            os.utime(server.spool, (time.time() + 30, time.time() + 30))

        pause()
        at_once(server, 160)
        before = queue.stat().st_size
        pause()
        at_once(server, 160)
        equal((queue.stat().st_size, dropped.stat().st_size >= 160), (before, True), "bytes in the queue, and whether what came was counted")
        expect(before < 4_200_000 + 160 * 2_000, f"{before} bytes are in the queue")
        os.utime(server.spool, (time.time() - 5, time.time() - 5))

        def counted():
            return [attributes for metric in receiver.metrics("obtrace.loader.dropped") for attributes, _ in metric.points]

        flush(server, receiver, lambda: counted() and spans_of(receiver, "/plain.php"))
        equal(counted()[:1], [{"signal": "traces", "reason": "queue_full"}], "what was dropped")
        expect(spans_of(receiver, "/plain.php"), "nothing is sent after a full queue")
        no_faults(receiver)


def no_temporary_folder(world):
    """Neither /tmp nor /dev/shm can be written to: each request is sent by itself, and answered as ever."""
    with Receiver() as receiver:
        world.run("mount", "-t", "tmpfs", "-o", "ro", "none", "/dev/shm")
        try:
            server = fpm(world, receiver.url, tmp=MOUNT)
            for _ in range(3):
                equal(server.get("/"), (200, "hello\n"), "answer")
            expect(receiver.wait_spans(3), f"{len(receiver.spans())} of 3 spans")
            no_faults(receiver)
            server.end()
        finally:
            world.run("umount", "/dev/shm")


def spoilt_queue(world):
    """What somebody else wrote into the queue is passed over, and what makes the receiver refuse a batch is taken out of it."""
    with Receiver() as receiver:
        server = fpm(world, receiver.url)
        server.get("/")
        receiver.wait_spans(1)
        bad = "1\t2\t\t{\"traceId\":\t"
        with open(server.spool / "queue", "a") as queue:
            queue.write("rubbish\n\t\t\t\t\t\n" + f"{len(bad)}\t{bad}\n" + "\x00" * 100)
        receiver.replies = [(400, {})]
        time.sleep(2.1)
        before = len(receiver.spans())
        server.get("/plain.php")
        flush(server, receiver, lambda: len(receiver.spans()) >= before + 2)
        (server.spool / "sender").write_text('{"version":"0.1.0","durations":{"x":[1]},"dropped":"y","attempts":"z"}')
        (server.spool / "pending").write_text("\n\nq\n")
        time.sleep(2.1)
        server.get("/status?code=201")
        flush(server, receiver, lambda: spans_of(receiver, "/status"))
        expect(spans_of(receiver, "/status"), "a spoilt state keeps us from sending")


def half_a_volume(world):
    """Files of ours that are missing, cut off or broken: the application runs as ever."""
    with Receiver() as receiver:
        whole = world.volume("php")
        for at, (name, change) in enumerate((("request.php", None), ("request.php", 3000), ("queue.php", None), ("queue.php", 2500),
                                             ("send.php", None), ("send.php", 2000), ("folder.php", None),
                                             ("state.php", 900), ("failure.php", None), ("route.php", 500))):
            folder = world.folder / f"half-{at}"
            shutil.copytree(whole, folder)
            path = folder / "obtrace_php" / name
            path.write_bytes(path.read_bytes()[:change]) if change else path.unlink()
            world.mount(folder)
            server = fpm(world, receiver.url, mount=False)
            equal(server.get("/"), (200, "hello\n"), f"answer with {name} cut to {change}")
            equal(server.get("/handlers"), (200, "nothing"), f"errors with {name} cut to {change}")
            equal(server.get("/throw")[0], 500, "status of a failure")
            expect("obtrace" not in server.err.replace("obtrace-loaders-", ""), f"{name} cut to {change}: {server.err}")
            server.end()


def functions_that_are_disabled(world):
    """`disable_functions` in the php.ini: never more than nothing sent."""
    with Receiver() as receiver:
        for names in ("flock", "stream_socket_client,fsockopen", "register_shutdown_function", "posix_geteuid,getmypid", "set_error_handler",
                      "ini_set,ini_get", "get_cfg_var", "fopen,file_put_contents,touch,chmod,mkdir", "stream_context_set_default,header_register_callback",
                      "fastcgi_finish_request,session_write_close"):
            server = fpm(world, receiver.url, ini={"disable_functions": names})
            equal(server.get("/"), (200, "hello\n"), f"answer without {names}")
            time.sleep(0.1)
            equal(server.get("/warn")[0], 200, f"answer without {names}")
            expect("obtrace" not in server.err.replace("obtrace-loaders-", ""), f"without {names}: {server.err}")
            server.end()


def open_basedir(world):
    """`open_basedir` that leaves out /obtrace: that of php.ini is widened by it; another is the one thing PHP dies of. Unset, it stays so."""
    with Receiver() as receiver:
        folder = apps(world)
        own = temporary(world)
        (own / "said.php").write_text("<?php echo ini_get('open_basedir'), @file_get_contents('/etc/hostname') === false ? ' closed' : ' open';")
        shutil.copytree(own, folder / "basedir", dirs_exist_ok=True)
        php_ini = own / "php.ini"
        for text, said in ((f'open_basedir = "{folder}:/tmp/"', f"{folder}:/tmp/:/obtrace/ closed"), ("", " open"), ("open_basedir = none", " open")):
            php_ini.write_text(text)
            server = fpm(world, receiver.url, php_ini=php_ini)
            equal(server.get("/basedir/said.php"), (200, said), f"answer with {text}")
            flush(server, receiver, lambda: spans_of(receiver, "/basedir/said.php"))
            expect(spans_of(receiver, "/basedir/said.php"), f"no span with {text}")
            receiver.requests.clear()
            server.end()
        server = fpm(world, receiver.url, ini={"open_basedir": f"{folder}:/obtrace/:/tmp/"})
        equal(server.get("/"), (200, "hello\n"), "answer")
        flush(server, receiver, lambda: spans_of(receiver, "/"))
        expect(spans_of(receiver, "/"), "no span with open_basedir")
        without = fpm(world, receiver.url, ini={"open_basedir": f"{folder}:/tmp/"})
        equal(without.get("/")[0], 500, "PHP checks prepended files against open_basedir no more: say so in the README")


def the_command_line(world):
    """Scripts and workers of the command line: not touched, nothing sent, nothing written."""
    with Receiver() as receiver:
        world.mount(world.volume("php"))
        env = world.environment("php:8.2-cli", ["php", "job.php"], receiver.url)
        script = apps(world) / "job.php"
        script.write_text("<?php echo 'done ', json_encode(get_included_files() === [__FILE__] || count(get_included_files()) === 2), PHP_EOL; fwrite(STDERR, 'e'); exit(7);")
        done = subprocess.run([program("php"), script], env=env, capture_output=True, text=True)
        equal((done.returncode, done.stdout, done.stderr), (7, "done true\n", "e"), "exit code and output")
        time.sleep(0.3)
        equal(receiver.requests, [], "what was sent")


def odd_values(world):
    """Keys and names with every sign that ini files know reach the receiver as they are."""
    for key in ('a"b;c=d', "$x{y}", "!(|&^~)", "it's 100 %", "back\\slash", "${HOME}", "null", "größe"[:3]):
        with Receiver() as receiver:
            world.mount(world.volume("php"))
            env = world.environment("php:8.2-fpm", ["php-fpm"], receiver.url)
            server = Fpm(world, {**env, "OBTRACE_API_KEY": key, "OBTRACE_SERVICE_NAME": f"shop {key}"})
            server.get("/")
            expect(receiver.wait_spans(1), f"nothing was sent with the key {key}")
            equal(receiver.requests[0]["headers"]["X-API-Key"].encode("latin-1").decode(), key, "key")
            equal(receiver.spans()[0].resource["service.name"], f"shop {key}", "service.name")
            server.end()


def at_once(server, count, path="/burst", threads=8):
    """Asks so many times, several at a time."""
    def ask():
        for _ in range(count // threads):
            server.get(path)

    several = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()


def stands_aside(world):
    """Switched off, without a URL, beside an OpenTelemetry SDK: nothing is sent, nothing is written; the reason is told to who asks."""
    with Receiver() as receiver:
        for more, reason in (({"OBTRACE_DISABLED": "true"}, "OBTRACE_DISABLED"), ({"OBTRACE_INGEST_URL": "ftp://x"}, "OBTRACE_INGEST_URL"),
                             ({"OTEL_PHP_AUTOLOAD_ENABLED": "true"}, "OTEL_PHP_AUTOLOAD_ENABLED")):
            world.mount(world.volume("php"))
            env = {**world.environment("php:8.2-fpm", ["php-fpm"], receiver.url), **more}
            quiet = Fpm(world, env)
            equal(quiet.get("/context"), (200, "none"), "answer")
            equal(quiet.spool, None, f"folder with {more}")
            loud = Fpm(world, {**env, "OBTRACE_DEBUG": "1"})
            for _ in range(3):
                loud.get("/")
            loud.end()
            lines = [line for line in loud.err.splitlines() if line.startswith("[obtrace] ")]
            expect(len(lines) == 1 and reason in lines[0], f"debug lines with {more}: {lines} of {loud.err}")
            expect("[obtrace]" not in quiet.err, quiet.err)
        server = built_in(world, world.environment("php:8.2-cli", ["php", "-S", "0.0.0.0:80"], receiver.url))
        equal(server.get("/sdk.php"), (200, "an SDK of its own\n"), "answer")
        time.sleep(0.5)
        equal(receiver.requests, [], "what was sent")


CASES = [same_answers, kinds_of_opcache, what_ends_early_or_late, context_goes_out, own_prepended_files, nobody_listens, a_name_that_is_looked_up_once, hostile_temporary_folders, a_full_queue, no_temporary_folder, spoilt_queue, half_a_volume,
         functions_that_are_disabled, open_basedir, the_command_line, odd_values, stands_aside]
