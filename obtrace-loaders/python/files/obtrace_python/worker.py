"""A thread of ours. It ends for the moment of a fork, so that it holds no lock then, and Python (which counts threads from
3.12 on) has nothing to warn of. Functions are taken before anybody could replace them."""

from _thread import allocate_lock, get_ident, get_native_id, start_new_thread
from os.path import exists
from time import monotonic, sleep


class Worker:
    """Calls `body` again and again until that says False; `rouse` makes a `body` that waits return."""

    def __init__(self, body, rouse):
        self.body, self.rouse, self.lock = body, rouse, allocate_lock()
        self.alive = self.leaving = False
        self.ident = self.native = None

    def start(self):
        """Raises RuntimeError where the interpreter is about to end."""
        self.alive = True
        try:
            start_new_thread(self.run, ())
        except RuntimeError:
            self.alive = False
            raise

    def run(self):
        self.ident, self.native = get_ident(), get_native_id()
        while True:
            more = self.body()
            with self.lock:
                if self.leaving or not more:
                    self.alive = False
                    return

    def rest(self, deadline):
        """Has the thread end, and waits until the system has forgotten it, or until the deadline."""
        if not self.alive:
            return
        self.leaving = True
        self.rouse()
        while (self.alive or exists("/proc/self/task/%d" % self.native)) and monotonic() < deadline:
            sleep(0.0001)

    def resume(self):
        """Goes on after `rest`."""
        with self.lock:
            if self.leaving:
                self.leaving = False
                if not self.alive:
                    self.start()


_callbacks = {}


def soon(function):
    """Has the main thread call `function(None)` once it runs Python code again; False if that cannot be had."""
    try:
        import ctypes

        if function not in _callbacks:
            _callbacks[function] = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(function)
        return ctypes.pythonapi.Py_AddPendingCall(_callbacks[function], None) == 0
    except Exception:
        return False
