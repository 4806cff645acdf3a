"""A Django application in one file: `application` for WSGI, `asgi` for ASGI."""

import logging

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
django.setup()


def ready(request):
    return HttpResponse("ready")


def order(request, number):
    logging.getLogger("shop.views").warning("order %d", number)
    return JsonResponse({"order": number})


def fail(request):
    raise ValueError("no such order")


def stream(request):
    return StreamingHttpResponse(iter(["one\n", "two\n"]))


urlpatterns = [
    path("ready", ready), path("fail", fail), path("stream", stream), path("shop/", include([path("orders/<int:number>", order)])),
    re_path(r"^old/(?P<number>[0-9]+)$", lambda request, number: HttpResponse(number)),
]
application = get_wsgi_application()
asgi = get_asgi_application()
