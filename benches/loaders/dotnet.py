"""A program that calls an nginx with HttpClient, eight calls at a time, on .NET 8 and 3.1: a span and a duration each call. nginx, the same for
all, is not counted. OpenTelemetry's distribution for .NET cannot be had here (no NuGet)."""

import importlib.util
import pathlib

from contender import Contender, cpu
from world import free_port, program

HERE = pathlib.Path(__file__).resolve().parent
RIG = HERE.parent.parent / "tests/loaders/dotnet/rig.py"
NGINX = """
daemon off; worker_processes 1; error_log stderr; pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off; keepalive_requests 1000000; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
}}
"""


# The first turn, which does not count, is longer: the runtime compiles what is called often once more, beside the calls.
WARMING = 12


class Caller(Contender):
    """Asked once a turn, calls for as long as the turn goes."""

    def ask(self, seconds, settle):
        seconds = seconds if self.asked else WARMING
        before = cpu(self.application.pid)
        count = int(self.application.get(f"/{seconds}", timeout=seconds + 60)[1])
        settle()
        self.asked += count
        self.requests.append((cpu(self.application.pid) - before) * 1e6 / count)


def upstream(world):
    port, folder = free_port(), world.folder / "dotnet-upstream"
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    world.start(program("nginx"), "-c", folder / "nginx.conf", "-p", folder, env={}, port=port).ready()
    return f"http://127.0.0.1:{port}/orders/7"


def contenders(world, receiver):
    spec = importlib.util.spec_from_file_location("dotnet_rig", RIG)
    rig = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rig)
    application, url = rig.compiled(world, "Caller", apps=HERE / "apps") / "Caller.dll", upstream(world)
    ours = rig.variables(world, receiver.url)

    def command(version):
        return lambda port: [rig.host(world, version), application, port, url]

    return [contender
            for version, mark in ((rig.NEW, ""), (rig.OLD, " on 3.1"))
            for contender in (Caller(f"bare{mark}", command(version), rig.INVARIANT, path="/0", signals=()),
                              Caller(f"ours{mark}", command(version), ours, files=world.volume("dotnet"), path="/0", signals=("traces", "metrics")))]
