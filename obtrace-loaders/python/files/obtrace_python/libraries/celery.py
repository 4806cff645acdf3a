"""Celery: a task that is sent, by whoever sends it, and a task that a worker runs."""

from functools import update_wrapper

from obtrace_python import exits, settings
from obtrace_python.context import SILENT, current
from obtrace_python.libraries.messaging import begin_process, begin_send, end

SCOPE = "obtrace.python.celery"


def install(module):
    """`celery.app.base`."""
    original = module.Celery.send_task

    def send_task(self, name, *arguments, **options):
        span = begin_send(SCOPE, "celery", name)
        if span is None:
            return original(self, name, *arguments, **options)
        try:
            headers = dict(options.get("headers") or {})
            headers.setdefault("traceparent", span.header)
            if span.state:
                headers.setdefault("tracestate", span.state)
            options["headers"] = headers
        except Exception as error:
            settings.fault("celery", error)
        token = current.set(span)
        try:
            answer = original(self, name, *arguments, **options)
            span.attributes["messaging.message.id"] = getattr(answer, "id", None)
            return answer
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            current.reset(token)
            end(span)

    module.Celery.send_task = update_wrapper(send_task, original)


def worker(module):
    """`celery.signals`: before and after a task is run, which is in one thread."""
    def began(sender=None, task_id=None, task=None, **_):
        try:
            if current.get() is SILENT or task is None:
                return
            span = begin_process(SCOPE, "celery", task.name, task.request.get, {"messaging.message.id": task_id})
            task.request._obtrace = (span, current.get())
            current.set(span)
        except Exception as error:
            settings.fault("celery", error)

    def failed(sender=None, exception=None, **_):
        try:
            found = getattr(sender.request, "_obtrace", None)
            if found is not None and exception is not None:
                found[0].fail(exception)
        except Exception as error:
            settings.fault("celery", error)

    def ended(sender=None, task=None, **_):
        try:
            found = task.request.__dict__.pop("_obtrace", None)
            if found is not None:
                end(found[0])
                current.set(found[1])
        except Exception as error:
            settings.fault("celery", error)

    def ending(**_):
        # A worker's process ends by os._exit.
        exits.at_exit()

    module.worker_process_shutdown.connect(ending, weak=False)
    module.task_prerun.connect(began, weak=False)
    module.task_failure.connect(failed, weak=False)
    module.task_postrun.connect(ended, weak=False)
