"""An application that has set up OpenTelemetry's SDK by itself, and prints what that sees."""

import http.client
import logging
import os

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class Printer(SpanExporter):
    def export(self, spans):
        for span in spans:
            print(span.name, span.kind.name, span.parent is not None, flush=True)
        return SpanExportResult.SUCCESS


trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(Printer()))
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("order"), tracer.start_as_current_span("call", kind=trace.SpanKind.CLIENT) as span:
    headers = {}
    propagate.inject(headers)
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["UPSTREAM_PORT"]), timeout=10)
    connection.request("GET", "/own", headers=headers)
    print(connection.getresponse().status)
    logging.getLogger("shop").warning("called")
