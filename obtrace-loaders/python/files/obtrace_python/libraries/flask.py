"""Flask: the route of a request, and the exception that a view ended with. Nothing of ours is on the stack while a view runs."""

from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.libraries import wsgi
from obtrace_python.libraries.web import serving, set_route
from obtrace_python.spans import unseen


def install(module):
    """Hooks into `flask.app.Flask`."""
    Flask = module.Flask
    handle = Flask.handle_exception

    def handle_exception(self, *arguments):
        span = serving()
        if span is not None:
            try:
                span.fail(arguments[-1])
            except Exception as error:
                settings.fault("flask", error)
        try:
            return handle(self, *arguments)
        except BaseException as error:
            unseen(error)
            raise

    Flask.wsgi_app = wsgi.method(Flask.wsgi_app)
    Flask.handle_exception = update_wrapper(handle_exception, handle)


def contexts(module):
    """Hooks into `flask.ctx`, where a request is matched with the routes."""
    for name in ("RequestContext", "AppContext"):
        context = getattr(module, name, None)
        match = getattr(context, "match_request", None)
        if match is not None:
            context.match_request = update_wrapper(matching(match), match)


def matching(match):
    def match_request(self):
        answer = match(self)
        try:
            span = serving()
            rule = self.request.url_rule
            if span is not None and rule is not None:
                set_route(span, rule.rule)
        except Exception as error:
            settings.fault("flask", error)
        return answer

    return match_request
