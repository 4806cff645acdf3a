"""The servers of the replay tests and the capture beside them, in a network namespace that ends with this program."""

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

import parts

HERE = pathlib.Path(__file__).resolve().parent
INSIDE = "OBTRACE_REPLAY_NAMESPACE"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

NGINX, UVICORN, GUNICORN, NODE, ODD = (80, 18080), (8001, 18001), (8002, 18002), (8003, 18003), (8004, 18004)
MQTT, WEBSOCKET, UVICORN_SOCKETS = (1883, 18830), (8005, 18005), (8006, 18006)
MYSQL, POSTGRES, REDIS, DNS, SILENT = (3306, 14999), (5432, 15999), (6379, 16999), (53, 15353), 15354
FASTCGI = (9000, 19000)
MONGODB = (27017, 17999)
# Relays to it that compress.
COMPRESSING = {"snappy": (27018, 17996), "zlib": (27019, 17997), "zstd": (27020, 17998)}
KAFKA = (9092, 17992)
GENAI = (11434, 18011)
NGHTTPD, APACHE, GRPC = (8090, 18090), (8091, 18091), (50051, 15051)


def enter_namespace():
    """Starts this program again in a network namespace of its own, in which `lo` carries nothing but the test. What it
    mounts is its own, too."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        sys.exit("tests/replay makes a network namespace and records in it: run it as root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--fork", "--kill-child", sys.executable, *sys.argv])


# A broker talks to itself on listeners of its own.
KAFKA_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={kind}://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={kind}://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}
listener.security.protocol.map={kind}:{kind},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_app="t0psecret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={folder}/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def as_child():
    """In a child before it runs: a session of its own, and the end when we end."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# How often a capture is tried.
RECORDINGS = 3


class World:
    """Everything that runs. `close` ends it."""

    def __init__(self, interpreter):
        self.python = interpreter
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-replay-"))
        self.folder.chmod(0o755)
        self.processes = []
        atexit.register(self.close)

    def start(self, name, *command, user=None):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=as_child,
            cwd=self.folder, user=user, group=user, extra_groups=[] if user else None,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.processes.append((name, process))
        return process

    def close(self):
        for name, process in reversed(self.processes):
            stop(process, signal.SIGINT if name.startswith("postgres") else signal.SIGTERM)
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def http(self):
        nginx = (HERE / "servers/nginx.conf").read_text()
        listen = "".join(f"listen 127.0.0.1:{port};" for port in NGINX)
        (self.folder / "nginx.conf").write_text(nginx.replace("FOLDER", str(self.folder)).replace("LISTEN", listen))
        (self.folder / "big.bin").write_bytes(b"x" * 1_000_000)
        self.start("nginx", "nginx", "-e", self.folder / "nginx.error.log", "-c", self.folder / "nginx.conf")
        servers = HERE / "servers"
        for port in UVICORN:
            self.start(f"uvicorn-{port}", self.python, "-m", "uvicorn", "--app-dir", servers, "asgi:app", "--port", port, "--log-level", "warning")
        binds = [word for port in GUNICORN for word in ("--bind", f"127.0.0.1:{port}")]
        self.start("gunicorn", self.python, "-m", "gunicorn", "--chdir", servers, "--workers", 2, "--worker-class", "gthread",
                   "--threads", 8, "--keep-alive", 60, *binds, "wsgi:app")
        self.start("node", "node", "--max-http-header-size=262144", servers / "server.js", *NODE)
        for port in ODD:
            self.start(f"odd-{port}", self.python, servers / "odd.py", port)
        self.answers(*NGINX, *UVICORN, *GUNICORN, *NODE, *ODD)

    def fastcgi(self):
        program = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1]
        servers = ""
        for port in FASTCGI:
            (self.folder / f"fpm-{port}.conf").write_text(
                f"[global]\nerror_log = {self.folder}/fpm-{port}.errors\ndaemonize = no\n"
                f"[www]\nuser = root\ngroup = root\nlisten = 127.0.0.1:{port}\npm = static\npm.max_children = 3\n")
            self.start(f"fpm-{port}", program, "--allow-to-run-as-root", "-d", "display_errors=0", "-d", "log_errors=1", "-F", "-y", self.folder / f"fpm-{port}.conf")
            servers += f"upstream kept{port} {{ server 127.0.0.1:{port}; keepalive 2; }}\n"
            for name, keeps in ((f"fastcgi-{port}", f"fastcgi_pass 127.0.0.1:{port};"), (f"fastcgi-kept-{port}", f"fastcgi_pass kept{port}; fastcgi_keep_conn on;")):
                servers += f"server {{ listen unix:{self.folder}/{name}; location / {{ {keeps} }} }}\n"
        text = (HERE / "servers/fastcgi.conf").read_text()
        text = text.replace("FOLDER", str(self.folder)).replace("SCRIPT;", f"{HERE}/servers/index.php;").replace("SERVERS", servers)
        (self.folder / "fastcgi.conf").write_text(text)
        self.start("nginx-fastcgi", "nginx", "-e", self.folder / "fastcgi.error.log", "-c", self.folder / "fastcgi.conf")
        self.answers(*FASTCGI)

    def secantus(self, port):
        program = pathlib.Path(self.python).with_name("secantusd-py")
        self.start(f"mongodb-{port}", program, "--host", "127.0.0.1", "--port", port, "--storage-path", ":memory:", "--standalone")

    def mongodb(self):
        for at, port in enumerate(MONGODB):
            self.secantus(port)
            relays = [f"{name}={ports[at]}" for name, ports in COMPRESSING.items()]
            self.start(f"compressing-{port}", self.python, HERE / "servers/compressing.py", port, *relays)
        self.answers(*MONGODB, *(port for ports in COMPRESSING.values() for port in ports))

    def mongodb_node(self):
        os.environ["NODE_PATH"] = str(parts.mongodb_js())
        for port in MONGODB:
            self.secantus(port)
        self.answers(*MONGODB)

    def mongodb_java(self):
        os.environ["OLDER_PYMONGO"] = str(parts.older_pymongo())
        self.start("mongodb-java", "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{parts.mongo_java_server()}/*", HERE / "servers/MongoJava.java", *MONGODB)
        self.answers(*MONGODB)

    def genai(self):
        for port in GENAI:
            self.start(f"genai-{port}", self.python, HERE / "servers/genai.py", port)
        self.answers(*GENAI)

    def http2(self):
        pages = self.folder / "www"
        pages.mkdir()
        for name, text in (("small.txt", "small"), ("index.html", "<p>"), ("style.css", "p {}"), ("big.bin", "x" * 300_000)):
            (pages / name).write_text(text)
        for port in NGHTTPD:
            self.start(f"nghttpd-{port}", "nghttpd", "--no-tls", "--htdocs", pages, "--push", "/index.html=/style.css", "--max-concurrent-streams", 100, port)
        apache = (HERE / "servers/apache.conf").read_text()
        listen = "\n".join(f"Listen 127.0.0.1:{port}" for port in APACHE)
        for name, value in (("FOLDER", str(self.folder)), ("MODULES", "/usr/lib/apache2/modules"), ("LISTEN", listen)):
            apache = apache.replace(name, value)
        (self.folder / "apache.conf").write_text(apache)
        self.start("apache", "apache2", "-D", "FOREGROUND", "-f", self.folder / "apache.conf")
        self.answers(*NGHTTPD, *APACHE)

    http2_load = http2

    def grpc(self):
        for port in GRPC:
            self.start(f"grpc-{port}", self.python, HERE / "servers/grpc_server.py", port)
        self.answers(*GRPC)

    def grpc_go(self):
        os.environ["GRPC_GO"] = str(parts.grpc_go())
        self.start("grpc-go", parts.grpc_go(), "serve", *GRPC)
        self.answers(*GRPC)

    def grpc_node(self):
        os.environ["NODE_PATH"] = str(parts.grpc_js())
        self.start("grpc-node", "node", HERE / "servers/grpc_node.cjs", "serve", *GRPC)
        self.answers(*GRPC)

    def redis(self):
        for port in REDIS:
            self.start(f"redis-{port}", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", self.folder)
        self.answers(*REDIS)

    def kafka(self, kind="PLAINTEXT"):
        jars = parts.kafka_jars()
        users = [word for name in ("256", "512") for word in ("--add-scram", f"SCRAM-SHA-{name}=[name=app,password=t0psecret]")]
        for port in KAFKA:
            folder = self.folder / f"kafka-{port}"
            folder.mkdir()
            properties = folder / "server.properties"
            properties.write_text(KAFKA_PROPERTIES.format(kind=kind, port=port, controller=port + 1, internal=port + 2, folder=folder))
            java = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
            subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", properties, *users],
                           check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.start(f"kafka-{port}", *java, "kafka.Kafka", properties)
        self.answers(*KAFKA)
        os.environ["NODE_PATH"] = str(parts.kafkajs())

    def kafka_sasl(self):
        self.kafka("SASL_PLAINTEXT")
        os.environ["KAFKA_CLIENT"] = str(parts.kafka_client())

    def dns(self):
        lines = ["no-resolv", "no-hosts", "bind-interfaces", "listen-address=127.0.0.1", "local=/nx/", "address=/test/192.0.2.1",
                 "cname=alias.test,target.test", "host-record=target.test,192.0.2.7", "srv-host=_web._tcp.test,target.test,80",
                 "txt-record=words.test,some words", "no-daemon", "user=root", "cache-size=1000"]
        lines += [f"host-record=many.test,192.0.2.{number}" for number in range(1, 101)]
        (self.folder / "dnsmasq.conf").write_text("\n".join(lines))
        for port in DNS:
            self.start(f"dnsmasq-{port}", "dnsmasq", "-k", "-C", self.folder / "dnsmasq.conf", "-p", port, "-x", self.folder / f"dnsmasq-{port}.pid")
        self.answers(*DNS)

    def mysql(self):
        made = self.folder / "mysql"
        subprocess.run(["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={made}", "--skip-test-db",
                        "--auth-root-authentication-method=normal"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for port in MYSQL:
            data, runs = self.folder / f"mysql-{port}", self.folder / f"mysql-{port}-run"
            subprocess.run(["cp", "-a", made, data], check=True)
            runs.mkdir()
            shutil.chown(runs, "mysql", "mysql")
            self.start(f"mysql-{port}", "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={runs}/socket", f"--port={port}",
                       "--bind-address=127.0.0.1", f"--pid-file={runs}/pid", "--skip-name-resolve", "--local-infile=1", "--max-allowed-packet=64M",
                       "--max-connections=40", user="mysql")
        self.answers(*MYSQL)
        for port in MYSQL:
            # Through the socket, before anything is recorded.
            made = """CREATE DATABASE shop // CREATE DATABASE other // CREATE USER app IDENTIFIED BY 'secret' // GRANT ALL ON *.* TO app //
                USE shop // CREATE TABLE scratch (id int, word text) //
                CREATE PROCEDURE two() BEGIN SELECT 1; SELECT seq FROM seq_1_to_3; END //"""
            subprocess.run(["mariadb", "--no-defaults", "--user=root", f"--socket={self.folder}/mysql-{port}-run/socket", "--delimiter=//"],
                           input=made.encode(), check=True)

    def mysql_node(self):
        os.environ["NODE_PATH"] = str(parts.mysql2())
        self.mysql()

    def postgres(self):
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))[-1]
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": [], "check": True, "stdout": subprocess.DEVNULL}
        secret = self.folder / "secret"
        secret.write_text("secret")
        for port in POSTGRES:
            data = self.folder / f"postgres-{port}"
            data.mkdir()
            shutil.chown(data, "postgres", "postgres")
            subprocess.run([programs / "initdb", "-A", "scram-sha-256", f"--pwfile={secret}", "-N", "-U", "postgres", "-D", data], cwd=data, **as_user)
            # Tables are made through the socket, before anything is recorded.
            (data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            self.start(f"postgres-{port}", programs / "postgres", "-D", data, "-k", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
                       "-c", "fsync=off", user="postgres")
        self.answers(*POSTGRES)
        for port in POSTGRES:
            psql = [programs / "psql", "-q", "-h", self.folder / f"postgres-{port}", "-p", str(port), "-U", "postgres", "-c",
                    "CREATE TABLE scratch (id int, word text)"]
            for _ in range(100):
                if subprocess.run(psql, cwd=self.folder, stderr=subprocess.DEVNULL).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                sys.exit("PostgreSQL does not take statements")

    def mqtt(self):
        settings = (HERE / "servers/mosquitto.conf").read_text()
        listeners = "\n".join(f"listener {port} 127.0.0.1" for port in MQTT)
        (self.folder / "mosquitto.conf").write_text(settings.replace("LISTENERS", listeners).replace("FOLDER", str(self.folder)))
        (self.folder / "mosquitto.acl").write_text("topic readwrite #\ntopic deny denied/#\n")
        self.start("mosquitto", "mosquitto", "-c", self.folder / "mosquitto.conf")
        self.answers(*MQTT)

    def mqtt_node(self):
        os.environ["NODE_PATH"] = str(parts.mqtt_js())
        self.mqtt()

    def websocket(self):
        servers = HERE / "servers"
        self.start("websocket", self.python, servers / "websocket.py", *WEBSOCKET)
        for port in UVICORN_SOCKETS:
            self.start(f"uvicorn-sockets-{port}", self.python, "-m", "uvicorn", "--app-dir", servers, "websocket:app", "--port", port, "--log-level", "warning",
                       "--ws", "websockets")
        self.answers(*WEBSOCKET, *UVICORN_SOCKETS)

    def answers(self, *ports):
        """Waits until something answers on all of these ports."""
        for port in ports:
            for _ in range(300):
                for name, process in self.processes:
                    if process.poll() is not None:
                        sys.exit(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                sys.exit(f"nothing answers on port {port}")

    def record(self, path, client):
        """Runs a client while `lo` is recorded; what it wrote. A capture that lost packets, where the machine is busy, is no
        capture: it is made again."""
        for _ in range(RECORDINGS):
            said, told = self.recorded(path, client)
            if "\n0 packets dropped by kernel" in told:
                return said
            print(f" -> the capture is not whole: {' '.join(told.split())}", flush=True)
        sys.exit(f"no capture of {client[1]} is whole")

    def recorded(self, path, client):
        """What the client wrote, and what tcpdump said at its end. The buffer has a place of the longest packet for each, so that
        is no longer than it must be."""
        capture = subprocess.Popen(["tcpdump", "-i", "lo", "-s", "66000", "-B", "262144", "--immediate-mode", "--time-stamp-precision=nano", "-U", "-n", "-w", path],
                                   stderr=subprocess.PIPE, preexec_fn=as_child)
        while b"listening on" not in capture.stderr.readline():
            if capture.poll() is not None:
                sys.exit("tcpdump does not run")
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([str(word) for word in client], stdout=subprocess.PIPE, env=environment, cwd=self.folder, preexec_fn=as_child, timeout=120)
        time.sleep(0.5)
        capture.send_signal(signal.SIGINT)
        told = capture.stderr.read().decode()
        capture.wait()
        if done.returncode != 0:
            sys.exit(f"{client[1]} failed")
        return done.stdout, told


def stop(process, number):
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
