"""What the application says by `logging`, as log records (contract, section 7).

Hooked in where a logger filters a record: when the handlers run, nothing of ours is on the stack, so that what they print of
it is what it would be without us.
"""

from obtrace_python import settings
from obtrace_python.context import SILENT, current
from obtrace_python.sender import logs
from obtrace_python.spans import exception

BODY_LIMIT = 16384
# (least level, severity number) of the OpenTelemetry logs data model.
_STEPS = ((50, 21), (45, 18), (40, 17), (35, 14), (30, 13), (25, 10), (20, 9), (15, 6), (10, 5), (0, 1))
_numbers = {}


def severity(level):
    """The severity number of a level; those in between go to the step below."""
    number = _numbers.get(level)
    if number is None:
        number = next((number for least, number in _STEPS if level >= least), 1)
        if len(_numbers) < 1000:
            _numbers[level] = number
    return number


def capture(record):
    """Queues a record that is about to be handled."""
    span = current.get()
    if span is SILENT:
        return
    found = {"code.function.name": record.funcName, "code.file.path": record.pathname, "code.line.number": record.lineno}
    if record.exc_info:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, BaseException):
            found.update(exception(error))
    logs.put((str(record.name), int(record.created * 1e9), severity(record.levelno), str(record.levelname), record.getMessage()[:BODY_LIMIT], span, found))


def install(module):
    """Hooks into `logging.Logger`."""
    if not logs.enabled:
        return
    Logger = module.Logger
    original = Logger.filter

    def filter(self, record):
        kept = original(self, record)
        if kept:
            try:
                # From 3.12 on a filter may give another record.
                capture(record if kept is True or not hasattr(kept, "levelno") else kept)
            except Exception as error:
                settings.fault("logging", error)
        return kept

    Logger.filter = filter
