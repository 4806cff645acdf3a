"""PHP behind its servers: FPM and nginx, Apache, the built-in one."""

import functools
import os
import pathlib
import pwd
import shutil
import socket
import time
import zlib

from world import free_port, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
SHARED_MEMORY = pathlib.Path("/dev/shm")
IMAGE = "php:8.2-fpm"
FPM = ["php-fpm"]
POOL = """[global]
error_log = /dev/stderr
daemonize = no
[www]
user = {user}
group = {user}
listen = {socket}
listen.owner = www-data
pm = static
pm.max_children = {workers}
catch_workers_output = yes
decorate_workers_output = no
{more}
"""
NGINX = """worker_processes 1;
daemon off;
user www-data;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    index index.php;
    location / {{ try_files $uri $uri/ /index.php$is_args$args; }}
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{socket};
    }}
  }}
}}
"""


def temporary(world):
    """A folder such as /tmp, for one application."""
    folder = world.folder / f"tmp-{world.count}-{len(os.listdir(world.folder))}"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@functools.cache
def shared_memory(world):
    """A /dev/shm of our own, as a Pod has: only for us and our children."""
    world.run("mount", "-t", "tmpfs", "-o", "mode=1777", "none", SHARED_MEMORY)


def apps(world, name="."):
    """The applications, or one of them, where every user may read them."""
    folder = world.folder / "php-apps"
    if not folder.exists():
        shutil.copytree(APPS, folder)
    return folder / name


def settings(ini):
    return [word for name, value in ini.items() for word in ("-d", f"{name}={value}")]


def listens(path):
    """Whether somebody takes connections there: FPM makes the file before it listens."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


class Fpm:
    """FPM's master process and an nginx before it. `user`: of the workers; root, where only root can read what they need."""

    def __init__(self, world, env, app=".", workers=2, pool="", ini=None, tmp=None, php_ini=None, user="www-data"):
        shared_memory(world)
        self.env, self.user, self.tmp = env, user, tmp or temporary(world)
        folder = temporary(world)
        path = folder / "fpm.sock"
        (folder / "fpm.conf").write_text(POOL.format(user=user, socket=path, workers=workers, more=pool))
        ini = {"sys_temp_dir": self.tmp, "display_errors": 0, "log_errors": 1, **(ini or {})}
        self.master = world.start(program("php-fpm8.2"), "-F", "-R", *(["-c", php_ini] if php_ini else []), *settings(ini), "-y", folder / "fpm.conf", env=env)
        self.port = free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=self.port, root=apps(world, app), socket=path))
        self.nginx = world.start(program("nginx"), "-c", folder / "nginx.conf", "-p", folder, env={}, port=self.port)
        self.nginx.ready()
        deadline = time.monotonic() + 20
        while not listens(path) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.get, self.end = self.nginx.get, self.master.end

    @property
    def err(self):
        return self.master.err

    @property
    def spool(self):
        """The queue's folder, None before there is one."""
        of = "\n".join(self.env.get(name, "") for name in ("OBTRACE_INGEST_URL", "OBTRACE_SERVICE_NAME", "OBTRACE_POD_NAME"))
        name = f".obtrace-php-{pwd.getpwnam(self.user).pw_uid}-{zlib.crc32(of.encode()):x}"
        return next((place / name for place in (SHARED_MEMORY, self.tmp) if (place / name).exists()), None)

    @property
    def workers(self):
        return [int(pid) for pid in pathlib.Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text().split()]


def fpm(world, receiver_url, env=None, instrumentation=None, mount=True, **more):
    """FPM with what its Pod would have."""
    if mount:
        world.mount(world.volume("php"))
    return Fpm(world, world.environment(IMAGE, FPM, receiver_url, env=env, instrumentation=instrumentation), **more)


def built_in(world, env, app=".", ini=None, tmp=None, php=None):
    """`php -S` with a folder; what no file answers goes to its index.php. (A router script would run without prepended files.)"""
    shared_memory(world)
    port = free_port()
    tmp = tmp or temporary(world)
    application = world.start(php or program("php"), *settings({"sys_temp_dir": tmp, **(ini or {})}), "-S", f"127.0.0.1:{port}", "-t", apps(world, app), env=env, port=port)
    application.tmp = tmp
    return application.ready()
