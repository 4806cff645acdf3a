"""What the cases of Ruby share: started applications, and what they say."""

import pathlib
import subprocess

from launch import Language
from world import Missing, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
IMAGE = "ruby:3.1"
RUBY = Language("ruby", IMAGE, APPS, resolve=lambda words: [program(words[0]), *words[1:]])
observed, launch, clean = RUBY.observed, RUBY.launch, RUBY.clean


def needs(*features):
    """The case needs these libraries of the machine's Ruby."""
    test = "ARGV.each { |it| begin; require it; rescue LoadError; puts it; end }"
    missing = subprocess.run([program("ruby"), "-e", test, *features], capture_output=True, text=True).stdout.split()
    if missing:
        raise Missing(f"no {', '.join(missing)} for this Ruby")


def serve(world, receiver, *command, env=None, **options):
    """Starts a server, once it answers; `{port}` in the command is its port."""
    return RUBY.serve(world, receiver, *command, env={"RACK_ENV": "production", **(env or {})}, **options)


def puma(world, receiver, *more, app="shop.ru", **options):
    return serve(world, receiver, "puma", "--quiet", "-b", "tcp://127.0.0.1:{port}", *more, app, **options)


def script(world, receiver, text, *options, within=30, **more):
    """Runs a script to its end: (exit code, standard output, standard error)."""
    return launch(world, receiver, "ruby", *options, "-e", text, **more).result(within)


def asked(receiver, path="/ready"):
    """The server spans but those of the question whether it is ready."""
    return [span for span in receiver.spans("server") if span.attributes.get("url.path") != path]
