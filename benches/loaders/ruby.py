"""Ruby: Sinatra on Puma, one process with two threads; a span, a log record and a duration each request. The distribution of
OpenTelemetry cannot be had here: RubyGems is out of reach."""

import pathlib

from contender import Contender
from world import MOUNT, program

APPS = pathlib.Path(__file__).resolve().parent / "apps"


def contenders(world, receiver):
    puma = program("puma")

    def command(port):
        return [puma, "--quiet", "-t", "2:2", "-b", f"tcp://127.0.0.1:{port}", APPS / "sinatra.ru"]

    own = {"RACK_ENV": "production"}
    ours = world.environment("ruby:3.1", command(0), receiver.url, env=own)
    return [Contender("bare", command, own), Contender("ours", command, ours, files=MOUNT)]
