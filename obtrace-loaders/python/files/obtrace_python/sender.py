"""Queues, one a signal, and the thread that empties them (contract, section 9).

Whoever makes an item only appends it to a deque: no lock, no system call. The thread is started by the first item of a
process, so that a forked child starts its own. It is made by `_thread`, whose functions are taken before anybody could
replace them: it neither shows in `threading.enumerate` nor keeps the process alive, and gevent leaves it alone.
"""

import os
import sys
from _thread import allocate_lock, get_ident
from collections import deque
from time import monotonic

from obtrace_python import VERSION, otlp, settings
from obtrace_python.context import SILENT, current
from obtrace_python.worker import Worker, soon

BATCH = 500
LIMIT = 5000
NAP = 2.0
PAUSES = (2.0, 4.0)
FINAL = 2.0
TIMEOUT = 5.0
# Where a request's worker sends by itself: what a receiver that does not answer may cost it, and how seldom.
TURN = 1.0
SELDOM = 60.0
_NEVER = 1 << 62
_MAIN = get_ident()
_AGAIN = frozenset((429, 502, 503, 504))


class Lane:
    """The queue of a signal and what is on its way."""

    def __init__(self, signal, encode):
        self.signal, self.encode = signal, encode
        self.enabled = signal in settings.signals
        self.dropped = {"queue_full": 0, "send_failed": 0, "rejected": 0}
        self.clear()

    def clear(self):
        """Forgets everything: what was queued before a fork is the parent's."""
        self.queue, self.batch, self.attempts, self.due = deque(), None, 0, None
        self.dropped.update(queue_full=0, send_failed=0, rejected=0)

    def put(self, item):
        """Takes an item, from any thread, at any time."""
        queue = self.queue
        if len(queue) >= LIMIT:
            self.dropped["queue_full"] += 1
            return
        queue.append(item)
        if len(queue) >= sender.threshold:
            sender.wake()

    def next_due(self, now):
        """When there is something to do; None if nothing is here."""
        if self.batch is None:
            if not self.queue:
                self.due = None
            elif len(self.queue) >= BATCH:
                self.due = now
            elif self.due is None:
                self.due = now + NAP
        return self.due

    def take(self):
        """The next batch, or the one that is to be tried again."""
        if self.batch is None:
            items = []
            try:
                while len(items) < BATCH:
                    items.append(self.queue.popleft())
            except IndexError:
                pass
            self.batch, self.attempts = items, 0
        return self.batch

    def told(self, verdict, pause, now):
        """Takes the verdict on the batch: `done`, `again` or `rejected`."""
        if verdict == "again":
            self.attempts += 1
            if self.attempts <= len(PAUSES):
                self.due = now + (pause if pause is not None else PAUSES[self.attempts - 1])
                return
            self.dropped["send_failed"] += len(self.batch)
        elif verdict == "rejected":
            self.dropped["rejected"] += len(self.batch)
        self.batch, self.due = None, None


class Sender:
    """The thread, and how it is woken and asked to finish."""

    def __init__(self):
        # `on_start`: what else is to be done when the thread starts; see `exits`.
        self.lanes, self.metrics, self.on_start = [], None, lambda: None
        # False where threads do not run: `turn` is called instead.
        self.threaded = True
        self.reset()

    def reset(self):
        """As new, in a process of its own."""
        self.pid, self.running, self.wanted, self.spent = os.getpid(), False, False, 0.0
        # So many items in a queue wake the thread.
        self.threshold = 1
        self.bell, self.finished, self.starting = allocate_lock(), allocate_lock(), allocate_lock()
        self.bell.acquire()
        self.finished.acquire()
        self.worker, self.resource, self.connection = Worker(self.work, self.wake), None, None
        self.next_report = monotonic() + settings.metric_interval
        self.next_turn, self.silence, self.turning = 0.0, 0, allocate_lock()

    def wake(self):
        """Has the thread look at the queues; starts it if there is none."""
        if not self.running:
            self.start()
        self.threshold = _NEVER
        try:
            self.bell.release()
        except RuntimeError:
            pass

    def start(self):
        if not self.threaded or not self.starting.acquire(False):
            return
        try:
            if not self.running:
                self.worker.start()
                self.running = True
                self.on_start()
        except RuntimeError as error:
            # The interpreter is about to end; `finish` sends what is here.
            settings.fault("sender", error)
        finally:
            self.starting.release()

    def work(self):
        """What the thread does again and again."""
        current.set(SILENT)
        try:
            self.round()
        except Exception as error:
            settings.fault("sender", error)
            self.threshold = _NEVER
            self.bell.acquire(True, NAP)
        return True

    def round(self):
        """Waits until something is due, and does it."""
        now = monotonic()
        dues = [due for due in [lane.next_due(now) for lane in self.lanes] if due is not None]
        self.threshold = BATCH if dues else 1
        # Said first, looked at then: an item that comes in between rings the bell.
        if not dues and not any(lane.queue for lane in self.lanes) or dues and not self.overfull():
            wait = min(dues + [self.next_report] if self.metrics else dues or [now + 60]) - now
            if wait > 0 and not self.wanted and not self.worker.leaving:
                self.bell.acquire(True, wait)
        self.threshold = _NEVER
        if self.wanted:
            self.last(monotonic() + self.wanted)
            return
        now = monotonic()
        for lane in self.lanes:
            due = lane.next_due(now)
            if due is not None and due <= now and not self.wanted and not self.worker.leaving:
                self.deliver(lane, TIMEOUT)
        if self.metrics and not self.worker.leaving and now >= self.next_report:
            self.next_report = now + settings.metric_interval
            self.report()

    def turn(self):
        """What the thread does elsewhere: sends, if there is something and the last time is long enough ago."""
        now = monotonic()
        if now < self.next_turn and (self.silence or not self.overfull()) or not self.turning.acquire(False):
            return
        token = current.set(SILENT)
        try:
            answered = True
            for lane in self.lanes:
                if answered and (lane.queue or lane.batch) and (lane.batch is None or lane.due <= now):
                    answered = self.deliver(lane, TURN)
            if answered and self.metrics and now >= self.next_report:
                self.next_report = now + settings.metric_interval
                self.report(TURN)
            self.silence = 0 if answered else self.silence + 1
            self.next_turn = monotonic() + min(SELDOM, NAP * 2 ** min(self.silence, 10))
        finally:
            current.reset(token)
            self.turning.release()

    def overfull(self):
        return any(lane.batch is None and len(lane.queue) >= BATCH for lane in self.lanes)

    def report(self, timeout=TIMEOUT):
        """Sends a report of the metrics; what cannot be sent is in the next, as they are cumulative."""
        items = self.metrics.collect()
        for first in range(0, len(items), BATCH):
            self.post("metrics", otlp.metrics(items[first:first + BATCH], self.resource_text(), VERSION), timeout)

    def deliver(self, lane, timeout):
        """Sends a batch of a lane; False if nobody answers there."""
        batch = lane.take()
        if not batch:
            lane.told("done", None, 0)
            return True
        try:
            body = lane.encode(batch, self.resource_text(), VERSION)
        except Exception as error:
            # Tried again it would fail again, and hold up what comes after it.
            settings.fault(lane.signal, error)
            lane.told("rejected", None, monotonic())
            return True
        verdict, pause = self.post(lane.signal, body, timeout)
        lane.told(verdict, pause, monotonic())
        return verdict != "again"

    def resource_text(self):
        if self.resource is None:
            from obtrace_python import resource

            self.resource = otlp.attributes(resource.attributes())
        return self.resource

    def post(self, signal, body, timeout):
        """(`done`, `again` or `rejected`, the pause that was asked for)."""
        from obtrace_python import http

        try:
            if self.connection is None:
                self.connection = http.Connection(settings.url)
            status, pause = self.connection.post("/otlp/v1/" + signal, body, settings.api_key, timeout)
        except Exception as error:
            settings.debug("%s are not sent: %s: %s" % (signal, type(error).__name__, error))
            return "again", None
        if 200 <= status < 300:
            return "done", None
        settings.debug("%s are not taken: status %d" % (signal, status))
        return ("again", pause) if status in _AGAIN else ("rejected", None)

    def last(self, deadline):
        """Sends what is here, each batch once, while there is time and somebody answers."""
        try:
            answered = True
            for lane in self.lanes:
                while answered and (lane.queue or lane.batch) and monotonic() < deadline:
                    answered = self.deliver(lane, max(0.05, deadline - monotonic()))
            if answered and self.metrics and monotonic() < deadline:
                self.report(max(0.05, deadline - monotonic()))
        finally:
            self.wanted = False
            try:
                self.finished.release()
            except RuntimeError:
                pass

    def anything(self):
        return any(lane.queue or lane.batch for lane in self.lanes) or bool(self.metrics and self.metrics.recorded)

    def finish(self):
        """Sends what is queued, before the process ends. Takes at most two seconds in all, however often it is called."""
        left = FINAL - self.spent
        if left <= 0 or self.worker.ident == get_ident() or not (self.running or self.anything()):
            return
        began = monotonic()
        try:
            if self.worker.alive:
                self.finished.acquire(False)
                self.wanted = left
                self.wake()
                self.finished.acquire(True, left)
            else:
                token = current.set(SILENT)
                try:
                    self.last(began + left)
                finally:
                    current.reset(token)
        finally:
            self.spent += monotonic() - began


sender = Sender()
traces = Lane("traces", otlp.spans)
logs = Lane("logs", otlp.logs)
sender.lanes = [lane for lane in (traces, logs) if lane.enabled]


# Gives the threads of this process that are ours; `exits` has one more.
threads = [lambda: sender.worker]


class _Fork:
    """The frame that forks, until it goes on."""

    frame = None


def before_fork():
    """Waits a moment for a request that is on its way; our threads end."""
    _Fork.frame = sys._getframe(1)
    deadline = monotonic() + 0.25
    for worker in threads:
        worker().rest(deadline)


def resume():
    _Fork.frame = None
    for worker in threads:
        try:
            worker().resume()
        except RuntimeError as error:
            settings.fault("fork", error)


def returned(_):
    """Called in the interpreter's pauses: our threads go on unless a hook of the fork is what is run."""
    try:
        frame = sys._getframe(0).f_back
        while frame is not None and frame is not _Fork.frame:
            frame = frame.f_back
        if frame is None or frame is sys._getframe(0).f_back or not soon(returned):
            resume()
    except Exception as error:
        settings.fault("fork", error)
    return 0


def after_fork_in_parent():
    """Our threads go on: at once, or where Python counts threads after this, when the fork has returned."""
    if any(worker().leaving for worker in threads) and not (sys.version_info >= (3, 12) and get_ident() == _MAIN and soon(returned)):
        resume()


def after_fork_in_child():
    from obtrace_python import context

    context.reseed()
    _Fork.frame = None
    for lane in (traces, logs):
        lane.clear()
    sender.reset()
    if sender.metrics:
        sender.metrics.clear()


# What is done in a forked child; `exits` has more of it.
child_hooks = [after_fork_in_child]


def in_child():
    for hook in child_hooks:
        hook()


def notice_fork():
    """For servers that fork without telling Python, as uWSGI does."""
    if os.getpid() != sender.pid:
        in_child()


os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=in_child)
