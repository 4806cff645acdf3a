"""The servers of the live tests, in namespaces that end with this program."""

import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

PORTS = {"nginx": 8000, "uvicorn": 8001, "gunicorn": 8002, "node": 8003, "java": 8004, "go": 8005, "puma": 8006}
POSTGRES, REDIS = 5432, 6379
NAMESPACES = "OBTRACE_LIVE_NAMESPACES"
# With --container these have a PID namespace of their own below the agent's: they do not know the numbers that it sees.
NESTED = ("redis", "gunicorn")


def enter_namespaces(container):
    """Starts this program again in namespaces of its own; with `container` in all of them, as `be_contained` has it."""
    if os.environ.get(NAMESPACES):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if container:
            be_contained()
        elif not os.listdir("/sys/kernel/tracing"):
            subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)
        return
    command = ["unshare", "--net", "--mount", "--fork", "--kill-child"]
    if container:
        # A PID namespace inside another one: no number in it is what it is on the host or one level up.
        inner = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        command += ["--pid", "--mount-proc", "--uts", "--ipc", "--cgroup", *inner]
    os.environ[NAMESPACES] = "container" if container else "network"
    os.execvp("unshare", [*command, sys.executable, *sys.argv])


def free_port():
    """One that nobody listens on; the network namespace is ours alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def be_contained():
    """Leaves what a container has: a /sys of its own, and no file system by which the host's kernel could be asked."""
    subprocess.run(["umount", "--recursive", "--lazy", "/sys"], check=True)
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    kinds = [line.split(" - ", 1)[1].split()[0] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    left = {"tracefs", "debugfs", "bpf", "securityfs", "cgroup", "cgroup2"}.intersection(kinds)
    if left or os.listdir("/sys/kernel/tracing"):
        sys.exit(f"the container still has {sorted(left) or 'a tracefs'}")


def as_child():
    """In a child before it runs: a session of its own, and the end when we end."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class World:
    """Everything that runs. `close` ends it."""

    def __init__(self, container=False):
        self.container = container
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-live-"))
        self.folder.chmod(0o755)
        self.processes = []
        self.servers = {}
        atexit.register(self.close)

    def start(self, name, *command, user=None, **environment):
        if self.container and name in NESTED:
            command = ("unshare", "--pid", "--fork", "--kill-child", *command)
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=as_child,
            cwd=self.folder, user=user, group=user, extra_groups=[] if user else None,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )
        self.processes.append((name, process))
        return process

    def close(self):
        # Who calls first, who is called last; PostgreSQL ends fast on SIGINT only.
        for name, process in reversed(self.processes):
            if process.poll() is None:
                # The group: what holds a PID namespace hears no SIGTERM.
                if name in NESTED:
                    os.killpg(process.pid, signal.SIGTERM)
                else:
                    process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def postgres(self):
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))[-1].parent
        data = self.folder / "postgres"
        data.mkdir()
        shutil.chown(data, "postgres", "postgres")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": data, "check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([programs / "initdb", "-A", "trust", "-N", "-U", "postgres", "-D", data], **as_user)
        self.servers["postgres"] = self.start(
            "postgres", programs / "postgres", "-D", data, "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
            user="postgres")
        self.answers(POSTGRES)
        tables = ("CREATE TABLE items (id int, name text); INSERT INTO items SELECT n, 'item ' || n FROM generate_series(0, 20) n;"
                  " CREATE TABLE visits (id serial, who text)")
        for _ in range(100):
            if subprocess.run([programs / "psql", "-q", "-h", data, "-U", "postgres", "-c", tables], **{**as_user, "check": False},
                              stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("PostgreSQL does not take statements")

    def redis(self):
        self.servers["redis"] = self.start("redis", "redis-server", "--port", REDIS, "--bind", "127.0.0.1", "--save", "")
        self.answers(REDIS)

    def dns(self):
        """A name server for *.test on port 53 of this machine."""
        self.servers["dnsmasq"] = self.start(
            "dnsmasq", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
            "--listen-address=127.0.0.1", "--address=/test/192.0.2.1", "--pid-file")
        self.answers(53)

    def web(self, names):
        """Starts the web servers of these names. nginx hands on to uvicorn; the others' chains go to nginx's static files."""
        shared = {"UPSTREAM_PORT": str(PORTS["nginx"]), "REDIS_PORT": str(REDIS), "DATABASE_URL": "postgresql://postgres@127.0.0.1/postgres"}
        here, python = HERE / "servers", sys.executable
        builds = {}
        if "java" in names:
            builds["java"] = subprocess.Popen(["javac", "-d", self.folder, here / "Server.java"])
        if "go" in names:
            builds["go"] = subprocess.Popen(["go", "build", "-o", self.folder / "goserver", here / "server.go"], env={**os.environ, "GO111MODULE": "off"})
        commands = {
            "nginx": lambda port: ("nginx", "-e", self.folder / "nginx.error.log", "-c", self.nginx_settings(port)),
            "uvicorn": lambda port: (python, "-m", "uvicorn", "--app-dir", here, "asgi:app", "--port", port, "--log-level", "warning"),
            "gunicorn": lambda port: (python, "-m", "gunicorn", "--chdir", here, "--workers", 3, "--keep-alive", 60, "--bind", f"127.0.0.1:{port}",
                                      "--worker-class", "gthread", "--threads", 4, "wsgi:app"),
            "node": lambda port: ("node", here / "server.js", port, PORTS["nginx"]),
            "java": lambda port: ("java", "-Xmx256m", "-cp", self.folder, "Server", port, PORTS["nginx"]),
            "go": lambda port: (self.folder / "goserver", port, PORTS["nginx"]),
            "puma": lambda port: ("puma", "-b", f"tcp://127.0.0.1:{port}", "-C", here / "puma.rb", here / "config.ru"),
        }
        for name in names:
            if name in builds and builds[name].wait() != 0:
                sys.exit(f"cannot build the {name} server")
            # nginx keeps its own name: its workers' environment is overwritten by their titles.
            service = {} if name == "nginx" else {"OTEL_SERVICE_NAME": f"live-{name}"}
            self.servers[name] = self.start(name, *commands[name](PORTS[name]), **shared, **service)
        for name in names:
            self.answers(PORTS[name])

    def nginx_settings(self, port):
        static = self.folder / "static"
        static.mkdir()
        (static / "item.json").write_text('{"item": "static"}')
        (static / "big.bin").write_bytes(b"x" * 1_000_000)
        text = (HERE / "servers/nginx.conf").read_text()
        for word, value in (("FOLDER", self.folder), ("UPSTREAM", PORTS["uvicorn"]), ("PORT", port)):
            text = text.replace(word, str(value))
        settings = self.folder / "nginx.conf"
        settings.write_text(text)
        return settings

    def answers(self, port):
        for _ in range(1_200):
            for name, process in self.processes:
                if process.poll() is not None:
                    sys.exit(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"nothing answers on port {port}")
