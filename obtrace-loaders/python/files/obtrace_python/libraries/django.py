"""Django, by WSGI and by ASGI: routes of its resolver, exceptions that a view ended with."""

from functools import update_wrapper

from obtrace_python import settings
from obtrace_python.libraries import asgi, wsgi
from obtrace_python.libraries.web import serving, set_route


def wsgi_handler(module):
    """`django.core.handlers.wsgi`."""
    module.WSGIHandler.__call__ = wsgi.method(module.WSGIHandler.__call__)


def asgi_handler(module):
    """`django.core.handlers.asgi`."""
    module.ASGIHandler.__call__ = asgi.observe(module.ASGIHandler.__call__)


def base(module):
    """`django.core.handlers.base`: where a request is resolved."""
    resolve = module.BaseHandler.resolve_request

    def resolve_request(self, request):
        match = resolve(self, request)
        try:
            span = serving()
            if span is not None and getattr(match, "route", None) is not None:
                set_route(span, "/" + plain(match.route).lstrip("/"))
        except Exception as error:
            settings.fault("django", error)
        return match

    module.BaseHandler.resolve_request = update_wrapper(resolve_request, resolve)


def plain(route):
    """A route without the anchors of the regular expressions it is made of."""
    return route.replace("^", "").replace("$", "").replace("\\Z", "") if "^" in route or "$" in route else route


def exceptions(module):
    """`django.core.handlers.exception`: what becomes an answer with 500."""
    handle = module.response_for_exception

    def response_for_exception(request, exc):
        response = handle(request, exc)
        try:
            span = serving()
            if span is not None and response.status_code >= 500:
                span.fail(exc)
        except Exception as error:
            settings.fault("django", error)
        return response

    module.response_for_exception = update_wrapper(response_for_exception, handle)
