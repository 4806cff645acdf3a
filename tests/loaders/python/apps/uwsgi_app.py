"""A WSGI application of no framework with hooks of its own in uWSGI, which looks at itself."""

import dataclasses
import pickle
import sys

import uwsgi


@dataclasses.dataclass
class Order:
    number: int = 1


def hook(name):
    def said():
        print("hook", name, getattr(uwsgi, name) is said, flush=True)

    setattr(uwsgi, name, said)


for place in ("post_fork_hook", "after_req_hook", "atexit"):
    print("hook", place, hasattr(uwsgi, place), flush=True)
    hook(place)


def application(environ, start_response):
    """Answers."""
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("no")
    names = [type(name).__name__ for name in sys.modules if name == __name__]
    order = pickle.loads(pickle.dumps(Order()))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((order, names, application.__name__, application.__doc__, sys.modules[__name__].application is application)).encode()]


print("hook", __name__, vars(sys.modules[__name__]) is globals(), flush=True)
