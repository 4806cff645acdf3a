"""uWSGI forks and ends processes without what Python does then, and lets threads run between two requests only if it was
told `enable-threads`. Without that, what is due is sent after a request, when its connection is closed.

uWSGI's C code takes its hooks from the dictionary of the module `uwsgi`. Ours are there; the attributes of the same names,
which the application reads and sets, are what they are without us, and ours call them."""

import sys
from _thread import get_ident
from functools import update_wrapper
from types import FunctionType, ModuleType

from obtrace_python import exits, settings
from obtrace_python.libraries import wsgi
from obtrace_python.sender import notice_fork, sender


def install(module, finder):
    """Hooks into `uwsgi`, the module that exists in a process of uWSGI."""
    # It handles its signals in C.
    exits.leave_signals()
    sender.threaded = bool(module.has_threads)
    hooks = {"post_fork_hook": notice_fork, "atexit": at_exit}
    if not sender.threaded:
        hooks["after_req_hook"] = after_request
    values, properties = vars(module), {}
    for name, ours in hooks.items():
        properties[name], hook = chained(name, ours, values.get(name))
        values[name] = hook
    module.__class__ = type("module", (ModuleType,), properties)
    for name, function in applications(module.opt):
        finder.tell(name, lambda found, function=function: observe(found, function))


def chained(name, ours, theirs):
    """(the attribute that the application sees, the function that uWSGI calls)."""
    held = {} if theirs is None else {name: theirs}

    def get(_):
        try:
            return held[name]
        except KeyError:
            raise AttributeError("module 'uwsgi' has no attribute %r" % name) from None

    def hook():
        try:
            if name in held:
                return held[name]()
        finally:
            try:
                ours()
            except Exception as error:
                settings.fault("uwsgi", error)

    return property(get, lambda _, value: held.__setitem__(name, value), lambda _: held.pop(name, None)), hook


def after_request():
    notice_fork()
    sender.turn()


def at_exit():
    notice_fork()
    exits.at_exit()


def texts(options, name):
    """The values of an option."""
    value = options.get(name, [])
    return [text.decode() for text in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(text, bytes)]


def default(options):
    """The name of applications where none is told."""
    return (texts(options, "callable") or ["application"])[0]


def applications(options):
    """(module, name in it) of the applications that uWSGI looks up in modules."""
    for text in [*texts(options, "wsgi"), *texts(options, "module"), *(text.partition("=")[2] for text in texts(options, "mount"))]:
        module, _, function = text.partition(":")
        function = function or default(options)
        if module.replace(".", "_").isidentifier() and function.isidentifier() and not module.endswith((".py", ".wsgi")):
            yield module, function


def observe(module, name):
    """Observes the application `name` of a module: a function by one in its place, an object by its class."""
    application = getattr(module, name, None)
    kind = type(application)
    if kind is FunctionType:
        setattr(module, name, update_wrapper(wsgi.wrapped(application), application))
    elif not {getattr(kind, "wsgi_app", None), getattr(kind, "__call__", None)} & wsgi.observed_methods:
        owner = next((kind for kind in kind.__mro__ if type(kind.__dict__.get("__call__")) is FunctionType), None)
        if owner is not None:
            owner.__call__ = wsgi.method(owner.__call__)


class Running(str):
    """The name of a module in `sys.modules` while uWSGI runs the module's code. Nobody is told of the end of that, but then uWSGI
    looks the module up, by a text that is equal and not the same: it is compared with this one. `ended` is called once."""

    __slots__ = ("ended", "thread")
    __hash__ = str.__hash__

    def __eq__(self, other):
        same = str.__eq__(self, other)
        if same and self.ended is not None and self.thread == get_ident() and not self.within(sys._getframe().f_back):
            ended, self.ended = self.ended, None
            module = sys.modules[str(self)] = sys.modules.pop(self)
            try:
                ended(module)
            except Exception as error:
                settings.fault("uwsgi", error)
        return same

    def within(self, frame):
        """Whether it is the module's own code that asks."""
        while frame is not None and frame.f_globals.get("__name__") != str(self):
            frame = frame.f_back
        return frame is not None


def file(module, name):
    """Observes the application of a file, whose code is about to be run as the module `name`."""
    key, function = Running(name), default(module.opt)
    key.ended, key.thread = lambda found: observe(found, function), get_ident()
    sys.modules[key] = sys.modules.pop(name)
