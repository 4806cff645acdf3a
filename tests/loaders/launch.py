"""Applications of a language, started as their Pod would start them, or bare."""

import contextlib

from receiver import Receiver
from world import free_port


class Language:
    """What the cases of a language start. `image`: what its Pod would run; `apps`: the folder in which commands run; `always`:
    variables of every application, bare or not; `resolve`: gives the command that is run for the words of a case."""

    def __init__(self, name, image, apps, always=None, resolve=None):
        self.name, self.image, self.apps = name, image, apps
        self.always, self.resolve = always or {}, resolve or (lambda words: words)

    @contextlib.contextmanager
    def observed(self, world, **options):
        """A receiver (`options` are its own), with the volume mounted."""
        with Receiver(**options) as receiver:
            world.mount(world.volume(self.name))
            yield receiver

    def variables(self, world, command, url, env=None, instrumentation=None):
        """What a Pod with this command would have."""
        return world.environment(self.image, command, url, env={**self.always, **(env or {})}, instrumentation=instrumentation)

    def launch(self, world, receiver, *command, env=None, extra=None, port=None, folder=None, bare=False, instrumentation=None, **options):
        """Starts a command as a Pod would, sending to a receiver (or its address); `bare`: without us. `extra`: variables that are
        set over what a Pod would have."""
        url = receiver if isinstance(receiver, str) else receiver.url
        words = self.resolve(command)
        values = {**self.always, **(env or {})} if bare else self.variables(world, words, url, env, instrumentation)
        return world.start(*words, env={**values, **(extra or {})}, folder=folder or self.apps, port=port, **options)

    def serve(self, world, receiver, *command, path="/ready", env=None, within=60, **options):
        """Starts a server, once it answers; `{port}` in the command is its port, which `PORT` names as well."""
        port = free_port()
        words = [str(word).replace("{port}", str(port)) for word in command]
        return self.launch(world, receiver, *words, env={"PORT": port, **(env or {})}, port=port, **options).ready(path, within)

    def clean(self, receiver):
        """Nothing of what was sent is wrong by the contract."""
        receiver.clean(self.name)
