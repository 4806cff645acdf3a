"""The end of a process: what is queued is sent, and the process ends as it would without us (contract, sections 1 and 9).

SIGTERM ends a Python process at once unless somebody handles it. While nobody does, we do: send, restore the default, and
let the same signal kill. That is only done once there is a sender or a second thread, only by the main thread, and is not
visible: `signal.getsignal` tells SIG_DFL. As a Python handler runs only between two instructions of the main thread, which
may be deep in a library's C code, a thread watches for the signal and does the same if the main thread has not."""

import _signal
import os
from _thread import allocate_lock, get_ident
from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.sender import child_hooks, sender, threads
from obtrace_python.worker import Worker

_TERM = _signal.SIGTERM
_PATIENCE = 0.5


class _State:
    armed = False
    left = False
    main = get_ident()
    pipe = None
    handled = None
    watcher = None


def at_exit():
    """Called by atexit, last of all as it was registered first."""
    try:
        sender.finish()
    except Exception as error:
        settings.fault("exit", error)


def arm():
    """Has SIGTERM wait for what is queued."""
    if _State.armed or _State.left or get_ident() != _State.main:
        return
    _State.armed = True
    try:
        if _signal.getsignal(_TERM) == _signal.SIG_DFL:
            _signal.signal(_TERM, on_term)
        watch()
    except (ValueError, OSError, RuntimeError) as error:
        settings.fault("SIGTERM", error)


def leave_signals():
    """For servers that handle SIGTERM in C, which Python does not know of."""
    _State.left = True


def on_term(number, frame):
    """Our handler of SIGTERM."""
    try:
        _State.handled.release()
    except (RuntimeError, AttributeError):
        pass
    at_exit()
    _signal.signal(_TERM, _signal.SIG_DFL)
    os.kill(os.getpid(), _TERM)


def watch():
    """Starts the thread that sees SIGTERM where the main thread does not look, unless another has that place."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writer, False)
    before = _signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if before != -1:
        _signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
        return
    _State.pipe, _State.handled = (reader, writer), allocate_lock()
    _State.handled.acquire()
    _State.watcher.start()


def watched():
    """What the watching thread does again and again."""
    pipe, handled = _State.pipe, _State.handled
    try:
        numbers = os.read(pipe[0], 64)
    except (OSError, TypeError):
        return False
    if _TERM in numbers and _signal.getsignal(_TERM) is on_term and not handled.acquire(True, _PATIENCE):
        at_exit()
        kill()
    return bool(numbers)


def rouse():
    """Has the thread look up from its pipe. There is no signal 0."""
    try:
        os.write(_State.pipe[1], b"\0")
    except OSError:
        # Full: it has enough to look at.
        pass


def kill():
    """Ends the process by SIGTERM from a thread that is not the main one, where `signal.signal` does not work."""
    try:
        import ctypes

        set_handler = ctypes.pythonapi.PyOS_setsig
        set_handler.argtypes, set_handler.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
        set_handler(_TERM, None)
        os.kill(os.getpid(), _TERM)
    except Exception as error:
        settings.fault("SIGTERM", error)


def after_fork():
    """In a forked child the pipe is the parent's; the child has a main thread of its own."""
    _State.main, pipe, _State.pipe = get_ident(), _State.pipe, None
    _State.armed = False
    _State.watcher = Worker(watched, rouse)
    if pipe is not None:
        try:
            before = _signal.set_wakeup_fd(-1)
            if before not in (-1, pipe[1]):
                _signal.set_wakeup_fd(before)
            for descriptor in pipe:
                os.close(descriptor)
        except (ValueError, OSError) as error:
            settings.fault("fork", error)


def install(module):
    """Has the functions of `signal` tell what they would tell without us."""
    set_signal, get_signal, set_wakeup = module.signal, module.getsignal, module.set_wakeup_fd

    def shown(handler):
        return module.SIG_DFL if handler is on_term else handler

    def signal(signalnum, handler):
        if handler == module.SIG_DFL and signalnum == _TERM and _State.armed:
            handler = on_term
        return shown(set_signal(signalnum, handler))

    def getsignal(signalnum):
        return shown(get_signal(signalnum))

    def set_wakeup_fd(fd, **options):
        pipe = _State.pipe
        if pipe is None:
            return set_wakeup(fd, **options)
        before = set_wakeup(pipe[1], warn_on_full_buffer=False) if fd == -1 else set_wakeup(fd, **options)
        return -1 if before == pipe[1] else before

    module.signal = update_wrapper(signal, set_signal)
    module.getsignal = update_wrapper(getsignal, get_signal)
    module.set_wakeup_fd = update_wrapper(set_wakeup_fd, set_wakeup)


def children(module):
    """`multiprocessing.util` (or billiard's): its children end by `os._exit`, after their finalizers."""
    def in_child(_):
        module.Finalize(None, at_exit, exitpriority=-1000)

    module.register_after_fork(sender, in_child)
    sender.child_hook = in_child


_State.watcher = Worker(watched, rouse)
threads.append(lambda: _State.watcher)
sender.on_start = arm
child_hooks.append(after_fork)
