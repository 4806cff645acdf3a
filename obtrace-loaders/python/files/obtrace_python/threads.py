"""Context goes with work that is handed to another thread."""

from functools import update_wrapper

from obtrace_python import exits
from obtrace_python.context import current
from obtrace_python.spans import unseen


def install(module):
    """`threading`: a thread begins in the span that started it."""
    Thread = module.Thread
    start, bootstrap = Thread.start, Thread._bootstrap_inner

    def starting(self):
        span = current.get()
        if span is not None:
            self.__dict__["_obtrace_span"] = span
        exits.arm()
        return start(self)

    def begun(self):
        span = self.__dict__.pop("_obtrace_span", None)
        if span is not None:
            current.set(span)
        return bootstrap(self)

    Thread.start = update_wrapper(starting, start)
    Thread._bootstrap_inner = update_wrapper(begun, bootstrap)


class _Carried:
    """A function that is run in the span it was handed over in."""

    __slots__ = ("function", "span")

    def __init__(self, function, span):
        self.function, self.span = function, span

    def __call__(self, *arguments, **named):
        token = current.set(self.span)
        try:
            return self.function(*arguments, **named)
        except BaseException as error:
            unseen(error)
            raise
        finally:
            current.reset(token)


def pools(module):
    """`concurrent.futures.thread`: each job is run in its submitter's span, and the pool's threads belong to nobody."""
    Executor = module.ThreadPoolExecutor
    submit = Executor.submit

    def submitted(self, fn, /, *arguments, **named):
        span = current.get()
        if span is None:
            return submit(self, fn, *arguments, **named)
        token = current.set(None)
        try:
            return submit(self, _Carried(fn, span), *arguments, **named)
        finally:
            current.reset(token)

    Executor.submit = update_wrapper(submitted, submit)
