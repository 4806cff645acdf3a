"""What test rigs share: programs of this machine, children that end with us, small servers, and what is built once into a cache."""

import contextlib
import ctypes
import fcntl
import hashlib
import http.server
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """What this machine lacks for a case."""


class Wrong(Exception):
    """What a case saw that should not be; a list of lines, or one."""

    def __init__(self, lines):
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        super().__init__("; ".join(map(str, self.lines)))


def expect(condition, text):
    if not condition:
        raise Wrong(text)


def equal(seen, wanted, what):
    expect(seen == wanted, f"{what}: {seen!r}, not {wanted!r}")


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not found:
        raise Missing(f"no {name} on this machine")
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def as_child():
    """In a child before it runs: a session of its own, and the end when we end."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_session(pid):
    """Ends whatever is left of a child's session (see `as_child`), also what made a process group of its own in it."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            # Behind the name, which may have blanks and brackets: state, parent, group, session.
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session == pid:
                os.kill(int(entry.name), signal.SIGKILL)


class Quiet(http.server.BaseHTTPRequestHandler):
    """A handler that keeps connections and logs nothing."""

    protocol_version = "HTTP/1.1"

    def body(self):
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


class Listening(http.server.ThreadingHTTPServer):
    """A server of HTTP on a thread of its own. `tls`: the context of `ssl` that it speaks with."""

    daemon_threads = True

    def __init__(self, handler, host="127.0.0.1", port=0, tls=None):
        super().__init__((host, port), handler)
        self.port = self.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else host}:{self.port}"
        if tls:
            # The handshake belongs to the connection's own thread: one that hangs holds up nobody.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        """Programs under test end, or give up, in the middle of a request: that is not worth a trace of ours."""

    def close(self):
        self.shutdown()
        self.server_close()


class Cache:
    """A folder with what is built once."""

    def __init__(self, folder):
        self.cache = folder
        self.cache.mkdir(parents=True, exist_ok=True)

    def made(self, name, sources, build):
        """The folder `name` of the cache, made by `build(folder)` whenever the sources (paths, texts) differ from what it
        was made of."""
        digest = hashlib.sha256()
        for source in sources:
            digest.update(source.read_bytes() if isinstance(source, pathlib.Path) else str(source).encode())
        folder = self.cache / f"{name}-{digest.hexdigest()[:16]}"
        # Others may want the same at the same time.
        with open(self.cache / f"{folder.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".complete").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                print(f" -> {name} goes to {folder}", flush=True)
                build(folder)
                (folder / ".complete").touch()
        return folder

    def run(self, *command, folder=None, **environment):
        """Runs a tool of the tests' own; what it printed."""
        done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, **{name: str(value) for name, value in environment.items()}})
        if done.returncode:
            tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise Missing(f"`{' '.join(map(str, command[:4]))} ...` failed: {' | '.join(tail)}")
        return done.stdout

    def npm(self, package):
        """The unpacked folder of a package `name@version` of npm."""
        def build(folder):
            self.run(program("npm"), "pack", "--silent", package, folder=folder)
            archive = next(folder.glob("*.tgz"))
            self.run("tar", "xzf", archive, folder=folder)
            archive.unlink()

        return self.made(package.strip("@").replace("/", "-"), [package], build) / "package"
