"""The servers that applications talk to, real ones from Debian: started on ports of their own, ended with the case."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from world import Missing, Wrong, free_port, program, until

LOOPBACK = "127.0.0.1"


def answers(application, *command, within=60, **options):
    """Waits until a server answers its own client; its port."""
    words = [str(word) for word in command]

    def ready():
        if application.process.poll() is not None:
            raise Wrong(f"a server ended with {application.process.returncode}: {application.err[-1500:]}{application.out[-500:]}")
        return subprocess.run(words, capture_output=True, **options).returncode == 0

    until(ready, lambda: f"{words[0]} to be answered: {application.err[-800:]}{application.out[-800:]}", within)
    return application.port


def folder_of(world, user):
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise Missing(f"no user {user} on this machine") from None
    folder = pathlib.Path(tempfile.mkdtemp(dir=world.folder))
    shutil.chown(folder, user, user)
    return folder


def postgres(world):
    """PostgreSQL, whose superuser `postgres` needs no password; its port."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[4]))
    if not found:
        raise Missing("no PostgreSQL on this machine")
    binaries, folder, port = found[-1], folder_of(world, "postgres"), free_port()
    as_user = (program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups")
    world.run(*as_user, binaries / "initdb", "-A", "trust", "-N", "-U", "postgres", "-D", folder, folder=folder)
    server = world.start(*as_user, binaries / "postgres", "-D", folder, "-k", folder, "-p", port, "-c", f"listen_addresses={LOOPBACK}",
                         "-c", "fsync=off", folder=folder, port=port)
    return answers(server, binaries / "psql", "-h", LOOPBACK, "-p", port, "-U", "postgres", "-c", "SELECT 1")


def mariadb(world, *statements):
    """MariaDB with a database `test`, which lets everyone in; its port. `statements` are run in it."""
    folder, port = folder_of(world, "mysql"), free_port()
    world.run(program("mariadb-install-db"), "--no-defaults", f"--datadir={folder}", "--user=mysql", "--auth-root-authentication-method=normal",
              "--skip-test-db")
    server = world.start(program("mariadbd"), "--no-defaults", f"--datadir={folder}", f"--socket={folder}/socket", f"--port={port}",
                         f"--bind-address={LOOPBACK}", f"--pid-file={folder}/pid", "--user=mysql", "--skip-grant-tables", "--skip-networking=0", port=port)
    told = ";".join(("CREATE DATABASE IF NOT EXISTS test", "USE test", *statements))
    return answers(server, program("mariadb"), "--no-defaults", "-h", LOOPBACK, "-P", port, "-u", "root", "-e", told)


def redis(world):
    """Redis, which keeps nothing; its port."""
    port = free_port()
    server = world.start(program("redis-server"), "--port", port, "--bind", LOOPBACK, "--save", "", port=port)
    return answers(server, program("redis-cli"), "-p", port, "ping")


def memcached(world):
    """Memcached; its port."""
    port = free_port()
    return world.start(program("memcached"), "-p", port, "-l", LOOPBACK, "-u", "nobody", port=port).ready().port


def rabbitmq(world):
    """RabbitMQ, whose `guest` may come in; its port."""
    programs = pathlib.Path("/usr/lib/rabbitmq/bin")
    if not (programs / "rabbitmq-server").exists():
        raise Missing("no RabbitMQ on this machine")
    folder, port, names = folder_of(world, "root"), free_port(), free_port()
    # Erlang's name server, which RabbitMQ would start and leave behind.
    world.start(program("epmd"), "-port", names, "-address", LOOPBACK, port=names).ready()
    own = {"ERL_EPMD_PORT": names, "RABBITMQ_NODENAME": f"obtrace{port}@localhost", "RABBITMQ_NODE_PORT": port, "RABBITMQ_DIST_PORT": free_port(), "RABBITMQ_BASE": folder,
           "RABBITMQ_MNESIA_BASE": folder, "RABBITMQ_LOG_BASE": folder, "RABBITMQ_PLUGINS_EXPAND_DIR": folder / "plugins",
           "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK, "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "none", "RABBITMQ_CONF_ENV_FILE": folder / "none",
           "RABBITMQ_PID_FILE": folder / "pid", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2", "HOME": folder}
    server = world.start(programs / "rabbitmq-server", env=own, folder=folder, port=port)
    return answers(server, programs / "rabbitmqctl", "-q", "await_startup", within=120,
                   env={**os.environ, **{name: str(value) for name, value in own.items()}})
